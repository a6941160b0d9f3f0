r"""Powers of 2 with the scale folded in, block by block: what fused attention kernels compute instead of softmax.

A kernel holds ``c = scale log2(e)`` in float32, goes through the keys in blocks, in any order, and keeps the largest
score ``m`` so far. A key of score ``s`` adds ``p = ex2(s c - m c)`` to a sum ``l``, and ``p v`` to ``o``. Where the
largest score rises, ``l`` and ``o`` are multiplied by ``ex2((m - m') c)`` first. At the end ``o`` is divided by ``l``.
All of it is in float32, ``u = 2^-24``; a 16-bit format has ``p`` rounded to it before it meets ``v``.

What ``o/l`` is, exactly: ``round(sum_j W_j v_j)`` with weights ``W_j`` that differ from one coordinate to the next, as
every rounding of a partial sum is a factor of all its terms. They are ``W_j = (1 + r) a_j / sum_k a_k``, where ``a_j``
is the product of the computed ``ex2`` of key ``j`` and of those that its block was multiplied by, and ``r`` is of
roundings. With ``D_j <= 0`` the true exponent ``g (s_j - max s)`` in natural units, ``R`` the largest ``g |s|``, and
``n`` keys:

- *Exponents.* The scale, ``log2(e)`` and their product are rounded: ``4u |D|``. The differences are along a chain from
  ``s_j`` to the largest score in which ``m`` never falls, so that their magnitudes add up to ``|D|``. Each is rounded
  twice, as a difference and as a product: ``3u |D| (1 + 4u)`` at most. ``m c`` may be rounded by itself, and so may
  ``s c``: ``u R`` each, and in a chain of scaled maxima those in between cancel. With what is of second order that is
  ``3u R (1 + 4u)``. Altogether less than ``8u |D| + 4u R``. Below the normal range a kernel may flush what it reads and
  what it computes, ``2^-126`` each time. A link of the chain is of two scores and their difference, which the scale
  ``g`` then multiplies, and of four products and sums in base 2: less than ``4 (g + 1) 2^-126``, for ``n`` links at
  most.
- *ex2* is right within 2 units in the last place, ``4u`` of itself, ``n`` times at most: one for the key, and one for
  each time that the largest score rises. Results below the normal range may be flushed to 0, or off by units of the
  smallest number. All partial products stay below 3: where ``20 u R <= 1`` the exponents make them ``e`` at most, as
  ``|D| <= 2R``, and the factors ``(1 + 4u)^n`` are below ``3/e``; nothing is shown beyond. So that is less than
  ``4 * 2^-126`` each.
- *Roundings* ``r``: of the product ``p v``, of each multiplication of ``o`` and of ``l`` by a factor, of each addition
  to ``l``, of the last addition to ``o`` (the others are those of any sum, which the kernel's kind of rounding bounds),
  of the reciprocal and the product with it, and of float32 before the format: ``3n + 6`` at most. In 16 bits there is
  one more, by the format's own unit, and half of its smallest number, times 9 at most by what comes after it: the
  partial products, and the reciprocal of ``l >= 1/3``. That is less than 5 smallest numbers.
- *Below the normal range* a partial sum of ``o`` may be flushed: less than ``2^-126`` for each of these ``3n + 6``
  operations, times 9 as above. As ``9 (3n + 6) < 32 (n + 2)``, less than ``32 (n + 2) 2^-126`` in all. If the largest
  ``|v_j|`` of the coordinate is at least ``2^-60``, its weight changes by so much over ``2^-60`` at most. Coordinates
  that may be smaller and not 0 are widened by it instead.

Nothing is exact, and no weight lies on a grid. Scores of a 16-bit format may be kept in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import flint
import numpy as np
from jaxtyping import Shaped

from constructions.formats import FORMATS
from constructions.temperature import RationalSoftmax, Softmax
from constructions.validation import InvalidArgument
from verify.arithmetic.base import Visible
from verify.arithmetic.gaps import score_gap
from verify.certificates.floats.boxes import Box, tainted
from verify.certificates.floats.directed import EVERYTHING, grids_between, largest_of, next_down, next_up
from verify.certificates.floats.exponentials.base import Exponential

if TYPE_CHECKING:
    from verify.certificates.floats.softmax import SoftmaxBounds

#: float64, in which bounds of the formats of at most 24 bits are computed.
_Array = Shaped[np.ndarray, "..."]

#: The error of ``ex2.approx`` in units in the last place, as NVIDIA documents it (PTX ISA, ``ex2``): an assumption.
EX2_ULPS = 2
_FLOAT32 = FORMATS["float32"]
_U = float(_FLOAT32.unit_roundoff)
#: The smallest normal number: what is below it may be flushed.
_NORMAL = 2.0**_FLOAT32.min_exponent
#: The exponent of the grid of weights: finer than any, so that no rule of exact sums applies.
_NO_GRID = -(1 << 14)
#: Coordinates whose numbers are multiples of two to this power are 0 or not small; see the module. A choice: about half
#: way from 1 to the smallest normal number, so that neither do many coordinates count as small nor weights lose much.
_SMALL = -60
#: The largest ``R`` for which partial products stay below 3, and so much may ``ex2`` make them grow; a little below
#: ``3/e - 1``.
_LARGEST, _GROWTH = 1 / (20 * _U), 0.1
#: Gaps whose scale, and so ``log2(e)`` times it, is a normal number of float32. A choice, far from both ends.
_GAPS = (2.0**-100, 2.0**100)


@final
@dataclass(frozen=True)
class Ex2(Exponential):
    """``ex2`` of scores times a scale with ``log2(e)`` in it, and sums that are rescaled as the maximum rises."""

    word = "ex2"
    summary = "ex2 of a fused scale, rescaled block by block, as in flash attention"
    one_weight = False
    adds_shifts = False

    def __post_init__(self) -> None:
        if self.fmt.precision > _FLOAT32.precision:
            raise InvalidArgument(
                f"exp: expected library in {self.fmt.name}, as ex2 is of float32, but got {self.word!r}"
            )

    def sentence(self, ulps: int) -> str:
        """Return what is assumed of the kernel, which no library's ``exp`` has a part in."""
        return (
            f"attention block by block in float32, with the largest score so far taken off; ex2 right within {EX2_ULPS}"
            " units in the last place and 1 at 0, below the normal range perhaps 0"
        )

    def attention(
        self,
        bounds: SoftmaxBounds,
        scores: Box,
        visible: Visible,
        temperature: Softmax | RationalSoftmax,
        *,
        key_size: int,
    ) -> Box:
        """Return bounds of the weights ``W``, for any order and size of blocks; see the module."""
        gap = score_gap(temperature, key_size=key_size, length=visible.shape[1])
        low, high = self._kept(bounds, scores)
        low, high = (np.where(visible, part, -np.inf) for part in (low, high))
        size = np.where(visible, np.maximum(np.abs(low), np.abs(high)), 0).max(axis=-1, keepdims=True)
        largest = next_up(size * gap)
        count = visible.sum(axis=-1)[None, :, None].astype(np.float64)
        factor = _grown(count, 2 * EX2_ULPS * _U)
        wild = ~(largest <= _LARGEST) | ~(factor <= _GROWTH) | ~np.bool_(_GAPS[0] <= gap <= _GAPS[1])
        lost = 4 * count * (gap + 1) * _NORMAL
        padding = (count + 64) * 2.0**-52  # of the bounds' own operations, each a few roundings of positive numbers
        below, above = self._differences(low, high)
        first, last = (part * gap - (8 * _U * np.abs(part * gap) + 4 * _U * largest + lost) for part in (below, -above))
        flushed = (count + 1) * 4 * _NORMAL
        least = np.maximum(_exp(first, up=False) * (1 - factor) * (1 - padding) - flushed, 0)
        most = _exp(-last, up=True) * (1 + factor) * (1 + padding) + flushed
        least, most = (np.where(visible, part, 0) for part in (least, most))
        low, high = self._shares(bounds, least, most, count)
        low, high = (np.where(visible, part, 0) for part in (low, high))
        grid = np.full(visible.shape[1], _NO_GRID, dtype=np.int64)
        return tainted(bounds.box(low, high, grid, exact=False), wild)

    def _kept(self, bounds: SoftmaxBounds, scores: Box) -> tuple[_Array, _Array]:
        """Return bounds of scores as float32 holds them: within half a unit of what the format has, unless exact."""
        if bounds.kernel.accumulator is None or scores.exact:
            return scores.low, scores.high
        unit, smallest = float(self.fmt.unit_roundoff), float(bounds.kernel.smallest)
        return (
            next_down(scores.low - next_up(unit * np.abs(scores.low) + smallest)),
            next_up(scores.high + next_up(unit * np.abs(scores.high) + smallest)),
        )

    def _differences(self, low: _Array, high: _Array) -> tuple[_Array, _Array]:
        """Return bounds of the difference from the largest score of a row: at most 0, and 0 where it is the largest."""
        below = next_down(low - high.max(axis=-1, keepdims=True))
        above = np.minimum(next_up(high - low.max(axis=-1, keepdims=True)), 0)
        place = low.argmax(axis=-1)[..., None]
        others = high.copy()
        np.put_along_axis(others, place, -np.inf, axis=-1)
        sure = np.take_along_axis(low, place, axis=-1) >= others.max(axis=-1, keepdims=True)
        at = np.arange(low.shape[-1]) == place
        return np.where(at & sure, 0, below), np.where(at & sure, 0, above)

    def _shares(self, bounds: SoftmaxBounds, least: _Array, most: _Array, count: _Array) -> tuple[_Array, _Array]:
        """Return bounds of the shares of numbers ``a`` in their sums, with the roundings of sums."""
        own = (count + 64) * 2.0**-51  # the sums below are off by less than half of this share
        others_least = np.maximum(least.sum(axis=-1, keepdims=True) * (1 - own) - least, 0)
        others_most = np.maximum(most.sum(axis=-1, keepdims=True) * (1 + own) - most, 0)
        rounded = _grown(3 * count + 6, _U)
        inner, missed = 0.0, _flushed_sums(count) / 2.0**_SMALL
        if bounds.kernel.accumulator is not None:
            inner, missed = float(self.fmt.unit_roundoff), missed + 5 * float(bounds.kernel.smallest)
        low = least / (least + others_most) * (1 - rounded) * (1 - inner) * (1 - own) - missed
        high = most / (most + others_least) * (1 + rounded) * (1 + inner) * (1 + own) + missed
        return np.maximum(low, 0), high

    def mixed(self, bounds: SoftmaxBounds, found: Box, values: Box) -> Box:
        """Return the weighted sums with what is flushed, and anything where a partial sum may overflow."""
        count = values.shape[1]
        unit, smallest = float(self.fmt.unit_roundoff), float(bounds.kernel.smallest)
        tiny = (values.grid < _SMALL) & (values.grid != EVERYTHING)
        low, high = found.low, found.high
        if tiny.any():
            lost = _flushed_sums(count)
            down, up = (next_up(2 * unit * np.abs(part) + smallest + lost) for part in (low, high))
            low = np.where(tiny, bounds.rounded(next_down(low - down), up=False), low)
            high = np.where(tiny, bounds.rounded(next_up(high + up), up=True), high)
        grid = grids_between(low, high, self.fmt).min(axis=(0, 1), initial=EVERYTHING)
        over = values.magnitude.max(axis=-2, keepdims=True) * (4.0 * (count + 1)) > largest_of(_FLOAT32)
        return tainted(bounds.box(low, high, grid, exact=False), over)


def _exp(exponents: _Array, *, up: bool) -> _Array:
    """Return bounds of the true ``exp``, by balls; 0 of minus infinity, and infinity of what is no number."""
    distinct, place = np.unique(exponents, return_inverse=True)
    found = []
    for exponent in distinct.tolist():
        if not np.isfinite(exponent):
            found.append(0.0 if exponent < 0 else np.inf)
            continue
        true = flint.arb(exponent).exp()
        found.append(np.nextafter(float(true.upper()), np.inf) if up else np.nextafter(float(true.lower()), -np.inf))
    return np.asarray(np.array(found)[place.reshape(exponents.shape)])


def _flushed_sums(count: Any) -> Any:
    """Return what flushing changes a coordinate by at most, for so many keys; see the module."""
    return 32 * (count + 2) * _NORMAL


def _grown(count: Any, unit: float) -> Any:
    """Return a bound of ``(1 + u)^n - 1``, which ``1 - (1 - u)^n`` is below: ``nu / (1 - nu)``.

    The two factors are for its own roundings, fewer than 8 of ``2^-53``.
    """
    share = count * unit * (1 + 2.0**-50)
    return np.where(share < 1, share / np.where(share < 1, 1 - share, 1) * (1 + 2.0**-50), np.inf)
