r"""Norms of rows with factors.

A norm gives a row ``F (x - M)``: a new factor ``F`` that all coordinates share, and a mean that they share as well. The
mean of each part is one unknown number with the same slope for all coordinates, so that a linear map whose rows sum to
0 loses it, and so is the error of the computed mean.

The row's own length bounds more than its coordinates do: ``F sqrt(S) <= sqrt(d)``, with ``S`` the sum of squares less
the mean. At most ``n`` coordinates of ``x`` are not 0, so that ``d m^2 = (sum x)^2 / d <= n/d sum x^2`` (Cauchy and
Schwarz), and ``sum x^2 <= S / (1 - n/d)``. A part whose coordinates no other part has is no longer than the row.

``F`` and the factors of a part together are known better than each by itself: the squares of the row, divided by those
factors, bound ``F mu``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from verify.certificates.floats.spreads import Spread, about_mean, about_zero
from verify.certificates.relational.factors.kernels import Kernels, NormError
from verify.certificates.relational.factors.parts import UNKNOWN_LENGTH, Part, Reach, error_length, nothing, part
from verify.certificates.relational.factors.rows import Row
from verify.certificates.relational.factors.table import ALONE, UNIT, Bounds, Monomial, Table, reduce_sum, slack

_Array = Float[np.ndarray, "..."]


#: Into how many pieces the range of a coordinate is cut, see :meth:`Norms.normalise`. Any number gives a bound.
_PIECES = 16


@dataclass(frozen=True)
class Norms:
    """Computes norms of rows.

    Attributes:
        table: factors and unknown numbers.
        kernels: what they may be off by.

    """

    table: Table
    kernels: Kernels

    def normalise(self, row: Row, *, centred: bool, mean: bool, eps: Fraction) -> Row | None:
        """Return a row over its length; ``None`` where a length may be 0 or not finite."""
        spread = self._spread(row, ALONE, centred=centred)
        if not (np.isfinite(spread.low).all() and np.isfinite(spread.high).all()):
            return None
        errors = self.kernels.norm(spread, centred=centred, mean=mean, eps=eps)
        roots = _roots(spread)
        found = errors.factor(roots, self.table.times(ALONE))
        normal = (found.low >= errors.normal[0]) & (found.low > 0) & (found.high <= errors.normal[1]) & errors.finite
        if not (normal & np.isfinite(found.high)).all():
            return None
        factor = self.table.factor(*found)
        tiny = errors.tiny * (3 + found.high if centred else np.ones(1))
        parts = [part(ALONE, nothing(row.width), tiny[:, None] * (row.nonzero(self.table) | centred))]
        bound = self._stretched(row, errors.stretch(roots.low), centred=centred)
        reach = self._reach(row, errors, factor, centred=centred)
        for one in row.parts:
            monomial = tuple(sorted(one.monomial + factor))
            if one.monomial:
                roots = _roots(self._spread(row, one.monomial, centred=centred))
                self.table.tighten(monomial, errors.factor(roots, self.table.times(one.monomial)))
            parts += self._normed(one, monomial, errors.step, (bound, reach or one.reach), centred=centred)
        if centred:
            off = self.table.unknown(-errors.mean, errors.mean)
            error = np.broadcast_to(errors.step * errors.mean[:, None], (len(errors.mean), row.width))
            parts.append(part(factor, nothing(row.width), error, names=(off,), slopes=-np.ones((row.width, 1))))
        made = Row(row.width, tuple(parts))
        self.table.note(made.magnitude(self.table))
        return made

    def _spread(self, row: Row, divisor: Monomial, *, centred: bool) -> Spread:
        """Return what is known of the squares of a row over a product of factors: by coordinates, and by lengths."""
        ends = row.hull(self.table, divisor)
        spread = (about_mean if centred else about_zero)(ends.low[:, None], ends.high[:, None], UNIT)
        scale = self.table.times(divisor)
        lengths = [np.zeros(1)]
        for one in row.parts:
            own = one.norm(self.table) / scale.low * (1 + slack(1))
            lengths.append(np.minimum(own, one.longest(self.table)) if one.monomial == divisor else own)
        longest = reduce_sum(lengths) * (1 + slack(len(lengths)))
        return replace(spread, most=np.minimum(spread.most, (longest * longest * (1 + 4 * UNIT))[:, None, None]))

    def _reach(self, row: Row, errors: NormError, factor: Monomial, *, centred: bool) -> Reach | None:
        """Return the largest ``F |x_i|`` for a row of one part without factors: ``F`` is small where ``x_i`` is large.

        For any piece of the range of ``x_i``, ``F`` is at most what the least squares of rows with ``x_i`` in it give.
        Coordinates of the same range have the same bound. All cells are taken together.
        """
        if len(row.parts) != 1 or row.parts[0].monomial:
            return None
        ends = row.hull(self.table)
        low, high = ends.low.min(axis=0), ends.high.max(axis=0)
        ranges, place = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
        place, most = place.reshape(-1), np.empty(ranges.shape[1])
        worst = errors.worst()
        for at, (least, largest) in enumerate(ranges.T):
            cuts = np.linspace(least, largest, _PIECES + 1 if largest > least else 2)
            cuts[0], cuts[-1] = least, largest
            below, above = (np.tile(end, (len(cuts) - 1, 1, 1)) for end in (low, high))
            chosen = int(np.argmax(place == at))
            below[:, 0, chosen], above[:, 0, chosen] = cuts[:-1], cuts[1:]
            spread = (about_mean if centred else about_zero)(below, above, UNIT)
            largest_factor = worst.factor(_roots(spread), self.table.times(ALONE)).high
            most[at] = (np.maximum(np.abs(cuts[:-1]), np.abs(cuts[1:])) * largest_factor).max()
        return Reach(factor, most[place][None] * (1 + slack(1)))

    def _stretched(self, row: Row, stretch: _Array, *, centred: bool) -> _Array:
        """Return the largest length of any part of the result but its mean."""
        nonzero = [one.nonzero(self.table) for one in row.parts]
        if (np.sum(nonzero, axis=0) > 1).any():
            return UNKNOWN_LENGTH
        share = 1 - int(np.sum(nonzero)) / row.width if centred else 1.0
        return np.asarray(stretch / np.sqrt(share) * (1 + slack(2)) if share > 0 else UNKNOWN_LENGTH)

    def _normed(
        self, one: Part, monomial: Monomial, step: float, bound: tuple[_Array, Reach | None], *, centred: bool
    ) -> list[Part]:
        """Return ``F mu X``, and ``-F mu`` times the mean of ``X``."""
        size = one.size(self.table)
        average = size.mean(axis=1, keepdims=True) * (1 + slack(one.width)) if centred else np.zeros((1, 1))
        own = step * (size + average) + slack(1) * size
        length = bound[0] + error_length(own, monomial, self.table)
        reach = replace(one, reach=bound[1]).reaching(self.table, own)
        error = one.error + own
        parts = [part(monomial, one.known, error, names=one.names, slopes=one.slopes, length=length, reach=reach)]
        if centred:
            middle, radius = self.table.middles(one.names)
            slopes = one.slopes.mean(axis=0)
            centre = one.known.mean(axis=1) + middle @ slopes
            wide = radius @ np.abs(slopes) + one.error.mean(axis=1) + slack(one.width) * average[:, 0]
            wide = wide * (1 + slack(one.width))
            name = self.table.unknown(centre - wide, centre + wide)
            ones = -np.ones((one.width, 1))
            parts.append(part(monomial, nothing(one.width), nothing(one.width), names=(name,), slopes=ones))
        return parts


def _roots(spread: Spread) -> Bounds:
    """Return bounds of the square root of the sum of squares, in every cell."""
    low, high = (np.sqrt(part[:, 0, 0]) for part in (spread.least, spread.most))
    return Bounds(low * (1 - 4 * UNIT), high * (1 + 4 * UNIT))
