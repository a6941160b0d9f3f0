"""Layers made of layers: a residual connection, a sum of branches, a product of two, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from constructions.exact_matrix import ExactMatrix
from constructions.layers.base import Layer, narrowed
from constructions.layers.passes import Pass
from constructions.layers.weighted import check_name, inner, tuple_of
from constructions.layers.widths import Width
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.validation import InvalidArgument, reject


def _through(layers: tuple[Layer[ExactMatrix], ...], width: Width) -> Width:
    for layer in layers:
        width = layer.fitted(width)
    return width


@dataclass(frozen=True, eq=False)
class Chain(Layer[WeightT]):
    """Layers one after another, as one layer.

    Attributes:
        layers: at least one.
        name: unique in a transformer.

    """

    by_position: ClassVar[bool] = True

    layers: tuple[Layer[WeightT], ...] = inner()
    name: str = "chain"

    def __post_init__(self) -> None:
        check_name("layer", self.name)
        given: tuple[Any, ...] = tuple_of(f"layers of {self.name}", "layers", Layer, self.layers)
        if not given:
            raise InvalidArgument(f"layers of {self.name}: expected at least one")
        object.__setattr__(self, "layers", given)

    def fitted(self: Chain[ExactMatrix], width: Width) -> Width:
        """Return the width of the last layer's output."""
        return _through(self.layers, width)

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the last layer's output."""
        return narrowed(self.layers, run, rows, last_only=last_only)


@dataclass(frozen=True, eq=False)
class Residual(Chain[WeightT]):
    """``x -> x + f(x)``, with ``f`` the layers one after another.

    A pre-norm block is ``Residual((norm, attention))``, a post-norm one ``Residual((attention,))`` and the norm after
    it, a parallel one ``Residual((norm, Sum((attention, mlp))))``.

    Attributes:
        layers: at least one; their output is as wide as their input.
        name: unique in a transformer.

    Example:
        >>> from constructions import Linear
        >>> layer = Residual((Linear([[1, 0], [0, 1]], name="inner"),), name="block")
        >>> [name for name, _ in layer.matrices()]
        ['inner.weight']

    """

    by_position: ClassVar[bool] = True

    name: str = "residual"

    def fitted(self: Residual[ExactMatrix], width: Width) -> Width:
        """Return the width, which stays."""
        made = _through(self.layers, width)
        if made.size != width.size:
            raise InvalidArgument(
                f"layers: expected the output of residual {self.name} to be as wide as its input, {width.size}, to"
                f" which it is added, but it is {made.size} wide"
            )
        return Width(width.size, f"what comes from {self.name}")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the input and the layers' output, added up."""
        operations = run.operations
        made = narrowed(self.layers, run, rows, last_only=last_only)
        found = operations.total([operations.last(rows) if last_only else rows, made])
        run.record(self.name, found)
        return found


@dataclass(frozen=True, eq=False)
class Sum(Layer[WeightT]):
    """``x -> f_1(x) + f_2(x) + ...``, the branches added from the first to the last.

    Attributes:
        branches: at least one, all of one output width.
        name: unique in a transformer.

    """

    by_position: ClassVar[bool] = True

    branches: tuple[Layer[WeightT], ...] = inner()
    name: str = "sum"

    def __post_init__(self) -> None:
        check_name("layer", self.name)
        given: tuple[Any, ...] = tuple_of(f"branches of {self.name}", "layers", Layer, self.branches)
        if not given:
            raise InvalidArgument(f"branches of {self.name}: expected at least one")
        object.__setattr__(self, "branches", given)

    def fitted(self: Sum[ExactMatrix], width: Width) -> Width:
        """Return the width of every branch's output."""
        sizes = [branch.fitted(width).size for branch in self.branches]
        _check_equal(f"branches of {self.name}", sizes)
        return Width(sizes[0], f"what comes from {self.name}")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the branches' outputs, added up."""
        found = run.operations.total([branch.apply(run, rows, last_only=last_only) for branch in self.branches])
        run.record(self.name, found)
        return found


@dataclass(frozen=True, eq=False)
class Gated(Layer[WeightT]):
    """``x -> g(x) * f(x)``, coordinate by coordinate: SwiGLU is a ``gate`` with silu and a ``value`` without.

    Attributes:
        gate: ``g``.
        value: ``f``, of the same output width.
        name: unique in a transformer.

    """

    by_position: ClassVar[bool] = True

    gate: Layer[WeightT] = inner()
    value: Layer[WeightT] = inner()
    name: str = "gated"

    def __post_init__(self) -> None:
        check_name("layer", self.name)
        for part in ("gate", "value"):
            if not isinstance(getattr(self, part), Layer):
                reject(f"{part} of layer {self.name}", "a layer", getattr(self, part))

    def fitted(self: Gated[ExactMatrix], width: Width) -> Width:
        """Return the width of both outputs."""
        sizes = [self.gate.fitted(width).size, self.value.fitted(width).size]
        _check_equal(f"gate and value of {self.name}", sizes)
        return Width(sizes[0], f"what comes from {self.name}")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the product of both outputs."""
        gate, value = (part.apply(run, rows, last_only=last_only) for part in (self.gate, self.value))
        found = run.operations.multiply(gate, value)
        run.record(self.name, found)
        return found


def _check_equal(what: str, sizes: list[int]) -> None:
    if len(set(sizes)) != 1:
        raise InvalidArgument(
            f"layers: expected {what} to have outputs of one width but got {', '.join(map(str, sizes))}"
        )
