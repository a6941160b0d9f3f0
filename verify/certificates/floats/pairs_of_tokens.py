"""Does the promised token's logit beat another one, for everything in a box? The sieve of pairs of tokens.

``L_v - L_w`` is affine in ``x``: its minimum over the box is at a corner,
``sum_k min(d_k low_k, d_k high_k) + b_v - b_w`` with ``d = W_v - W_w``; minus the rounding errors of the two. For
floats that are still left, the box holds finitely many: at each the bounds of both logits are rounded, products with
and without fused multiply-add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Shaped

from verify.certificates.floats.boxes import RoundedWeight, fits
from verify.certificates.floats.directed import (
    EVERYTHING,
    from_ordinal,
    grid_of,
    is_power_of_two,
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


class Pairs:
    """The readout of a certificate, and the margins of pairs of tokens there.

    Attributes:
        arithmetic: the float arithmetic.
        weight: of the readout, tokens x width.
        bias: of the readout.

    """

    def __init__(
        self,
        arithmetic: RoundedArithmetic,
        grid: Int[np.ndarray, " width"],
        weight: RoundedWeight,
        bias: RoundedWeight,
        points: int,
        *,
        point_grids: bool = False,
    ):
        """Read numbers on a grid; try at most ``points`` floats of a box one by one.

        Args:
            arithmetic: the float arithmetic.
            grid: of what the readout reads.
            weight: of the readout.
            bias: of the readout.
            points: the most floats of a box.
            point_grids: look at the grid of each number that is known, also where it tells sums no more in general.

        """
        self.arithmetic, self.rounding, self.points = arithmetic, arithmetic.rounding, points
        self.dtype = weight.values.dtype
        self.weight, self.weight_grid, self.grid = weight.values, weight.grid, grid
        self.bias, self.bias_grid = bias.values[:, 0], bias.grid[:, 0]
        self.point_grids = point_grids or self.rounding.point_grids
        self.unit = 2 * np.finfo(self.dtype).eps
        self.smallest = np.finfo(self.dtype).smallest_subnormal

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
        if self.point_grids:
            return np.where(low == high, np.maximum(grid_of(low), self.grid), self.grid)
        return self.grid

    def pairs(
        self, low: _Array, high: _Array, own: Int[np.ndarray, " pairs"], other: Int[np.ndarray, " pairs"]
    ) -> _Array:
        """Return lower bounds of the margins of tokens over others, each in a box of its own."""
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


def counted(counts: Int[np.ndarray, " runs"]) -> Int[np.ndarray, " all"]:
    """Return ``0, 1, ..., n - 1`` for every ``n`` of ``counts``, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) - np.repeat(ends - counts, counts))
