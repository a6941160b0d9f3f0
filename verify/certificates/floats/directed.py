"""Whole arrays rounded to a format, and bounds that survive the checker's own roundings.

The checker computes in a wider format: float64 for the formats of at most 24 bits, numpy's ``longdouble`` for float64
itself (64 bits on x86; where it is no wider than float64 the bounds get wider and stay sound).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from constructions.formats import FORMATS, Format

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


@lru_cache
def wide_dtype(fmt: Format) -> np.dtype[Any]:
    """Return the dtype in which bounds for a format are computed."""
    return np.dtype(np.longdouble if fmt.precision >= FORMATS["float64"].precision else np.float64)


@lru_cache
def wide_precision(fmt: Format) -> int:
    """Return the bits of the significand of :func:`wide_dtype`."""
    return int(np.finfo(wide_dtype(fmt)).nmant) + 1


@lru_cache
def largest_of(fmt: Format) -> float:
    """Return the largest finite number of a format."""
    return float(fmt.largest)


def round_array(values: _Array, fmt: Format) -> _Array:
    """Return every number rounded to nearest in ``fmt``, ties to even; infinite beyond the largest finite number.

    ``x = m 2^e`` with ``1 <= m < 2`` has neighbours ``2^(e-p+1)`` apart (``2^(min_exponent-p+1)`` below the normal
    range); scaling by a power of two is exact, and ``rint`` rounds half to even.

    Args:
        values: numbers of the wide dtype, or float64.
        fmt: the format.

    """
    if fmt.name == "float32" and values.dtype == np.float64:
        with np.errstate(over="ignore"):
            return np.asarray(values.astype(np.float32), dtype=np.float64)
    if fmt.name == "float64":
        return np.asarray(values.astype(np.float64), dtype=values.dtype)
    exponent: Any
    _, exponent = np.frexp(values)
    spacing = np.maximum(exponent - 1, fmt.min_exponent) - fmt.precision + 1
    with np.errstate(invalid="ignore"):  # infinities stay what they are
        rounded = np.ldexp(np.rint(np.ldexp(values, -spacing)), spacing)
    return np.asarray(np.where(np.abs(rounded) > largest_of(fmt), np.copysign(np.inf, values), rounded))


def next_up(values: _Array) -> _Array:
    """Return the next larger number of the array's own dtype."""
    return np.asarray(np.nextafter(values, values.dtype.type(np.inf)))


def next_down(values: _Array) -> _Array:
    """Return the next smaller number of the array's own dtype."""
    return np.asarray(np.nextafter(values, values.dtype.type(-np.inf)))


def lowered(values: _Array, error: _Array) -> _Array:
    """Return a lower bound of ``values - error``; the values themselves where the error is 0."""
    return np.asarray(np.where(error == 0, values, next_down(values - error)))


def raised(values: _Array, error: _Array) -> _Array:
    """Return an upper bound of ``values + error``; the values themselves where the error is 0."""
    return np.asarray(np.where(error == 0, values, next_up(values + error)))


#: The grid of 0, which is a multiple of everything; larger than any exponent of any format.
EVERYTHING = 1 << 20


def grid_of(values: _Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return for every number the largest ``g`` with the number a multiple of ``2^g``; :data:`EVERYTHING` for 0.

    Args:
        values: finite float64 numbers.

    """
    mantissa, exponent = np.frexp(np.asarray(values, dtype=np.float64))
    whole = np.ldexp(mantissa, 53).astype(np.int64)  # exact: a float64 has 53 bits
    lowest = whole & -whole
    _, place = np.frexp(lowest.astype(np.float64))  # lowest = 2^(place - 1), exact as a power of two
    return np.where(whole == 0, EVERYTHING, exponent.astype(np.int64) - 53 + place - 1)


def grids_between(low: _Array, high: _Array, fmt: Format) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return for each pair of bounds an exponent ``g``, with every float between them a multiple of ``2^g``.

    A float that is at least ``x > 0`` in magnitude is a multiple of the spacing at ``x``, and every float one of the
    smallest number above 0.

    Args:
        low: floats of the format, or infinite.
        high: none of them smaller.
        fmt: the format.

    """
    known = (low == high) & np.isfinite(low)
    if known.all():
        return grid_of(low)
    least = np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high)))
    _, exponent = np.frexp(np.where(np.isfinite(least), least, 0))
    binade = np.where(least > 0, np.maximum(exponent.astype(np.int64) - 1, fmt.min_exponent), fmt.min_exponent)
    return np.where(known, grid_of(np.where(known, low, 0)), binade - fmt.precision + 1)


