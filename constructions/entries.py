"""The non-zero entries of a matrix as arrays, which hold every block without a simpler structure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Int

from constructions.integers import product, scaled_integers, smallest_dtype
from constructions.ratios import Ratios


@dataclass(frozen=True, eq=False)
class Entries:
    """The non-zero entries of a matrix, by rows and in a row by columns, each place once.

    Attributes:
        rows: int64, the row of each entry.
        columns: int64, the column of each entry.
        values: the entries, exactly; none is 0.

    """

    rows: Int[np.ndarray, " entries"]
    columns: Int[np.ndarray, " entries"]
    values: Ratios

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[int, int, Fraction]]:
        """Yield ``(row, column, value)``."""
        places = zip(self.rows.tolist(), self.columns.tolist(), strict=True)
        for (row, column), value in zip(places, self.values.numerators.tolist(), strict=True):
            yield row, column, Fraction(value, self.values.denominator)

    @classmethod
    def of(cls, found: Iterable[tuple[int, int, Fraction]]) -> Entries:
        """Return entries from ``(row, column, value)``; values at the same place add up."""
        triples = list(found)
        denominator = math.lcm(*(value.denominator for _, _, value in triples))
        numerators = [value.numerator * (denominator // value.denominator) for _, _, value in triples]
        rows = np.array([row for row, _, _ in triples], dtype=np.int64)
        columns = np.array([column for _, column, _ in triples], dtype=np.int64)
        return cls.collected(rows, columns, Ratios(smallest_dtype(numerators), denominator))

    @classmethod
    def collected(
        cls, rows: Int[np.ndarray, " entries"], columns: Int[np.ndarray, " entries"], values: Ratios
    ) -> Entries:
        """Return entries from places in any order; values at the same place add up and zeros are left out."""
        numerators = values.numerators
        order = np.lexsort((columns, rows))
        ordered = len(order) < 2 or bool((np.diff(order) == 1).all())
        if not ordered:
            rows, columns, numerators = rows[order], columns[order], numerators[order]
        first = np.ones(len(rows), dtype=np.bool_)
        first[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
        if not first.all():
            starts = np.flatnonzero(first)
            most = int(np.diff([*starts.tolist(), len(rows)]).max())  # no sum has more terms
            numerators = np.add.reduceat(scaled_integers(numerators, 1, terms=most), starts)
            rows, columns = rows[first], columns[first]
        kept = numerators != 0
        if not kept.all():
            rows, columns, numerators = rows[kept], columns[kept], numerators[kept]
        return cls(rows, columns, Ratios(numerators, values.denominator))

    def scaled(self, factor: Fraction) -> Entries:
        """Return the entries times ``factor``, which is not 0."""
        numerators = scaled_integers(self.values.numerators, factor.numerator)
        return Entries(self.rows, self.columns, Ratios(numerators, self.values.denominator * factor.denominator))

    def __add__(self, other: Entries) -> Entries:
        """Return the entries of the sum of two matrices of one shape."""
        denominator = math.lcm(self.values.denominator, other.values.denominator)
        numerators = [
            scaled_integers(part.values.numerators, denominator // part.values.denominator) for part in (self, other)
        ]
        return Entries.collected(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.columns, other.columns]),
            Ratios(np.concatenate(numerators), denominator),
        )

    def transposed(self) -> Entries:
        """Return the entries of the transposed matrix."""
        return Entries.collected(self.columns, self.rows, self.values)

    def kronecker(self, other: Entries, shape: tuple[int, int]) -> Entries:
        """Return the entries of the Kronecker product with a matrix of the given shape."""
        numerators = product(self.values.numerators[:, None], other.values.numerators[None, :])
        return Entries.collected(
            (self.rows[:, None] * shape[0] + other.rows[None, :]).reshape(-1),
            (self.columns[:, None] * shape[1] + other.columns[None, :]).reshape(-1),
            Ratios(numerators.reshape(-1), self.values.denominator * other.values.denominator),
        )
