"""BALL: rigorous real numbers (python-flint's ``arb``), with the true ``exp``, as bounds for all targets at once.

A coordinate is a pair of balls, its smallest and its largest value; each ball holds the exact number, so what lies
between the lower end of the one and the upper end of the other holds every value. One ball for both would not do: the
radius of a wide ball has 30 bits alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, final

import flint
import numpy as np
from jaxtyping import Int

from constructions.exact_matrix import ExactMatrix
from constructions.ratios import Ratios
from constructions.temperature import Hardmax, RationalSoftmax, Softmax, Temperature
from verify.arithmetic.base import Visible
from verify.arithmetic.families import BALL
from verify.certificates.balls.columns import (
    ONE,
    ZERO,
    Column,
    ball,
    ball_precision,
    extreme,
    known_column,
    larger,
    ratios,
    relu_column,
    smaller,
    stacked,
    zeros,
)
from verify.certificates.balls.margins import ball_margins
from verify.certificates.balls.rows import BallRows as BallRows
from verify.certificates.balls.rows import BallScores as BallScores
from verify.certificates.balls.rows import BallWeight as BallWeight
from verify.certificates.balls.rows import outward as outward
from verify.certificates.enclosing import EnclosingArithmetic, Margins


@final
class BallArithmetic(EnclosingArithmetic[BallWeight, BallRows, BallScores]):
    """The real-number arithmetic of a certificate; use it within :meth:`bounding`."""

    spec = BALL.spec()
    name = spec.name
    fmt = None
    device = "cpu"

    def bounding(self) -> AbstractContextManager[None]:
        """Return the precision of balls."""
        return ball_precision()

    def weight(self, matrix: ExactMatrix) -> BallWeight:
        """Return the matrix."""
        found: list[list[tuple[int, flint.arb]]] = [[] for _ in range(matrix.shape[0])]
        for row, column, value in matrix.nonzero():
            found[row].append((column, ball(value)))
        return BallWeight(tuple(map(tuple, found)), matrix.shape)

    def prompt_between(self, low: Ratios, high: Ratios) -> BallRows:
        """Return virtual tokens between two, shape batch x rows x width."""
        batch, rows, width = low.shape
        columns: list[Column | None] = []
        for at in range(width):
            below, above = low.numerators[..., at], high.numerators[..., at]
            if not below.any() and not above.any():
                columns.append(None)
                continue
            least = ratios(below, low.denominator)
            columns.append(Column(least, least if (below == above).all() else ratios(above, low.denominator)))
        return BallRows(tuple(columns), batch, rows)

    def reals_between(self, low: Ratios, high: Ratios) -> BallRows:
        """Return rows of any real numbers between two: balls know of nothing but their ends."""
        return self.prompt_between(low, high)

    def embed_between(
        self, embedding: BallWeight, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> BallRows:
        """Return bounds of the columns of tokens between two."""
        pairs, place = np.unique(np.stack([low.reshape(-1), high.reshape(-1)], axis=1), axis=0, return_inverse=True)
        place = place.reshape(low.shape)
        known = bool((pairs[:, 0] == pairs[:, 1]).all())
        columns: list[Column | None] = []
        for entries in embedding.entries:
            if not entries:
                columns.append(None)
                continue
            held = dict(entries)
            ranges = [[held.get(token, ZERO) for token in range(first, last + 1)] for first, last in pairs.tolist()]
            least, most = zeros(len(pairs)), zeros(len(pairs))
            for index, values in enumerate(ranges):
                least[index], most[index] = extreme(values, smaller), extreme(values, larger)
            columns.append(Column(least[place], most[place]))
            if known:
                columns[-1] = known_column(least[place])
        return BallRows(tuple(columns), low.shape[0], low.shape[1])

    def positions(self, context_size: int, start: int, stop: int) -> BallRows:
        """Return rows of the identity."""
        columns: list[Column | None] = []
        for at in range(context_size):
            if not start <= at < stop:
                columns.append(None)
                continue
            values = zeros(1, stop - start)
            values[0, at - start] = ONE
            columns.append(known_column(values))
        return BallRows(tuple(columns), 1, stop - start)

    def beside(self, left: BallRows, right: BallRows) -> BallRows:
        """Return the rows side by side."""
        return BallRows((*left.columns, *right.columns), max(left.batch, right.batch), left.rows)

    def below(self, top: BallRows, bottom: BallRows) -> BallRows:
        """Return the rows one under the other."""
        columns: list[Column | None] = []
        for upper, lower in zip(top.columns, bottom.columns, strict=True):
            if upper is None and lower is None:
                columns.append(None)
                continue
            parts = [
                known_column(zeros(1, rows.rows)) if part is None else part
                for part, rows in ((upper, top), (lower, bottom))
            ]
            columns.append(stacked(*parts))
        return BallRows(tuple(columns), max(top.batch, bottom.batch), top.rows + bottom.rows)

    def last(self, rows: BallRows) -> BallRows:
        """Return the last row."""
        columns = tuple(None if column is None else column.map(lambda part: part[:, -1:]) for column in rows.columns)
        return BallRows(columns, rows.batch, 1)

    def linear(self, rows: BallRows, weight: BallWeight, bias: BallWeight | None = None) -> BallRows:
        """Return ``W x + b``."""
        columns = []
        for at, entries in enumerate(weight.entries):
            total: Column | None = None
            for place, factor in entries:
                column = rows.columns[place]
                if column is not None:
                    term = column.scaled(factor)
                    total = term if total is None else total.plus(term)
            if bias is not None and bias.entries[at]:
                shift = bias.entries[at][0][1]
                if total is None:
                    total = known_column(np.full((1, rows.rows), shift, dtype=object))
                else:
                    total = total.map(lambda values, shift=shift: values + shift)  # type: ignore[misc] # bound at once
            columns.append(total)
        return BallRows(tuple(columns), rows.batch, rows.rows)

    def relu(self, rows: BallRows) -> BallRows:
        """Return ``max(0, .)``."""
        return BallRows(tuple(relu_column(column) for column in rows.columns), rows.batch, rows.rows)

    def scores(self, queries: BallRows, keys: BallRows) -> BallScores:
        """Return the inner products."""
        total: Column | None = None
        for left, right in zip(queries.columns, keys.columns, strict=True):
            if left is None or right is None:
                continue
            term = left.map(lambda part: part[:, :, None]).times(right.map(lambda part: part[:, None, :]))
            total = term if total is None else total.plus(term)
        if total is None:
            total = known_column(zeros(1, queries.rows, keys.rows))
        return BallScores(total.low, total.high)

    def attention(self, scores: BallScores, visible: Visible, temperature: Temperature, *, key_size: int) -> BallScores:
        """Return the attention weights."""
        if isinstance(temperature, Hardmax):
            return self._hardmax(scores, visible)
        gap = _gap(temperature, key_size=key_size, length=visible.shape[1])
        low, high = zeros(*scores.low.shape), zeros(*scores.low.shape)
        for batch, query in np.ndindex(scores.low.shape[:2]):
            keys = np.flatnonzero(visible[query])
            ends = [[part[batch, query, key] * gap for key in keys] for part in (scores.low, scores.high)]
            least = ends[0] if scores.known else [a.min(b) for a, b in zip(*ends, strict=True)]
            most = ends[0] if scores.known else [a.max(b) for a, b in zip(*ends, strict=True)]  # q < 1 turns them over
            for place, key in enumerate(keys):
                # 1 / sum_r exp(z_r - z_j): the others as large, or as small, as they may be
                low[batch, query, key] = _weight(least[place], most, place)
                high[batch, query, key] = low[batch, query, key] if scores.known else _weight(most[place], least, place)
        return BallScores(low, low if scores.known else high)

    def _hardmax(self, scores: BallScores, visible: Visible) -> BallScores:
        low, high = zeros(*scores.low.shape), zeros(*scores.low.shape)
        certain = True
        for batch, query in np.ndindex(scores.low.shape[:2]):
            keys = np.flatnonzero(visible[query]).tolist()
            values = [(scores.low[batch, query, key], scores.high[batch, query, key]) for key in keys]
            # keys whose lead, or whose tie, over every other one is certain; a ball of radius 0 is a number
            chosen = [
                key
                for key, (least, _) in zip(keys, values, strict=True)
                if all(bool(least > most) or _equal(least, most) for _, most in values)
            ]
            beaten = [
                key
                for key, (_, most) in zip(keys, values, strict=True)
                if any(bool(most < least) for least, _ in values)
            ]
            if chosen and len(chosen) + len(beaten) == len(keys):
                for key in chosen:
                    low[batch, query, key] = high[batch, query, key] = ONE / len(chosen)
            else:
                certain = False
                for key in set(keys) - set(beaten):
                    high[batch, query, key] = ONE
        return BallScores(low, low if certain else high)

    def mix(self, attention: BallScores, values: BallRows) -> BallRows:
        """Return the weighted sums."""
        columns: list[Column | None] = []
        for column in values.columns:
            if column is None:
                columns.append(None)
                continue
            total: Column | None = None
            for key in range(attention.low.shape[2]):
                part = column.map(lambda held, key=key: held[:, None, key])  # type: ignore[misc] # bound at once
                if part.known and all(value == 0 for value in part.low.flat):
                    continue
                factor = BallScores(attention.low[..., key], attention.high[..., key])
                weighted = part.times(known_column(factor.low) if attention.known else Column(factor.low, factor.high))
                total = weighted if total is None else total.plus(weighted)
            columns.append(total)
        return BallRows(tuple(columns), max(attention.low.shape[0], values.batch), attention.low.shape[1])

    def total(self, parts: Sequence[BallRows]) -> BallRows:
        """Return the sum of the heads' outputs."""
        columns: list[Column | None] = []
        for held in zip(*(part.columns for part in parts), strict=True):
            total: Column | None = None
            for column in held:
                if column is not None:
                    total = column if total is None else total.plus(column)
            columns.append(total)
        return BallRows(tuple(columns), max(part.batch for part in parts), parts[0].rows)

    def margins(
        self, rows: BallRows, weight: BallWeight, bias: BallWeight, expected: Int[np.ndarray, " cells"], *, points: int
    ) -> Margins:
        """Return lower bounds of the margins; real numbers between two are never few enough to be tried one by one."""
        return ball_margins(rows, weight, bias, expected)

    def assumptions(self) -> str:
        """Return what a certificate is about."""
        return "real numbers with the true exp"

    def numbers(self, rows: BallRows | BallScores) -> np.ndarray[Any, Any]:
        """Return bounds as float64, outward, with a last axis of 2."""
        if isinstance(rows, BallScores):
            return np.stack(outward(rows.low, rows.high), axis=-1)
        shape = (rows.batch, rows.rows)
        parts = [
            np.zeros((*shape, 2))
            if column is None
            else np.stack([np.broadcast_to(part, shape) for part in outward(column.low, column.high)], axis=-1)
            for column in rows.columns
        ]
        return np.stack(parts, axis=-2)


def _gap(temperature: Softmax | RationalSoftmax, *, key_size: int, length: int) -> flint.arb:
    """Return ``T/sqrt(k)``, or ``ln q``, as a ball."""
    if isinstance(temperature, RationalSoftmax):
        return ball(temperature.q).log()
    under = key_size if temperature.scaled_by == "key" else length
    return flint.arb(temperature.inverse_temperature) / flint.arb(under).sqrt()


def _weight(own: flint.arb, others: list[flint.arb], place: int) -> flint.arb:
    total = ONE
    for index, other in enumerate(others):
        if index != place:
            total += (other - own).exp()
    return ONE / total


def _equal(left: flint.arb, right: flint.arb) -> bool:
    return bool(left == right)  # arb: certainly equal, both of radius 0
