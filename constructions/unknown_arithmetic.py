"""Arithmetic of :class:`~constructions.unknown_tokens.UnknownTokens`: bounds of every possible result.

Numbers that are int64 in a forward pass are int64 here. An operand is an array or scalar of int64; an array of Python's
integers (``objects``), whose results are Python's integers too; or a single Python integer, which takes the type of
the other operand, as in numpy, and stays a Python integer among Python's integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from constructions.bounded_runs import Run, refuse
from constructions.unknown_tokens import Array, UnknownTokens, bounds, dependence, in_int64, run_of

#: ``narrow`` is known and of a type below int64; a Python integer beside it would take that type.
Kind = Literal["int64", "objects", "python", "narrow"]

_LARGEST = int(np.iinfo(np.int64).max)
_NOTHING = np.zeros((), dtype=np.int64)
#: Entries below this are bits of an int64; more are bits of Python's integers.
INT64_ENTRIES = 62


@dataclass(frozen=True)
class Operand:
    """Bounds of an operand, known or not."""

    low: Array
    high: Array
    entries: Array
    kind: Kind
    run: Run | None = None

    @property
    def largest(self) -> int:
        """The largest magnitude; 0 where there is no number."""
        return max(abs(int(self.low.min())), abs(int(self.high.max()))) if self.low.size else 0

    def as_objects(self) -> Operand:
        """Return the operand in Python's integers, with an axis: without one numpy gives the bare integer, no array."""
        low, high = np.atleast_1d(self.low.astype(object)), np.atleast_1d(self.high.astype(object))
        return replace(self, low=low, high=high)

    def as_int64(self) -> Operand:
        """Return the operand in int64, as numpy converts a Python integer before it computes."""
        if not in_int64(self.low, self.high):
            refuse("a number beyond int64 in int64 arithmetic (use astype(object))")
        low, high = self.low.astype(np.int64, copy=False), self.high.astype(np.int64, copy=False)
        return replace(self, low=low, high=high, kind="int64")


def operand(value: Any) -> Operand:
    """Return the bounds of an operand; refuse anything but unknown tokens and known integers."""
    if type(value) is UnknownTokens:
        low, high = bounds(value)
        kind: Kind = "int64" if low.dtype == np.int64 else "objects" if low.ndim else "python"
        return Operand(low, high, dependence(value), kind, run_of(value))
    known, kind = _known(value)
    return Operand(known, known, _NOTHING, kind)


