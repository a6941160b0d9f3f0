"""Exact rational matrices that keep the block structure they were written with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Literal

import numpy as np
from jaxtyping import Float

from constructions.formats import Format, round_to_format
from constructions.validation import InvalidArgument

#: Most entries of a matrix that is held entry by entry: a gibibyte of float64.
LARGEST_DENSE = 2**27


@dataclass(frozen=True)
class Leaf:
    """One block of a lowered matrix: a multiple of the identity, a constant, or its non-zero entries.

    Attributes:
        kind: ``identity`` and ``constant`` are ``scale`` times ``I`` and ``scale`` in every entry.
        scale: the multiple; 1 for ``entries``.
        nonzero: for ``entries``, ``(row, column) -> value``, without zeros.

    """

    kind: Literal["identity", "constant", "entries"]
    scale: Fraction = Fraction(1)
    nonzero: Mapping[tuple[int, int], Fraction] | None = None


@dataclass(frozen=True)
class ExactMatrix:
    """A matrix of exact rationals that keeps the block structure it was written with.

    Attributes:
        row_sizes: sizes of the blocks of rows.
        column_sizes: sizes of the blocks of columns.
        leaves: ``(block row, block column) -> leaf``; a block that is absent is zero.

    """

    row_sizes: tuple[int, ...]
    column_sizes: tuple[int, ...]
    leaves: Mapping[tuple[int, int], Leaf]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows x columns."""
        return sum(self.row_sizes), sum(self.column_sizes)

    def nonzero(self) -> Iterator[tuple[int, int, Fraction]]:
        """Yield ``(row, column, value)`` for every non-zero entry, block by block."""
        row_starts = [0, *accumulate(self.row_sizes)]
        column_starts = [0, *accumulate(self.column_sizes)]
        for (block_row, block_column), leaf in self.leaves.items():
            top, left = row_starts[block_row], column_starts[block_column]
            rows, columns = self.row_sizes[block_row], self.column_sizes[block_column]
            for row, column, value in leaf_entries(leaf, rows, columns):
                yield top + row, left + column, value

    def check_dense(self) -> None:
        """Refuse a matrix that is too large to hold entry by entry.

        Raises:
            InvalidArgument: more than :data:`LARGEST_DENSE` entries.

        """
        rows, columns = self.shape
        if rows * columns > LARGEST_DENSE:
            raise InvalidArgument(
                f"sizes: expected weights of at most {LARGEST_DENSE} entries each but one is {rows} x {columns};"
                " choose a smaller vocabulary or context"
            )

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
        for row, column, value in self.nonzero():
            dense[row, column] = round_to_format(value, fmt)
        return dense


def leaf_entries(leaf: Leaf, rows: int, columns: int) -> Iterator[tuple[int, int, Fraction]]:
    """Yield the non-zero entries of a block of the given size."""
    if leaf.kind == "identity":
        yield from ((index, index, leaf.scale) for index in range(rows))
    elif leaf.kind == "constant":
        yield from ((row, column, leaf.scale) for row in range(rows) for column in range(columns))
    else:
        assert leaf.nonzero is not None
        yield from ((row, column, value) for (row, column), value in leaf.nonzero.items())
