"""Rows at all nodes of a tree of positions: what all cells share there, and of each place what differs in its cells."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int

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

    def places(self, index: int) -> Int[np.ndarray, " places"]:
        """Return the coordinates that differ among the cells of a place in which some do."""
        part = self.parts[index]
        assert part is not None
        return part[0]

    def moving(self, own: Int[np.ndarray, " places"], virtual: int) -> Bool[np.ndarray, "places width"]:
        """Return for places with these last nodes the coordinates that may be other than 0.

        Args:
            own: the last nodes.
            virtual: how many virtual tokens there are.

        """
        nodes = self.shared.magnitude[0] != 0
        if self.narrowed:
            return np.asarray(nodes[own])
        return np.broadcast_to(nodes[:virtual].any(axis=0), (len(own), nodes.shape[1]))

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


def prompt_parts(base: RoundedArithmetic, cells: SharedCells) -> tuple[Differing, ...]:
    """Return what differs in the prompt among the cells of each place, at the virtual tokens; equal numbers once."""
    known: dict[Hashable, Box] = {}

    def part(place: SharedPlace) -> Differing:
        if not len(place.coordinates):
            return None
        places, ends = _ends(cells, place)
        key = tuple(_numbers(end.numerators) for end in ends)
        if key not in known:
            known[key] = base.prompt_between(*ends)
        return places, known[key]

    return tuple(map(part, cells.places))


def _ends(cells: SharedCells, place: SharedPlace) -> tuple[Int[np.ndarray, " places"], tuple[Ratios, Ratios]]:
    """Return the coordinates that differ among the cells of a place, and the ends of their numbers."""
    virtual, width = cells.low.shape[1:]
    if virtual == 1:  # all that differs is said by the place
        low, high = (Ratios(place.numerators[:, None], part.denominator) for part in (cells.low, cells.high))
        return place.coordinates, (low, high)
    at, columns = np.divmod(place.coordinates, width)
    places = np.unique(columns)
    ends = []
    for part in (cells.low, cells.high):
        # an end that int64 holds may be one of Python's integers in a cell
        kind = np.result_type(part.numerators, place.numerators)
        numerators = np.repeat(part.numerators[:, :, places].astype(kind), len(place.expected), axis=0)
        numerators[:, at, np.searchsorted(places, columns)] = place.numerators
        ends.append(Ratios(numerators, part.denominator))
    return places, (ends[0], ends[1])


def _numbers(values: np.ndarray[Any, Any]) -> Hashable:
    """Return integers as what tells them apart: of Python's own an array holds only where they are."""
    held = tuple(values.reshape(-1).tolist()) if values.dtype == object else values.tobytes()
    return values.shape, values.dtype, held


def at_nodes(differing: tuple[Any, Box], shared: Box, nodes: Int[np.ndarray, " nodes"]) -> Box:
    """Return what differs in a place at some nodes, with what all cells have there beside the virtual tokens."""
    places, varying = differing
    count, virtual, _ = varying.shape
    first, rest = nodes[nodes < virtual], nodes[nodes >= virtual]
    if len(first) == virtual and not len(rest):
        return varying
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
