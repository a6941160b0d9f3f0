"""A holder of weights, a layer or a part of one: it names them, and changes the objects that hold them."""

from __future__ import annotations

import sys
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from numbers import Number
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.exact_matrix import ExactMatrix
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
        options = {name: _described(value) for name, value in self.options.items() if name not in hidden}
        inner = ", ".join(part.describe() for part in self.own_parts)
        present = [name for name, _, _ in self.own_weights]
        return f"{_kind(self)}({options}, {present}, [{inner}])"

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


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _described(value: Any, around: tuple[Any, ...] = ()) -> str:
    """Return an option by what it holds: its ``repr`` may be a shared name, or leave out most of an array.

    Args:
        value: the option, or something in it.
        around: what it is in, the outermost first; one that is in itself is named by its place there.

    """
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.tolist()!r}"
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):  # without importing torch
        return f"{value.dtype} {value.detach().cpu().tolist()!r}"
    for place, outer in enumerate(around):
        if value is outer:
            return f"again {place}"

    def inside(part: Any) -> str:
        return _described(part, (*around, value))

    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(inside, value))}]"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(inside, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {inside(part)}' for key, part in value.items())}}}"
    if (code := _code(value)) is not None:
        return f"{_kind(value)}({', '.join(map(inside, code))})"
    held = _attributes(value)
    # what an object has no attributes for, its repr may still say; that of Python's own says where it is
    own: Any = type(value).__repr__
    shown = "" if own is object.__repr__ else repr(value)
    return f"{_kind(value)}({shown}{', '.join(f'{name}={inside(part)}' for name, part in sorted(held.items()))})"


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object, those in slots too; of a number and of an expression the repr says all."""
    found = dict(getattr(value, "__dict__", {}))
    if isinstance(value, (Number, sp.Basic)):
        return found
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            where = f"_{kind.__name__.lstrip('_')}{name}" if private else name
            if name not in {"__dict__", "__weakref__"} and hasattr(value, where):
                found[where] = getattr(value, where)
    return found


def _code(value: Any) -> tuple[Any, ...] | None:
    """Return what a function computes, whose repr says where it is; ``None`` of anything else.

    What it finds by global names is not looked at, as the code of a class is not.
    """
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, BuiltinFunctionType):
        return value.__qualname__, None if isinstance(value.__self__, ModuleType) else value.__self__
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != CellType()]
        return value.__module__, value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, cells
    if isinstance(value, CodeType):
        taken = value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags
        return value.co_code, value.co_names, value.co_consts, *taken
    return None
