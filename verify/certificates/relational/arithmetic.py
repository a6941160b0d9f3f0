"""An arithmetic of bounds that keeps relations: every operation of the one below it, and what is known beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, final

import numpy as np
from jaxtyping import Int

from constructions.activations import RELU, Activation
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.ratios import Ratios
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.relational.alternatives import Choice, Table, Tables
from verify.certificates.relational.enclosures import Enclosures
from verify.certificates.relational.over import OverArithmetic
from verify.certificates.relational.related import Origin, Related, Scaled


@final
class RelationalArithmetic(OverArithmetic[WeightT, Related[RowsT], ScoresT]):
    """Bounds with relations.

    Bounds are those of the arithmetic below, or within them: verdicts are the same or better. Whatever needs more work
    than that arithmetic is done only where it can tell more.

    Attributes:
        base: the arithmetic below.
        enclosures: how its bounds are taken apart and put together.

    """

    base: EnclosingArithmetic[WeightT, RowsT, ScoresT]

    def __init__(
        self, base: EnclosingArithmetic[WeightT, RowsT, ScoresT], enclosures: Enclosures[WeightT, RowsT, Any]
    ) -> None:
        """Keep relations beside the bounds of ``base``."""
        super().__init__(base)
        self.enclosures = enclosures
        self._tables = Tables(enclosures)
        self.spec, self.name, self.fmt, self.device = base.spec, base.name, base.fmt, base.device

    def prompt_between(self, low: Ratios, high: Ratios) -> Related[RowsT]:
        """Return virtual tokens between two."""
        return Related(self.base.prompt_between(low, high))

    def reals_between(self, low: Ratios, high: Ratios) -> Related[RowsT]:
        """Return rows of any real numbers between two."""
        return Related(self.base.reals_between(low, high))

    def embed_between(
        self, embedding: WeightT, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> Related[RowsT]:
        """Return bounds of the columns of tokens between two, and the columns themselves."""
        if (low == low[:1]).all() and (high == high[:1]).all():
            low, high = low[:1], high[:1]
        rows = self.base.embed_between(embedding, low, high)
        unknown = np.flatnonzero((low != high).any(axis=0)).tolist()
        return Related(rows, {at: self._columns(embedding, Choice(low[:, at], high[:, at])) for at in unknown})

    def _columns(self, embedding: WeightT, choice: Choice) -> Table:
        def make() -> Any:
            if not choice.fits(self.enclosures.reads(embedding).shape[0]):
                return None
            return self.enclosures.inner.embed(embedding, choice.first + np.arange(choice.count)[None])

        return Table(choice, make)

    # rows ------------------------------------------------------------------------------------------------------------

    def positions(self, context_size: int, start: int, stop: int) -> Related[RowsT]:
        """Return rows of the identity."""
        return Related(self.base.positions(context_size, start, stop))

    def beside(self, left: Related[RowsT], right: Related[RowsT]) -> Related[RowsT]:
        """Return the rows side by side."""
        rows = self.base.beside(left.rows, right.rows)
        return self._tables.joined(rows, [left, right], lambda parts: self.enclosures.inner.beside(*parts))

    def below(self, top: Related[RowsT], bottom: Related[RowsT]) -> Related[RowsT]:
        """Return the rows one under the other."""
        count = self.enclosures.count(top.rows)
        tables = {**top.tables, **{count + place: table for place, table in bottom.tables.items()}}
        return Related(self.base.below(top.rows, bottom.rows), tables)

    def last(self, rows: Related[RowsT]) -> Related[RowsT]:
        """Return the last row."""
        place = self.enclosures.count(rows.rows) - 1
        tables = {0: rows.tables[place]} if place in rows.tables else {}
        origin = rows.origin and replace(rows.origin, rows=self.base.last(rows.origin.rows))
        scaled = rows.scaled and Scaled(self.base.last(rows.scaled.rows), self.base.last(rows.scaled.normed))
        return Related(self.base.last(rows.rows), tables, origin, scaled)

    # layers ----------------------------------------------------------------------------------------------------------

    def linear(self, rows: Related[RowsT], weight: WeightT, bias: WeightT | None = None) -> Related[RowsT]:
        """Return ``W x + b``: of an unknown token column by column, where a sum reads several of its coordinates."""
        found = self.base.linear(rows.rows, weight, bias)
        if rows.origin is not None:
            found = self.enclosures.along_lines(found, rows.origin, rows.rows, weight, bias)
        origin = Origin(rows.rows, weight, bias)
        if not rows.tables:
            return Related(found, origin=origin)
        reads = self.enclosures.reads(weight)
        height = reads.shape[0]
        tables = self._tables.each(
            rows, lambda alternatives: self.enclosures.inner.linear(alternatives, weight, bias), height
        )
        coupled = reads[reads.sum(axis=1) > 1]
        if len(coupled):
            found = self._tables.met(found, tables, rows, lambda varying: (coupled[:, varying].sum(axis=1) > 1).any())
        return Related(found, tables, origin)

    def relu(self, rows: Related[RowsT]) -> Related[RowsT]:
        """Return ``max(0, .)``, which is monotone: the hull of its values is its value at the hull."""
        tables = self._tables.each(rows, self.enclosures.inner.relu)
        return Related(self.base.relu(rows.rows), tables, rows.origin and rows.origin.then(RELU))

    def total(self, parts: Sequence[Related[RowsT]]) -> Related[RowsT]:
        """Return the sum."""
        rows = self.base.total([part.rows for part in parts])
        return self._tables.joined(rows, parts, self.enclosures.inner.total, couples=True)

    def pointwise(self, rows: Related[RowsT], activation: Activation) -> Related[RowsT]:
        """Return an activation of every coordinate; it may take few of the values that lie between its bounds."""
        found = self.base.pointwise(rows.rows, activation)
        tables = self._tables.each(rows, lambda alternatives: self.enclosures.inner.pointwise(alternatives, activation))
        origin = rows.origin and rows.origin.then(activation)
        return Related(self._tables.met(found, tables, rows, np.any), tables, origin)

    def multiply(self, left: Related[RowsT], right: Related[RowsT]) -> Related[RowsT]:
        """Return the product, coordinate by coordinate."""
        rows = self.base.multiply(left.rows, right.rows)
        return self._tables.joined(
            rows, [left, right], lambda held: self.enclosures.inner.multiply(held[0], held[1]), couples=True
        )

    def normalise(self, rows: Related[RowsT], *, centred: bool, mean: bool, eps: Fraction) -> Related[RowsT]:
        """Return every row over its length, which every coordinate has a part in."""
        undefined = self.undefined
        found = self.base.normalise(rows.rows, centred=centred, mean=mean, eps=eps)
        norm = partial(self.enclosures.inner.normalise, centred=centred, mean=mean, eps=eps)
        tables = self._tables.each(rows, norm)
        met = self._tables.met(found, tables, rows, np.any)
        if self.undefined:  # unless it was before, or the alternatives are all numbers
            self.undefined = undefined or not self.enclosures.finite(met)
        return Related(met, tables, scaled=None if centred else Scaled(rows.rows, met))

    def affine(self, rows: Related[RowsT], weight: WeightT | None, bias: WeightT | None) -> Related[RowsT]:
        """Return ``w * x + b`` coordinate by coordinate, which is monotone in each."""
        found = self.base.affine(rows.rows, weight, bias)
        return Related(found, self._tables.each(rows, lambda each: self.enclosures.inner.affine(each, weight, bias)))

    # attention, which mixes a row with others, so that nothing but bounds is left of it -------------------------------

    def scores(self, queries: Related[RowsT], keys: Related[RowsT]) -> ScoresT:
        """Return the inner products."""
        return self.base.scores(queries.rows, keys.rows)

    def mix(self, attention: ScoresT, values: Related[RowsT]) -> Related[RowsT]:
        """Return the weighted sums."""
        return Related(self.base.mix(attention, values.rows))

    def margins(
        self,
        rows: Related[RowsT],
        weight: WeightT,
        bias: WeightT,
        expected: Int[np.ndarray, " cells"],
        *,
        points: int,
    ) -> Margins:
        """Return lower bounds of the margins; a factor that a whole row has drops out."""
        found = self.base.margins(rows.rows, weight, bias, expected, points=points)
        if rows.scaled is None:
            return found
        scaled = self.enclosures.scaled_margins(rows.scaled, weight, bias, expected)
        return found if scaled is None else Margins(np.fmax(found.lower, scaled))

    def numbers(self, rows: Related[RowsT] | ScoresT) -> np.ndarray[Any, Any]:
        """Return the bounds as the arithmetic below does."""
        return self.base.numbers(rows.rows if isinstance(rows, Related) else rows)
