"""A layer: a class that names its weights, checks its shapes, applies itself in any arithmetic, and prints itself.

Every layer is generic in what holds its weights: a sympy expression as its author writes it, an exact matrix once the
sizes are numbers, a tensor in an arithmetic. :meth:`Weighted.map` changes the holder. A new layer is a frozen dataclass
in a file of its own: fields made by :func:`held` hold weights, fields made by :func:`inner` hold other layers, and
all other fields are options.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import numpy as np
import sympy as sp
from jaxtyping import Int
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.exact_matrix import ExactMatrix
from constructions.layers.masks import Mask
from constructions.lowering import Bindings, explicit_matrix
from constructions.operations import Operations, RowsT, ScoresT, Visible, WeightT
from constructions.temperature import Temperature, Temperatures, head_temperature
from constructions.validation import InvalidArgument, reject

#: A weight as a user may give it: a sympy matrix (symbolic or explicit), nested sequences of numbers, an array, or an
#: exact matrix.
Matrix = Any

NewT = TypeVar("NewT")

_WEIGHT, _PARTS = "latex", "parts"


def held(latex: str, *, optional: bool = False) -> Any:
    """Return a dataclass field that holds a weight.

    Args:
        latex: the weight's name in LaTeX.
        optional: may be left out, as ``None``.

    """
    return field(default=None if optional else MISSING, metadata={_WEIGHT: latex})


def inner(*, optional: bool = False) -> Any:
    """Return a dataclass field that holds a layer, or a part of one, or a tuple of them."""
    return field(default=None if optional else MISSING, metadata={_PARTS: True})


def as_expression(name: str, value: Matrix) -> Matrix:
    """Return a user's weight as a sympy matrix; an exact one stays as it is."""
    return value if isinstance(value, (MatrixExpr, sp.MatrixBase, ExactMatrix)) else explicit_matrix(name, value)


def check_name(owner: str, value: Any) -> None:
    """Refuse a name that is not a word.

    Raises:
        InvalidArgument: it is not.

    """
    if not isinstance(value, str) or not value:
        reject(f"name of a {owner}", "a word", value)


def tuple_of(name: str, words: str, kind: type, value: Any) -> tuple[Any, ...]:
    """Return a tuple or list of instances of a class as a tuple.

    Raises:
        InvalidArgument: neither, or something else in it.

    """
    if not isinstance(value, (tuple, list)):
        hint = "; one alone is written (it,), with a comma" if isinstance(value, kind) else ""
        reject(name, f"a tuple of {words}{hint},", value)
    for part in value:
        if not isinstance(part, kind):
            reject(name, f"a tuple of {words},", part)
    return tuple(value)


@dataclass(frozen=True)
class Place:
    """Where a weight is.

    Attributes:
        name: of the matrix, unique in a transformer, such as ``attention.self.query``.
        bindings: the numbers of the symbols there.

    """

    name: str
    bindings: Bindings


