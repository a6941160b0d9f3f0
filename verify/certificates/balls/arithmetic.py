"""BALL: rigorous real numbers (python-flint's ``arb``), with the true ``exp``, as bounds for all targets at once.

A coordinate is a pair of balls, its smallest and its largest value; each ball holds the exact number, so what lies
between the lower end of the one and the upper end of the other holds every value. One ball for both would not do: the
radius of a wide ball has 30 bits alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import Any, final

import flint
import numpy as np
from jaxtyping import Int

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.ratios import Ratios
from constructions.temperature import Hardmax, Temperature
from verify.arithmetic.base import Visible
from verify.arithmetic.families import BALL
from verify.arithmetic.gaps import check_exponents
from verify.certificates.balls.attention import gap_of, hardmax, softmax
from verify.certificates.balls.columns import (
    ONE,
    ZERO,
    Column,
    activated,
    alike,
    ball,
    ball_precision,
    extreme,
    known_column,
    larger,
    placed,
    raised,
    ratios,
    relu_column,
    smaller,
    stacked,
    zeros,
)
from verify.certificates.balls.margins import ball_margins
from verify.certificates.balls.norms import normalised
from verify.certificates.balls.rows import BallRows as BallRows
from verify.certificates.balls.rows import BallScores as BallScores
from verify.certificates.balls.rows import BallWeight as BallWeight
from verify.certificates.balls.rows import outward as outward
from verify.certificates.enclosing import EnclosingArithmetic, Margins


@final
class BallArithmetic(EnclosingArithmetic[BallWeight, BallRows, BallScores]):
    """The real-number arithmetic of a certificate; use it within :meth:`bounding`.

    Example:
        >>> from constructions import RationalSoftmax, UnconditionalGeneration
        >>> from verify.certificates import certify
        >>> certify(UnconditionalGeneration(3, 3, temperature=RationalSoftmax(19)), BallArithmetic()).holds
        True

    """

    spec = BALL.spec()
    name = spec.name
    fmt = None
    device = "cpu"

    def bounding(self) -> AbstractContextManager[None]:
        """Return the precision of balls."""
        return ball_precision()

    def weight(self, matrix: ExactMatrix) -> BallWeight:
        """Return the matrix."""
        held: list[list[tuple[int, flint.arb]]] = [[] for _ in range(matrix.shape[0])]
        exact: list[list[tuple[int, flint.fmpq]]] = [[] for _ in range(matrix.shape[0])]
        for row, column, value in matrix.nonzero():
            held[row].append((column, ball(value)))
            exact[row].append((column, flint.fmpq(value.numerator, value.denominator)))
        return BallWeight(tuple(map(tuple, held)), matrix.shape, tuple(map(tuple, exact)))

    def prompt_between(self, low: Ratios, high: Ratios) -> BallRows:
        """Return virtual tokens between two, shape batch x rows x width."""
        batch, rows, width = low.shape
        least, most = ratios(np.stack([low.numerators, high.numerators]), low.denominator)
        columns: list[Column | None] = []
        for at in range(width):
            below, above = alike(low.numerators[..., at], high.numerators[..., at])
            if not below.any() and not above.any():
                columns.append(None)
                continue
            held = least[: len(below), :, at]
            columns.append(Column(held, held if (below == above).all() else most[: len(below), :, at]))
        return BallRows(tuple(columns), batch, rows)

    def reals_between(self, low: Ratios, high: Ratios) -> BallRows:
        """Return rows of any real numbers between two: balls know of nothing but their ends."""
        return self.prompt_between(low, high)

    def embed_between(
        self, embedding: BallWeight, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> BallRows:
        """Return bounds of the columns of tokens between two."""
        pairs, place = np.unique(np.stack([low.reshape(-1), high.reshape(-1)], axis=1), axis=0, return_inverse=True)
        (place,) = alike(place.reshape(low.shape))
        known = bool((pairs[:, 0] == pairs[:, 1]).all())
        columns: list[Column | None] = []
        for entries in embedding.entries:
            if not entries:
                columns.append(None)
                continue
            held = dict(entries)
            ranges = [[held.get(token, ZERO) for token in range(first, last + 1)] for first, last in pairs.tolist()]
            least = [extreme(values, smaller) for values in ranges]
            most = least if known else [extreme(values, larger) for values in ranges]
            columns.append(placed(least, most, place))
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
            columns.append(raised(total, ZERO if bias is None else bias.entry(at), rows.rows))
        return BallRows(tuple(columns), rows.batch, rows.rows)

    def relu(self, rows: BallRows) -> BallRows:
        """Return ``max(0, .)``."""
        return BallRows(tuple(relu_column(column) for column in rows.columns), rows.batch, rows.rows)

    def pointwise(self, rows: BallRows, activation: Activation) -> BallRows:
        """Return bounds of the activation, as it encloses itself; one with a pole may be undefined."""
        columns = tuple(activated(column, rows.rows, activation) for column in rows.columns)
        found = BallRows(columns, rows.batch, rows.rows)
        self.undefined |= rows.finite and not found.finite
        return found

    def multiply(self, left: BallRows, right: BallRows) -> BallRows:
        """Return bounds of the product, as if its factors were independent."""
        pairs = zip(left.columns, right.columns, strict=True)
        columns = tuple(None if a is None or b is None else a.times(b) for a, b in pairs)
        return BallRows(columns, max(left.batch, right.batch), left.rows)

    def normalise(self, rows: BallRows, *, centred: bool, mean: bool, eps: Fraction) -> BallRows:
        """Return bounds of the rows over their lengths, see :mod:`verify.certificates.balls.norms`."""
        columns = normalised(rows.columns, rows.rows, centred=centred, mean=mean, eps=eps)
        found = BallRows(columns, rows.batch, rows.rows)
        self.undefined |= not found.finite
        return found

    def affine(self, rows: BallRows, weight: BallWeight | None, bias: BallWeight | None) -> BallRows:
        """Return ``w * x + b``."""
        columns: list[Column | None] = []
        for at, column in enumerate(rows.columns):
            scaled = None if column is None else column.scaled(ONE if weight is None else weight.entry(at))
            columns.append(raised(scaled, ZERO if bias is None else bias.entry(at), rows.rows))
        return BallRows(tuple(columns), rows.batch, rows.rows)

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

    def score_table(self, table: BallWeight, start: int, stop: int) -> BallScores:
        """Return a part of the table, known and the same for the whole batch."""
        held = zeros(1, stop - start, stop)
        for query, entries in enumerate(table.entries[start:stop]):
            for key, value in entries:
                if key < stop:
                    held[0, query, key] = value
        return BallScores(held, held)

    def shifted(self, scores: BallScores, shift: BallScores) -> BallScores:
        """Return the sum."""
        total = Column(scores.low, scores.high).plus(Column(shift.low, shift.high))
        return BallScores(total.low, total.high)

    def attention(self, scores: BallScores, visible: Visible, temperature: Temperature, *, key_size: int) -> BallScores:
        """Return the attention weights."""
        if isinstance(temperature, Hardmax):
            return hardmax(scores, visible)
        gap = gap_of(temperature, key_size=key_size, length=visible.shape[1])
        return softmax(Column(scores.low, scores.high).scaled(gap), visible)  # q < 1 turns them over

    def shifted_attention(
        self, scores: BallScores, shift: BallScores, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> BallScores:
        """Return the attention weights of the scaled scores and what is added to them."""
        gap = gap_of(check_exponents(temperature), key_size=key_size, length=visible.shape[1])
        exponents = Column(scores.low, scores.high).scaled(gap).plus(Column(shift.low, shift.high))
        return softmax(exponents, visible)

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
