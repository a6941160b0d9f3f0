"""Bounds of attention weights in floats: the largest exponent is taken off, ``exp`` is within its assumption.

One summand of the normaliser is 1, as the largest exponent minus itself is 0. If all others together stay below half of
a unit in the last place of it, they are absorbed, addition by addition, and the weight of the largest key is 1.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import flint
import numpy as np
from jaxtyping import Shaped

from constructions.temperature import Hardmax, RationalSoftmax, Softmax, Temperature
from constructions.validation import InvalidArgument
from verify.arithmetic.base import Visible
from verify.arithmetic.gaps import score_gap
from verify.certificates.balls.columns import ball
from verify.certificates.floats.boxes import Box, tainted
from verify.certificates.floats.directed import (
    EVERYTHING,
    grids_between,
    next_down,
    next_up,
    round_array,
)
from verify.certificates.floats.kernel import EXP_ULPS
from verify.certificates.floats.sums import Sums

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


class SoftmaxBounds(Sums):
    """Attention on boxes of scores."""

    @cached_property
    def _attending(self) -> SoftmaxBounds:
        """The rule of softmax, in the numbers that it is computed in."""
        return self if self.kernel.attending is self.kernel else SoftmaxBounds(self.kernel.attending)

    def _held(self, weights: Box) -> Box:
        """Return attention weights as the format holds them, rounded once."""
        if self._attending is self:
            return weights
        low, high = round_array(weights.low, self.fmt), round_array(weights.high, self.fmt)
        same = bool((low == weights.low).all() and (high == weights.high).all())
        grids = grids_between(low, high, self.fmt).min(axis=(0, 1), initial=EVERYTHING)
        return self.box(low, high, grids, exact=weights.exact and same)

    def attention(self, scores: Box, visible: Visible, temperature: Temperature, *, key_size: int) -> Box:
        """Return bounds of the attention weights."""
        low, high = (np.where(visible, part, -np.inf) for part in (scores.low, scores.high))
        wild = np.asarray((~np.isfinite(scores.low) & visible).any(axis=-1, keepdims=True))
        inner = self._attending
        if isinstance(temperature, Hardmax):
            return tainted(self._held(inner._hardmax(low, high, visible, exact=scores.exact)), wild)
        found = self.kernel.exponential.attention(self, scores, visible, temperature, key_size=key_size)
        return tainted(found, wild)

    def softmax(self, scores: Box, visible: Visible, temperature: Softmax | RationalSoftmax, *, key_size: int) -> Box:
        """Return bounds of the attention weights at a finite temperature, by a library's ``exp``."""
        inner = self._attending
        low, high = (np.where(visible, part, -np.inf) for part in (scores.low, scores.high))
        wild = np.zeros((*low.shape[:-1], 1), dtype=np.bool_)
        gap_low, gap_high = self._gap(temperature, key_size=key_size, length=visible.shape[1])
        z_low, z_high = self._exponents(scores.low, scores.high, gap_low, gap_high)
        overflow = ~(np.isfinite(z_low) & np.isfinite(z_high)) & visible
        wild = wild | overflow.any(axis=-1, keepdims=True)  # inf - inf is NaN
        if np.isinf(gap_high):  # beyond the format, and 0 times it NaN
            wild = np.ones_like(wild)
        if gap_low == 0:  # a hidden score is -inf, and 0 times it NaN
            wild = wild | ~visible.all(axis=-1, keepdims=True)
        z_low, z_high = (np.where(visible, part, -np.inf) for part in (z_low, z_high))
        below, above = inner._below_largest(z_low, z_high)
        # or the largest score is taken off first, and the difference scaled
        early = inner._exponents(*inner._below_largest(low, high), gap_low, gap_high)
        below, above = np.minimum(below, early[0]), np.minimum(np.maximum(above, early[1]), 0)
        # a known score that no other exceeds is the largest exponent itself, as scaling by the gap keeps the order
        top = (low == high) & (low == high.max(axis=-1, keepdims=True))
        d_low, d_high = np.where(top, 0, below), np.where(top, 0, above)
        e_low, e_high = (
            np.where(visible, part, 0) for part in (inner._exp(d_low, up=False), inner._exp(d_high, up=True))
        )
        # kernels that hold nothing more precise sum the same numbers
        summands = None if inner.kernel.accumulator is None else np.where(visible, inner._summands(d_high), 0)
        found = inner._normalised(e_low, e_high, visible, exact=scores.exact, summands=summands)
        return tainted(self._held(found), wild)

    def _below_largest(self, low: _Array, high: _Array) -> tuple[_Array, _Array]:
        """Return bounds of the difference from the largest of a row, rounded or not; never above 0."""
        below = next_down(low - high.max(axis=-1, keepdims=True))
        above = next_up(high - low.max(axis=-1, keepdims=True))
        below = np.minimum(below, self.rounded(below, up=False))
        return below, np.minimum(np.maximum(above, self.rounded(above, up=True)), 0)

    def _exponents(self, low: _Array, high: _Array, gap_low: Any, gap_high: Any) -> tuple[_Array, _Array]:
        """Return bounds of numbers times the gap."""
        return self._scaled(low, gap_low, gap_high, up=False), self._scaled(high, gap_low, gap_high, up=True)

    def _gap(self, temperature: Softmax | RationalSoftmax, *, key_size: int, length: int) -> tuple[Any, Any]:
        """Return bounds of the factor of the scores, as a kernel may hold it: in float64, or rounded."""
        gap = np.asarray(score_gap(temperature, key_size=key_size, length=length), dtype=self._dtype)
        held = [gap, round_array(gap, self.fmt)]
        if self.kernel.accumulator is not None:
            held.append(round_array(gap, self.kernel.accumulator))
        if gap < 0:
            raise InvalidArgument(
                "q: expected at least 1 in rounded arithmetic, as kernels scale a hidden score of -inf by ln q, but got"
                f" {temperature!r}"
            )
        return min(held), max(held)

    def _scaled(self, scores: _Array, gap_low: Any, gap_high: Any, *, up: bool) -> _Array:
        with np.errstate(invalid="ignore"):  # hidden keys
            corners = (scores * gap_low, scores * gap_high)
        value = np.maximum(*corners) if up else np.minimum(*corners)
        value = np.where(scores == 0, 0, next_up(value) if up else next_down(value))
        return self._rounded_or_not(value, up=up)

    def _rounded_or_not(self, values: _Array, *, up: bool) -> _Array:
        """Return a bound of numbers that may be rounded, to the format or to an accumulator, before they are read."""
        found = [values, self.rounded(values, up=up)]
        if self.kernel.accumulator is not None:
            found.append(round_array(values, self.kernel.accumulator))
        return np.asarray(np.maximum.reduce(found) if up else np.minimum.reduce(found))

    def _summands(self, exponents: _Array) -> _Array:
        """Return upper bounds of what a kernel sums: a more precise one keeps what is too small for the format."""
        return self._exp(exponents, up=True, kept=self.kernel.accumulator is not None)

    def _exp(self, exponents: _Array, *, up: bool, kept: bool = False) -> _Array:
        """Return a bound of a computed ``exp`` of numbers that are not positive, by the assumption of the kernel.

        Args:
            exponents: what ``exp`` is taken of.
            up: an upper bound, not a lower one.
            kept: whether what is below half of the smallest number may be kept, not 0.

        """
        known = (exponents == 0) | np.isneginf(exponents)
        distinct, place = np.unique(exponents[~known], return_inverse=True)
        relative = flint.arb(2 * EXP_ULPS) * flint.arb(2) ** -self.fmt.precision
        smallest = ball(self.kernel.smallest)
        inner = self.kernel.accumulator
        narrow = flint.arb(0) if inner is None else flint.arb(2 * EXP_ULPS) * flint.arb(2) ** -inner.precision
        values = []
        for exponent in distinct:
            true = _arb_of_float(exponent).exp()
            if up:
                # the assumption on underflow; a more precise kernel rounds a number that is off already
                gone = not kept and bool(true * (1 + narrow) < smallest / 2)
                bound = true * (1 + relative) + EXP_ULPS * smallest
                values.append(self._dtype.type(0) if gone else _upper(bound, self._dtype))
            else:
                bound = true * (1 - relative) - (EXP_ULPS + 1) * smallest
                values.append(max(self._dtype.type(0), _lower(bound, self._dtype)))
        found = np.where(exponents == 0, self._dtype.type(1), self._dtype.type(0))
        found[~known] = np.array(values, dtype=self._dtype)[place]
        return np.asarray(found)

    def _normalised(
        self, e_low: _Array, e_high: _Array, visible: Visible, *, exact: bool, summands: _Array | None = None
    ) -> Box:
        """Return the quotients by the sum; one of the summands is 1, as the largest exponent is 0."""
        # not a sum of products, so that tensor cores have no part in it
        u, wide = self._dtype.type(float(self.fmt.unit_roundoff)), self._wide_unit
        summands = e_high if summands is None else summands
        count = (summands != 0).sum(axis=-1, keepdims=True)
        # as of any sum of n terms: n - 2 roundings before the last one, which is monotone
        more = np.maximum(count - 2, 0) * u
        growth = np.where(more < 1, more / np.where(more < 1, 1 - more, 1), np.inf)
        own = 2 * (count + 4) * wide  # of the sums of the bounds
        top = e_low.argmax(axis=-1)[..., None]
        others_low = _sum_without(e_low, top)
        others_high = _sum_without(summands, top) * (1 + growth) * (1 + own)
        top_low = np.take_along_axis(e_low, top, axis=-1)
        top_high = np.take_along_axis(e_high, top, axis=-1)
        # at most u beside a 1 is absorbed, addition by addition, or kept by a more precise kernel
        absorbed = (others_high <= u) & (top_low == 1) & (top_high == 1)
        kept = others_high if self.kernel.accumulator is not None else np.zeros_like(others_high)
        total_low = self._total((top_low + others_low) * np.maximum(1 - growth - own, 0), up=False)
        total_high = self._total((top_high * (1 + growth) + others_high) * (1 + own), up=True)
        total_low = np.where(absorbed, 1, total_low)
        total_high = np.where(absorbed, 1 + kept, total_high)
        total_low = np.maximum(total_low, 1)  # the largest summand is 1, and adding never makes it smaller
        low = self._divided(e_low, total_high, up=False)
        high = self._divided(e_high, total_low, up=True)
        one_hot = bool(absorbed.all() and (low == high).all() and (_sum_without(e_high, top) == 0).all())
        grid = grids_between(low, high, self.fmt).min(axis=(0, 1), initial=EVERYTHING)
        return self.box(low, high, grid, exact=exact and one_hot)

    def _total(self, values: _Array, *, up: bool) -> _Array:
        """Return a bound of a sum by what it was before its last rounding, in the format or in an accumulator."""
        found = self.rounded(values, up=up)
        if self.kernel.accumulator is None:
            return found
        held = round_array(values, self.kernel.accumulator)
        return np.asarray(np.maximum(found, held) if up else np.minimum(found, held))

    def _divided(self, numerator: _Array, denominator: _Array, *, up: bool) -> _Array:
        """Return a bound of a quotient, or of the product with the rounded reciprocal."""
        outward = next_up if up else next_down
        whole = denominator == 1
        quotient = outward(numerator / denominator)
        inverse = outward(1 / denominator)
        inverses = [inverse, self.rounded(inverse, up=up)]
        if self.kernel.accumulator is not None:
            inverses.append(round_array(inverse, self.kernel.accumulator))
        products = [outward(numerator * part) for part in inverses]
        found = [self.rounded(part, up=up) for part in (quotient, *products)]
        found = [np.where(whole, self.rounded(numerator, up=up), np.where(numerator == 0, 0, part)) for part in found]
        best = np.maximum.reduce(found) if up else np.minimum.reduce(found)
        return np.asarray(np.maximum(best, 0))

    def _hardmax(self, low: _Array, high: _Array, visible: Visible, *, exact: bool) -> Box:
        """Return uniform weights over the keys of the largest score, where the scores are known."""
        if not ((low == high) | ~visible).all():
            wide = np.broadcast_to(np.where(visible, 1.0, 0.0), low.shape).astype(self._dtype)
            grid = np.full(visible.shape[1], self.fmt.min_exponent - self.fmt.precision + 1, dtype=np.int64)
            return self.box(np.zeros_like(wide), wide, grid, exact=False)
        chosen = (low == low.max(axis=-1, keepdims=True)) & visible
        return self._normalised(chosen.astype(self._dtype), chosen.astype(self._dtype), visible, exact=exact)


def _sum_without(values: _Array, place: np.ndarray[Any, Any]) -> _Array:
    """Return the sum over the last axis without the entry at ``place``."""
    kept = values.copy()
    np.put_along_axis(kept, place, 0, axis=-1)
    return np.asarray(kept.sum(axis=-1, keepdims=True))


def _arb_of_float(value: Any) -> flint.arb:
    """Return a number of the wide dtype as a ball that holds it."""
    most = float(value)
    return flint.arb(most) + flint.arb(float(value - value.dtype.type(most)))


def _upper(bound: flint.arb, dtype: np.dtype[Any]) -> Any:
    return dtype.type(np.nextafter(float(bound.upper()), np.inf))


def _lower(bound: flint.arb, dtype: np.dtype[Any]) -> Any:
    return dtype.type(np.nextafter(float(bound.lower()), -np.inf))
