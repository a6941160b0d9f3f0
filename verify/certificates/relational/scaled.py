r"""Margins of logits that read floats of a norm, all of which have one factor.

A kernel's norm that takes no mean off returns ``y_i = round(x_i F)``, with the same ``F > 0`` for all coordinates of a
row (see :mod:`verify.certificates.floats.norms`), whatever it has rounded in ``F``. So ``y_i = F x_i + d_i``, with
``d_i`` at most what the last rounding of a number of magnitude ``F |x_i|`` may change.

Two logits are within ``E`` of the exact ``sum_i W_i y_i + b``, with ``E`` by the rule of a sum. So their difference is

``F (sum_i D_i x_i) + (b_v - b_w) + errors``, ``D = W_v - W_w``,

and it is positive if it is after a division by ``F``. Errors are affine in the magnitudes, and these in ``F``: what an
error is divided by ``F`` is largest for the least ``F``, and computed there. A sum of ``F |x_i|`` that overflows is
looked for at the largest ``F``.

Bounds of ``F`` come from those of ``y_i`` and ``x_i``, where ``x_i`` is not 0.

The wide dtype's own roundings, of unit ``u``, are at most ``(n + 8) u`` of all magnitudes in a difference of ``n``
products, twice as much with those of the bounds; below its normal range they lose its smallest number each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from verify.certificates.cells import BATCH_NUMBERS
from verify.certificates.floats.arithmetic import RoundedArithmetic, RoundedWeight
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import EVERYTHING
from verify.certificates.floats.sums import Terms

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


@dataclass(frozen=True)
class ScaledMargins:
    """Margins of the logits ``W y + b``.

    Attributes:
        arithmetic: bounds of the kernels.
        weight: ``W``.
        bias: ``b``.

    """

    arithmetic: RoundedArithmetic
    weight: RoundedWeight
    bias: RoundedWeight

    def lower(
        self, source: Box, normed: Box, expected: Int[np.ndarray, " cells"]
    ) -> Float[np.ndarray, " cells"] | None:
        """Return lower bounds of the margins; ``None`` for kernels that round factors of products.

        Args:
            source: ``x``, one row for each cell (a batch of 1 stands for all).
            normed: ``y``.
            expected: the promised tokens.

        """
        if not self.arithmetic.rounding.relative:
            return None
        with np.errstate(all="ignore"):  # what is not finite is never certain
            return self._lower(source, normed, expected)

    def _lower(self, source: Box, normed: Box, expected: Int[np.ndarray, " cells"]) -> Float[np.ndarray, " cells"]:
        cells, width = len(expected), source.shape[2]
        x, y = (
            [np.broadcast_to(part[:, 0], (cells, width)) for part in (box.low, box.high)] for box in (source, normed)
        )
        least, most = self._factors(x, y)
        vocab = len(self.weight.values)
        lower = np.empty(cells)
        chunk = max(1, BATCH_NUMBERS // (vocab * width))
        for start in range(0, cells, chunk):
            part = slice(start, start + chunk)
            ahead = self._ahead(x[0][part], x[1][part], least[part], most[part], expected[part])
            # times the factor, which keeps the sign
            found = np.minimum(ahead * least[part], ahead * most[part])
            found = found - 4 * self._unit * np.abs(found)
            wild = ~(np.isfinite(least[part]) & np.isfinite(most[part]) & (least[part] > 0))
            below = np.where(wild, -np.inf, found)
            lower[part] = np.nextafter(below.astype(np.float64), -np.inf)
        return lower

    @property
    def _unit(self) -> float:
        return float(np.finfo(self.weight.values.dtype).eps)  # twice the unit roundoff

    def _factors(self, x: list[_Array], y: list[_Array]) -> tuple[_Array, _Array]:
        """Return bounds of the factor of each row; 0 and infinity where no coordinate tells."""
        nearest, farthest = (
            [np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high))) for low, high in (x, y)],
            [np.maximum(np.abs(low), np.abs(high)) for low, high in (x, y)],
        )
        # with c the unit of the last rounding, at most 1/8, and a what it adds: |y| is within c |x| F + a of |x| F, so
        # |x| F <= 2 (|y| + a), and within 2c (|y| + a) + a of |y|
        off = 4 * self.arithmetic.last_rounding(farthest[1])
        sure = nearest[0] > 0
        least = np.where(sure, (nearest[1] - off) / farthest[0] * (1 - 4 * self._unit), 0)
        most = np.where(sure, (farthest[1] + off) / nearest[0] * (1 + 4 * self._unit), np.inf)
        return least.max(axis=1), most.min(axis=1)

    def _ahead(
        self, low: _Array, high: _Array, least: _Array, most: _Array, expected: Int[np.ndarray, " cells"]
    ) -> _Array:
        """Return lower bounds of the smallest margin of each cell, divided by the factor."""
        weight, shift = self.weight.values, self.bias.values[:, 0]
        size = np.maximum(np.abs(low), np.abs(high))
        heavy = np.abs(weight)
        error = self._errors(size, least, least) / least[:, None]
        error = np.where(np.isfinite(self._errors(size, most, most)), error, np.inf)
        rounded = self.arithmetic.last_rounding(size * least[:, None]) / least[:, None]
        error = error + rounded @ heavy.T
        difference = weight[expected][:, None] - weight[None]
        gaps = np.minimum(difference * low[:, None], difference * high[:, None]).sum(axis=2)
        raised = shift[expected][:, None] - shift[None]
        gaps = gaps + np.minimum(raised / least[:, None], raised / most[:, None])
        sizes = size @ heavy.T + np.abs(shift) / least[:, None]
        own = np.arange(len(expected)), expected
        slack = 2 * (low.shape[1] + 8) * self._unit * (sizes + sizes[own][:, None] + error + error[own][:, None])
        tiny = np.finfo(weight.dtype).smallest_subnormal * (4 * low.shape[1] + 8)
        gaps = gaps - (error + error[own][:, None]) - slack - tiny
        gaps[own] = np.inf
        return np.asarray(gaps.min(axis=1))

    def _errors(self, size: _Array, factor: _Array, scale: _Array) -> _Array:
        """Return how far each computed logit may be from the exact sum of the floats, at one factor."""
        heavy, shift = np.abs(self.weight.values), np.abs(self.bias.values[:, 0])
        scaled = size * scale[:, None]
        held = scaled + self.arithmetic.last_rounding(scaled)
        magnitude = held @ heavy.T + shift
        count = np.full_like(magnitude, size.shape[1] + 1)
        none, nothing = np.zeros_like(magnitude), np.asarray(-EVERYTHING)
        error, _ = self.arithmetic.error(Terms(none, magnitude, magnitude, count, magnitude, nothing, none))
        return np.asarray(error + self.arithmetic.last_rounding(magnitude + error))
