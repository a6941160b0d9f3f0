r"""Does the promised token's logit beat every other one, for everything in a box? Three sieves, each finer.

1. *Coarse*: a group of neighbouring cells against all tokens at once; then, for the pairs that are left, with ``c``
   the centre and ``r`` the radius of the readout's input, ``L_v - L_w >= L_v(c) - L_w(c) - sum_k 2 max|W_k| r_k`` minus
   twice the largest rounding error of any logit.
2. *Relational*, for the pairs that are left: ``L_v - L_w`` is affine in ``x``, its minimum over the box is at a corner,
   ``sum_k min(d_k low_k, d_k high_k) + b_v - b_w`` with ``d = W_v - W_w``; minus the rounding errors of the two.
3. *Enumerated*, for floats that are still left: the box holds finitely many floats; at each the bounds of both logits
   are rounded, products with and without fused multiply-add.

The sieves are computed in the wide dtype. Their roundings are charged relative to all magnitudes; where a product may
fall below the dtype's normal range (float64 where ``longdouble`` is no wider), its smallest number is charged as well:
half of it for each of the ``n`` products of a logit, of ``r @ max|W|``, and of a difference of two logits, which is at
most ``2n`` of it in a pair of logits of ``n + 3`` each.

The three sieves stay in one module, a little over 300 lines, as each is right only after what the one before left open.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from verify.certificates.enclosing import Margins
from verify.certificates.floats.boxes import Box, RoundedWeight, fits
from verify.certificates.floats.directed import (
    EVERYTHING,
    from_ordinal,
    grid_of,
    is_power_of_two,
    largest_of,
    lowered,
    next_down,
    next_up,
    ordinal,
    raised,
    round_array,
    two_sum,
)
from verify.certificates.floats.sums import Terms

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]
#: Logits that are held at once.
_BATCH_LOGITS = 2**21


def rounded_margins(
    arithmetic: RoundedArithmetic,
    rows: Box,
    weight: RoundedWeight,
    bias: RoundedWeight,
    expected: Int[np.ndarray, " cells"],
    *,
    points: int,
) -> Margins:
    """Return bounds of the margins of computed logits.

    Args:
        arithmetic: the float arithmetic.
        rows: the readout's input, cells x 1 x width (a batch of 1 stands for all cells).
        weight: of the readout, V x width.
        bias: of the readout, V x 1.
        expected: the promised tokens.
        points: the most floats of a box that are tried one by one; beyond it a pair stays undecided.

    """
    cells, vocab = len(expected), weight.values.shape[0]
    low, high = (np.broadcast_to(part[:, 0], (cells, part.shape[2])) for part in (rows.low, rows.high))
    if vocab == 1:
        logits = arithmetic.linear(rows, weight, bias)  # no other token is there to beat, but the logit must be finite
        finite = np.isfinite(logits.low).all(axis=(1, 2))
        return Margins(np.where(np.broadcast_to(finite, cells), np.inf, -np.inf))
    # equal boxes that promise the same token, at other steps or user inputs, are one case; their bounds are numbers of
    # the format, which float64 tells apart
    keys = np.concatenate([low.astype(np.float64), high.astype(np.float64), expected[:, None]], axis=1)
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    sieve = _Sieve(arithmetic, rows.grid, weight, bias, points)
    chunk = max(1, _BATCH_LOGITS // vocab)
    lower = np.empty(len(first))
    for start in range(0, len(first), chunk):
        chosen = first[start : start + chunk]
        lower[start : start + chunk] = _float_below(sieve.lower(low[chosen], high[chosen], expected[chosen]))
    return Margins(lower[place])


class _Sieve:
    def __init__(
        self,
        arithmetic: RoundedArithmetic,
        grid: Int[np.ndarray, " width"],
        weight: RoundedWeight,
        bias: RoundedWeight,
        points: int,
    ):
        self.arithmetic, self.rounding, self.points = arithmetic, arithmetic.rounding, points
        self.dtype = weight.values.dtype
        self.weight, self.weight_grid, self.grid = weight.values, weight.grid, grid
        self.bias, self.bias_grid = bias.values[:, 0], bias.grid[:, 0]
        self.heaviest = np.abs(self.weight).max(axis=0)
        self.unit = 2 * np.finfo(self.dtype).eps
        self.smallest = np.finfo(self.dtype).smallest_subnormal

    def lower(self, low: _Array, high: _Array, expected: Int[np.ndarray, " cells"]) -> _Array:
        """Return lower bounds of the margins of some cells."""
        largest = min(self.rounding.largest_factor, largest_of(self.arithmetic.fmt))
        if not (self.heaviest <= largest).all():
            return np.full(len(expected), -np.inf, dtype=self.dtype)
        finite = ((np.abs(low) <= largest) & (np.abs(high) <= largest)).all(axis=1)
        if not finite.all():
            found = np.full(len(expected), -np.inf, dtype=self.dtype)
            if finite.any():
                found[finite] = self.lower(low[finite], high[finite], expected[finite])
            return found
        # halves first, which cannot overflow; where a half is rounded, the radius grows by as much
        centre, radius = low / 2 + high / 2, next_up(next_up(high / 2 - low / 2))
        size = np.maximum(np.abs(low), np.abs(high))
        used = np.flatnonzero((size != 0).any(axis=0))
        most = size @ self.heaviest + np.abs(self.bias).max()
        terms = self._terms_of(size, most)
        error, _ = self.arithmetic.error(terms)
        each = error + self.arithmetic.last_rounding(most + error)
        each = each + (len(used) + 3) * (self.unit * most + self.smallest)
        lower, where, other = self._suspects(low[:, used], high[:, used], expected, used, each=each, most=most)
        # what is left, each pair at the centre of its cell, with the largest change over the box
        logits = (self.weight[:, used][expected] * centre[:, used]).sum(axis=1) + self.bias[expected]
        allowed = (2 * each + 2 * (radius @ self.heaviest)) * (1 + 8 * self.unit)
        most_pairs = max(1, _BATCH_LOGITS // max(1, low.shape[1]))
        for start in range(0, len(where), most_pairs):
            cell, token = where[start : start + most_pairs], other[start : start + most_pairs]
            others = (self.weight[:, used][token] * centre[cell][:, used]).sum(axis=1) + self.bias[token]
            gaps = logits[cell] - others - allowed[cell]
            close = ~(gaps > 0)
            np.minimum.at(lower, cell[~close], gaps[~close])
            cell, token = cell[close], token[close]
            if len(cell):
                np.minimum.at(lower, cell, self._pairs(low[cell], high[cell], expected[cell], token))
        return lower

    def _suspects(
        self,
        low: _Array,
        high: _Array,
        expected: Int[np.ndarray, " cells"],
        used: Int[np.ndarray, " used"],
        *,
        each: _Array,
        most: _Array,
    ) -> tuple[_Array, Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
        """Return lower bounds over the pairs that are certain for a whole group of cells, and the other pairs.

        With ``r`` the token of a cell in the middle of a group, ``L_v - L_w = (L_v - L_r) - (L_w - L_r)`` at every
        point; the first is at least its smallest value over the cell of ``v``, the second at most its largest one over
        the hull of the group. A group of ``g`` neighbours is compared once with all ``V`` tokens, and its cells then
        with about ``2g`` near ones: ``V^2/g + 2gV`` in all, least near ``g = sqrt(V/2)``.
        """
        cells, vocab = len(expected), len(self.bias)
        size = max(1, math.isqrt(vocab // 2))
        starts = np.arange(0, cells, size)
        group = np.arange(cells) // size
        reference = expected[np.minimum(starts + size // 2, cells - 1)]
        weight = self.weight[:, used]
        own = weight[expected] - weight[reference[group]]
        gain = np.minimum(own * low, own * high).sum(axis=1) + (self.bias[expected] - self.bias[reference[group]])
        least = np.minimum.reduceat(gain, starts)
        hull_low, hull_high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
        rise = self.bias[None, :] - self.bias[reference][:, None]
        for column in range(len(used)):
            slope = weight[None, :, column] - weight[reference, None, column]
            rise += np.maximum(slope * hull_low[:, None, column], slope * hull_high[:, None, column])
        # two differences of logits, of at most twice ``most`` each, with used + 3 roundings
        largest, slack = np.maximum.reduceat(each, starts), np.maximum.reduceat(most, starts)
        allowed = (2 * largest + 4 * (len(used) + 6) * self.unit * slack) * (1 + 8 * self.unit)
        gaps = (least - allowed)[:, None] - rise
        suspect = ~(gaps > 0)
        lower = np.where(suspect, np.inf, gaps).min(axis=1)[group]
        at, token = np.nonzero(suspect)
        members = np.minimum(starts + size, cells) - starts
        where = np.repeat(starts[at], members[at]) + _counted(members[at])
        other = np.repeat(token, members[at])
        kept = other != expected[where]
        return lower, where[kept], other[kept]

    def _terms_of(self, size: _Array, most: _Array) -> Terms:
        """Return the terms of a logit of which nothing is known but their magnitudes, ``most`` in all."""
        nothing = np.asarray(-EVERYTHING)
        count = (size != 0).sum(axis=1, dtype=self.dtype) + 1
        magnitude = size @ self.heaviest
        reduced = self.rounding.logit_loss(size, np.broadcast_to(self.heaviest, size.shape), self.unit)
        return Terms(np.zeros_like(most), most, most, count, magnitude, nothing, reduced)

    def _pair_terms(self, low: _Array, high: _Array, token: Int[np.ndarray, " pairs"]) -> Terms:
        """Return the terms of one logit for each pair."""
        weight, shift = self.weight[token], self.bias[token]
        ends = (weight * low, weight * high)
        least, most = np.minimum(*ends), np.maximum(*ends)
        size = np.maximum(np.abs(least), np.abs(most))
        simple = is_power_of_two(weight) | ((low == high) & is_power_of_two(low))
        simple |= ~self.rounding.rounds_products(shift)[:, None]
        grids = self._grids(low, high), self.weight_grid[token]
        grid = np.where(size != 0, grids[1] + grids[0], EVERYTHING).min(axis=1, initial=EVERYTHING)
        reduced = self.rounding.logit_loss(np.maximum(np.abs(low), np.abs(high)), np.abs(weight), self.unit, grids)
        return Terms(
            least.sum(axis=1) + shift,
            most.sum(axis=1) + shift,
            size.sum(axis=1) + np.abs(shift),
            (size != 0).sum(axis=1, dtype=self.dtype) + (shift != 0),
            np.where(simple, 0, size).sum(axis=1),
            np.minimum(grid, self.bias_grid[token]),
            reduced,
            held=np.asarray(fits(size, grids[1] + grids[0], self.arithmetic.fmt.precision).all(axis=1)),
        )

    def _grids(self, low: _Array, high: _Array) -> np.ndarray[Any, Any]:
        """Return a grid for each coordinate of each pair."""
        if self.rounding.point_grids:
            return np.where(low == high, np.maximum(grid_of(low), self.grid), self.grid)
        return self.grid

    def _pairs(
        self, low: _Array, high: _Array, own: Int[np.ndarray, " pairs"], other: Int[np.ndarray, " pairs"]
    ) -> _Array:
        difference = self.weight[own] - self.weight[other]
        least = np.minimum(difference * low, difference * high)
        shift = self.bias[own] - self.bias[other]
        heavy = np.abs(self.weight[own]) + np.abs(self.weight[other])
        size = (heavy * np.maximum(np.abs(low), np.abs(high))).sum(axis=1)
        size += np.abs(self.bias[own]) + np.abs(self.bias[other])
        lower = least.sum(axis=1) + shift
        exact, grid, magnitude = np.ones(len(own), dtype=np.bool_), np.full(len(own), EVERYTHING), np.zeros(len(own))
        for token in (own, other):
            terms = self._pair_terms(low, high, token)
            error, whole = self.arithmetic.error(terms)
            rounding = self.arithmetic.last_rounding(np.maximum(np.abs(terms.low), np.abs(terms.high)) + error)
            lower = lower - np.where(whole, 0, error + rounding)
            exact &= whole
            grid, magnitude = np.minimum(grid, terms.grid), magnitude + terms.magnitude
        # where both logits are exact so is their difference, if the wide dtype holds all the terms of both
        exact &= fits(2 * magnitude, grid, np.finfo(self.dtype).nmant + 1)
        lower = np.where(exact, lower, lower - (low.shape[1] + 6) * (self.unit * size + self.smallest))
        left = np.flatnonzero(~(lower > 0))
        if len(left):
            tried = self._enumerated(low[left], high[left], own[left], other[left])
            lower[left] = np.where(tried > 0, tried, lower[left])
        return np.asarray(lower)

    def _enumerated(
        self, low: _Array, high: _Array, own: Int[np.ndarray, " pairs"], other: Int[np.ndarray, " pairs"]
    ) -> _Array:
        """Return the smallest margin over all floats of each pair's box, or some margin that is not positive.

        ``-inf`` where the floats are too many.
        """
        fmt = self.arithmetic.fmt
        first, last = ordinal(low, fmt), ordinal(high, fmt)
        # float64 has about 2^64 floats: more than half of them are more than int64 counts, and more than anybody tries
        many = last.astype(np.float64) - first.astype(np.float64) > 2.0**62
        counts = np.where(many, 1, last - first + 1)
        total = np.where(many, np.inf, counts.astype(np.float64)).prod(axis=1)
        lower = np.where(total > self.points, -np.inf, np.inf).astype(self.dtype)
        active = np.flatnonzero(total <= self.points)
        step = 0
        while len(active):
            rest = np.full(len(active), step, dtype=np.int64)
            places = np.empty((len(active), low.shape[1]), dtype=np.int64)
            for column in range(low.shape[1]):
                rest, digit = np.divmod(rest, counts[active, column])
                places[:, column] = first[active, column] + digit
            x = from_ordinal(places, fmt).astype(self.dtype)
            own_low, _ = self._logit(x, own[active])
            _, other_high = self._logit(x, other[active])
            known = np.isfinite(own_low) & np.isfinite(other_high)
            lower[active] = np.minimum(lower[active], np.where(known, own_low - other_high, -np.inf))
            step += 1
            active = active[(lower[active] > 0) & (step < total[active])]
        return lower

    def _logit(self, x: _Array, token: Int[np.ndarray, " pairs"]) -> tuple[_Array, _Array]:
        """Return bounds of a computed logit at a known input: rounded bounds of the sum, see ``rounded``."""
        arithmetic = self.arithmetic
        terms = self._pair_terms(x, x, token)
        error, whole = arithmetic.error(terms)
        low = arithmetic.rounded(lowered(terms.low, error), up=False)
        high = arithmetic.rounded(raised(terms.high, error), up=True)
        # one product and the bias: the product is rounded or not, and one addition follows
        products = (self.weight[token] * x).sum(axis=1)
        kept, rounded = [products], [round_array(products, arithmetic.fmt)]
        inner = arithmetic.kernel.accumulator
        if inner is not None:  # which holds every product of normal size, and rounds one below that
            kept.append(round_array(products, inner))
            rounded.append(round_array(kept[-1], arithmetic.fmt))
        bounds = [self._added(product, self.bias[token]) for product in self.rounding.single_products(kept, rounded)]
        single = ((self.weight[token] * x) != 0).sum(axis=1) <= 1
        single &= np.isfinite(error) & (terms.reduced == 0)  # no sum can overflow, and factors are what they are
        single &= not self.rounding.rounds_factors and 2 * arithmetic.fmt.precision <= np.finfo(self.dtype).nmant + 1
        low = np.where(single, np.minimum.reduce([bound[0] for bound in bounds]), low)
        high = np.where(single, np.maximum.reduce([bound[1] for bound in bounds]), high)
        return np.where(whole, terms.low, low), np.where(whole, terms.high, high)

    def _added(self, product: _Array, shift: _Array) -> tuple[_Array, _Array]:
        total, error = two_sum(product, shift)
        below = np.where(error < 0, next_down(total), total)
        above = np.where(error > 0, next_up(total), total)
        off = self.rounding.pair_error(product, shift)
        below, above = lowered(below, off), raised(above, off)
        return self.arithmetic.rounded(below, up=False), self.arithmetic.rounded(above, up=True)


def _float_below(values: _Array) -> Float[np.ndarray, " cells"]:
    """Return the largest float64 that is not above each number."""
    found = values.astype(np.float64)
    return np.asarray(np.where(found > values, next_down(found), found))


def _counted(counts: Int[np.ndarray, " runs"]) -> Int[np.ndarray, " all"]:
    """Return ``0, 1, ..., n - 1`` for every ``n`` of ``counts``, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) - np.repeat(ends - counts, counts))
