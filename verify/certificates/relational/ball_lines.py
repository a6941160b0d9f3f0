"""Sums of real numbers that move along one line, see :mod:`verify.certificates.relational.lines`.

The true extremes are at the ends of the interval of ``s`` or at kinks in it. A ball that holds such a point gives a
ball that holds the value there; the extreme ones of these balls hold the extremes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flint
import numpy as np

from constructions.activations import Pieces
from verify.certificates.balls.arithmetic import BallRows, BallWeight
from verify.certificates.balls.columns import ONE, ZERO, Column, ball, extreme, larger, smaller
from verify.certificates.relational.lines import Line, lines
from verify.certificates.relational.related import Origin


@dataclass(frozen=True)
class BallLines:
    """The sums of one matrix that read numbers along lines.

    Attributes:
        origin: where the numbers ``h`` come from.
        pieces: of the activation.
        hidden: bounds of ``h``.
        second: the matrix.
        bias: what is added.

    """

    origin: Origin[BallRows]
    pieces: Pieces
    hidden: BallRows
    second: BallWeight
    bias: BallWeight | None

    def met(self, found: BallRows) -> BallRows:
        """Return bounds of the sums within those that are given."""
        signs = np.zeros(self.second.shape, dtype=np.int64)
        for output, entries in enumerate(self.second.entries):
            for unit, value in entries:
                signs[output, unit] = 1 if value > 0 else -1
        told = lines(
            self.origin.weight.entries,
            np.array([_unknown(column) for column in self.origin.rows.columns]),
            np.array([_unknown(column) for column in self.hidden.columns]),
            signs,
            monotone=min(self.pieces.slopes) >= 0,
        )
        columns = list(found.columns)
        for output in sorted({int(at) for line in told for at in line.outputs}):
            own = columns[output]
            if own is None or own.known:
                continue
            low, high = self._sum(output, [line for line in told if output in line.outputs])
            columns[output] = Column(larger(own.low, low), smaller(own.high, high))
        batch = max(found.batch, self.hidden.batch, self.origin.rows.batch)
        return BallRows(tuple(columns), batch, found.rows)

    def _sum(self, output: int, told: list[Line]) -> tuple[Any, Any]:
        """Return bounds of one output in every cell and row."""
        weight = dict(self.second.entries[output])
        shape = (max(self.hidden.batch, self.origin.rows.batch), self.hidden.rows)
        low, high = (np.full(shape, ZERO, dtype=object) for _ in range(2))
        if self.bias is not None and self.bias.entries[output]:
            low, high = (part + self.bias.entries[output][0][1] for part in (low, high))
        along = {int(unit) for line in told for unit in line.units}
        for unit, factor in weight.items():
            column = self.hidden.columns[unit]
            if unit not in along and column is not None:
                term = column.scaled(factor)
                low, high = low + term.low, high + term.high
        for line in told:
            units = [int(unit) for unit in line.units if int(unit) in weight]
            for cell, row in np.ndindex(shape):
                least, most = self._along(line, units, weight, cell, row)
                low[cell, row], high[cell, row] = low[cell, row] + least, high[cell, row] + most
        return low, high

    def _along(
        self, line: Line, units: list[int], weight: dict[int, flint.arb], cell: int, row: int
    ) -> tuple[flint.arb, flint.arb]:
        """Return bounds of the units of one line in one row of one cell."""
        columns = [int(column) for column in line.columns]
        rows = {unit: dict(self.origin.weight.entries[unit]) for unit in units}
        direction = {columns[0]: ONE} if len(columns) == 1 else rows[units[0]]
        least, most = ZERO, ZERO
        for column in columns:
            ends = [end * direction[column] for end in _at(self.origin.rows.columns[column], cell, row)]
            least, most = least + ends[0].min(ends[1]), most + ends[0].max(ends[1])
        slopes, shifts, points = [], [], [least, most]
        for unit in units:
            slope = rows[unit][columns[0]] / direction[columns[0]]
            shift = self._shift(unit, rows[unit], columns, cell, row)
            for kink in self.pieces.kinks:
                place = (ball(kink) - shift) / slope
                if not (place < least or place > most):
                    points.append(place.max(least).min(most))
            slopes.append(slope)
            shifts.append(shift)
        values = [
            sum(
                (
                    weight[unit] * self.origin.activation.ball(slope * point + shift)
                    for unit, slope, shift in zip(units, slopes, shifts, strict=True)
                ),
                ZERO,
            )
            for point in points
        ]
        return extreme(values, smaller), extreme(values, larger)

    def _shift(self, unit: int, entries: dict[int, flint.arb], columns: list[int], cell: int, row: int) -> flint.arb:
        """Return what the known coordinates and the bias add to a unit."""
        shift = ZERO
        if self.origin.bias is not None and self.origin.bias.entries[unit]:
            shift = self.origin.bias.entries[unit][0][1]
        for column, entry in entries.items():
            if column not in columns:
                shift += entry * _at(self.origin.rows.columns[column], cell, row)[0]
        return shift


def _unknown(column: Column | None) -> bool:
    return column is not None and not column.known


def _at(column: Column | None, cell: int, row: int) -> tuple[flint.arb, flint.arb]:
    if column is None:
        return ZERO, ZERO
    cell = cell if column.low.shape[0] > 1 else 0
    return column.low[cell, row], column.high[cell, row]
