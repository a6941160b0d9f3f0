"""Rows at all nodes of a tree of positions: what all cells share there, and of each place what differs in its cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from constructions.formats import Format
from constructions.ratios import Ratios
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import grids_between
from verify.certificates.floats.sparse_rows import SparseRows
from verify.certificates.shared_cells import SharedCells, SharedPlace

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic

#: What differs among the cells of a place: coordinates, ascending, and their boxes cell by cell; ``None``: nothing.
Differing = tuple[Int[np.ndarray, " places"], Box] | None


@dataclass(frozen=True, eq=False)
class BranchedRows:
    """Rows of all nodes.

    Attributes:
        shared: 1 x nodes x width, a box that encloses every cell whose pass has the node.
        parts: for every place what differs among its cells.
        narrowed: whether parts are of the last node of each place, and not of the virtual tokens.
        fmt: the number format.

    """

    shared: Box
    parts: tuple[Differing, ...]
    narrowed: bool
    fmt: Format

    @cached_property
    def grids(self) -> Int[np.ndarray, "nodes width"]:
        """Grids at each node: what a coordinate is there may lie on a coarser one than what it is at all of them."""
        return np.asarray(
            np.maximum(self.shared.grid, grids_between(self.shared.low[0], self.shared.high[0], self.fmt))
        )

    def of_place(self, index: int, own: int, virtual: int) -> SparseRows:
        """Return the rows of a place.

        Args:
            index: of the place.
            own: its last node.
            virtual: how many virtual tokens there are.

        """
        shared, part = self.shared, self.parts[index]
        row = shared.rows(slice(0, virtual))
        if self.narrowed:
            row = Box(shared.low[:, own : own + 1], shared.high[:, own : own + 1], self.grids[own], shared.exact)
        return SparseRows(row) if part is None else SparseRows(row, *part)


def prompt_part(base: RoundedArithmetic, cells: SharedCells, place: SharedPlace) -> Differing:
    """Return what differs in the prompt among the cells of a place, at the virtual tokens."""
    if not len(place.coordinates):
        return None
    at, columns = np.divmod(place.coordinates, cells.low.shape[2])
    places = np.unique(columns)
    ends = []
    for part in (cells.low, cells.high):
        # an end that int64 holds may be one of Python's integers in a cell
        kind = np.result_type(part.numerators, place.numerators)
        numerators = np.repeat(part.numerators[:, :, places].astype(kind), len(place.expected), axis=0)
        numerators[:, at, np.searchsorted(places, columns)] = place.numerators
        ends.append(Ratios(numerators, part.denominator))
    return places, base.prompt_between(*ends)


def at_nodes(differing: tuple[Any, Box], shared: Box, nodes: Int[np.ndarray, " nodes"]) -> Box:
    """Return what differs in a place at some nodes, with what all cells have there beside the virtual tokens."""
    places, varying = differing
    count, virtual, _ = varying.shape
    first, rest = nodes[nodes < virtual], nodes[nodes >= virtual]
    if not len(rest):
        return Box(varying.low[:, first], varying.high[:, first], varying.grid, varying.exact)
    ends = []
    for own, of_all in ((varying.low, shared.low), (varying.high, shared.high)):
        other = of_all[:, rest[:, None], places]
        ends.append(np.concatenate([own[:, first], np.broadcast_to(other, (count, *other.shape[1:]))], axis=1))
    return Box(ends[0], ends[1], np.minimum(varying.grid, shared.grid[places]), varying.exact and shared.exact)


def rows_of(box: Box, depth: Int[np.ndarray, " nodes"]) -> Box:
    """Return the rows of the positions of all nodes."""
    return Box(box.low[:, depth], box.high[:, depth], box.grid, box.exact)