@dataclass(frozen=True, eq=False)
class Weighted(ABC, Generic[WeightT]):
    """Something that holds weights: a layer, or a part of one, such as a head.

    Attributes:
        name: of a layer unique in its transformer, of a part unique in its layer.

    """

    #: numbers of the symbols of this alone, such as its index: a field of layers that are written for an index
    bindings = cast("Bindings", MappingProxyType({}))

    if TYPE_CHECKING:  # a field of every layer and of every part but positions

        @property
        def name(self) -> str:
            """A word."""

    @property
    def own_weights(self) -> Iterator[tuple[str, str, WeightT]]:
        """``(field, LaTeX, weight)`` of every weight that is there, in the order of the fields."""
        for item in fields(self):
            if _WEIGHT in item.metadata and getattr(self, item.name) is not None:
                yield item.name, item.metadata[_WEIGHT], getattr(self, item.name)

    @property
    def own_parts(self) -> Iterator[Weighted[WeightT]]:
        """Every part, in the order of the fields."""
        for item in fields(self):
            if _PARTS in item.metadata:
                yield from _as_tuple(getattr(self, item.name))

    @property
    def options(self) -> Mapping[str, Any]:
        """Every other field: with the weights, all that there is to know of this."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if _WEIGHT not in item.metadata and _PARTS not in item.metadata
        }

    def prefix(self, outer: str) -> str:
        """Return the beginning of the names of its matrices: a part's own comes after its layer's."""
        return f"{outer}{self.name}."

    def bound(self, bindings: Bindings) -> Bindings:
        """Return the numbers of its symbols: those around it, and its own."""
        return {**bindings, **self.bindings}

    def map(
        self, change: Callable[[Place, WeightT], NewT], bindings: Bindings | None = None, outer: str = ""
    ) -> Weighted[NewT]:
        """Return the same with every weight changed.

        Args:
            change: called with each weight and its place.
            bindings: the numbers of the symbols around it.
            outer: the beginning of the names of matrices around it.

        """
        known, prefix = self.bound(bindings or {}), self.prefix(outer)
        made = object.__new__(type(self))  # not __init__, which takes what an author writes
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and _WEIGHT in item.metadata:
                value = change(Place(f"{prefix}{item.name}", known), value)
            elif value is not None and _PARTS in item.metadata:
                changed = tuple(part.map(change, known, prefix) for part in _as_tuple(value))
                value = changed if isinstance(value, tuple) else changed[0]
            object.__setattr__(made, item.name, value)
        return cast("Weighted[NewT]", made)

    def matrices(self, outer: str = "") -> Iterator[tuple[str, WeightT]]:
        """Yield every weight with its name, those of its parts included."""
        prefix = self.prefix(outer)
        for name, _, held in self.own_weights:
            yield f"{prefix}{name}", held
        for part in self.own_parts:
            yield from part.matrices(prefix)

    def check_positions(self: Weighted[ExactMatrix], context_size: int) -> None:
        """Refuse tables of fewer positions than the context has, those of its parts too.

        Raises:
            InvalidArgument: there is one.

        """
        for part in self.own_parts:
            part.check_positions(context_size)

    def describe(self) -> str:
        """Return everything but the weights in words, of its parts too: it goes into digests."""
        hidden = ("bindings", "family")  # of symbols, which exact weights no longer have
        options = {name: value for name, value in self.options.items() if name not in hidden}
        inner = ", ".join(part.describe() for part in self.own_parts)
        present = [name for name, _, _ in self.own_weights]
        return f"{type(self).__name__}({options!r}, {present}, [{inner}])"

    def _expressions(self, where: str) -> None:
        """Turn what an author gave for the weights into sympy matrices."""
        for item in fields(self):
            value = getattr(self, item.name)
            if _WEIGHT in item.metadata and (value is not None or item.default is MISSING):
                object.__setattr__(self, item.name, as_expression(f"{item.name} of {where}", value))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


@dataclass
class Cache(Generic[RowsT]):
    """Keys and values of the positions seen so far, by layer and head, and how many they are."""

    length: int = 0
    held: dict[tuple[str, str], tuple[RowsT, RowsT]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass(Generic[WeightT, RowsT, ScoresT]):
    """One forward pass over new positions: all that a layer needs beside its own weights and its input.

    Attributes:
        operations: the arithmetic.
        start: the first new position.
        count: how many new positions there are.
        mask: of the attention layers that have none of their own.
        temperature: of all heads, or of each by its name.
        cache: keys and values of the positions before, extended in place; ``None``: the new positions are all.
        record: called with the name of every intermediate and its value.

    """

    operations: Operations[WeightT, RowsT, ScoresT]
    start: int
    count: int
    mask: Mask
    temperature: Temperatures
    cache: Cache[RowsT] | None
    record: Callable[[str, RowsT | ScoresT], None]

    def temperature_of(self, head: str) -> Temperature:
        """Return a head's temperature."""
        return head_temperature(self.temperature, head)

    def visible(self, mask: Mask | None) -> Visible:
        """Return the keys that each new position sees under a layer's own mask, or the one of the pass."""
        return (mask or self.mask).visible(self.start, self.count)

    def table(self, held: WeightT, *, last_only: bool = False) -> RowsT:
        """Return the columns of a table of positions, one row for each new position."""
        stop = self.start + self.count
        indices: Int[np.ndarray, " rows"] = np.arange(stop - 1 if last_only else self.start, stop)
        return self.operations.embed(held, indices[None] if self.operations.batched else indices)


