"""Sums of products of which few are not 0: term by term over what each sum has, not over all that any sum has.

The terms of a sum are taken in the same order, and those left out are 0, so that its bounds are the same numbers. Grids
are of the terms that are left, and so as coarse or coarser.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int

from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import EVERYTHING

if TYPE_CHECKING:
    from verify.certificates.floats.sums import Factor, Piece


def slots(nonzero: Bool[np.ndarray, "sums terms"]) -> Int[np.ndarray, "sums most"]:
    """Return for each sum the places of its terms, ascending; a sum of fewer than the most has one that is 0 after."""
    if not nonzero.size:
        return np.zeros((len(nonzero), 0), dtype=np.int64)
    counts = nonzero.sum(axis=1)
    found = np.repeat(nonzero.argmin(axis=1)[:, None], int(counts.max(initial=0)), axis=1)
    sums, places = np.nonzero(nonzero)
    found[sums, np.arange(len(sums)) - np.repeat(np.cumsum(counts) - counts, counts)] = places
    return found


def nonzero(box: Box) -> Bool[np.ndarray, "rows width"]:
    """Return where a box may be other than 0 in some member of its batch."""
    return np.asarray((box.magnitude != 0).any(axis=0))


def score_factors(q: Box, k: Box) -> Iterator[tuple[Factor, Factor]]:
    """Yield the factors of the products of inner products, one for each coordinate or, if these are fewer, slot.

    Args:
        q: queries.
        k: keys, of the same coordinates.

    """
    width = q.shape[2]
    by_query, by_key = slots(nonzero(q)), slots(nonzero(k))
    if min(by_query.shape[1], by_key.shape[1]) == width:
        for at in range(width):
            yield _queries(q, slice(None), np.array([at])), _keys(k, slice(None), np.array([at]))
    elif by_query.shape[1] <= by_key.shape[1]:
        for places in by_query.T:
            yield _queries(q, np.arange(len(places)), places), _keys(k, slice(None), places)
    else:
        for places in by_key.T:
            yield _queries(q, slice(None), places), _keys(k, np.arange(len(places)), places)


def _queries(q: Box, rows: Any, places: Int[np.ndarray, " places"]) -> Factor:
    """Return a coordinate of queries down the rows: one for all of them, one for each, or one for each key."""
    if isinstance(rows, slice):
        return q.low[..., places], q.high[..., places], q.grid[places]
    return q.low[:, rows, places, None], q.high[:, rows, places, None], q.grid[places, None]


def _keys(k: Box, rows: Any, places: Int[np.ndarray, " places"]) -> Factor:
    """Return a coordinate of keys across the columns, in the same way."""
    if isinstance(rows, slice):
        return k.low[..., places].swapaxes(1, 2), k.high[..., places].swapaxes(1, 2), k.grid[places, None]
    return k.low[:, None, rows, places], k.high[:, None, rows, places], k.grid[places]


def mix_factors(attention: Box, values: Box) -> Iterator[tuple[Factor, Factor]]:
    """Yield the factors of the products of weighted sums, one for each key or, if these are fewer, slot.

    Args:
        attention: weights.
        values: of the same keys.

    """
    weighted, moving = nonzero(attention), nonzero(values)
    used = np.asarray(weighted.any(axis=0) & moving.any(axis=1))
    by_query, by_column = slots(weighted & used), slots((moving & used[:, None]).T)
    if min(by_query.shape[1], by_column.shape[1]) == np.count_nonzero(used):
        for at in np.flatnonzero(used):
            yield (
                (attention.low[:, :, at, None], attention.high[:, :, at, None], attention.grid[at]),
                (values.low[:, None, at], values.high[:, None, at], values.grid),
            )
    elif by_query.shape[1] <= by_column.shape[1]:
        rows = np.arange(len(by_query))
        for keys in by_query.T:
            yield (
                (attention.low[:, rows, keys, None], attention.high[:, rows, keys, None], attention.grid[keys, None]),
                (values.low[:, keys], values.high[:, keys], values.grid),
            )
    else:
        columns = np.arange(len(by_column))
        for keys in by_column.T:
            yield (
                (attention.low[..., keys], attention.high[..., keys], attention.grid[keys]),
                (values.low[:, None, keys, columns], values.high[:, None, keys, columns], values.grid),
            )


def met_grids(piece: Piece) -> Int[np.ndarray, " width"]:
    """Return for each column of a piece a grid of the products in it that may be other than 0."""
    return np.asarray(np.where((piece[2] != 0).any(axis=0), piece[5], EVERYTHING).min(axis=0))
