"""Products of two rows with factors, coordinate by coordinate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from verify.certificates.relational.factors.kernels import Kernels
from verify.certificates.relational.factors.parts import Part, nothing, part
from verify.certificates.relational.factors.rows import Row
from verify.certificates.relational.factors.table import ALONE, Bounds, Table, slack

_Array = Float[np.ndarray, "..."]


#: Products of unknown numbers that are kept for each coordinate of a product of rows, on average: a limit of the work.
_PAIRS = 16


@dataclass(frozen=True)
class Products:
    """Computes products of rows.

    Attributes:
        table: factors and unknown numbers.
        kernels: what they may be off by.

    """

    table: Table
    kernels: Kernels

    def multiply(self, left: Row, right: Row) -> Row:
        """Return the products, coordinate by coordinate."""
        found = [self._product(one, other) for one in left.parts for other in right.parts]
        moving = left.nonzero(self.table) & right.nonzero(self.table)
        tiny = (self.kernels.tiny * moving)[None]
        whole = Row(left.width, (*found, part(ALONE, nothing(left.width), tiny))).merged(self.table)
        self.table.note(whole.magnitude(self.table) * (1 + self.kernels.step))
        return whole.loosened(self.table, self.kernels.step)

    def _product(self, left: Part, right: Part) -> Part:
        """Return ``(c + A v + e)(c' + A' v' + e')``.

        Products ``v v'`` are unknown numbers of their own, unless they are many. Slopes are the same in all cells:
        where ``c`` is not, a coordinate of ``c A' v'`` keeps its bounds alone.
        """
        linear, met = (
            [self._times_known(left.known, right), self._times_known(right.known, left)],
            self._met(left, right),
        )
        known = left.known * right.known + linear[0].known + linear[1].known
        error = (
            left.error * right.size(self.table)
            + left.size(self.table) * right.error
            + linear[0].error
            + linear[1].error
        )
        if met is None:
            low, high = _multiplied(self._moved(left), self._moved(right))
            known, error = known + (low / 2 + high / 2), error + (high / 2 - low / 2)
        count = len(left.names) + len(right.names) + 8
        sizes = left.size(self.table) * right.size(self.table)
        error = (error + slack(count) * 4 * sizes) * (1 + slack(count))
        parts = [linear[0], linear[1], *([] if met is None else [met])]
        names = tuple(sorted({name for one in parts for name in one.names}))
        slopes = np.zeros((left.width, len(names)))
        for one in parts:
            slopes[:, [names.index(name) for name in one.names]] += one.slopes
        return part(tuple(sorted(left.monomial + right.monomial)), known, error, names=names, slopes=slopes)

    def _times_known(self, known: _Array, one: Part) -> Part:
        """Return ``c A v``, without own roundings."""
        alike = (known == known[:1]).all(axis=0)
        middle, radius = self.table.middles(one.names)
        rest = np.where(alike, 0, known)
        return part(
            ALONE,
            rest * (middle @ one.slopes.T),
            np.abs(rest) * (radius @ np.abs(one.slopes).T),
            names=one.names,
            slopes=np.where(alike, known[0], 0)[:, None] * one.slopes,
        )

    def _moved(self, one: Part) -> Bounds:
        """Return bounds of ``A v``, without own roundings."""
        middle, radius = self.table.middles(one.names)
        centre, wide = middle @ one.slopes.T, radius @ np.abs(one.slopes).T
        return Bounds(centre - wide, centre + wide)

    def _met(self, left: Part, right: Part) -> Part | None:
        """Return the products of the unknown numbers of two parts; ``None`` where they are too many."""
        met = np.argwhere((left.slopes != 0).T.astype(np.int64) @ (right.slopes != 0).astype(np.int64))
        if len(met) > _PAIRS * left.width:
            return None
        found: dict[int, _Array] = {}
        for one, other in met.tolist():
            name = self.table.both(left.names[one], right.names[other])
            found[name] = found.get(name, 0) + left.slopes[:, one] * right.slopes[:, other]
        slopes = np.stack([np.zeros(left.width), *found.values()], axis=1)[:, 1:]
        zero = nothing(left.width)
        return part(ALONE, zero, zero, names=tuple(found), slopes=slopes)


def _multiplied(one: Bounds, other: Bounds) -> Bounds:
    """Return bounds of a product of two intervals, without own roundings."""
    corners = [end * another for end in one for another in other]
    return Bounds(np.minimum.reduce(corners), np.maximum.reduce(corners))