@dataclass(frozen=True)
class Width:
    """The width of a layer's input, and where it comes from, for messages."""

    size: int
    origin: str

    def check(self, matrix: ExactMatrix, what: str, rows: int | None = None, reason: str | None = None) -> int:
        """Refuse a matrix that does not read this width; return its number of rows.

        Args:
            matrix: the weight.
            what: the weight in words.
            rows: how many rows it must have; any by default.
            reason: why so many rows.

        """
        wanted = (matrix.shape[0] if rows is None else rows, self.size)
        wide = f"its input is {self.size} wide: {self.origin}"
        tall = rows is None or rows == matrix.shape[0]
        check_shape(what, matrix, wanted, wide if tall or reason is None else f"{reason}, and {wide}")
        return wanted[0]


def check_shape(what: str, matrix: ExactMatrix, shape: tuple[int, int], reason: str) -> None:
    """Refuse a matrix of another shape.

    Raises:
        InvalidArgument: it has another one.

    """
    if matrix.shape != shape:
        rows, columns = matrix.shape
        raise InvalidArgument(
            f"layers: expected {what} to be {shape[0]} x {shape[1]} but it is {rows} x {columns}; {reason}"
        )


@dataclass(frozen=True, eq=False)
class Layer(Weighted[WeightT]):
    """A map from rows to rows.

    Subclasses have a field ``name``, and may have fields ``bindings`` and ``family``.
    """

    #: layers of one family have the same expressions and differ in their bindings; empty for a layer of its own
    family = ""

    def prefix(self, outer: str) -> str:
        """Return the beginning of the names of its matrices: a layer's name is unique wherever it is."""
        return super().prefix("")

    @property
    def is_plain(self) -> bool:
        """Whether this is a layer of the paper's architecture, of which the proofs speak."""
        return False

    @property
    def mixes(self) -> bool:
        """Whether a position's output depends on other positions."""
        return any(part.mixes for part in self.own_parts if isinstance(part, Layer))

    @property
    def leaves(self) -> Iterator[Layer[WeightT]]:
        """The layers inside it that hold no other layer, in the order in which they run; itself if there are none."""
        inner = [part for part in self.own_parts if isinstance(part, Layer)]
        if not inner:
            yield self
        for part in inner:
            yield from part.leaves

    @abstractmethod
    def fitted(self: Layer[ExactMatrix], width: Width) -> Width:
        """Return the width of the output.

        Raises:
            InvalidArgument: a weight of another shape than the input asks for; the message names layer and matrix.

        """

    @abstractmethod
    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the layer's output.

        Args:
            run: the forward pass.
            rows: the input at the new positions.
            last_only: return the output at the last position alone.

        """

    def typeset(self) -> Iterator[tuple[str, str, Matrix]]:
        """Yield ``(where, LaTeX name, expression)`` for every weight."""
        yield from _typeset(self, self.family or self.name)

    def formula(self, argument: str) -> str:
        """Return LaTeX of the layer as a function of its input."""
        return rf"\operatorname{{{type(self).__name__}}}\left({argument}\right)"

    def changed(self, **fields_changed: Any) -> Self:
        """Return the layer with some fields changed, whatever holds its weights."""
        made = object.__new__(type(self))
        for item in fields(self):
            object.__setattr__(made, item.name, fields_changed.get(item.name, getattr(self, item.name)))
        return made


def _typeset(owner: Weighted[Any], where: str) -> Iterator[tuple[str, str, Matrix]]:
    for _, latex, expression in owner.own_weights:
        yield where, latex, expression
    for part in owner.own_parts:
        if isinstance(part, Layer):
            yield from part.typeset()
        else:
            yield from _typeset(part, f'{where}, {type(part).__name__.lower()} "{part.name}"')


def narrowed(
    layers: tuple[Layer[WeightT], ...], run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool
) -> RowsT:
    """Return the output of layers one after another.

    The last of them that mixes positions is the last to need any position but the last one.
    """
    mixing = max((index for index, layer in enumerate(layers) if layer.mixes), default=None)
    if last_only and mixing is None:
        rows = run.operations.last(rows)
    for index, layer in enumerate(layers):
        rows = layer.apply(run, rows, last_only=last_only and index == mixing)
    return rows
