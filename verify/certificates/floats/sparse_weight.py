"""Large weights of which few entries are not 0: readouts of huge vocabularies, and embeddings of zeros.

A weight of ``V`` rows is never held entry by entry here: its memory grows with its non-zero entries.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Int, Shaped

from constructions.exact_matrix import ExactMatrix, check_dense, leaf_places
from constructions.formats import Format, round_to_format
from verify.certificates.floats.boxes import MOST, Few, RoundedWeight
from verify.certificates.floats.directed import EVERYTHING, grid_of

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]

#: Entries up to which a weight is held entry by entry: 8 MiB of float64, which any operation on it reads in about the
#: time that it takes to find out which of them are 0.
LARGEST_HELD = 2**20
#: Tokens up to which all pairs of them are compared where a readout of few columns has blocks, as one of digits has.
MOST_TOKENS = 2**13
#: A stored entry takes its row, column, number and grid: four times the memory of a number.
_STORED = 4


@final
class SparseWeight(RoundedWeight):
    """A weight as the kernel holds it, by its non-zero entries.

    Attributes:
        shape: rows and columns.
        column_sizes: the blocks of columns that it was written with.
        rows: of the entries, ascending.
        columns: of the entries, ascending in each row.
        numbers: the entries, rounded to the format, in the wide dtype; none is 0.
        grids: of the entries.
        exact: whether every entry is the exact weight.

    """

    def __init__(
        self,
        shape: tuple[int, int],
        column_sizes: tuple[int, ...],
        places: tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " entries"]],
        numbers: _Array,
        *,
        exact: bool,
    ) -> None:
        """Hold entries in any order, each place once; those that are 0 after rounding are left out."""
        order = np.lexsort((places[1], places[0]))
        order = order[numbers[order] != 0]
        held: dict[str, Any] = {
            "_shape": shape,
            "column_sizes": column_sizes,
            "rows": places[0][order],
            "columns": places[1][order],
            "numbers": numbers[order],
            "grids": grid_of(numbers[order].astype(np.float64)),
            "exact": exact,
        }
        for name, value in held.items():
            object.__setattr__(self, name, value)

    _shape: tuple[int, int]
    column_sizes: tuple[int, ...]
    rows: Int[np.ndarray, " entries"]
    columns: Int[np.ndarray, " entries"]
    numbers: _Array
    grids: Int[np.ndarray, " entries"]

    @classmethod
    def of(cls, matrix: ExactMatrix, fmt: Format, dtype: np.dtype[Any]) -> SparseWeight | None:
        """Return a large matrix of few entries, or of many rows and several blocks of columns; ``None`` for any other.

        Raises:
            OverflowError: an entry is beyond the largest number of the format.

        """
        rows, columns = matrix.shape
        few = rows * columns > LARGEST_HELD and _STORED * matrix.entries <= rows * columns
        if not few and (rows <= MOST_TOKENS or len(matrix.column_sizes) < 2):
            return None
        at_rows, at_columns, numbers = [], [], []
        for top, left, height, width, leaf in matrix.placed():
            down, across = leaf_places(leaf, height, width)
            at_rows.append(top + down)
            at_columns.append(left + across)
            if leaf.nonzero is None:
                numbers.append(np.full(len(down), round_to_format(leaf.scale, fmt)))
            else:
                numbers.append(leaf.nonzero.values.to_float(fmt))
        none = np.zeros(0, dtype=np.int64)
        places = np.concatenate([none, *at_rows]), np.concatenate([none, *at_columns])
        held = np.concatenate([np.zeros(0), *numbers]).astype(dtype)
        return cls(matrix.shape, matrix.column_sizes, places, held, exact=matrix.held_by(fmt))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The wide dtype."""
        return self.numbers.dtype

    @cached_property
    def values(self) -> _Array:
        """All entries.

        Raises:
            InvalidArgument: they are too many.

        """
        return dense(self.shape, (self.rows, self.columns), self.numbers, 0)

    @cached_property
    def grid(self) -> Int[np.ndarray, "rows columns"]:
        """The grids of all entries."""
        return dense(self.shape, (self.rows, self.columns), self.grids, EVERYTHING)

    @cached_property
    def nonzero(self) -> Bool[np.ndarray, "rows columns"] | None:
        """``None``: its entries are held one by one."""
        return None

    @cached_property
    def contents(self) -> tuple[Hashable, ...]:
        """The matrix itself."""
        return (self,)

    @cached_property
    def starts(self) -> Int[np.ndarray, " rows_and_1"]:
        """Where the entries of each row start, and where the last one ends."""
        return np.searchsorted(self.rows, np.arange(self.shape[0] + 1))

    @cached_property
    def most_in_a_row(self) -> int:
        """The largest number of entries of a row."""
        return int(np.diff(self.starts).max(initial=0))

    @cached_property
    def largest(self) -> Any:
        """The largest magnitude of an entry."""
        return np.abs(self.numbers).max(initial=0)

    @cached_property
    def reads(self) -> Bool[np.ndarray, " columns"]:
        """The columns that are not 0 everywhere."""
        return np.asarray(np.bincount(self.columns, minlength=self.shape[1]) > 0)

    def rows_reading(self, columns: Int[np.ndarray, " columns"]) -> Int[np.ndarray, " rows"]:
        """Return the rows that are not 0 in some of the columns, ascending."""
        return np.unique(self.rows[self._among(columns, self.shape[1])[self.columns]])

    def read_by(self, rows: Int[np.ndarray, " rows"]) -> Bool[np.ndarray, " columns"]:
        """Return the columns in which some of the rows are not 0."""
        return self._among(self.columns[self._among(rows, self.shape[0])[self.rows]], self.shape[1])

    def part(self, rows: Int[np.ndarray, " rows"], columns: Int[np.ndarray, " columns"]) -> RoundedWeight:
        """Return some rows and columns of it, both ascending, entry by entry.

        Raises:
            InvalidArgument: they are too many.

        """
        inside = self._among(rows, self.shape[0])[self.rows] & self._among(columns, self.shape[1])[self.columns]
        places = np.searchsorted(rows, self.rows[inside]), np.searchsorted(columns, self.columns[inside])
        shape = len(rows), len(columns)
        values, grid = (
            dense(shape, places, entries[inside], other)
            for entries, other in ((self.numbers, 0), (self.grids, EVERYTHING))
        )
        return RoundedWeight(values, grid, self.exact)

    @staticmethod
    def _among(chosen: Int[np.ndarray, " chosen"], count: int) -> Bool[np.ndarray, " all"]:
        found = np.zeros(count, dtype=np.bool_)
        found[chosen] = True
        return found

    @cached_property
    def few(self) -> Few | None:
        """The entries of every row, if none of its rows has more than :data:`MOST`."""
        most = self.most_in_a_row
        if most > MOST:
            return None
        shape = self.shape[0], most
        columns, numbers = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=self.dtype)
        grids = np.full(shape, EVERYTHING)
        at = self.rows, np.arange(len(self.rows)) - self.starts[self.rows]
        columns[at], numbers[at], grids[at] = self.columns, self.numbers, self.grids
        return Few(columns, numbers, grids)

    def between(self, first: int, last: int) -> tuple[_Array, _Array]:
        """Return the smallest and the largest number of every row in the columns from one to another."""
        inside = (self.columns >= first) & (self.columns <= last)
        rows, numbers = self.rows[inside], self.numbers[inside]
        full = np.bincount(rows, minlength=self.shape[0]) == last - first + 1  # no entry there is 0
        low, high = (np.full(self.shape[0], end, dtype=self.dtype) for end in (np.inf, -np.inf))
        np.minimum.at(low, rows, numbers)
        np.maximum.at(high, rows, numbers)
        return np.where(full, low, np.minimum(low, 0)), np.where(full, high, np.maximum(high, 0))

    @cached_property
    def row_grids(self) -> Int[np.ndarray, " rows"]:
        """For every row a grid of all its numbers."""
        found = np.full(self.shape[0], EVERYTHING, dtype=np.int64)
        np.minimum.at(found, self.rows, self.grids)
        return found


def constant_rows(matrix: ExactMatrix) -> ExactMatrix | None:
    """Return the first column of a large matrix of which all columns are written as the same; ``None`` for any other.

    A scalar that adds up ``V`` coordinates for each of many bands is such a matrix.

    Raises:
        InvalidArgument: it is too large to hold entry by entry.

    """
    rows, columns = matrix.shape
    alike = len(matrix.column_sizes) == 1 and all(leaf.kind == "constant" for leaf in matrix.leaves.values())
    if rows * columns <= LARGEST_HELD or not alike:
        return None
    matrix.check_dense()  # which of its entries are 0 is held one by one
    return ExactMatrix(matrix.row_sizes, (1,), matrix.leaves)


def dense(
    shape: tuple[int, int],
    places: tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " entries"]],
    entries: np.ndarray[Any, Any],
    other: int,
) -> np.ndarray[Any, Any]:
    """Return a matrix with some entries, and the same number everywhere else.

    Raises:
        InvalidArgument: it is too large.

    """
    check_dense(*shape)
    found = np.full(shape, other, dtype=entries.dtype)
    found[places] = entries
    return found
