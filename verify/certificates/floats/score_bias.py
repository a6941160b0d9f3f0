"""Bounds of attention with a score bias: added to the scores, or to the exponents after the scores were scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from constructions.temperature import Softmax, Temperature
from constructions.validation import reject
from verify.arithmetic.base import Visible
from verify.certificates.floats.boxes import Box, tainted, unbounded
from verify.certificates.floats.directed import EVERYTHING
from verify.certificates.floats.products import ProductBounds, sum_above, sum_below
from verify.certificates.floats.softmax import SoftmaxBounds

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedWeight

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


class ScoreBiasBounds(SoftmaxBounds, ProductBounds):
    """Score biases on boxes of scores."""

    def score_table(self, table: RoundedWeight, start: int, stop: int) -> Box:
        """Return the entries of a table, one row for each query."""
        values = table.values[None, start:stop, :stop]
        return Box(values, values, table.grid[start:stop, :stop].min(axis=0, initial=EVERYTHING), table.exact)

    def shifted(self, scores: Box, shift: Box) -> Box:
        """Return bounds of scores and their bias, each rounded before they are added, and their sum after it."""
        self.assume("a score is rounded before its bias is added")
        low, high = sum_below(scores.low, shift.low), sum_above(scores.high, shift.high)
        grid = np.minimum(scores.grid, shift.grid)
        size = np.maximum(np.abs(scores.low), np.abs(scores.high)) + np.maximum(np.abs(shift.low), np.abs(shift.high))
        return self._rounded_box(low, high, grid, self._whole(size, grid), exact=scores.exact and shift.exact)

    def shifted_attention(
        self, scores: Box, shift: Box, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> Box:
        """Return bounds of attention weights whose exponents are ``gap * scores + shift``.

        The product is rounded before the shift is added, or not, and the sum before the largest one is taken off, or
        not. A hidden exponent is ``-inf``, before or after its shift is added. A shift that may not be finite makes
        its row anything, hidden or not: ``-inf + inf`` is NaN.
        """
        if not isinstance(temperature, Softmax):
            reject("temperature", "a finite one, such as Softmax(1.0), with a bias added after scaling,", temperature)
        if not self.kernel.exponential.adds_shifts:
            reject("exp", "library, with a bias added after scaling,", self.kernel.exp)
        self.assume("a score bias is added to scaled scores, rounded before or not")
        wild = unbounded(scores, along=-1) | unbounded(shift, along=-1)
        gap_low, gap_high = self._gap(temperature, key_size=key_size, length=visible.shape[1])
        if not (gap_low > 0 and np.isfinite(gap_high)):  # 0 times the -inf of a hidden score is NaN
            wild = np.ones_like(wild)
        z_low, z_high = (
            self._added(part, add, up=up)
            for part, add, up in zip(
                self._exponents(scores.low, scores.high, gap_low, gap_high),
                (shift.low, shift.high),
                (False, True),
                strict=True,
            )
        )
        wild = wild | (~(np.isfinite(z_low) & np.isfinite(z_high)) & visible).any(axis=-1, keepdims=True)
        z_low, z_high = (np.where(visible, part, -np.inf) for part in (z_low, z_high))
        d_low, d_high = self._below_largest(z_low, z_high)
        # an exponent that no other may exceed is the largest itself, and 0 is left of it
        top = z_low >= _largest_other(z_high)
        d_low, d_high = np.where(top, 0, d_low), np.where(top, 0, d_high)
        e_low, e_high, summands = (
            np.where(visible, part, 0)
            for part in (self._exp(d_low, up=False), self._exp(d_high, up=True), self._summands(d_high))
        )
        found = self._normalised(e_low, e_high, visible, exact=scores.exact and shift.exact, summands=summands)
        return tainted(found, wild)

    def _added(self, values: _Array, shift: _Array, *, up: bool) -> _Array:
        """Return a bound of sums with a shift, rounded or not."""
        total = sum_above(values, shift) if up else sum_below(values, shift)
        return self._rounded_or_not(total, up=up)


def _largest_other(values: _Array) -> _Array:
    """Return for each entry of the last axis the largest of all others; ``-inf`` where there is none."""
    before, after = (np.full_like(values, -np.inf) for _ in range(2))
    before[..., 1:] = np.maximum.accumulate(values, axis=-1)[..., :-1]
    after[..., :-1] = np.maximum.accumulate(values[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    return np.asarray(np.maximum(before, after))