def is_power_of_two(values: _Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for every number whether its magnitude is a power of two; 0 counts too: products with it are exact."""
    mantissa, _ = np.frexp(np.asarray(values, dtype=np.float64))
    return np.asarray((mantissa == 0) | (np.abs(mantissa) == 0.5))  # a power of two, exactly


def power_of_two(exponent: np.ndarray[Any, Any] | int, dtype: np.dtype[Any]) -> _Array:
    """Return ``2^exponent``; infinite where it is beyond the dtype, as for :data:`EVERYTHING`."""
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(dtype.type(1), np.minimum(exponent, 1 << 15)))


def ordinal(values: _Array, fmt: Format) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the place of every float of a format in the order of its floats, 0 for 0; neighbours differ by 1."""
    magnitude = np.abs(np.asarray(values, dtype=np.float64))
    _, exponent = np.frexp(magnitude)
    # frexp gives 0 the exponent 0; it belongs to the lowest binade, with the subnormal numbers
    binade = np.where(magnitude == 0, fmt.min_exponent, np.maximum(exponent - 1, fmt.min_exponent))
    steps = np.ldexp(magnitude, fmt.precision - 1 - binade).astype(np.int64)  # below 2^p, exact
    place = (binade.astype(np.int64) - fmt.min_exponent) * 2 ** (fmt.precision - 1) + steps
    return np.asarray(np.where(np.signbit(values), -place, place), dtype=np.int64)


def from_ordinal(places: np.ndarray[Any, np.dtype[np.int64]], fmt: Format) -> _Array:
    """Return the floats at places of :func:`ordinal`, as float64."""
    size, half = np.abs(places), 2 ** (fmt.precision - 1)
    binade = np.maximum(size // half - 1, 0)
    steps = (size - binade * half).astype(np.float64)
    values = np.ldexp(steps, binade + fmt.min_exponent - fmt.precision + 1)
    return np.asarray(np.where(places < 0, -values, values))


def two_sum(left: _Array, right: _Array) -> tuple[_Array, _Array]:
    """Return the rounded sum and its exact error (Knuth), so that ``left + right = sum + error``."""
    total = left + right
    part = total - left
    return total, (left - (total - part)) + (right - part)


def only_entries(matrix: _Array) -> Int[np.ndarray, " rows"] | None:
    """Return where the one entry of every row is that is not 0, anywhere in a row of zeros; ``None`` if one has more.

    Most weights select coordinates, and a product of each with a number is less work than a product of matrices.
    """
    nonzero = matrix != 0
    if not matrix.shape[1] or nonzero.sum(axis=1).max(initial=0) > 1:
        return None
    return np.asarray(nonzero.argmax(axis=1))


def entry_products(left: _Array, right: _Array) -> _Array:
    """Return products number by number, 0 with a weight of 0, whatever it meets."""
    return np.asarray(np.where(right == 0, 0, left * right))


def matrix_product(left: _Array, right: _Array) -> _Array:
    """Return a product with a matrix; what may be anything stays so (``inf * 0`` is NaN)."""
    place = only_entries(right.T)
    with np.errstate(invalid="ignore"):
        if place is not None:
            return entry_products(left[..., place], right[place, np.arange(len(place))])
        return np.asarray(left @ right)
