"""Rows, weights and scores whose numbers are balls."""

from __future__ import annotations

from dataclasses import dataclass

import flint
import numpy as np
from jaxtyping import Float

from verify.certificates.balls.columns import ZERO, Balls, Column


@dataclass(frozen=True, eq=False)
class BallRows:
    """Rows of vectors, coordinate by coordinate.

    Attributes:
        columns: for each coordinate its values, shape batch x rows; ``None`` where they are all 0.
        batch: the largest batch of a column.
        rows: number of rows.

    """

    columns: tuple[Column | None, ...]
    batch: int
    rows: int

    @property
    def finite(self) -> bool:
        """Whether all bounds are finite."""
        ends = (end for column in self.columns if column is not None for end in (column.low, column.high))
        return all(value.is_finite() for end in ends for value in end.flat)


@dataclass(frozen=True, eq=False)
class BallWeight:
    """The non-zero entries of a matrix, row by row: ``(column, entry)``.

    Attributes:
        entries: as balls.
        shape: rows and columns.
        rationals: the same entries exactly.

    """

    entries: tuple[tuple[tuple[int, flint.arb], ...], ...]
    shape: tuple[int, int]
    rationals: tuple[tuple[tuple[int, flint.fmpq], ...], ...]

    def entry(self, row: int) -> flint.arb:
        """Return an entry of a matrix of one column."""
        return self.entries[row][0][1] if self.entries[row] else ZERO


@dataclass(frozen=True, eq=False)
class BallScores:
    """Scores or weights: bounds of shape batch x queries x keys."""

    low: Balls
    high: Balls

    @property
    def known(self) -> bool:
        """Whether every value is a single number."""
        return self.low is self.high


def outward(low: Balls, high: Balls) -> tuple[Float[np.ndarray, " ..."], Float[np.ndarray, " ..."]]:
    """Return float64 bounds of values between balls."""
    below = np.array([float(value.lower()) for value in low.flat]).reshape(low.shape)
    above = np.array([float(value.upper()) for value in high.flat]).reshape(high.shape)
    # float() rounds to nearest; 0 and other floats of few bits stay what they are only if they are exact
    return np.nextafter(below, -np.inf), np.nextafter(above, np.inf)
