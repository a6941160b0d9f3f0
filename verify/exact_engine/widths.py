"""The narrowest integers that hold every number below a bound: the machine's, and Python's beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

#: One integer for each case: int32, int64, or Python integers as objects.
Integers: TypeAlias = np.ndarray[Any, Any]
#: The type of such an array.
Kind: TypeAlias = np.dtype[Any]

#: Python's integers.
OBJECTS: Kind = np.dtype(object)
#: The machine's, narrow ones first, with the largest number that each holds. Its negative is held too; the one number
#: below that, whose negative is not, is left unused.
_MACHINE: tuple[tuple[Kind, int], ...] = tuple(
    (np.dtype(kind), int(np.iinfo(kind).max)) for kind in (np.int32, np.int64)
)


def kind_for(largest: int) -> Kind:
    """Return the narrowest type that holds every integer of at most this magnitude.

    Args:
        largest: a bound on the magnitude of a result, and of everything that is computed on the way to it.

    Example:
        >>> [str(kind_for(2**31 + change)) for change in (-1, 0)], [str(kind_for(2**63 + change)) for change in (-1, 0)]
        (['int32', 'int64'], ['int64', 'object'])

    """
    return next((kind for kind, most in _MACHINE if largest <= most), OBJECTS)


def table_of(numbers: Sequence[int], kind: Kind) -> Integers:
    """Return integers as an array of a type that holds them; numpy refuses those that it does not hold."""
    return np.array(numbers, dtype=kind)


def as_kind(values: Integers, kind: Kind) -> Integers:
    """Return integers in another type; they are known to fit.

    An array of objects may hold numpy's integers, which wrap around: each becomes Python's own.
    """
    if values.dtype == OBJECTS:
        whole = np.asarray(np.frompyfunc(int, 1, 1)(values))
        return whole if kind == OBJECTS else whole.astype(kind)
    return values if values.dtype == kind else values.astype(kind)


def extremes(values: Integers) -> tuple[list[int], list[int]]:
    """Return the smallest and the largest integer of every column, as Python's; there is at least one row."""
    held = as_kind(values, OBJECTS) if values.dtype == OBJECTS else values
    return [int(low) for low in held.min(axis=0)], [int(high) for high in held.max(axis=0)]
