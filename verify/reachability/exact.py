"""Exact vectors, and the test that numbers from outside are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from verify.prefixes.layer import Numbers

Vector = tuple[Fraction, ...]


def dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    """Return the inner product."""
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def vectors(matrix: Numbers) -> tuple[Vector, ...]:
    """Return the rows of a matrix as exact vectors; a float counts as the dyadic rational it is."""
    return tuple(tuple(Fraction(entry) for entry in row) for row in matrix.tolist())


def exact_vector(value: object, size: int | None = None) -> Vector | None:
    """Return a vector from outside as Fractions, ``None`` unless all its numbers are exact.

    A float is a rounded number, and a subclass of a number may compute as it likes: neither proves anything.

    Args:
        value: a tuple or list of ``int`` and :class:`~fractions.Fraction` alone.
        size: the number of entries, if it must be this one.

    """
    if type(value) not in {tuple, list} or any(type(entry) not in {int, Fraction} for entry in value):  # type: ignore[attr-defined] # a tuple or list by then
        return None
    entries = tuple(Fraction(entry) for entry in value)  # type: ignore[attr-defined] # the same
    return entries if size is None or len(entries) == size else None


def is_place(value: object, size: int) -> bool:
    """Say whether a value is an index below ``size``: an ``int``, no boolean, not negative."""
    return type(value) is int and 0 <= value < size


def exponents(number: Fraction, bases: Sequence[Fraction]) -> list[int] | None:
    """Return integers ``v_b`` with ``number = prod b^(v_b)``, for one base or for integer bases that are coprime."""
    if len(bases) == 1 and bases[0] == number:
        return [1]
    if any(base.denominator != 1 or base <= 1 for base in bases):
        return None
    integers = [int(base) for base in bases]
    if any(math.gcd(a, b) != 1 for place, a in enumerate(integers) for b in integers[:place]):
        return None
    found = []
    top, bottom = number.numerator, number.denominator
    for base in integers:
        power = 0
        while top % base == 0:
            top, power = top // base, power + 1
        while bottom % base == 0:
            bottom, power = bottom // base, power - 1
        found.append(power)
    return found if (top, bottom) == (1, 1) else None
