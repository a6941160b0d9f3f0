"""Rounded operations written from scratch: what a kernel of a format computes, in float64, without the package's code.

Numbers of every format are held as float64. A sum or a product of two numbers of at most 24 bits, computed in float64
and rounded again, is rounded correctly (53 >= 2 * 24 + 2, Figueroa); a fused multiply-add goes through a sum rounded to
odd, which is innocent as soon as two bits are left over (Boldo and Melquiond).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: Bits of the significand and exponent of the smallest normal number.
FORMATS = {"bfloat16": (8, -126), "float16": (11, -14), "float32": (24, -126), "float64": (53, -1022)}
#: The largest finite number of each format.
LARGEST = {
    "bfloat16": (2 - 2.0**-7) * 2.0**127,
    "float16": 65504.0,
    "float32": (2 - 2.0**-23) * 2.0**127,
    "float64": (2 - 2.0**-52) * 2.0**1023,
}
#: Where the product of two float64 numbers may lose bits below the smallest number: 2^-1022 and 2 * 53 bits.
_LEAST_SPLIT = 2.0**-900
_MOST_SPLIT = 2.0**900


def spacing(values: Array, fmt: str) -> Array:
    """Return the distance of neighbours in the binade of each number."""
    bits, least = FORMATS[fmt]
    _, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.ones(np.shape(values)), np.maximum(exponent - 1, least) - bits + 1))


def held(value: Fraction, fmt: str) -> float:
    """Return a rational rounded to nearest, ties to even: in whole numbers of its spacing, exactly."""
    bits, least = FORMATS[fmt]
    if not value:
        return 0.0
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, least) - bits + 1)
    rounded = round(value / unit) * unit
    return float(rounded) if abs(rounded) <= LARGEST[fmt] else float("inf" if value > 0 else "-inf")


def to_format(values: Array, fmt: str) -> Array:
    """Return float64 numbers rounded to nearest in a format; float64's own are what they are."""
    if fmt == "float64":
        return values
    if fmt != "bfloat16":
        return values.astype(fmt).astype(np.float64)
    # adding 1.5 * 2^52 spacings leaves no bit below one of them; the hardware rounds half to even
    magic = 1.5 * 2.0**52 * spacing(values, fmt)
    rounded = np.where(np.isfinite(magic), (values + magic) - magic, values)
    return np.where(np.abs(rounded) > LARGEST[fmt], np.copysign(np.inf, values), rounded)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _to_odd(a: Array, b: Array) -> Array:
    """Return the sum rounded to odd: exact, or the neighbour towards zero or away whose last bit is 1."""
    total, error = _two_sum(a, b)
    even = np.ascontiguousarray(total).view(np.int64) % 2 == 0
    outward = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & even & np.isfinite(total), outward, total)


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a product and its exact error (Dekker, with Veltkamp's split at 27 bits)."""
    parts = []
    for value in (a, b):
        shifted = value * (2.0**27 + 1)
        high = shifted - (shifted - value)
        parts.append((high, value - high))
    (ah, al), (bh, bl) = parts
    product = a * b
    return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl


def add(a: Array, b: Array, fmt: str) -> Array:
    """Return a rounded sum of numbers of a format."""
    return to_format(a + b, fmt)


def multiply(a: Array, b: Array, fmt: str) -> Array:
    """Return a rounded product of numbers of a format."""
    return to_format(a * b, fmt)


def fused(a: Array, b: Array, c: Array, fmt: str) -> Array:
    """Return ``a b + c``, rounded once; a rounded product first where float64 itself might lose bits of it."""
    product = a * b
    if fmt != "float64":
        return to_format(_to_odd(*np.broadcast_arrays(product, c)), fmt)
    a, b, c, product = np.broadcast_arrays(a, b, c, product)
    size = np.abs(product)
    safe = (size == 0) | ((size > _LEAST_SPLIT) & (size < _MOST_SPLIT) & (np.abs(c) < _MOST_SPLIT))
    safe &= (np.abs(a) < _MOST_SPLIT) & (np.abs(b) < _MOST_SPLIT)
    high, low = _two_product(np.where(safe, a, 0), np.where(safe, b, 0))
    upper, lower = _two_sum(c, low)
    total, error = _two_sum(high, upper)
    return np.where(safe, total + _to_odd(error, lower), product + c)
