"""Sets of float vectors: bounds of every coordinate, and a grid that its values lie on."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped

from constructions.formats import Format
from verify.certificates.floats.directed import EVERYTHING, grid_of, power_of_two, wide_dtype


@dataclass(frozen=True, eq=False)
class Box:
    """Vectors whose coordinates lie between two floats of the format and are multiples of ``2^grid``.

    What holds of every vector in the box holds of whatever a kernel computes. A coordinate whose bounds are infinite
    may be anything, NaN too. A batch of size 1 stands for any number of equal members.

    Attributes:
        low: lower bounds, in the wide dtype, batch x rows x width.
        high: upper bounds.
        grid: for each coordinate of the last axis an exponent ``g``: all its values are multiples of ``2^g``.
        exact: whether no operation so far has rounded anything, whatever the kernel's order: then every float is equal
            to the number that exact arithmetic gives.
        shared: coordinates that are known to be the same in all members of the batch; ``None`` for none of them.

    """

    low: Shaped[np.ndarray, "batch rows width"]
    high: Shaped[np.ndarray, "batch rows width"]
    grid: Int[np.ndarray, " width"]
    exact: bool = True
    shared: Bool[np.ndarray, " width"] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Batch, rows, width."""
        batch, rows, width = self.low.shape
        return batch, rows, width

    @cached_property
    def magnitude(self) -> Shaped[np.ndarray, "batch rows width"]:
        """The largest magnitude of every coordinate."""
        if self.low is self.high:
            return np.asarray(np.abs(self.low))
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))

    @cached_property
    def moving(self) -> Bool[np.ndarray, " width"]:
        """The coordinates that may be other than 0 somewhere."""
        return np.asarray((self.magnitude != 0).any(axis=(0, 1)))

    @cached_property
    def contents(self) -> tuple[Hashable, ...]:
        """Everything that a rule reads of this box but what is shared, to look equal boxes up by."""
        return self.low.shape, self.low.tobytes(), self.high.tobytes(), self.grid.tobytes(), self.exact

    @property
    def is_point(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Where a coordinate has a single value."""
        return np.asarray(self.low == self.high)

    @classmethod
    def point(cls, values: Shaped[np.ndarray, "batch rows width"], fmt: Format, *, exact: bool = True) -> Box:
        """Return the box of known floats.

        Args:
            values: numbers of the format.
            fmt: the format.
            exact: whether they are the numbers that exact arithmetic has there.

        """
        held = np.asarray(values, dtype=wide_dtype(fmt))
        grid = grid_of(np.asarray(values, dtype=np.float64)).min(axis=(0, 1), initial=EVERYTHING)
        return collapsed(cls(held, held, grid, exact))

    def columns(self, chosen: Int[np.ndarray, " chosen"]) -> Box:
        """Return some of the coordinates, for a batch of 1 where they are known to be shared."""
        low, high = self.low, self.high
        if self.shared is not None and self.shared[chosen].all():
            low, high = low[:1], high[:1]
        return Box(low[..., chosen], high[..., chosen], self.grid[chosen], self.exact)

    @property
    def sharing(self) -> Bool[np.ndarray, " width"]:
        """The coordinates that are the same in all members of the batch, as far as is known."""
        if self.shape[0] == 1:
            return np.ones(self.shape[2], dtype=np.bool_)
        return np.zeros(self.shape[2], dtype=np.bool_) if self.shared is None else self.shared

    def rows(self, chosen: slice) -> Box:
        """Return some of the rows."""
        return Box(self.low[:, chosen], self.high[:, chosen], self.grid, self.exact, self.shared)


#: Entries of a row of a matrix of few: a sum of two terms is the same in any order.
MOST = 2
#: Numbers of a matrix from which it counts as large: fewer are multiplied in less time than it takes to pick them.
FEW_FROM = 2**12


class Few(NamedTuple):
    """The entries of every row of a matrix, ascending; a row of fewer than the others has zeros after its own.

    Attributes:
        columns: where they are.
        numbers: what they are.
        grids: of these.

    """

    columns: Int[np.ndarray, "rows most"]
    numbers: Shaped[np.ndarray, "rows most"]
    grids: Int[np.ndarray, "rows most"]


@dataclass(frozen=True, eq=False)
class RoundedWeight:
    """A weight matrix as the kernel holds it.

    Attributes:
        values: rounded to the format, in the wide dtype.
        grid: of every entry.
        exact: whether every entry is the exact weight.

    """

    values: Shaped[np.ndarray, "rows columns"]
    grid: Int[np.ndarray, "rows columns"]
    exact: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.values.shape
        return rows, columns

    def between(self, first: int, last: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the smallest and the largest number of every row in the columns from one to another."""
        columns = self.values[:, first : last + 1]
        return columns.min(axis=1), columns.max(axis=1)

    @property
    def row_grids(self) -> Int[np.ndarray, " rows"]:
        """For every row a grid of all its numbers."""
        return np.asarray(self.grid.min(axis=1, initial=EVERYTHING))

    def rows_reading(self, columns: Int[np.ndarray, " columns"]) -> Int[np.ndarray, " rows"]:
        """Return the rows that are not 0 in some of the columns, ascending."""
        return np.flatnonzero((self.values[:, columns] != 0).any(axis=1))

    def read_by(self, rows: Int[np.ndarray, " rows"]) -> Bool[np.ndarray, " columns"]:
        """Return the columns in which some of the rows, each given once, are not 0."""
        if len(rows) == self.shape[0]:
            return self.reads  # no copy of a large matrix
        return np.asarray((self.values[rows] != 0).any(axis=0))

    def part(self, rows: Int[np.ndarray, " rows"], columns: Int[np.ndarray, " columns"]) -> RoundedWeight:
        """Return some rows and columns of it, entry by entry."""
        chosen = np.ix_(rows, columns)
        return RoundedWeight(self.values[chosen], self.grid[chosen], self.exact)

    @cached_property
    def largest(self) -> Any:
        """The largest magnitude of an entry."""
        return max(self.values.max(initial=0), -self.values.min(initial=0))  # a copy may be large

    @cached_property
    def nonzero(self) -> Bool[np.ndarray, "rows columns"] | None:
        """Where an entry is not 0; ``None`` of a matrix that is not held entry by entry."""
        return np.asarray(self.values != 0)

    @cached_property
    def contents(self) -> tuple[Hashable, ...]:
        """Everything that a rule reads of it, to look equal matrices up by; of a large one the matrix itself."""
        if self.values.size >= FEW_FROM:
            return (self,)
        return self.values.shape, self.values.tobytes(), self.grid.tobytes(), self.exact

    @cached_property
    def reads(self) -> Bool[np.ndarray, " columns"]:
        """The columns that are not 0 everywhere."""
        return np.asarray((self.values != 0).any(axis=0))

    @cached_property
    def few(self) -> Few | None:
        """The entries of every row, if the matrix is large and none of its rows has more than :data:`MOST`."""
        rows, columns = self.values.shape
        if rows * columns < FEW_FROM:
            return None
        nonzero = self.values != 0
        counts = nonzero.sum(axis=1)
        most = int(counts.max(initial=0))
        if most > MOST:
            return None
        down, across = np.nonzero(nonzero)
        at = down, np.arange(len(down)) - np.repeat(np.cumsum(counts) - counts, counts)
        found = Few(
            np.zeros((rows, most), dtype=np.int64),
            np.zeros((rows, most), dtype=self.values.dtype),
            np.full((rows, most), EVERYTHING),
        )
        found.columns[at], found.numbers[at], found.grids[at] = across, self.values[nonzero], self.grid[nonzero]
        return found


def collapsed(box: Box) -> Box:
    """Return the box with a batch of 1 where all members are equal, which they are wherever no token plays a part."""
    if box.shape[0] > 1 and all((part == part[:1]).all() for part in (box.low, box.high)):
        return Box(box.low[:1], box.high[:1], box.grid, box.exact)
    return box


def unbounded_where_infinite(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return bounds with every coordinate that may have overflowed set to anything at all."""
    finite = np.isfinite(low) & np.isfinite(high)
    if finite.all():
        return low, high
    bad = ~finite
    return np.where(bad, -np.inf, low), np.where(bad, np.inf, high)


def unbounded(box: Box, *, along: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where a coordinate along an axis may be anything, NaN and infinity too; the axis is kept, of size 1."""
    return np.asarray((~np.isfinite(box.low)).any(axis=along, keepdims=True))


def tainted(box: Box, anything: Bool[np.ndarray, " ..."]) -> Box:
    """Return the box with everything possible where an operand was not finite: ``0 * inf`` and ``0 * NaN`` are NaN.

    Args:
        box: the result of an operation.
        anything: where, broadcast to batch x rows x width.

    """
    if not anything.any():
        return box
    low, high = np.where(anything, -np.inf, box.low), np.where(anything, np.inf, box.high)
    return Box(low.astype(box.low.dtype), high.astype(box.high.dtype), box.grid, exact=False)


def fits(magnitude: np.ndarray[Any, Any], grid: np.ndarray[Any, Any], precision: int) -> np.ndarray[Any, Any]:
    """Return where numbers up to a magnitude on a grid are all representable: ``magnitude <= 2^(precision + grid)``.

    A multiple ``k 2^g`` with ``|k| <= 2^p`` is a number of any format of ``p`` bits (``g`` in its exponent range). If
    the sum of the magnitudes of all terms is that small, then so is every partial sum, in every order: nothing rounds.
    """
    return np.asarray(magnitude <= power_of_two(grid + precision, magnitude.dtype))
