"""Bounds of products of two rows, and of ``w x + b`` coordinate by coordinate.

No sum of products is in either, so that tensor cores, which TF32 is about, have no part in them: each operation is
rounded to nearest, in the format or in an accumulator and then in the format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from verify.certificates.floats.assumed import Assuming
from verify.certificates.floats.boxes import Box, fits, tainted
from verify.certificates.floats.directed import (
    EVERYTHING,
    grids_between,
    next_down,
    next_up,
    round_array,
    two_sum,
    wide_precision,
)

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedWeight

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]
#: Lower and upper bounds.
_Bounds = tuple[_Array, _Array]


class ProductBounds(Assuming):
    """Products, and affine maps of single coordinates, on boxes."""

    def multiply(self, left: Box, right: Box) -> Box:
        """Return bounds of the rounded products, coordinate by coordinate."""
        low, high = self._products((left.low, left.high), (right.low, right.high))
        grid = _grid_of_products(left.grid, right.grid)
        whole = self._whole(np.maximum(np.abs(low), np.abs(high)), grid)
        found = self._rounded_box(low, high, grid, whole, exact=left.exact and right.exact)
        # 0 times what is not finite is NaN
        return tainted(found, ~_finite(left) | ~_finite(right))

    def affine(self, rows: Box, weight: RoundedWeight | None, bias: RoundedWeight | None) -> Box:
        """Return bounds of ``w x + b``, the product rounded before the bias is added or not.

        A 16-bit kernel that computes a norm and this at once keeps the norm's result in float32. So a coordinate may be
        anything that rounds to a number of its box: that is at most ``u`` of it further out, half of the smallest
        number where it is below the normal range.
        """
        low, high = rows.low, rows.high
        if self.kernel.accumulator is not None and not rows.exact:
            known = (low == 0) & (high == 0) & (rows.grid == EVERYTHING)  # 0 itself, not what underflows
            low = np.where(known, 0, next_down(low - self._half_a_step(low)))
            high = np.where(known, 0, next_up(high + self._half_a_step(high)))
        grid, exact, whole = rows.grid, rows.exact, np.ones((), dtype=np.bool_)
        kept: list[_Bounds] = [(low, high)]
        if weight is not None:
            factor = weight.values[:, 0]
            low, high = self._products((low, high), (factor, factor))
            grid, exact = _grid_of_products(grid, weight.grid[:, 0]), exact and weight.exact
            whole = self._whole(np.maximum(np.abs(low), np.abs(high)), grid)
            kept = [(low, high)] if bias is None else self._kept(low, high)
        if bias is not None:
            shift = bias.values[:, 0]
            kept = [(sum_below(part, shift), sum_above(most, shift)) for part, most in kept]
            grid, exact = np.minimum(grid, bias.grid[:, 0]), exact and bias.exact
            size = np.maximum(np.abs(low), np.abs(high)) + np.abs(shift)
            whole = whole & self._whole(size, grid)
            low, high = low + shift, high + shift  # of a whole sum, which the wide dtype holds
        outer = (np.minimum.reduce([part for part, _ in kept]), np.maximum.reduce([most for _, most in kept]))
        if rows.exact or self.kernel.accumulator is None:
            found = self._rounded_box(low, high, grid, whole, exact=exact, outer=outer)
        else:
            found = self._rounded_box(
                *outer, np.full(grid.shape, -EVERYTHING), np.zeros((), dtype=np.bool_), exact=False
            )
        return tainted(found, ~_finite(rows))

    def _half_a_step(self, values: _Array) -> _Array:
        """Return how far a number that rounds to a float of the format is from it at most."""
        unit = self._dtype.type(float(self.fmt.unit_roundoff))
        return np.asarray(unit * np.abs(values) + self._dtype.type(float(self.kernel.smallest)))

    def _products(self, left: _Bounds, right: _Bounds) -> _Bounds:
        """Return bounds of the products of two intervals; NaN where one may be infinite."""
        held = 2 * self.fmt.precision <= wide_precision(self.fmt)  # and its range: the wide dtype holds every product
        lows, highs = [], []
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            for first in left:
                for second in right:
                    corner = first * second
                    known = np.asarray(held | (first == 0) | (second == 0))
                    lows.append(np.where(known, corner, next_down(corner)))
                    highs.append(np.where(known, corner, next_up(corner)))
        return np.minimum.reduce(lows), np.maximum.reduce(highs)

    def _kept(self, low: _Array, high: _Array) -> list[_Bounds]:
        """Return bounds of numbers that were not rounded, and of the same rounded to what a kernel may hold."""
        kept = [(low, high), (round_array(low, self.fmt), round_array(high, self.fmt))]
        if self.kernel.accumulator is not None:
            inner = self.kernel.accumulator
            kept += [(round_array(low, inner), round_array(high, inner))]
            kept += [(self.rounded(low, up=False), self.rounded(high, up=True))]
        return kept

    def _whole(self, size: _Array, grid: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where numbers up to a size on a grid are numbers of the format."""
        held = grid >= self.fmt.min_exponent - self.fmt.precision + 1
        return np.asarray(held & fits(size, grid, self.fmt.precision) & (size <= float(self.fmt.largest)))

    def _rounded_box(
        self,
        low: _Array,
        high: _Array,
        grid: np.ndarray[Any, Any],
        whole: np.ndarray[Any, Any],
        *,
        exact: bool,
        outer: _Bounds | None = None,
    ) -> Box:
        """Return the box of what is rounded from ``outer``, or is exactly between ``low`` and ``high`` where whole."""
        below, above = (low, high) if outer is None else outer
        below = np.where(whole, low, self.rounded(below, up=False))
        above = np.where(whole, high, self.rounded(above, up=True))
        grid = np.maximum(grid, grids_between(below, above, self.fmt).min(axis=(0, 1), initial=EVERYTHING))
        return self.box(below, above, grid, exact=exact and bool(np.all(whole)))


def _grid_of_products(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the grid of products of numbers on grids; 0 stays a multiple of everything."""
    return np.where((left == EVERYTHING) | (right == EVERYTHING), EVERYTHING, left + right)


def _finite(box: Box) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(np.isfinite(box.low) & np.isfinite(box.high))


def sum_below(values: _Array, shift: _Array) -> _Array:
    """Return a lower bound of a sum that is not rounded yet; the sum itself where the wide dtype holds it."""
    total, error = two_sum(values, shift)
    return np.asarray(np.where(error < 0, next_down(total), total))


def sum_above(values: _Array, shift: _Array) -> _Array:
    """Return an upper bound of a sum that is not rounded yet."""
    total, error = two_sum(values, shift)
    return np.asarray(np.where(error > 0, next_up(total), total))
