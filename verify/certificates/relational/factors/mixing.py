"""Attention on rows with factors: a weight that is not a known number is one more factor of all coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import numpy as np
from jaxtyping import Float

from verify.certificates.floats.directed import is_power_of_two
from verify.certificates.relational.factors.linear import Sums
from verify.certificates.relational.factors.parts import Part, Reach, error_length, nothing, part
from verify.certificates.relational.factors.rows import Row
from verify.certificates.relational.factors.table import ALONE, FINEST, Table, reduce_sum, slack

_Array = Float[np.ndarray, "..."]

#: A factor is all but known if it varies by less than this share of itself. The product of two such errors is below the
#: unit roundoff of float32. What is sound does not depend on it.
_ALL_BUT_KNOWN = 2.0**-12


@final
class Mixing(Sums):
    """Computes weighted sums of rows, beside the sums of rows."""

    def mix(self, low: _Array, high: _Array, rows: Sequence[Row]) -> Row:
        """Return the sum of rows with weights between bounds, cells x rows.

        A weight that is not a known number is a factor of all coordinates; one that may be 0 leaves an error alone.
        """
        weighted, moving = [], []  # rows times their weights, and where they are not 0
        for at, row in enumerate(rows):
            least, most = low[:, at], high[:, at]
            if (least == 0).all() and (most == 0).all():
                continue
            moving.append(row.nonzero(self.table))
            weighted.append(Row(row.width, tuple(self._weighted(row, least, most))))
        width = rows[0].width
        if not weighted:
            return Row(width, ())
        count = np.sum(moving, axis=0)
        known = all((low[:, at] == low[0, at]).all() and (high[:, at] == low[0, at]).all() for at in range(len(rows)))
        exact = known and bool(is_power_of_two(low[0]).all())
        allowed = self.kernels.sums(count.astype(np.float64), np.full(width, exact))
        whole = Row(width, tuple(one for term in weighted for one in term.parts)).merged(self.table)
        self.table.note(self._magnitude(reduce_sum([term.magnitude(self.table) for term in weighted]), allowed))
        return self._summed(whole, weighted, allowed, products=True)

    def _weighted(self, row: Row, low: _Array, high: _Array) -> list[Part]:
        first = float(low[0])
        if abs(first) >= FINEST and (low == first).all() and (high == first).all():
            return [self._scaled(one, first) for one in row.parts]
        if not (low > 0).all():
            most = np.maximum(np.abs(low), np.abs(high))[:, None] * row.magnitude(self.table)
            return [part(ALONE, nothing(row.width), most * (1 + slack(1)))]
        factor = self.table.factor(low, high)
        found = []
        for one in row.parts:
            monomial = tuple(sorted(one.monomial + factor))
            length = one.norm(self.table) * high * (1 + slack(1))
            held = replace(one, monomial=monomial, length=length)
            found.append(self._without_factors(held))
        return found

    def _without_factors(self, one: Part) -> Part:
        """Return a part without factors where these tell little: no sign is known, or the factors are all but known.

        A factor that is all but known is its middle and an unknown number, which the coordinates still share.
        """
        low, high = self.table.times(one.monomial)
        ends = one.bounds(self.table)
        if not one.known.any() and ((ends.low <= 0) & (ends.high >= 0)).all():
            most = np.maximum(-ends.low, ends.high) * high[:, None] * (1 + slack(1))
            return part(ALONE, nothing(one.width), most, length=one.norm(self.table))
        if one.slopes.any():
            return one
        if len(one.known) > 1 or not (high - low < _ALL_BUT_KNOWN * low).all():
            return one
        middle = low / 2 + high / 2
        name = self.table.unknown((low - middle) * (1 + slack(1)), (high - middle) * (1 + slack(1)))
        own = slack(4) * high[:, None] * np.abs(one.known)
        return part(
            ALONE,
            middle[:, None] * one.known,
            one.error * high[:, None] * (1 + slack(1)) + own,
            names=(name,),
            slopes=one.known.T,
            length=one.norm(self.table),
        )

    def _scaled(self, one: Part, factor: float) -> Part:
        own = slack(1) * abs(factor) * one.size(self.table)
        length = one.norm(self.table) * abs(factor) * (1 + slack(1)) + error_length(own, one.monomial, self.table)
        error = one.error * abs(factor) + own
        reach = one.reach and Reach(one.reach.core, one.reach.most * abs(factor))
        scaled = replace(one, reach=reach).reaching(self.table, own)
        slopes = one.slopes * factor
        return part(
            one.monomial, one.known * factor, error, names=one.names, slopes=slopes, length=length, reach=scaled
        )


def side_by_side(left: Row, right: Row, table: Table) -> Row:
    """Return the coordinates of one row, and those of another after them."""
    found = []
    for row, before, after in ((left, 0, right.width), (right, left.width, 0)):
        pad = ((0, 0), (before, after))
        for one in row.parts:
            slopes = np.pad(one.slopes, (pad[1], (0, 0)))
            error = np.pad(one.error, pad)
            found.append(
                part(
                    one.monomial,
                    np.pad(one.known, pad),
                    error,
                    names=one.names,
                    slopes=slopes,
                    length=one.norm(table),
                )
            )
    return Row(left.width + right.width, tuple(found)).merged(table)
