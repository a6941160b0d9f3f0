r"""Bounds of a row over the square root of its mean square, with the mean taken off first or not.

Let ``x`` be a row of ``d`` floats of the format. Without its mean off, ``z = x`` and ``S = sum z^2``; with it,
``z_i = x_i - m`` for the true mean ``m``. A kernel returns ``round(c_i F)``, where ``c_i`` is near ``z_i`` and ``F``
near ``1/sqrt(S/d + eps)``. How near, for every kernel that is assumed:

*Roundings.* A square meets at most ``N = d + 14`` of them on its way to the root's argument: two of ``c_i`` (squared),
one of the square, ``d - 1`` of sums in any order, three of the mean (the divisor, its reciprocal, the product), one of
the sum with ``eps``; a term that is merged (below) at most ten instead of the first three; one more as ``1/(1 - u)`` is
less than ``(1 + u)^2``. All terms are positive, so the argument is between ``1 - Nu`` and ``e^(Nu)`` times itself.
``eps`` is held in the format, in float32 or in float64: with the sum, two roundings. Below the normal range each of at
most eight operations loses up to the smallest number: a square, three of a mean, ``eps``, three conversions to a format
of 16 bits.

*The root.* ``rsqrt`` is assumed to be right within :data:`RSQRT_ULPS` units in the last place, ``2u`` each; the
reciprocal of a root, or a division by one, has two roundings of ``u``. All are within ``2 RSQRT_ULPS u``.

*The mean.* Its sum, in any order, has ``d - 1`` roundings and three of the division: off by at most
``(e^(Nu) - 1) mean|x|``.

*Merged means.* ``layer_norm`` of torch computes mean and sum of squares at once, by Welford's update and Chan's merge:
``m = m1 + c (m2 - m1)``, ``S = S1 + S2 + (m2 - m1)^2 w`` with ``c = b/(a + b)``, ``w = ab/(a + b)``, parts of ``a`` and
``b`` numbers; it does so in float32 for 16 bits. Let ``u`` be the unit of the format it computes in, ``X = max |x|``,
``t_k = |difference of true means| sqrt(w)`` of merge ``k``: ``sum t_k^2 = S``. A merge carries errors of means on, in
proportion ``1 - c`` and ``c``, and adds ``u |m| + 3.01 u c |m2 - m1|``; ``c <= sqrt(w)`` (as ``b <= a (a + b)``), so on
a path of at most ``d`` merges the error ``e`` obeys ``e <= d u (X + e) + 3.01 u (sqrt(d S) + 2 d e)``, whence
``e <= (d u X + 3.01 u sqrt(d S)) / (1 - 8 d u)``. The same of a part of ``a`` numbers: with ``l = u (X + 7.1 e)`` its
mean is off by at most ``(a - 1) l + 3.01 u sqrt(a S_a)``, with ``S_a`` its own sum. So the difference in a merge is off
by at most ``(a + b) l + 3.01 u sqrt((a + b) S)``. This holds of Welford's ``delta (x - m)`` as well, whose two means
differ by a rounding: that changes the smaller factor by at most ``2 l``, as ``w >= 1/2``, and the factors keep one
sign, as the new mean lies between the old one and ``x``. By the triangle inequality of the norm with weights ``w``, the
root of the computed sum, but for its roundings, is within ``H = l sqrt(d^3/3) + 3.01 u d sqrt(S/2)`` of ``sqrt(S)``: in
any tree of merges the sum of ``w (a + b)^2 = ab (a + b)`` is ``(d^3 - d)/3``, and that of ``w (a + b) = ab`` is
``d (d - 1)/2``, as ``3 ab (a + b) = (a + b)^3 - a^3 - b^3`` and ``2 ab = (a + b)^2 - a^2 - b^2``.

*The quotient.* ``(x - M) F`` rounds the difference, ``x F - M F`` two products: both are within ``u (|x| + |M|) F``.

*Between bounds* ``z_i`` is a part of ``S``: ``S = R + k z_i^2``, where ``R`` depends on the others alone; ``k = 1``, or
``d/(d - 1)`` with the mean off, where ``z_i`` is ``(d-1)/d`` times the distance from the mean of the others. So
``z_i / sqrt(S/d + eps)`` rises with ``z_i`` and is largest, in magnitude, for the least ``R``: bounds are taken at the
ends of ``z_i``, not of numerator and denominator by themselves, and never exceed ``sqrt(d)`` by more than roundings.

A row that may not be finite, whose sums may overflow, or whose root may be 0, becomes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Shaped

from constructions.formats import FORMATS
from verify.certificates.floats.assumed import Assuming
from verify.certificates.floats.boxes import Box, tainted, unbounded
from verify.certificates.floats.directed import EVERYTHING, grids_between, next_up
from verify.certificates.floats.kernel import Kernel
from verify.certificates.floats.spreads import Spread, about_mean, about_zero, own_error

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]

#: How far ``rsqrt`` is assumed to be off, in units in the last place: CUDA documents 2 for float32; a reciprocal of a
#: correctly rounded root, as torch computes it on a CPU, is off by at most 1.5, which
#: :func:`~verify.certificates.floats.exp_error.root_errors` measures.
RSQRT_ULPS = 2

#: The ``K`` that are tried, see :func:`_largest`: every one above 1 gives a bound, and the best is taken.
_FACTORS = (2.0, 4.0, 16.0, 64.0, 256.0)

_ROOT = f"rsqrt right within {RSQRT_ULPS} units in the last place, or IEEE square root and division"
_PLAIN = f"norms: sums of squares in any order, eps as it is or rounded, {_ROOT}"
_CENTRED = (
    "norms: mean and squares in two passes, sums in any order, or by merging (Welford, Chan; float32 for 16 bits) with"
    f" means as m1 + c (m2 - m1), not as a m1 + b m2, and not E[x^2] - E[x]^2; eps as it is or rounded, {_ROOT}"
)


@dataclass(frozen=True)
class NormErrors:
    """How far what a kernel computes of a row may be off; arrays are batch x rows x 1, but ``off``, which is as wide.

    Attributes:
        shrunk: the least factor from a sum of squares to the root's argument.
        grown: the largest.
        single: the least factor of a single square.
        base: the least number beside the sum of squares under the root; underflow may make it negative.
        top: the largest.
        of_root: relative, of the root's reciprocal.
        mean: of the mean in two passes.
        merged: of a merged mean.
        distance: of the root of a merged sum of squares.
        off: of ``c_i``.

    """

    shrunk: Any
    grown: Any
    single: Any
    base: Any
    top: Any
    of_root: Any
    mean: _Array
    merged: _Array
    distance: _Array
    off: _Array


class NormBounds(Assuming):
    """Norms on boxes."""

    def normalise(self, rows: Box, *, centred: bool, mean: bool, eps: Fraction) -> Box:
        """Return bounds of every row over the square root of its mean square; see the module."""
        self.assume(_CENTRED if centred else _PLAIN)
        wild = unbounded(rows, along=-1)
        low, high = (np.where(wild, 0, part) for part in (rows.low, rows.high))
        with np.errstate(all="ignore"):
            spread = (about_mean if centred else about_zero)(low, high, self._wide_unit)
            errors = self._errors(spread, eps, centred=centred, mean=mean)
            root = spread.least * _kept(spread, errors) ** 2 * errors.shrunk + errors.base
            wild = wild | ~(root > 0) | self._overflows(spread, errors, centred=centred)
            off = errors.off * (1 + errors.of_root) / np.sqrt(root) + 2 * self._smallest * centred
            own = own_error(spread.width, self._wide_unit)
            above = _outward(_quotient(spread, errors, spread.high), own) + off * (1 + own)
            below = _outward(_quotient(spread, errors, -spread.low), own) + off * (1 + own)
            nothing = (low == 0) & (high == 0) & (not centred)
            above, below = (np.where(nothing, 0, next_up(part)) for part in (above, below))
            least, most = self.rounded(-below, up=False), self.rounded(above, up=True)
        floor = self.fmt.min_exponent - self.fmt.precision + 1
        # what underflows is not the number 0 in a kernel that goes on without rounding it, see ``affine``
        grids = np.where((least == 0) & (most == 0), floor, grids_between(least, most, self.fmt))
        grid = np.where(nothing, EVERYTHING, grids).min(axis=(0, 1), initial=EVERYTHING)
        return tainted(self.box(least, most, grid, exact=False), wild)

    def errors_of_rows(
        self, spread: Spread, *, centred: bool, mean: bool, eps: Fraction
    ) -> tuple[NormErrors, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Return how far what a kernel computes of whole rows may be off, and where one of its sums may overflow.

        Args:
            spread: of the rows, whose sums of squares may be bounded by more than their coordinates.
            centred: whether the mean is taken off.
            mean: whether squares are averaged.
            eps: added under the root.

        """
        self.assume(_CENTRED if centred else _PLAIN)
        with np.errstate(all="ignore"):
            errors = self._errors(spread, eps, centred=centred, mean=mean)
            return errors, self._overflows(spread, errors, centred=centred)

    @property
    def _smallest(self) -> Any:
        return self._dtype.type(float(self.kernel.smallest))

    def _errors(self, spread: Spread, eps: Fraction, *, centred: bool, mean: bool) -> NormErrors:
        number, width, inner = self._dtype.type, spread.width, self.kernel.accumulator or self.fmt
        u, tiny = number(float(self.fmt.unit_roundoff)), self._smallest
        fine, finest = number(float(inner.unit_roundoff)), number(float(Kernel(inner).smallest))
        divisor, times = (width, 1) if mean else (1, width)
        count = width + 14
        own = own_error(width, self._wide_unit)
        added = number(float(min(eps, FORMATS["float64"].largest)))  # too large for any sum
        lost = times * (8 * tiny + (width + 4) * finest)
        none = np.zeros_like(spread.average)
        in_passes = merged = distance = none
        off = np.zeros_like(spread.sizes)
        if centred:
            largest = spread.sizes.max(axis=-1, keepdims=True)
            in_passes = np.expm1(count * u) * spread.average * (1 + own) + 4 * tiny
            share = 8 * width * fine
            path = width * (fine * largest + finest) + number(3.01) * fine * np.sqrt(width * spread.most)
            merged = path / (1 - share) * (1 + own) if share < 1 else none + np.inf
            local = fine * (largest + number(7.1) * merged) + finest
            apart = local * np.sqrt(number(width) ** 3 / 3) + number(3.01) * fine * width * np.sqrt(spread.most / 2)
            distance = (apart + np.sqrt(number(width)) * tiny) * (1 + own)
            furthest = np.maximum(in_passes, merged)
            off = furthest + u * (spread.sizes + spread.centre + furthest) + 2 * tiny
        return NormErrors(
            np.maximum(1 - count * u, 0) / divisor * (1 - own),
            np.exp(count * u) / divisor * (1 + own),
            np.maximum(1 - 8 * u, 0) / divisor * (1 - own),
            added * (1 - 2 * u - own) - lost,
            (added * (1 + 2 * u) + lost) * (1 + own),
            2 * RSQRT_ULPS * u,
            in_passes,
            merged,
            distance,
            off,
        )

    def _overflows(self, spread: Spread, errors: NormErrors, *, centred: bool) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where a partial sum may be beyond the largest number; a merge holds ``d`` times a squared distance."""
        width, largest = spread.width, self._dtype.type(float(self.fmt.largest))
        growth = np.exp((width + 14) * self._dtype.type(float(self.fmt.unit_roundoff)))
        most = spread.most * growth
        if centred:
            size = spread.sizes.max(axis=-1, keepdims=True) + errors.off.max(axis=-1, keepdims=True)
            most = np.maximum(4 * width * size * size, width * size) * growth
        return np.asarray(~((most <= largest) & (errors.top + most <= largest)) | (width > largest))


def _kept(spread: Spread, errors: NormErrors) -> _Array:
    """Return what part of the root of the sum of squares is left at least by merging."""
    lost = np.where(errors.distance > 0, errors.distance / np.sqrt(spread.least), 0)
    return np.asarray(np.maximum(1 - lost, 0))


def _outward(values: _Array, own: Any) -> _Array:
    """Return upper bounds of numbers that are off by a part of themselves."""
    return np.asarray(values + own * np.abs(values))


def _quotient(spread: Spread, errors: NormErrors, z: _Array) -> _Array:
    """Return upper bounds of ``z_i F`` over a row's bounds, for ``z_i <= z``; of ``-z_i F`` for ``-z_i <= z``."""
    size = np.abs(z)
    positive = _largest(spread, errors, size) * (1 + errors.of_root)
    return np.asarray(np.where(z >= 0, positive, -_least(spread, errors, size) * (1 - errors.of_root)))


