r"""Activations, products and norms of rows with factors.

*ReLU* takes a positive factor out: ``relu(mu b) = mu relu(b)``. What it does to a coordinate is decided in every cell by
bounds of the coordinate, and by bounds of it divided by a factor that all its parts have.

*A smooth activation* that says how far it is from ReLU (gelu, silu) is ReLU and an error of its own, which is largest at
the bounds that are next to 0.

*A norm* gives a row ``F (x - M)``: a new factor ``F`` that all coordinates share, and a mean that they share as well. The
mean of each part is one unknown number with the same slope for all coordinates, so that a linear map whose rows sum to 0
loses it, and so is the error of the computed mean.

The row's own length bounds more than its coordinates do: ``F sqrt(S) <= sqrt(d)``, with ``S`` the sum of squares less
the mean. At most ``n`` coordinates of ``x`` are not 0, so that ``d m^2 = (sum x)^2 / d <= n/d sum x^2`` (Cauchy and
Schwarz), and ``sum x^2 <= S / (1 - n/d)``. A part whose coordinates no other part has is no longer than the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import flint
import numpy as np
from jaxtyping import Bool, Float, Int

from constructions.activations import Activation
from verify.certificates.balls.columns import ball_precision
from verify.certificates.floats.spreads import Spread, about_mean, about_zero
from verify.certificates.relational.factors.kernels import Kernels, NormError
from verify.certificates.relational.factors.parts import (
    ALONE,
    UNIT,
    UNKNOWN_LENGTH,
    Bounds,
    Monomial,
    Part,
    Reach,
    Row,
    Table,
    common,
    error_length,
    nothing,
    part,
    reduce_sum,
    slack,
)

_Array = Float[np.ndarray, "..."]


#: Products of unknown numbers that are kept for each coordinate of a product of rows, on average: a limit of the work.
_PAIRS = 16
#: Into how many pieces the range of a coordinate is cut, see :meth:`Functions.normalise`. Any number gives a bound.
_PIECES = 16


@dataclass(frozen=True)
class Functions:
    """Computes functions of rows that are not linear.

    Attributes:
        table: factors and unknown numbers.
        kernels: what they may be off by.

    """

    table: Table
    kernels: Kernels

    # activations -----------------------------------------------------------------------------------------------------

    def relu(self, row: Row) -> Row:
        """Return ``max(0, .)``, which no kernel rounds."""
        factor = common(row.parts)
        ends, inner = row.hull(self.table), row.hull(self.table, factor)
        rises = (ends.low >= 0) | (inner.low >= 0)
        falls = ~rises & ((ends.high <= 0) | (inner.high <= 0))
        open_ = ~rises & ~falls  # NaN, too
        found = [self._kept(one, rises) for one in row.parts]
        if open_.any():
            half = np.where(open_, inner.high / 2, 0)
            found.append(part(factor, half, np.abs(half) * (1 + 4 * UNIT)))
        return Row(row.width, tuple(found)).merged(self.table)

    def _kept(self, one: Part, where: Bool[np.ndarray, "cells width"]) -> Part:
        """Return a part where it is kept; a coordinate that some cells keep keeps its bounds alone."""
        every, some = where.all(axis=0), where.any(axis=0)
        low, high = one.bounds(self.table)
        mixed = some & ~every
        # half of each is exact, and their sum off by a rounding of either
        centre, wide = low / 2 + high / 2, (high / 2 - low / 2) + 4 * UNIT * np.maximum(np.abs(low), np.abs(high))
        return part(
            one.monomial,
            np.where(every, one.known, np.where(mixed & where, centre, 0)),
            np.where(every, one.error, np.where(mixed & where, wide, 0)),
            names=one.names,
            slopes=np.where(every[:, None], one.slopes, 0),
            length=one.length,
            reach=one.reach,
        )

    def knows(self, activation: Activation) -> bool:
        """Return whether an activation says how far it is from ReLU."""
        return bool(np.isfinite(_distance(activation, 0.0, 1.0)))

    def near_relu(self, row: Row, activation: Activation) -> Row:
        """Return an activation that is a known distance from ReLU at most.

        Where that is too far, coordinates that are all but the same number have a factor ``f(x)/x`` in common.
        """
        ends = self._ends(row)
        relative, absolute = self.kernels.activation(activation)
        size = np.maximum(np.abs(ends.low), np.abs(ends.high))
        self.table.note(2 * size)  # a kernel may double its argument
        away = _distances(activation, ends)
        found = list(self.relu(row).parts)
        far = (ends.low > 0) & (away > UNIT * size)
        if far.any():
            first = far.argmax(axis=1)
            apart = np.expm1(float(activation.ratio_slope) * self._apart(row, first)) * (1 + slack(1))
            near = far & (apart * size < away)
            away = np.where(near, 0, away)
            found = list(self._restricted(self.relu(row), ~near).parts)
            found += self._sharing(row, activation, near, (first, ends, apart))
        more = away * (1 + slack(1)) + absolute
        whole = Row(row.width, (*found, part(ALONE, nothing(row.width), more))).merged(self.table)
        return whole.loosened(self.table, relative)

    def _restricted(self, row: Row, where: Bool[np.ndarray, "cells width"]) -> Row:
        return Row(row.width, tuple(self._kept(one, where) for one in row.parts))

    def _apart(self, row: Row, first: Int[np.ndarray, " cells"]) -> _Array:
        """Return how far coordinates may be from the first of each cell."""
        found = []
        for one in row.parts:
            known, error, size = (
                np.broadcast_to(values, (len(first), row.width))
                for values in (one.known, one.error, one.size(self.table))
            )
            at = np.arange(len(first)), first
            middle, radius = self.table.middles(one.names)
            slopes = one.slopes[None] - one.slopes[first][:, None]
            centre = known - known[at][:, None] + (slopes * middle[:, None]).sum(axis=2)
            wide = (np.abs(slopes) * radius[:, None]).sum(axis=2) + error + error[at][:, None]
            wide = wide + slack(len(one.names) + 2) * (size + size[at][:, None])
            found.append((np.abs(centre) + wide) * self.table.times(one.monomial).high[:, None])
        return reduce_sum(found) * (1 + slack(len(found)))

    def _sharing(
        self,
        row: Row,
        activation: Activation,
        near: Bool[np.ndarray, "cells width"],
        of: tuple[Int[np.ndarray, " cells"], Bounds, _Array],
    ) -> list[Part]:
        """Return parts of ``f(x_i) = (f(x)/x) x_i (1 + e)``, with ``x`` the first of each cell that is far from ReLU."""
        first, ends, apart = of
        cells = np.arange(len(first))
        shares = [_share(activation, low, high) for low, high in zip(*(end[cells, first] for end in ends), strict=True)]
        shares = [share if some else (1.0, 1.0) for share, some in zip(shares, near.any(axis=1), strict=True)]
        factor = self.table.factor(*np.array(shares).T)
        factor_bounds = self.table.times(factor)
        found = []
        for one in self._restricted(row, near).parts:
            error = np.where(near, apart, 0) * one.size(self.table)
            monomial = tuple(sorted(one.monomial + factor))
            length = one.norm(self.table) * factor_bounds.high * (1 + slack(1))
            found.append(replace(one, monomial=monomial, length=length).loosened(self.table, error))
        return found

    def _ends(self, row: Row) -> Bounds:
        """Return bounds of every coordinate, by its parts and by what is left of them over their common factor."""
        factor = common(row.parts)
        ends, inner = row.hull(self.table), row.hull(self.table, factor)
        below, above = (end[:, None] for end in self.table.times(factor))
        low = np.where(inner.low >= 0, inner.low * below, inner.low * above)
        high = np.where(inner.high >= 0, inner.high * above, inner.high * below)
        own = slack(1) * np.maximum(np.abs(low), np.abs(high))
        return Bounds(np.fmax(ends.low, low - own), np.fmin(ends.high, high + own))

    # products --------------------------------------------------------------------------------------------------------

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
        linear, met = [self._times_known(left.known, right), self._times_known(right.known, left)], self._met(left, right)
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

    # norms -----------------------------------------------------------------------------------------------------------

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
        """Return what is known of the squares of a row over a product of factors: by its coordinates, and by lengths."""
        ends = row.hull(self.table, divisor)
        spread = (about_mean if centred else about_zero)(*(end[:, None] for end in ends), UNIT)
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


def _multiplied(one: Bounds, other: Bounds) -> Bounds:
    """Return bounds of a product of two intervals, without own roundings."""
    corners = [end * another for end in one for another in other]
    return Bounds(np.minimum.reduce(corners), np.maximum.reduce(corners))


def _roots(spread: Spread) -> Bounds:
    """Return bounds of the square root of the sum of squares, in every cell."""
    low, high = (np.sqrt(part[:, 0, 0]) for part in (spread.least, spread.most))
    return Bounds(low * (1 - 4 * UNIT), high * (1 + 4 * UNIT))


def _distances(activation: Activation, ends: Bounds) -> _Array:
    """Return upper bounds of an activation's distance from ReLU between bounds, few of them computed.

    The nearest and the farthest number from 0 are taken to powers of two outward, so that few are distinct.
    """
    low, high = ends
    nearest = np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high)))
    farthest = np.maximum(np.abs(low), np.abs(high))
    near, far = _power_below(nearest), 2 * _power_below(farthest)
    pairs, place = np.unique(np.stack([near.reshape(-1), far.reshape(-1)]), axis=1, return_inverse=True)
    found = np.array([_distance(activation, *pair) for pair in pairs.T.tolist()])
    return np.asarray(found[place.reshape(-1)].reshape(near.shape))


def _power_below(values: _Array) -> _Array:
    """Return the largest quarter of a power of two that is not above a number; 0 for 0, and NaN for what is none."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.where(np.isfinite(values), np.ldexp(np.floor(mantissa * 8) / 8, exponent), np.nan))


@lru_cache(maxsize=2**12)
def _share(activation: Activation, low: float, high: float) -> tuple[float, float]:
    """Return bounds of ``f(x)/x`` between two positive numbers; NaN where there are none."""
    if not 0 < low <= high < np.inf:
        return float("nan"), float("nan")
    with ball_precision():
        least, most = activation.ratio(flint.arb(low), flint.arb(high))
    return float(np.nextafter(float(least.lower()), 0)), float(np.nextafter(float(most.upper()), np.inf))


@lru_cache(maxsize=2**12)
def _distance(activation: Activation, nearest: float, farthest: float) -> float:
    if not (np.isfinite(nearest) and np.isfinite(farthest)):
        return float("nan")
    with ball_precision():
        most = activation.beside_relu(flint.arb(nearest), flint.arb(farthest))
    return float("inf") if most is None else float(np.nextafter(float(most.upper()), np.inf))


