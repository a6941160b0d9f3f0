"""Rows of many cells of which few coordinates differ."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from verify.certificates.floats.boxes import Box

#: Coordinates, ascending.
Places = Int[np.ndarray, "..."]


def _nowhere() -> Places:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of many cells.

    Attributes:
        shared: a batch of 1 that encloses every cell.
        places: the coordinates that differ from cell to cell, ascending.
        varying: these coordinates, cells x rows x places; ``None`` where there are none.

    """

    shared: Box
    places: Places = field(default_factory=_nowhere)
    varying: Box | None = None

    @property
    def width(self) -> int:
        """How many coordinates there are."""
        return self.shared.shape[2]

    def columns(self, chosen: Places) -> Box:
        """Return some coordinates as one box, for every cell where one of them differs."""
        low, high = self.shared.low[..., chosen], self.shared.high[..., chosen]
        shared = Box(low, high, self.shared.grid[chosen], self.shared.exact)
        if self.varying is None:
            return shared
        at = np.searchsorted(self.places, chosen)
        inside = self.places[np.minimum(at, len(self.places) - 1)] == chosen
        if not inside.any():
            return shared
        at, exact = at[inside], shared.exact and self.varying.exact
        if inside.all():
            return Box(self.varying.low[..., at], self.varying.high[..., at], self.varying.grid[at], exact)
        shape = (self.varying.shape[0], *shared.shape[1:])
        low, high = (np.broadcast_to(part, shape).copy() for part in (shared.low, shared.high))
        low[..., inside], high[..., inside] = self.varying.low[..., at], self.varying.high[..., at]
        grid = shared.grid.copy()
        grid[inside] = self.varying.grid[at]
        return Box(low, high, grid, exact)

    def dense(self) -> Box:
        """Return all coordinates as one box."""
        return self.columns(np.arange(self.width))


def by_what_differs(box: Box) -> SparseRows:
    """Return a box by what differs in it."""
    if box.shape[0] == 1:
        return SparseRows(box)
    differs = (box.low != box.low[:1]).any(axis=(0, 1)) | (box.high != box.high[:1]).any(axis=(0, 1))
    places = np.flatnonzero(differs)
    low, high = box.low.min(axis=0, keepdims=True), box.high.max(axis=0, keepdims=True)
    shared = Box(low, high, box.grid, box.exact)
    if not len(places):
        return SparseRows(shared)
    return SparseRows(shared, places, Box(box.low[..., places], box.high[..., places], box.grid[places], box.exact))