def _largest(spread: Spread, errors: NormErrors, z: _Array) -> _Array:
    """Return upper bounds of ``z_i / sqrt(root's argument)`` for ``0 <= z_i <= z``.

    Each is right by itself. With a merged sum of squares off by ``H``: for any ``K > 1``, either ``sqrt(S) <= K H``, so
    that ``z_i`` is as small, or all but ``1/K`` of ``sqrt(S)`` is left.
    """
    sums = spread.rest[0] + spread.share * z * z
    base, kept = errors.base, _kept(spread, errors)
    left = spread.least * kept * kept * errors.shrunk + base
    found = np.where(left > 0, z / np.sqrt(left), np.inf)
    if not base >= 0:
        return np.asarray(found)
    # what is left rises with z_i, as ``base`` is not negative
    for argument in (np.maximum(spread.least, sums) * kept * kept * errors.shrunk, _single(spread, errors, z)):
        found = np.fmin(found, z / np.sqrt(argument + base))
    if (errors.distance > 0).any() and base > 0:
        for factor in _FACTORS:
            near = np.minimum(z, factor * errors.distance) / np.sqrt(base)
            far = z / np.sqrt(sums * (1 - 1 / factor) ** 2 * errors.shrunk + base)
            found = np.fmin(found, np.maximum(near, far))
    return np.asarray(np.where(z == 0, 0, found))


def _single(spread: Spread, errors: NormErrors, z: _Array) -> _Array:
    """Return the least that a sum is by its largest term: adding what is not negative makes no sum smaller."""
    if spread.share != 1:
        return np.zeros_like(z)
    return np.asarray(np.maximum(spread.alone, z * z) * errors.single)


def _least(spread: Spread, errors: NormErrors, z: _Array) -> _Array:
    """Return lower bounds of ``z_i / sqrt(root's argument)`` for ``z_i >= z >= 0``."""
    found = []
    for sums in (spread.most, spread.rest[1] + spread.share * z * z):
        merged = (np.sqrt(sums) + errors.distance) ** 2
        argument = np.maximum(merged, sums + spread.width * errors.mean**2) * errors.grown + errors.top
        found.append(z / np.sqrt(argument))
    return np.asarray(np.fmax(*found))
