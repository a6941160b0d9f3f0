"""Sums of squares of rows between bounds, about 0 or about their mean, and how they depend on each coordinate.

Everything is computed in the wide dtype. A bound is a chain of sums of ``d`` numbers and of at most 28 other operations
(:func:`own_error`); what cancels is charged relative to the magnitudes before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]

#: Steps towards the point with the least sum of squares. Any point gives a lower bound: more steps make it better.
_STEPS = 16


@dataclass(frozen=True)
class Spread:
    """A row's coordinates ``z`` about a point, and ``S = sum z^2 = R + k z_i^2`` with ``R`` of the others alone.

    Attributes:
        low: least ``z_i``, batch x rows x width.
        high: largest ``z_i``.
        rest: for each coordinate, least and largest ``R``.
        share: ``k``.
        least: of ``S``, batch x rows x 1, as all that follow.
        most: of ``S``.
        alone: least ``max z_i^2``; 0 about a mean, where it is not used.
        centre: the largest magnitude of the point.
        average: the largest mean magnitude of the row itself.
        sizes: the largest magnitude of each coordinate of the row itself, batch x rows x width.

    """

    low: _Array
    high: _Array
    rest: tuple[_Array, _Array]
    share: Any
    least: _Array
    most: _Array
    alone: _Array
    centre: _Array
    average: _Array
    sizes: _Array

    @property
    def width(self) -> int:
        """``d``."""
        return int(self.sizes.shape[-1])


def own_error(width: int, unit: Any) -> Any:
    """Return what roundings of the wide dtype change a bound by, relative to it, at twice their number."""
    return 2 * (width + 28) * unit


def about_zero(low: _Array, high: _Array, unit: Any) -> Spread:
    """Return the spread of rows about 0.

    Args:
        low: finite lower bounds, batch x rows x width.
        high: upper bounds.
        unit: of the wide dtype.

    """
    own = own_error(low.shape[-1], unit)
    sizes = np.maximum(np.abs(low), np.abs(high))
    near = np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high)))
    squares, largest = near * near, sizes * sizes
    rest = (_without_each(squares) * (1 - own), _without_each(largest) * (1 + own))
    none = np.zeros_like(sizes[..., :1])
    return Spread(
        low,
        high,
        rest,
        1,
        _sum(squares) * (1 - own),
        _sum(largest) * (1 + own),
        squares.max(axis=-1, keepdims=True) * (1 - own),
        none,
        none,
        sizes,
    )


def about_mean(low: _Array, high: _Array, unit: Any) -> Spread:
    """Return the spread of rows about their own mean, see :func:`about_zero`.

    A sum of squares about the mean is at most that about any point. It is convex, so that it is at least what its
    tangent at any row between the bounds says; the best row has every coordinate as near to one point as it may be.
    """
    width = low.shape[-1]
    own, share = own_error(width, unit), width / max(width - 1, 1)
    sizes = np.maximum(np.abs(low), np.abs(high))
    average = _sum(sizes) / width * (1 + own)
    off = own * (average + sizes)
    others_low, others_high = _sum(low) - low, _sum(high) - high
    z_low = low - (others_high + low) / width - off
    z_high = high - (others_low + high) / width + off
    middle = (low / 2 + high / 2).mean(axis=-1, keepdims=True)
    far = np.maximum(np.abs(low - middle), np.abs(high - middle)) ** 2
    total = _sum(far)
    least, rest = _tangents(low, high, middle, own, average)
    return Spread(
        z_low,
        z_high,
        (rest, (total - far) * (1 + own) + own * total),
        share,
        least,
        total * (1 + own),
        np.zeros_like(least),
        np.maximum(np.abs(_sum(low)), np.abs(_sum(high))) / width + own * average,
        average,
        sizes,
    )


def _tangents(low: _Array, high: _Array, point: _Array, own: Any, average: _Array) -> tuple[_Array, _Array]:
    """Return lower bounds of the sum of squares about the mean, and of that of all but each coordinate.

    With ``p`` the row nearest to a point, ``m`` its mean and ``Q`` its sum, ``S(x) >= Q + sum 2 (p_j - m)(x_j - p_j)``;
    leaving ``i`` out moves the mean by ``s = (m - p_i)/(d - 1)``. A coordinate beyond the reach of every ``s``, whose
    bounds are on the far side, adds nothing below 0; of the others up to ``2 |s|`` times their widths is taken off.
    """
    width = low.shape[-1]
    for _ in range(_STEPS):
        point = np.clip(point, low, high).mean(axis=-1, keepdims=True)
    row = np.clip(point, low, high)
    mean = row.mean(axis=-1, keepdims=True)
    away, wide = row - mean, high - low
    total = _sum(away * away)
    slope = np.minimum(2 * away * (low - row), 2 * away * (high - row))
    doubt = 2 * own * average  # of the mean
    slack = own * (total + _sum(np.abs(slope))) + 2 * doubt * _sum(wide) + width * doubt * doubt
    least = total + _sum(slope) - slack
    shift = np.abs(away) / max(width - 1, 1)
    reach = shift.max(axis=-1, keepdims=True) * (1 + own) + doubt
    loose = np.where((np.abs(away) > reach) & (slope == 0), 0, wide)
    own_part = (np.abs(away) + doubt) ** 2 * (width / max(width - 1, 1))
    others = total - own_part + (_sum(slope) - slope)
    rest = others - 2 * (shift + doubt) * (_sum(loose) - loose) - slack - own * (total + own_part + _sum(wide) * shift)
    return np.maximum(least, 0), np.maximum(rest, 0)


def _sum(values: _Array) -> _Array:
    return np.asarray(values.sum(axis=-1, keepdims=True))


def _without_each(values: _Array) -> _Array:
    """Return for each coordinate the sum of all others, of numbers that are not negative: nothing cancels."""
    before = np.cumsum(values, axis=-1)
    after = np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]
    found = np.zeros_like(values)
    found[..., 1:] += before[..., :-1]
    found[..., :-1] += after[..., 1:]
    return found
