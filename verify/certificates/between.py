"""Integers of which only bounds are known, so that a construction's own code says what a whole set of targets gives.

A certificate is about ALL targets. Instead of asking a construction for a description of its prompt, which could be
wrong, the construction's own ``encode`` and ``answer`` are run on numpy object arrays of :class:`Between`: an unknown
token is an integer between 0 and ``V - 1``. What comes out are bounds of what they would return for every target, and
the entries of the target that each number depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np


@final
@dataclass(frozen=True, eq=False)  # with eq, dataclass would write a __hash__, and a look-up would decide by it
class Between:
    """An integer that is at least ``low`` and at most ``high``.

    Sums, differences, products, floor quotients, remainders and negation with integers and others of its kind give
    bounds of the result; anything else, a comparison above all, is a ``TypeError``: code that decides by a token
    cannot be run for all tokens at once.

    Attributes:
        low: the smallest value.
        high: the largest value.
        entries: the entries of the target (as places in the flattened array) that the number may depend on.

    """

    low: int
    high: int
    entries: frozenset[int] = frozenset()

    def __add__(self, other: Any) -> Between:
        return _combined(self, other, lambda a, b: a + b)

    __radd__ = __add__

    def __neg__(self) -> Between:
        return Between(-self.high, -self.low, self.entries)

    def __sub__(self, other: Any) -> Between:
        return _combined(self, other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Between:
        return _combined(-self, other, lambda a, b: a + b)

    def __mul__(self, other: Any) -> Between:
        return _combined(self, other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Between:
        return _divided(self, other)[0]

    def __mod__(self, other: Any) -> Between:
        return _divided(self, other)[1]

    def __divmod__(self, other: Any) -> tuple[Between, Between]:
        return _divided(self, other)

    def __eq__(self, other: object) -> bool:
        raise TypeError("an unknown token cannot be compared")

    __hash__ = None  # type: ignore[assignment] # what cannot be compared cannot be a key

    def __bool__(self) -> bool:
        raise TypeError("an unknown token is neither true nor false")

    def __str__(self) -> str:
        raise TypeError("an unknown token has no digits")


def _integer(value: Any) -> int | None:
    if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
        return int(value)
    return None


def _combined(left: Between, right: Any, operation: Callable[[int, int], int]) -> Between:
    """Return bounds of an operation that is monotone in each argument: its extremes are at corners."""
    if not isinstance(right, Between):
        known = _integer(right)
        if known is None:
            return NotImplemented  # type: ignore[no-any-return] # as Python asks of an operator
        right = Between(known, known)
    corners = [operation(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    return Between(min(corners), max(corners), left.entries | right.entries)


def _divided(left: Between, right: Any) -> tuple[Between, Between]:
    divisor = _integer(right)
    if divisor is None or divisor <= 0:
        raise TypeError("an unknown token can be divided by a positive integer alone")
    low, high = left.low // divisor, left.high // divisor
    if low == high:
        rest = Between(left.low % divisor, left.high % divisor, left.entries)
    else:
        rest = Between(0, divisor - 1, left.entries)
    return Between(low, high, left.entries), rest


def bounds(numbers: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the smallest and the largest values of an array of integers and :class:`Between`.

    Returns:
        Two arrays of the same shape: int64 where all values fit, Python integers as objects otherwise.

    Raises:
        TypeError: an entry is neither.

    """
    if numbers.dtype != object:
        return numbers, numbers
    low, high = (_narrowed(np.asarray(part)) for part in np.frompyfunc(_pair, 1, 2)(numbers))
    return low, high


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, Between):
        return value.low, value.high
    known = _integer(value)
    if known is None:
        raise TypeError(f"expected an integer but got {type(value).__name__}")
    return known, known


def _narrowed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    try:
        return values.astype(np.int64)
    except OverflowError:
        return values


def dependence(value: Any) -> frozenset[int]:
    """Return the entries of the target that a number may depend on; none for a plain integer."""
    return value.entries if isinstance(value, Between) else frozenset()
