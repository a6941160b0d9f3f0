"""A linear map and an activation: an MLP layer, or a readout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from constructions.activations import IDENTITY, RELU, Activation, as_activation
from constructions.exact_matrix import ExactMatrix
from constructions.layers.base import Layer
from constructions.layers.passes import Pass
from constructions.layers.permuted import TokenCoordinates
from constructions.layers.weighted import check_name, held
from constructions.layers.widths import Width, check_shape
from constructions.lowering import Bindings
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.validation import InvalidArgument, reject


@dataclass(frozen=True, eq=False)
class Linear(Layer[WeightT]):
    """``x -> f(W x + b)``.

    Attributes:
        weight: ``W``, output width x input width.
        bias: ``b``, output width x 1; may be left out.
        activation: ``f``; ``None`` or the identity for a readout.
        name: unique in a transformer.
        bindings: numbers of the symbols of this layer alone, such as its index.
        family: layers of one family have the same expressions and differ in their bindings; the name when empty.

    Example:
        >>> layer = Linear([[1, -1]], [[2]], name="difference")
        >>> layer.has_relu, layer.is_readout
        (True, False)

    """

    by_position: ClassVar[bool] = True

    weight: WeightT = held("W")
    bias: WeightT | None = held("b", optional=True)
    activation: Activation | None = RELU
    name: str = "linear"
    bindings: Bindings = field(default_factory=dict)
    family: str = ""

    def __post_init__(self) -> None:
        check_name("layer", self.name)
        given: Any = as_activation(self.activation)
        if given is None:
            reject(f"activation of layer {self.name}", "an Activation, such as RELU, or None,", self.activation)
        object.__setattr__(self, "activation", given)
        self._expressions(f"layer {self.name}")

    @property
    def function(self) -> Activation:
        """The activation; the identity where there is none."""
        return IDENTITY if self.activation is None else self.activation

    @property
    def given_bias(self) -> WeightT:
        """``b`` of a layer that has one.

        Raises:
            InvalidArgument: it has none.

        """
        if self.bias is None:
            raise InvalidArgument(f"bias of layer {self.name}: expected one, but it was left out")
        return self.bias

    @property
    def own_code(self) -> Iterator[object]:
        """The activation."""
        yield from super().own_code
        yield self.function

    @property
    def is_readout(self) -> bool:
        """Whether this may be the last layer: nothing follows the linear map."""
        return self._is(IDENTITY)

    @property
    def has_relu(self) -> bool:
        """Whether a ReLU follows."""
        return self._is(RELU)

    def _is(self, one: Activation) -> bool:
        """Return whether the activation is one of this library, and no more.

        Another class may equal it and do otherwise; one of the same class may hide its functions by its attributes.
        """
        return type(self.function) is type(one) and self.function == one

    @property
    def is_plain(self) -> bool:
        """Whether this is a layer as the paper has it: a bias, and a ReLU or nothing."""
        return type(self) is Linear and self.bias is not None and (self.has_relu or self.is_readout)

    def fitted(self: Linear[ExactMatrix], width: Width) -> Width:
        """Return the width of the output."""
        rows = width.check(self.weight, f"weight of layer {self.name}")
        if self.bias is not None:
            check_shape(f"bias of layer {self.name}", self.bias, (rows, 1), "one number for each row of the weight")
        return Width(rows, f"what comes from {self.name}")

    def permuted(self: Linear[ExactMatrix], rows: TokenCoordinates) -> TokenCoordinates | None:
        """Return which outputs stand for tokens, of a layer as the paper has it; a ReLU is the same everywhere."""
        if not self.is_plain:
            return None
        outputs = rows.onto(self.weight)
        kept = outputs is not None and outputs.commutes(self.given_bias, rows.still(1))
        return outputs if kept else None

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return ``f(W x + b)`` for every row."""
        operations = run.operations
        if last_only:
            rows = operations.last(rows)
        found = self.function.apply(operations, operations.linear(rows, self.weight, self.bias))
        run.record(self.name, found)
        return found

    def formula(self, argument: str) -> str:
        """Return LaTeX of the layer as a function of its input."""
        return self.function.latex(f"W {argument}" + ("" if self.bias is None else " + b"))
