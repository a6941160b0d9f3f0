r"""Sums of floats that move along one line, see :mod:`verify.certificates.relational.lines`.

A hidden float is ``h_k = f(y_k)``, with ``y_k`` computed from the floats ``x``: ``y_k = a_k s + b_k + e_k``, where
``b_k`` is what the known coordinates and the bias give, and ``e_k`` whatever the kernel's rounding adds, by the rule of
a sum. ``f`` is not rounded, and its slopes are at most 1 in magnitude: ``|h_k - f(a_k s + b_k)| <= |e_k|``.

The bounds of ``F(s) = sum_k w_k f(a_k s + b_k)`` are computed in the wide dtype, of unit ``u`` and smallest number
``t``. Let ``X`` be the largest ``|s|``, ``Y_k = |a_k| X + |b_k| + c`` with ``c`` the largest kink, ``n`` the number of
units and ``M = sum_k |w_k| Y_k``.

- ``a_k`` is a quotient of two weights, off by ``u``: at most ``u Y_k`` in ``y_k``.
- A kink is computed as ``(kink - b_k) / a_k``: two roundings and that of ``a_k``. Clamped to the interval of ``s`` it
  is within ``4u X + t`` of the true one, clamped: in ``F`` at most ``4uM + t sum |w_k a_k|``.
- ``y_k`` at a point has two roundings, at most ``2u Y_k + t``, and ``f`` two more for each of its pieces, of which
  there are three at most: ``8u Y_k``.
- The products with ``w_k`` and their sum have ``n`` roundings of at most ``M`` each, and ``t`` for each product.

So ``F`` is within ``(n + 15) u M + t (n + sum |w_k| + sum |w_k a_k|)``; twice as much is allowed, which covers the
roundings of these bounds themselves. The interval of ``s`` is widened by ``(m + 2) u`` of its magnitudes, of which
there are ``m``, and ``m t``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Shaped

from constructions.activations import Pieces
from verify.certificates.cells import BATCH_NUMBERS
from verify.certificates.floats.arithmetic import RoundedArithmetic, RoundedWeight
from verify.certificates.floats.boxes import Box
from verify.certificates.relational.lines import Line, lines

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


@dataclass(frozen=True)
class FloatLines:
    """The sums of one matrix that read floats along lines.

    Attributes:
        arithmetic: bounds of the kernels.
        source: the box of ``x``.
        first: ``W_1``.
        shift: ``b_1``.
        pieces: of ``f``.
        hidden: the box of ``h``.
        second: ``W``.
        bias: ``b``.

    """

    arithmetic: RoundedArithmetic
    source: Box
    first: RoundedWeight
    shift: RoundedWeight | None
    pieces: Pieces
    hidden: Box
    second: RoundedWeight
    bias: RoundedWeight | None

    def sums(self) -> tuple[np.ndarray[Any, Any], Box] | None:
        """Return the outputs that lines tell more of, and their box; ``None`` where there are none."""
        largest = self.arithmetic.rounding.largest_factor
        finite = [np.isfinite(part) & (np.abs(part) <= largest) for part in self._factors()]
        if not all(part.all() for part in finite):
            return None  # what is not finite may become anything
        varying = (self.source.low != self.source.high).any(axis=(0, 1))
        moving = (self.hidden.low != self.hidden.high).any(axis=(0, 1))
        found = lines(
            [[(int(at), Fraction(float(row[at]))) for at in np.flatnonzero(row)] for row in self.first.values],
            varying,
            moving,
            np.sign(self.second.values).astype(np.int64),
            monotone=min(self.pieces.slopes) >= 0,
        )
        if not found:
            return None
        outputs = np.unique(np.concatenate([line.outputs for line in found]))
        return outputs, self._box(found, outputs)

    def _factors(self) -> tuple[_Array, ...]:
        boxes = (self.source.low, self.source.high, self.hidden.low, self.hidden.high)
        return (*boxes, self.first.values, self.second.values)

    def _box(self, found: list[Line], outputs: np.ndarray[Any, Any]) -> Box:
        """Return bounds of some outputs: those of the exact sums of the floats, and the kernel's errors in them."""
        every = np.arange(self.second.values.shape[1])
        second = self.second.part(outputs, every)
        bias = None if self.bias is None else self.bias.part(outputs, np.zeros(1, dtype=np.int64))
        terms, _ = self.arithmetic.linear_terms(self.hidden, second, bias)
        shape = (*np.broadcast_shapes(self.source.low.shape[:2], self.hidden.low.shape[:2]), len(outputs))
        flat = (shape[0] * shape[1], -1)
        source, hidden = (self._flat(box, shape) for box in (self.source, self.hidden))
        low, high = (
            np.empty((flat[0], len(outputs)), source[0].dtype),
            np.empty((flat[0], len(outputs)), source[0].dtype),
        )
        away = np.broadcast_to(self._away(), (*shape[:2], len(self.first.values))).reshape(flat)
        points = 2 + max(len(line.units) for line in found) * len(self.pieces.kinks)
        chunk = max(1, BATCH_NUMBERS // (points * max(len(line.units) for line in found)))
        for start in range(0, flat[0], chunk):
            part = slice(start, start + chunk)
            x, h = ((ends[0][part], ends[1][part]) for ends in (source, hidden))
            low[part], high[part] = self._exact(found, second.values, outputs, x=x, h=h, away=away[part])
        if bias is not None:
            low, high = low + bias.values[:, 0], high + bias.values[:, 0]
        most = terms.magnitude.max(axis=(0, 1))
        slack = 2 * ((len(every) + 4) * self._unit * most + len(every) * self._smallest)
        low, high = (low - slack).reshape(shape), (high + slack).reshape(shape)
        low, high = np.fmax(low, terms.low), np.fmin(high, terms.high)
        below, above, _ = self.arithmetic.summed(replace(terms, low=low, high=high))
        # a float is not below the float nearest to a lower bound of it
        below, above = self.arithmetic.rounded(below, up=False), self.arithmetic.rounded(above, up=True)
        grid = terms.grid if terms.grid.ndim == 1 else terms.grid.min(axis=(0, 1))
        return Box(below, above, grid, exact=False)

    @property
    def _unit(self) -> Any:
        return np.finfo(self.source.low.dtype).eps  # twice the unit roundoff

    @property
    def _smallest(self) -> Any:
        return np.finfo(self.source.low.dtype).smallest_subnormal

    @staticmethod
    def _flat(box: Box, shape: tuple[int, ...]) -> tuple[_Array, _Array]:
        width = box.shape[2]
        low, high = (np.broadcast_to(part, (*shape[:2], width)).reshape(-1, width) for part in (box.low, box.high))
        return low, high

    def _away(self) -> _Array:
        """Return how far a computed ``W_1 x + b_1`` may be from ``a s + b`` with a ``b`` of the wide dtype."""
        terms, _ = self.arithmetic.linear_terms(self.source, self.first, self.shift)
        error, whole = self.arithmetic.error(terms)
        most = np.maximum(np.abs(terms.low), np.abs(terms.high)) + error
        rounding = np.where(whole, 0, error + self.arithmetic.last_rounding(most))
        count = self.source.shape[2]
        return np.asarray(rounding + 2 * ((count + 3) * self._unit * terms.magnitude + count * self._smallest))

    def _exact(
        self,
        found: list[Line],
        weight: _Array,
        outputs: np.ndarray[Any, Any],
        *,
        x: tuple[_Array, _Array],
        h: tuple[_Array, _Array],
        away: _Array,
    ) -> tuple[_Array, _Array]:
        """Return bounds of ``W h`` for some rows, line by line."""
        positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
        alone = np.ones(weight.shape, dtype=np.bool_)
        low, high = (np.zeros((len(x[0]), len(outputs)), dtype=weight.dtype) for _ in range(2))
        for line in found:
            at = np.searchsorted(outputs, line.outputs)
            alone[np.ix_(at, line.units)] = False
            w = weight[np.ix_(at, line.units)]
            up, down = np.maximum(w, 0), np.minimum(w, 0)
            ends = [part[:, line.units] for part in h]
            box_low, box_high = ends[0] @ up.T + ends[1] @ down.T, ends[1] @ up.T + ends[0] @ down.T
            line_low, line_high = self._along(line, w, x=x, away=away[:, line.units])
            low[:, at] += np.fmax(box_low, line_low)
            high[:, at] += np.fmin(box_high, line_high)
        positive, negative = np.where(alone, positive, 0), np.where(alone, negative, 0)
        return low + h[0] @ positive.T + h[1] @ negative.T, high + h[1] @ positive.T + h[0] @ negative.T

    def _along(self, line: Line, w: _Array, *, x: tuple[_Array, _Array], away: _Array) -> tuple[_Array, _Array]:
        """Return bounds of ``sum_k w_k h_k`` of the units of one line."""
        rows, single = self.first.values[line.units], len(line.columns) == 1
        direction = np.ones(1, dtype=rows.dtype) if single else rows[0, line.columns]
        slope = rows[:, line.columns[0]] / direction[0]
        v_up, v_down = np.maximum(direction, 0), np.minimum(direction, 0)
        ends = [part[:, line.columns] for part in x]
        size = np.maximum(np.abs(ends[0]), np.abs(ends[1])) @ np.abs(direction)
        widened = (len(line.columns) + 2) * self._unit * size + len(line.columns) * self._smallest
        least, most = ends[0] @ v_up + ends[1] @ v_down - widened, ends[1] @ v_up + ends[0] @ v_down + widened
        known = rows.copy()
        known[:, line.columns] = 0
        shift = x[0] @ known.T  # the other coordinates that these rows read are known
        if self.shift is not None:
            shift = shift + self.shift.values[line.units, 0]
        points = [least[:, None], most[:, None]]
        for kink in self.pieces.kinks:
            places = (shift.dtype.type(float(kink)) - shift) / slope
            inside = ((least[:, None] < places) & (places < most[:, None])).any(axis=0)
            points.append(np.clip(places[:, inside], least[:, None], most[:, None]))
        at = np.concatenate(points, axis=1)
        values = self._value(at[:, :, None] * slope + shift[:, None])
        totals = values @ w.T
        largest = np.maximum(np.abs(least), np.abs(most))
        farthest = max((float(kink) for kink in self.pieces.kinks), default=0.0)
        heavy = np.abs(w)
        sizes = (largest[:, None] * np.abs(slope) + np.abs(shift) + farthest) @ heavy.T
        tiny = self._smallest * (w.shape[1] + (heavy * (1 + np.abs(slope))).sum(axis=1))
        slack = 2 * ((w.shape[1] + 15) * self._unit * sizes + tiny)
        slack += (away @ heavy.T) * (1 + (w.shape[1] + 4) * self._unit)
        return totals.min(axis=1) - slack, totals.max(axis=1) + slack

    def _value(self, y: _Array) -> _Array:
        """Return the activation, piece by piece: each is what it adds between two kinks."""
        kinks, slopes = self.pieces
        if not kinks:
            return y * slopes[0]
        found = slopes[0] * np.minimum(y, 0)
        for kink, following, slope in zip(kinks, (*kinks[1:], None), slopes[1:], strict=True):
            if slope:
                top = None if following is None else y.dtype.type(float(following - kink))
                found = found + slope * np.clip(y - y.dtype.type(float(kink)), 0, top)
        return np.asarray(found)