def _known(value: Any) -> tuple[Array, Kind]:
    if type(value) is int or type(value) is bool:
        return np.array(int(value), dtype=object), "python"
    if not (type(value) is np.ndarray or isinstance(value, np.generic)):
        refuse(f"arithmetic with a value of type {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype == object:
        if not all(type(item) is int for item in array.reshape(-1)):
            refuse("arithmetic with objects that are not Python's integers")
        return array, "objects"  # without an axis, too: numpy turns int64 beside it into objects, never this into int64
    if array.dtype == np.uint64 or array.dtype.kind not in "biu":  # beside uint64 numpy turns to floats
        refuse(f"arithmetic with {array.dtype}")
    return array.astype(np.int64), "int64" if array.dtype == np.int64 else "narrow"


def result_kind(operands: tuple[Operand, ...], *, operator: bool) -> Kind:
    """Return the kind of a result; a function of numpy, unlike an operator, turns Python's integers into int64."""
    kinds = {each.kind for each in operands}
    if "objects" in kinds:
        return "objects"
    if "int64" not in kinds and "narrow" in kinds:
        refuse("a Python integer with an array of a type below int64")
    return "python" if kinds == {"python"} and operator else "int64"


def result_run(operands: tuple[Operand, ...]) -> Run:
    """Return the run that the unknown operands belong to."""
    runs = [each.run for each in operands if each.run is not None]
    if any(run is not runs[0] for run in runs):
        refuse("tokens of two calls together")
    return runs[0]


def made(low: Any, high: Any, entries: Any, kind: Kind, run: Run) -> UnknownTokens:
    """Return a new array of bounds; bounds of int64 must lie in int64, however they were computed.

    Everything that computes with unknown tokens, or changes their type, gets its result here.
    """
    if run.moves:
        refuse("arithmetic with tokens that may only be moved")
    low, high = (part if isinstance(part, np.ndarray) else np.array(part, dtype=object) for part in (low, high))
    if kind == "int64":
        if not in_int64(low, high):
            refuse("an intermediate number that leaves int64, where the code would wrap (use astype(object))")
        low, high = low.astype(np.int64, copy=False), high.astype(np.int64, copy=False)
    else:
        low, high = low.astype(object, copy=False), high.astype(object, copy=False)
    if not isinstance(entries, (np.ndarray, np.generic)):  # a Python integer of more bits than numpy's have
        entries = np.array(entries, dtype=object)
    named = entries if entries.shape == low.shape else np.broadcast_to(entries, low.shape)
    return UnknownTokens(low, high, np.asarray(named), run, owned=True)


# operations of two ---------------------------------------------------------------------------------------------------


def _add(a: Operand, b: Operand) -> tuple[Any, Any]:
    return a.low + b.low, a.high + b.high


def _subtract(a: Operand, b: Operand) -> tuple[Any, Any]:
    return a.low - b.high, a.high - b.low


def _multiply(a: Operand, b: Operand) -> tuple[Any, Any]:
    """Return bounds: a product is monotone in each factor, and its extremes are at corners."""
    corners = [one * other for one in (a.low, a.high) for other in (b.low, b.high)]
    low, high = corners[0], corners[0]
    for corner in corners[1:]:
        low, high = np.minimum(low, corner), np.maximum(high, corner)
    return low, high


def _floor_divide(a: Operand, b: Operand) -> tuple[Any, Any]:
    return a.low // b.low, a.high // b.low


def _remainder(a: Operand, b: Operand) -> tuple[Any, Any]:
    same = a.low // b.low == a.high // b.low
    return np.where(same, a.low % b.low, 0), np.where(same, a.high % b.low, b.low - 1)


def _minimum(a: Operand, b: Operand) -> tuple[Any, Any]:
    return np.minimum(a.low, b.low), np.minimum(a.high, b.high)


def _maximum(a: Operand, b: Operand) -> tuple[Any, Any]:
    return np.maximum(a.low, b.low), np.maximum(a.high, b.high)


#: For each operation its bounds, and the largest magnitude of any number on the way.
_BINARY: Mapping[str, tuple[Callable[[Operand, Operand], tuple[Any, Any]], Callable[[int, int], int]]] = {
    "add": (_add, lambda a, b: a + b),
    "subtract": (_subtract, lambda a, b: a + b),
    "multiply": (_multiply, lambda a, b: a * b),
    "floor_divide": (_floor_divide, max),  # by a positive integer
    "remainder": (_remainder, max),
    "minimum": (_minimum, max),
    "maximum": (_maximum, max),
}


def operate(name: str, *values: Any, operator: bool = True) -> UnknownTokens:
    """Return bounds of an operation.

    Args:
        name: numpy's name of it.
        values: its operands, at least one of them unknown.
        operator: whether it was written as an operator, such as ``a + b``.

    """
    operands = tuple(operand(value) for value in values)
    kind, run = result_kind(operands, operator=operator), result_run(operands)
    if kind == "int64":
        operands = tuple(each.as_int64() for each in operands)
    if len(operands) == 1:
        one, shape = operands[0], operands[0].low.shape
        if kind != "int64" or one.largest > _LARGEST:
            one = one.as_objects()
        low, high = (-one.high, -one.low) if name == "negative" else (one.low, one.high)
        return made(low.reshape(shape), high.reshape(shape), one.entries, kind, run)
    a, b = operands
    if name == "matmul":
        return _matmul(a, b, kind, run)
    if name in {"floor_divide", "remainder"} and (b.run is not None or bool((b.low <= 0).any())):
        refuse("a division by anything but known positive integers")
    compute, magnitude = _BINARY[name]
    shape = np.broadcast_shapes(a.low.shape, b.low.shape)
    if kind != "int64" or magnitude(a.largest, b.largest) > _LARGEST:
        a, b = a.as_objects(), b.as_objects()
    low, high = compute(a, b)
    return made(low.reshape(shape), high.reshape(shape), np.bitwise_or(a.entries, b.entries), kind, run)


def _matmul(a: Operand, b: Operand, kind: Kind, run: Run) -> UnknownTokens:
    """Return bounds of a matrix product with a known factor: its positive and its negative part are monotone."""
    if a.run is not None and b.run is not None:
        refuse("a matrix product of two unknown factors")
    if not (a.low.ndim and b.low.ndim):
        refuse("a matrix product with a number")
    if kind != "int64" or a.low.shape[-1] * a.largest * b.largest > _LARGEST:
        a, b = a.as_objects(), b.as_objects()
    known, unknown = (b, a) if b.run is None else (a, b)
    product: Callable[[Any, Any], Any] = np.matmul if known is b else lambda x, y: np.matmul(y, x)
    up, down = np.maximum(known.low, 0), np.minimum(known.low, 0)
    low = product(unknown.low, up) + product(unknown.high, down)
    high = product(unknown.high, up) + product(unknown.low, down)
    used = (known.low != 0).astype(np.int64)
    entries: Any = _NOTHING
    for entry in range(int(np.bitwise_or.reduce(unknown.entries, axis=None, initial=0)).bit_length()):
        named = ((unknown.entries >> entry) & 1).astype(np.int64)
        reached = np.atleast_1d(np.asarray(product(named, used)) > 0)
        bits = reached.astype(np.int64 if entry < INT64_ENTRIES else object) << entry
        entries = np.bitwise_or(entries, bits)
    return made(low, high, entries if not entries.ndim else entries.reshape(np.shape(low)), kind, run)


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return bounds of the result of a ufunc of numpy."""
    name = str(getattr(ufunc, "__name__", "a function"))
    if method != "__call__":
        refuse(f"numpy.{name}.{method}")
    if options:
        refuse(f"numpy.{name} with {', '.join(options)}" + (" (write a = a + b)" if "out" in options else ""))
    if getattr(np, name, None) is not ufunc:
        refuse(f"the function {name}")
    if name == "divmod":
        return tuple(operate(part, *inputs, operator=False) for part in ("floor_divide", "remainder"))
    if "equal" in name or name in {"less", "greater"}:
        refuse(f"numpy.{name}, a comparison (use equals or at_least)")
    if name not in {*_BINARY, "negative", "positive", "matmul"}:
        refuse(f"numpy.{name}")
    return operate(name, *inputs, operator=False)
