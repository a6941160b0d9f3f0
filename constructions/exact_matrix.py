"""Exact rational matrices that keep the block structure they were written with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from constructions.entries import Entries
from constructions.formats import Format, round_to_format
from constructions.integers import smallest_dtype
from constructions.ratios import Ratios
from constructions.validation import InvalidArgument

#: Most entries of a matrix that is held entry by entry: a gibibyte of float64.
LARGEST_DENSE = 2**27


def check_dense(rows: int, columns: int) -> None:
    """Refuse a matrix of more than :data:`LARGEST_DENSE` entries, which cannot be held entry by entry.

    Raises:
        InvalidArgument: the matrix is too large.

    """
    if rows * columns > LARGEST_DENSE:
        raise InvalidArgument(
            f"sizes: expected weights of at most {LARGEST_DENSE} entries each but one is {rows} x {columns};"
            " choose a smaller vocabulary or context"
        )


@dataclass(frozen=True)
class Leaf:
    """One block of a lowered matrix: a multiple of the identity, a constant, or its non-zero entries.

    Attributes:
        kind: ``identity`` and ``constant`` are ``scale`` times ``I`` and ``scale`` in every entry.
        scale: the multiple; 1 for ``entries``.
        nonzero: for ``entries``, the non-zero entries.

    """

    kind: Literal["identity", "constant", "entries"]
    scale: Fraction = Fraction(1)
    nonzero: Entries | None = None


@dataclass(frozen=True)
class ExactMatrix:
    """A matrix of exact rationals that keeps the block structure it was written with.

    Attributes:
        row_sizes: sizes of the blocks of rows.
        column_sizes: sizes of the blocks of columns.
        leaves: ``(block row, block column) -> leaf``; a block that is absent is zero.

    Example:
        >>> from constructions import lower
        >>> matrix = lower([[1, 0.5], [0, 2]], {})
        >>> matrix.shape
        (2, 2)
        >>> matrix.to_fractions()
        [[Fraction(1, 1), Fraction(1, 2)], [Fraction(0, 1), Fraction(2, 1)]]

    """

    row_sizes: tuple[int, ...]
    column_sizes: tuple[int, ...]
    leaves: Mapping[tuple[int, int], Leaf]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows x columns."""
        return sum(self.row_sizes), sum(self.column_sizes)

    def placed(self) -> Iterator[tuple[int, int, int, int, Leaf]]:
        """Yield ``(top, left, rows, columns, leaf)`` for every block that is not zero."""
        row_starts = [0, *accumulate(self.row_sizes)]
        column_starts = [0, *accumulate(self.column_sizes)]
        for (row, column), leaf in self.leaves.items():
            yield row_starts[row], column_starts[column], self.row_sizes[row], self.column_sizes[column], leaf

    def nonzero(self) -> Iterator[tuple[int, int, Fraction]]:
        """Yield ``(row, column, value)`` for every non-zero entry, block by block."""
        for top, left, rows, columns, leaf in self.placed():
            for row, column, value in leaf_entries(leaf, rows, columns):
                yield top + row, left + column, value

    @property
    def entries(self) -> int:
        """How many entries are not 0."""
        return sum(leaf_count(leaf, rows, columns) for _, _, rows, columns, leaf in self.placed())

    def held_by(self, fmt: Format) -> bool:
        """Return whether every entry is a number of the format.

        Raises:
            OverflowError: an entry is beyond the largest number of the format.

        """
        return all(
            Fraction(round_to_format(leaf.scale, fmt)) == leaf.scale
            if leaf.nonzero is None
            else leaf.nonzero.values.held_by(fmt)
            for _, _, _, _, leaf in self.placed()
        )

    def negative(self) -> ExactMatrix:
        """Return the matrix times -1."""
        leaves = {
            place: Leaf(leaf.kind, -leaf.scale)
            if leaf.nonzero is None
            else Leaf(leaf.kind, nonzero=leaf.nonzero.scaled(Fraction(-1)))
            for place, leaf in self.leaves.items()
        }
        return ExactMatrix(self.row_sizes, self.column_sizes, leaves)

    def check_dense(self) -> None:
        """Refuse a matrix that is too large to hold entry by entry.

        Raises:
            InvalidArgument: more than :data:`LARGEST_DENSE` entries.

        """
        check_dense(*self.shape)

    def to_fractions(self) -> list[list[Fraction]]:
        """Return every entry as a list of rows."""
        self.check_dense()
        rows, columns = self.shape
        dense = [[Fraction(0)] * columns for _ in range(rows)]
        for row, column, value in self.nonzero():
            dense[row][column] = value
        return dense

    def to_numpy(self, fmt: Format) -> Float[np.ndarray, "rows columns"]:
        """Return the matrix with every entry correctly rounded to ``fmt``, held as float64 (which holds all formats).

        Raises:
            OverflowError: an entry is beyond the largest number of the format.
            InvalidArgument: too large to hold.

        """
        self.check_dense()
        dense = np.zeros(self.shape)
        row_starts = [0, *accumulate(self.row_sizes)]
        column_starts = [0, *accumulate(self.column_sizes)]
        for (row, column), leaf in self.leaves.items():
            block = dense[row_starts[row] : row_starts[row + 1], column_starts[column] : column_starts[column + 1]]
            if leaf.nonzero is not None:
                block[leaf.nonzero.rows, leaf.nonzero.columns] = leaf.nonzero.values.to_float(fmt)
            elif leaf.kind == "identity":
                np.fill_diagonal(block, round_to_format(leaf.scale, fmt))
            else:
                block[:] = round_to_format(leaf.scale, fmt)
        return dense


def leaf_entries(leaf: Leaf, rows: int, columns: int) -> Iterator[tuple[int, int, Fraction]]:
    """Yield the non-zero entries of a block of the given size."""
    if leaf.kind == "identity":
        yield from ((index, index, leaf.scale) for index in range(rows))
    elif leaf.kind == "constant":
        yield from ((row, column, leaf.scale) for row in range(rows) for column in range(columns))
    else:
        assert leaf.nonzero is not None
        yield from leaf.nonzero


def leaf_count(leaf: Leaf, rows: int, columns: int) -> int:
    """Return how many entries of a block of the given size are not 0."""
    if leaf.nonzero is not None:
        return len(leaf.nonzero)
    return rows if leaf.kind == "identity" else rows * columns


def leaf_places(leaf: Leaf, rows: int, columns: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the rows and the columns of the non-zero entries of a block of the given size.

    Raises:
        InvalidArgument: a constant block that is too large to hold.

    """
    if leaf.nonzero is not None:
        return leaf.nonzero.rows, leaf.nonzero.columns
    if leaf.kind == "identity":
        return np.arange(rows), np.arange(rows)
    check_dense(rows, columns)
    places = np.divmod(np.arange(rows * columns), max(1, columns))
    return places[0], places[1]


def as_entries(leaf: Leaf | None, rows: int, columns: int) -> Entries:
    """Return a block of the given size by its non-zero entries; ``None`` has none.

    Raises:
        InvalidArgument: a constant block that is too large to hold.

    """
    if leaf is None:
        return Entries.of([])
    if leaf.nonzero is not None:
        return leaf.nonzero
    at_rows, at_columns = leaf_places(leaf, rows, columns)
    numerators = np.broadcast_to(smallest_dtype([leaf.scale.numerator]), at_rows.shape)
    return Entries(at_rows, at_columns, Ratios(numerators, leaf.scale.denominator))
