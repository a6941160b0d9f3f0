"""Integer arrays that never overflow: int64 where a bound shows that it suffices, Python integers elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: An array of int64 or of Python integers as objects, or one Python integer.
Integers = Any

#: Every magnitude below this one is an int64, and so is its negative.
_BEYOND_INT64 = 2**63


def magnitude(values: Integers) -> int:
    """Return the largest absolute value; 0 of an empty array."""
    if isinstance(values, int):
        return abs(values)
    return max(abs(int(values.min())), abs(int(values.max()))) if values.size else 0


def smallest_dtype(values: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return integers as int64 if all of them are, as Python integers otherwise."""
    fits = all(-_BEYOND_INT64 < value < _BEYOND_INT64 for value in values)
    return np.array(values, dtype=np.int64 if fits else object)


def prepared(values: Integers, largest: int) -> Integers:
    """Return the same integers, ready for an operation whose results have magnitudes of at most ``largest``."""
    if isinstance(values, int) or values.dtype == object or largest < _BEYOND_INT64:
        return values
    return values.astype(object)


def product(left: Integers, right: Integers) -> Integers:
    """Return the products, exactly; no product is larger than the product of the largest factors."""
    largest = max(1, magnitude(left)) * max(1, magnitude(right))
    return prepared(left, largest) * prepared(right, largest)


def total(left: Integers, right: Integers) -> Integers:
    """Return the sums, exactly; no sum is larger than the sum of the largest terms."""
    largest = magnitude(left) + magnitude(right)
    return prepared(left, largest) + prepared(right, largest)


def scaled_integers(values: np.ndarray[Any, Any], factor: int, *, terms: int = 1) -> np.ndarray[Any, Any]:
    """Return ``factor`` times the integers, in a dtype in which ``terms`` of the results add up exactly."""
    largest = max(1, magnitude(values)) * max(1, abs(factor)) * terms
    scaled: np.ndarray[Any, Any] = prepared(values, largest) * factor if factor != 1 else prepared(values, largest)
    return scaled
