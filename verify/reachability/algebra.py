"""Exact linear algebra over the rationals, and positive rationals as products of coprime bases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import flint

from verify.reachability.exact import Vector, exponents

_ZERO = Fraction(0)


@dataclass(frozen=True)
class Solved:
    """The solution of ``A x = b``.

    Attributes:
        x: one solution, ``None`` where there is none.
        functional: ``f`` with ``f A = 0`` and ``f b = 1`` where there is no solution.
        free: the columns whose unknowns can be chosen.

    """

    x: Vector | None
    functional: Vector | None
    free: tuple[int, ...]


def solve(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> Solved:
    """Return the solution of ``A x = b``.

    ``[A | b | I]`` is reduced: a row that is 0 in ``A`` and not in ``b`` holds the combination that leads there.
    """
    rows, columns = len(matrix), len(matrix[0])
    entries = [
        value
        for place, (row, entry) in enumerate(zip(matrix, right, strict=True))
        for value in (*row, entry, *(Fraction(other == place) for other in range(rows)))
    ]
    wide = flint.fmpq_mat(rows, columns + 1 + rows, [flint.fmpq(e.numerator, e.denominator) for e in entries])
    reduced = [[Fraction(int(e.p), int(e.q)) for e in row] for row in wide.rref()[0].tolist()]
    x, pivots = [_ZERO] * columns, set()
    for row in reduced:
        pivot = next((place for place, entry in enumerate(row[: columns + 1]) if entry), None)
        if pivot == columns:
            return Solved(None, tuple(row[columns + 1 :]), ())
        if pivot is not None:
            x[pivot] = row[columns]
            pivots.add(pivot)
    return Solved(tuple(x), None, tuple(place for place in range(columns) if place not in pivots))


def integer_log(number: Fraction, q: Fraction) -> int | None:
    """Return the integer ``n`` with ``q^n = number``, ``None`` where there is none."""
    guess = round(
        (math.log(number.numerator) - math.log(number.denominator)) / (math.log(q.numerator) - math.log(q.denominator))
    )
    return guess if q**guess == number else None


def coprime_bases(numbers: Sequence[Fraction]) -> list[int]:
    """Return integers above 1, coprime in pairs; every given positive rational is a product of their powers."""
    todo = [part for number in numbers for part in (number.numerator, number.denominator) if part > 1]
    bases: list[int] = []
    while todo:
        number = todo.pop()
        for place, base in enumerate(bases):
            shared = math.gcd(number, base)
            if shared > 1:
                bases.pop(place)
                todo += [part for part in (number // shared, base // shared, shared) if part > 1]
                break
        else:
            bases.append(number)
    return sorted(bases)


def powers_of(number: Fraction, bases: Sequence[int]) -> list[int]:
    """Return the integers ``v_b`` with ``number = prod b^(v_b)``; the number must be such a product."""
    found = exponents(number, [Fraction(base) for base in bases])
    assert found is not None
    return found
