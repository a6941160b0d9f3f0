"""A holder of weights, a layer or a part of one: it names them, and changes the objects that hold them."""

from __future__ import annotations

import sys
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.exact_matrix import ExactMatrix
from constructions.layers.described import described, kind_of
from constructions.lowering import Bindings, explicit_matrix
from constructions.operations import WeightT
from constructions.validation import reject

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
    #: whether the output at a position is the same in a longer pass that shows it the same positions; a class of this
    #: library says so of itself alone, as its subclasses may do otherwise
    by_position: ClassVar[bool] = False

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
    def own_code(self) -> Iterator[object]:
        """Options whose code runs in a forward pass, beside that of this and of its parts."""
        yield from ()

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

    def changed(self, **fields_changed: Any) -> Self:
        """Return the same with some fields changed, whatever holds its weights."""
        made = object.__new__(type(self))
        for item in fields(self):
            object.__setattr__(made, item.name, fields_changed.get(item.name, getattr(self, item.name)))
        return made

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
        options = {name: described(value) for name, value in self.options.items() if name not in hidden}
        inner = ", ".join(part.describe() for part in self.own_parts)
        present = [name for name, _, _ in self.own_weights]
        return f"{kind_of(self)}({options}, {present}, [{inner}])"

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


def authored(part: Weighted[Any]) -> Iterator[type]:
    """Yield the classes whose code a part runs and that are not of this library, whose tests say nothing of them.

    A function, and no method, which a class of somebody else's could override; such a class is itself one of them.
    """
    for thing in (part, *part.own_code):
        if not is_ours(thing):
            yield type(thing)
    for inside in part.own_parts:
        yield from authored(inside)


def runs_by_position(part: Weighted[Any]) -> bool:
    """Return whether a part's class, and that of every part in it, says ``by_position``, and is tested for it here.

    A class of somebody else's is never taken at its word.
    """
    said = bool(vars(type(part)).get("by_position")) and not any(True for _ in authored(part))
    return said and all(runs_by_position(inside) for inside in part.own_parts)


def is_ours(thing: object) -> bool:
    """Return whether a thing runs code of this library alone, which is tested here.

    A module of the library then holds its class, as anybody can write the name of a module, and no attribute of the
    thing itself hides a method.
    """
    kind = type(thing)
    inside = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    found: Any = sys.modules.get(kind.__module__) if inside else None
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    hidden = any(callable(getattr(kind, name, None)) for name in getattr(thing, "__dict__", ()))
    return found is kind and not hidden
