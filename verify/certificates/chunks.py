"""Many targets, a few at a time: intermediate results are never held for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

#: Tokens of targets that code is run on at once: a few megabytes, which caches hold.
_RUN_TOKENS = 2**20
#: Numbers that are compared at once: 64 KiB of each array, which every allocator hands out again. Larger ones it gives
#: back to the system, which then takes longer to give them again, page by page, than they take to compare.
_COMPARED = 2**13


def joined(parts: Iterator[np.ndarray[Any, Any]], count: int) -> np.ndarray[Any, Any]:
    """Return parts of ``count`` rows in all, one under the other, of which only one is held beside the result."""
    first = next(parts)
    if len(first) == count:
        return first
    found, start = np.empty((count, *first.shape[1:]), dtype=first.dtype), len(first)
    found[:start] = first
    for part in parts:
        found = found.astype(np.result_type(found, part), copy=False)
        found[start : start + len(part)] = part
        start += len(part)
    return found


def chunks(count: int, width: int) -> Iterator[slice]:
    """Yield the places of so many rows of a width, those of a few megabytes at a time."""
    return _slices(count, _RUN_TOKENS // max(1, width))


def blocks(count: int, width: int) -> Iterator[slice]:
    """Yield the places of so many rows of a width, those that are compared at once at a time."""
    return _slices(count, _COMPARED // max(1, width))


def _slices(count: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(start, start + size) for start in range(0, count, size))


def columns_of(chosen: Int[np.ndarray, " chosen"], count: int) -> Any:
    """Return an index of some of so many columns, which of all of them in order copies nothing."""
    return slice(None) if np.array_equal(chosen, np.arange(count)) else chosen
