"""An arithmetic of bounds that keeps the factors of norms, in floats and real numbers, for many cells at once.

See :mod:`verify.certificates.relational.factors.parts` for its rows. The arithmetic below computes scores, and
activations of which it has nothing but bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from constructions.activations import Activation
from constructions.operations import ScoresT, WeightT
from constructions.ratios import Ratios
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.relational.enclosures import Enclosures
from verify.certificates.relational.factors.activations import Activations
from verify.certificates.relational.factors.kernels import Kernels
from verify.certificates.relational.factors.linear import Matrix
from verify.certificates.relational.factors.margins import LogitMargins
from verify.certificates.relational.factors.mixing import Mixing, side_by_side
from verify.certificates.relational.factors.norms import Norms
from verify.certificates.relational.factors.parts import nothing, part
from verify.certificates.relational.factors.products import Products
from verify.certificates.relational.factors.repeated import Repeated
from verify.certificates.relational.factors.rows import Row
from verify.certificates.relational.factors.table import ALONE, FINEST, Table, slack
from verify.certificates.relational.over import OverArithmetic

_Array = Float[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class FactoredRows:
    """The vectors at some positions.

    Attributes:
        rows: one for each position.

    """

    rows: tuple[Row, ...]


@final
class FactoredArithmetic(OverArithmetic[WeightT, FactoredRows, ScoresT]):
    """Bounds of rows as sums of parts with factors, for one forward pass after another.

    Attributes:
        base: the arithmetic below.
        table: factors and unknown numbers.
        kernels: what computed numbers may be off by.

    """

    base: EnclosingArithmetic[WeightT, Any, ScoresT]

    def __init__(
        self,
        base: EnclosingArithmetic[WeightT, Any, ScoresT],
        enclosures: Enclosures[WeightT, Any, Any],
        kernels: Kernels,
    ) -> None:
        """Keep factors in rows that ``base`` bounds."""
        super().__init__(base)
        self.table, self.kernels, self._enclosures = Table(), kernels, enclosures
        self._repeated = Repeated(self.table)
        self._matrices: dict[int, tuple[WeightT, Matrix]] = {}  # by id, each with the weight whose id it is
        self._sums, self._activations = Mixing(self.table, kernels), Activations(self.table, kernels)
        self._products, self._norms = Products(self.table, kernels), Norms(self.table, kernels)

    def begin(self) -> None:
        """Begin a pass; rows that it has in common with the one before are not computed again."""
        super().begin()
        self._repeated.begin()

    def _matrix(self, weight: WeightT) -> Matrix:
        """Return a weight; an entry whose products may underflow is no number here, which decides nothing."""
        if id(weight) not in self._matrices:
            values = self._enclosures.dense(weight)
            found = Matrix(np.where(self._enclosures.reads(weight) & (np.abs(values) < FINEST), np.nan, values))
            self._matrices[id(weight)] = weight, found
        return self._matrices[id(weight)][1]

    def _optional(self, weight: WeightT | None) -> Matrix | None:
        return None if weight is None else self._matrix(weight)

    def _each(
        self, operation: Callable[..., Row], *rows: FactoredRows, key: tuple[Any, ...] = (), weights: Sequence[Any] = ()
    ) -> FactoredRows:
        """Return an operation of the rows at every position, which passes may have in common.

        Args:
            operation: takes a row of each of ``rows``.
            rows: of as many positions each.
            key: what tells the operation from others.
            weights: of the operation.

        """
        return FactoredRows(
            tuple(
                self._repeated.of(given, key, weights, partial(operation, *given))
                for given in zip(*(each.rows for each in rows), strict=True)
            )
        )

    def _of_bounds(self, low: _Array, high: _Array) -> FactoredRows:
        """Return rows of which nothing but bounds is known, cells x rows x width: an unknown number for each of them.

        Slopes are the same in all cells, so that products with such numbers keep more than with ones that differ.
        """
        return FactoredRows(tuple(self._row(low[:, at], high[:, at], alike=True) for at in range(low.shape[1])))

    def _row(self, low: _Array, high: _Array, *, alike: bool = False) -> Row:
        """Return a row between bounds; ``alike`` calls numbers that differ from cell to cell unknown, too."""
        if (low == low[:1]).all() and (high == high[:1]).all():
            low, high = low[:1], high[:1]
        unknown = np.flatnonzero((low != high).any(axis=0) | (alike & (low != low[:1]).any(axis=0)))
        names = tuple(self.table.unknown(low[:, at], high[:, at]) for at in unknown)
        slopes = np.zeros((low.shape[1], len(names)))
        slopes[unknown, np.arange(len(names))] = 1
        known = low.copy()
        known[:, unknown] = 0
        self.table.note(np.maximum(np.abs(low), np.abs(high)))
        own = slack(1) * np.abs(known)
        return Row(low.shape[1], (part(ALONE, known, own, names=names, slopes=slopes),)).merged(self.table)

    def _given(self, rows: Any) -> FactoredRows:
        numbers = self.base.numbers(rows)
        return self._of_bounds(numbers[..., 0], numbers[..., 1])

    def _bounds(self, rows: FactoredRows) -> Any:
        """Return bounds of every coordinate, as the arithmetic below has them."""
        ends = [row.hull(self.table) for row in rows.rows]
        cells = max(len(end.low) for end in ends)
        shape = (cells, rows.rows[0].width)
        low, high = (
            np.stack([np.broadcast_to(getattr(end, side), shape) for end in ends], axis=1) for side in ("low", "high")
        )
        return self._enclosures.of_numbers(low, high)

    def prompt_between(self, low: Ratios, high: Ratios) -> FactoredRows:
        """Return virtual tokens between two."""
        return self._given(self.base.prompt_between(low, high))

    def reals_between(self, low: Ratios, high: Ratios) -> FactoredRows:
        """Return rows of any real numbers between two."""
        return self._given(self.base.reals_between(low, high))

    def embed_between(
        self, embedding: WeightT, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> FactoredRows:
        """Return bounds of the columns of tokens between two."""
        values = self._matrix(embedding).values
        ends = []
        for first, last in zip(low.T, high.T, strict=True):
            pairs, place = np.unique(np.stack([first, last]), axis=1, return_inverse=True)
            columns = [values[:, start : stop + 1] for start, stop in pairs.T.tolist()]
            least, most = np.stack([one.min(axis=1) for one in columns]), np.stack([one.max(axis=1) for one in columns])
            # where every cell has one number, ``_row`` adds own roundings
            off = np.where((least == most).all(axis=0), 0, slack(1) * np.maximum(np.abs(least), np.abs(most)))
            ends.append(((least - off)[place.reshape(-1)], (most + off)[place.reshape(-1)]))
        return FactoredRows(tuple(self._embedding(*each) for each in ends))

    def _embedding(self, low: _Array, high: _Array) -> Row:
        key = ("column", low.shape, low.tobytes(), high.tobytes())
        return self._repeated.source(key, lambda: self._row(low, high))

    # rows ------------------------------------------------------------------------------------------------------------

    def positions(self, context_size: int, start: int, stop: int) -> FactoredRows:
        """Return rows of the identity."""
        codes, found = np.eye(context_size), []
        for at in range(start, stop):
            make = partial(self._row, codes[None, at], codes[None, at], alike=True)
            found.append(self._repeated.source(("position", context_size, at), make))
        return FactoredRows(tuple(found))

    def beside(self, left: FactoredRows, right: FactoredRows) -> FactoredRows:
        """Return the rows side by side."""
        return self._each(partial(side_by_side, table=self.table), left, right, key=("beside",))

    def below(self, top: FactoredRows, bottom: FactoredRows) -> FactoredRows:
        """Return the rows one under the other."""
        return FactoredRows(top.rows + bottom.rows)

    def last(self, rows: FactoredRows) -> FactoredRows:
        """Return the last row."""
        return FactoredRows(rows.rows[-1:])

    # layers ----------------------------------------------------------------------------------------------------------

    def linear(self, rows: FactoredRows, weight: WeightT, bias: WeightT | None = None) -> FactoredRows:
        """Return ``W x + b``."""
        matrix, shift = self._matrix(weight), self._optional(bias)
        operation = partial(self._sums.linear, weight=matrix, bias=shift)
        return self._each(operation, rows, key=("linear",), weights=(weight, bias))

    def relu(self, rows: FactoredRows) -> FactoredRows:
        """Return ``max(0, .)``."""
        return self._each(self._activations.relu, rows, key=("relu",))

    def total(self, parts: Sequence[FactoredRows]) -> FactoredRows:
        """Return the sum."""
        return self._each(lambda *rows: self._sums.total(rows), *parts, key=("total",))

    def pointwise(self, rows: FactoredRows, activation: Activation) -> FactoredRows:
        """Return an activation of every coordinate; of one that is not near ReLU, nothing but bounds."""
        if self._activations.knows(activation):
            operation = partial(self._activations.near_relu, activation=activation)
            return self._each(operation, rows, key=("activation",), weights=(activation,))
        return self._given(self.base.pointwise(self._bounds(rows), activation))

    def multiply(self, left: FactoredRows, right: FactoredRows) -> FactoredRows:
        """Return the products."""
        return self._each(self._products.multiply, left, right, key=("multiply",))

    def normalise(self, rows: FactoredRows, *, centred: bool, mean: bool, eps: Fraction) -> FactoredRows:
        """Return every row over its length, a new factor for each; nothing is shown where a length may be 0."""
        found = []
        for row in rows.rows:
            norm = partial(self._norms.normalise, row, centred=centred, mean=mean, eps=eps)
            made = self._repeated.of((row,), ("normalise", centred, mean, eps), (), norm)
            if made is None:
                self.undefined = True
                made = Row(row.width, (part(ALONE, nothing(row.width), np.full((1, row.width), np.inf)),))
            found.append(made)
        return FactoredRows(tuple(found))

    def affine(self, rows: FactoredRows, weight: WeightT | None, bias: WeightT | None) -> FactoredRows:
        """Return ``w * x + b``."""
        factor, shift = self._optional(weight), self._optional(bias)
        operation = partial(self._sums.affine, weight=factor, bias=shift)
        return self._each(operation, rows, key=("affine",), weights=(weight, bias))

    # attention -------------------------------------------------------------------------------------------------------

    def scores(self, queries: FactoredRows, keys: FactoredRows) -> ScoresT:
        """Return the inner products, of which nothing but bounds is known."""
        return self.base.scores(self._bounds(queries), self._bounds(keys))

    def mix(self, attention: ScoresT, values: FactoredRows) -> FactoredRows:
        """Return the weighted sums."""
        weights = self.base.numbers(attention)
        found = (
            self._sums.mix(weights[:, at, :, 0], weights[:, at, :, 1], values.rows) for at in range(weights.shape[1])
        )
        return FactoredRows(tuple(found))

    # what comes out --------------------------------------------------------------------------------------------------

    def margins(
        self,
        rows: FactoredRows,
        weight: WeightT,
        bias: WeightT,
        expected: Int[np.ndarray, " cells"],
        *,
        points: int,
    ) -> Margins:
        """Return lower bounds of the margins; none where a computed number may not be finite."""
        found = LogitMargins(self.table, self.kernels, self._matrix(weight), self._matrix(bias))
        lower = found.lower(rows.rows[-1], expected)
        finite = self.table.most < self.kernels.largest  # false for NaN
        return Margins(lower if finite else np.full_like(lower, -np.inf))

    def numbers(self, rows: FactoredRows | ScoresT) -> np.ndarray[Any, Any]:
        """Return the bounds as the arithmetic below does."""
        return self.base.numbers(self._bounds(rows) if isinstance(rows, FactoredRows) else rows)
