"""Small rows with factors, and what kernels compute of them: what aimed killers are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from constructions.lowering import lower
from constructions.ratios import Ratios
from tests.certificates.emulated import Array, add
from tests.certificates.own import rounded
from verify.certificates.balls.arithmetic import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.certificates.relational import factored
from verify.certificates.relational.factors.mixing import Mixing
from verify.certificates.relational.factors.rows import Row

#: bfloat16, with the largest errors.
COARSE = "bfloat16"
#: Less than half of the distance of 1 and the next number of bfloat16, 2^-7.
BELOW_HALF = Fraction(3, 2**10)
Numbers = Sequence[Any]


class Aimed:
    """Rows with factors in a format, in real numbers for ``None``; every row is a batch of cells of one position."""

    def __init__(self, fmt: str | None = COARSE) -> None:
        base: Any = BallArithmetic() if fmt is None else rounded(fmt).for_cells()
        self.over: Any = factored(base)

    def rows(self, low: Sequence[Numbers], high: Sequence[Numbers] | None = None) -> Any:
        """Return rows between numbers, cells x width."""
        both = [[[Fraction(value) for value in row] for row in end] for end in (low, high or low)]
        under = int(np.lcm.reduce([value.denominator for end in both for row in end for value in row], dtype=object))
        ends = [np.array([[int(value * under) for value in row] for row in end])[:, None] for end in both]
        return self.over.reals_between(*(Ratios(end, under) for end in ends))

    def weight(self, values: Sequence[Numbers]) -> Any:
        """Return a matrix."""
        exact = [[sp.Rational(*Fraction(value).as_integer_ratio()) for value in row] for row in values]
        return self.over.weight(lower(sp.Matrix(exact).as_immutable(), {}))

    def linear(self, rows: Any, values: Sequence[Numbers], bias: Numbers | None = None) -> Any:
        """Return a linear map of rows."""
        shift = None if bias is None else self.weight([[one] for one in bias])
        return self.over.linear(rows, self.weight(values), shift)

    def bounds(self, rows: Any, at: int = 0) -> tuple[Array, Array]:
        """Return bounds of every coordinate, cells x width."""
        low, high = rows.rows[at].hull(self.over.table)
        return np.asarray(low), np.asarray(high)

    def outside(self, name: str, rows: Any, computed: Any) -> Iterator[str]:
        """Say where computed numbers, cells x width, are beyond bounds: by more than float64 itself is off."""
        low, high = self.bounds(rows)
        found = np.asarray(computed, dtype=np.float64)
        own = 2.0**-44 * np.maximum(np.abs(low), np.abs(high))
        bad = (found < low - own) | (found > high + own)
        if bad.any() and not self.over.undefined:
            cell, place = np.argwhere(bad)[0]
            bound = [float(np.broadcast_to(end, found.shape)[cell, place]) for end in (low, high)]
            yield f"{name}: {found[cell, place]!r} is not within {bound}"

    def mix(self, low: Numbers, high: Numbers, rows: Sequence[Any]) -> Any:
        """Return the sum of rows with weights between two."""
        below, above = (np.array([end], dtype=np.float64) for end in (low, high))
        mixed: Row = Mixing(self.over.table, self.over.kernels).mix(below, above, [one.rows[0] for one in rows])
        return type(rows[0])((mixed,))

    def above(self, name: str, rows: Any, values: Sequence[Numbers], bias: Numbers, least: float) -> Iterator[str]:
        """Say whether the margin of token 0 is above one of a kernel."""
        shift = self.weight([[one] for one in bias])
        cells = max(len(part.known) for part in rows.rows[0].parts)
        expected = np.zeros(cells, dtype=np.int64)
        found = self.over.margins(rows, self.weight(values), shift, expected, points=1).lower[0]
        if not found <= (least if np.isinf(least) else least + 2.0**-44 * abs(least)):
            yield f"{name}: a margin of {found!r}, and {least!r} is computed"


def contradicted(rows: Any, table: Any) -> Iterator[str]:
    """Say which parts are longer than their length, or reach farther than their reach, by their own coordinates."""
    for one in (one for row in rows.rows for one in row.parts):
        low, high = one.bounds(table)
        least = np.maximum(np.maximum(low, -high), 0)  # of each magnitude
        if (_length(least) * table.times(one.monomial).low > one.norm(table) * _MORE).any():
            yield f"a part of {one.monomial} is longer than {one.norm(table)}"
        if one.reach is not None:
            core = table.times(one.reach.core).low[:, None]
            if (least * core > one.reach.most * _MORE).any():
                yield f"a part of {one.monomial} reaches farther than {one.reach.most}"


#: What float64 itself is off by.
_MORE = 1 + 2.0**-44


def _length(values: Array) -> Array:
    return np.asarray(np.sqrt((values * values).sum(axis=1)))


def chain(terms: Sequence[Any], fmt: str = COARSE) -> Array:
    """Return the sum of numbers one after another."""
    total = np.asarray(terms[0], dtype=np.float64)
    for term in terms[1:]:
        total = add(total, np.asarray(term, dtype=np.float64), fmt)
    return total


def killer(*checks: Callable[[], Iterator[str]]) -> Callable[[], list[str]]:
    """Return a killer of checks."""

    def run() -> list[str]:
        with ball_precision(), np.errstate(all="ignore"):
            return [line for check in checks for line in check()]

    return run
