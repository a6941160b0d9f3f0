"""An arithmetic of bounds that keeps relations: every operation of the one below it, and what is known beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Int

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.ratios import Ratios
from constructions.temperature import Temperature
from verify.arithmetic.base import Visible
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.relational.alternatives import Choice, Related, Table
from verify.certificates.relational.enclosures import Enclosures, enclosures_of
from verify.running.trace import Trace

_Coordinates = Bool[np.ndarray, " width"]


def relational(
    arithmetic: EnclosingArithmetic[WeightT, RowsT, ScoresT],
) -> RelationalArithmetic[WeightT, RowsT, ScoresT] | None:
    """Return the arithmetic that keeps relations beside the bounds of ``arithmetic``; ``None`` where none is known."""
    enclosures = enclosures_of(arithmetic)
    return None if enclosures is None else RelationalArithmetic(arithmetic, enclosures)


@dataclass
class Bounds(Trace):
    """Hands the bounds of every intermediate on to another trace, without what is known beside them.

    Attributes:
        trace: where they go.

    """

    trace: Trace = field(default_factory=Trace)

    def record(self, name: str, arithmetic: Any, value: Any) -> None:  # the signature of Trace
        """Hand a value on."""
        self.trace.record(name, arithmetic.base, value.rows if isinstance(value, Related) else value)


@final
class RelationalArithmetic(EnclosingArithmetic[WeightT, Related[RowsT], ScoresT]):
    """Bounds with relations.

    Bounds are those of the arithmetic below, or within them: verdicts are the same or better. Whatever needs more work
    than that arithmetic is done only where it can tell more.

    Attributes:
        base: the arithmetic below.
        enclosures: how its bounds are taken apart and put together.

    """

    def __init__(
        self, base: EnclosingArithmetic[WeightT, RowsT, ScoresT], enclosures: Enclosures[WeightT, RowsT, Any]
    ) -> None:
        """Keep relations beside the bounds of ``base``."""
        self.base, self.enclosures = base, enclosures
        self.name, self.fmt, self.device = base.name, base.fmt, base.device

    def weight(self, matrix: ExactMatrix) -> WeightT:
        """Return the matrix."""
        return self.base.weight(matrix)

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
        return self._joined(rows, [left, right], lambda parts: self.enclosures.inner.beside(*parts))

    def below(self, top: Related[RowsT], bottom: Related[RowsT]) -> Related[RowsT]:
        """Return the rows one under the other."""
        count = self.enclosures.count(top.rows)
        tables = {**top.tables, **{count + place: table for place, table in bottom.tables.items()}}
        return Related(self.base.below(top.rows, bottom.rows), tables)

    def last(self, rows: Related[RowsT]) -> Related[RowsT]:
        """Return the last row."""
        place = self.enclosures.count(rows.rows) - 1
        return Related(self.base.last(rows.rows), {0: rows.tables[place]} if place in rows.tables else {})

    # layers ----------------------------------------------------------------------------------------------------------

    def linear(self, rows: Related[RowsT], weight: WeightT, bias: WeightT | None = None) -> Related[RowsT]:
        """Return ``W x + b``: of an unknown token column by column, where a sum reads several of its coordinates."""
        found = self.base.linear(rows.rows, weight, bias)
        if not rows.tables:
            return Related(found)
        reads = self.enclosures.reads(weight)
        height = reads.shape[0]
        tables = self._each(rows, lambda alternatives: self.enclosures.inner.linear(alternatives, weight, bias), height)
        coupled = reads[reads.sum(axis=1) > 1]
        if len(coupled):
            found = self._met(found, tables, rows, lambda varying: (coupled[:, varying].sum(axis=1) > 1).any())
        return Related(found, tables)

    def relu(self, rows: Related[RowsT]) -> Related[RowsT]:
        """Return ``max(0, .)``, which is monotone: the hull of its values is its value at the hull."""
        return Related(self.base.relu(rows.rows), self._each(rows, self.enclosures.inner.relu))

    def total(self, parts: Sequence[Related[RowsT]]) -> Related[RowsT]:
        """Return the sum."""
        rows = self.base.total([part.rows for part in parts])
        return self._joined(rows, parts, self.enclosures.inner.total, couples=True)

    def pointwise(self, rows: Related[RowsT], activation: Activation) -> Related[RowsT]:
        """Return an activation of every coordinate; it may take few of the values that lie between its bounds."""
        found = self.base.pointwise(rows.rows, activation)
        tables = self._each(rows, lambda alternatives: self.enclosures.inner.pointwise(alternatives, activation))
        return Related(self._met(found, tables, rows, np.any), tables)

    def multiply(self, left: Related[RowsT], right: Related[RowsT]) -> Related[RowsT]:
        """Return the product, coordinate by coordinate."""
        rows = self.base.multiply(left.rows, right.rows)
        return self._joined(
            rows, [left, right], lambda held: self.enclosures.inner.multiply(held[0], held[1]), couples=True
        )

    def normalise(self, rows: Related[RowsT], *, centred: bool, mean: bool, eps: Fraction) -> Related[RowsT]:
        """Return every row over its length, which every coordinate has a part in."""
        found = self.base.normalise(rows.rows, centred=centred, mean=mean, eps=eps)
        norm = partial(self.enclosures.inner.normalise, centred=centred, mean=mean, eps=eps)
        tables = self._each(rows, norm)
        return Related(self._met(found, tables, rows, np.any), tables)

    def affine(self, rows: Related[RowsT], weight: WeightT | None, bias: WeightT | None) -> Related[RowsT]:
        """Return ``w * x + b`` coordinate by coordinate, which is monotone in each."""
        found = self.base.affine(rows.rows, weight, bias)
        return Related(found, self._each(rows, lambda each: self.enclosures.inner.affine(each, weight, bias)))

    # attention, which mixes a row with others, so that nothing but bounds is left of it -------------------------------

    def scores(self, queries: Related[RowsT], keys: Related[RowsT]) -> ScoresT:
        """Return the inner products."""
        return self.base.scores(queries.rows, keys.rows)

    def score_table(self, table: WeightT, start: int, stop: int) -> ScoresT:
        """Return the entries of a table of positions x positions."""
        return self.base.score_table(table, start, stop)

    def shifted(self, scores: ScoresT, shift: ScoresT) -> ScoresT:
        """Return the sum of scores and a table of them."""
        return self.base.shifted(scores, shift)

    def attention(self, scores: ScoresT, visible: Visible, temperature: Temperature, *, key_size: int) -> ScoresT:
        """Return the attention weights."""
        return self.base.attention(scores, visible, temperature, key_size=key_size)

    def shifted_attention(
        self, scores: ScoresT, shift: ScoresT, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> ScoresT:
        """Return the attention weights of scores that a table is added to once they are scaled."""
        return self.base.shifted_attention(scores, shift, visible, temperature, key_size=key_size)

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
        """Return lower bounds of the margins, as the arithmetic below does."""
        return self.base.margins(rows.rows, weight, bias, expected, points=points)

    def assumptions(self) -> str:
        """Return what the arithmetic below assumes."""
        return self.base.assumptions()

    def bounding(self) -> AbstractContextManager[None]:
        """Return the settings of the arithmetic below."""
        return self.base.bounding()

    def numbers(self, rows: Related[RowsT] | ScoresT) -> np.ndarray[Any, Any]:
        """Return the bounds as the arithmetic below does."""
        return self.base.numbers(rows.rows if isinstance(rows, Related) else rows)

    # tables ----------------------------------------------------------------------------------------------------------

    def _each(
        self, rows: Related[RowsT], operation: Callable[[Any], Any], width: int | None = None
    ) -> dict[int, Table]:
        """Return the tables of an operation on each alternative; those that it makes too wide are left out."""
        tables = {place: table for place, table in rows.tables.items() if width is None or table.choice.fits(width)}
        return {place: table.then(operation) for place, table in tables.items()}

    def _joined(
        self,
        found: RowsT,
        parts: Sequence[Related[RowsT]],
        operation: Callable[[list[Any]], Any],
        *,
        couples: bool = False,
    ) -> Related[RowsT]:
        """Return an operation on several rows, with the tables that are left of it.

        Args:
            found: what the arithmetic below makes of the bounds.
            parts: the operands.
            operation: the same on the alternatives of each.
            couples: whether it makes one coordinate of several.

        """
        tables: dict[int, Table] = {}
        for place in sorted({place for part in parts for place in part.tables}):
            held = [part.tables.get(place) for part in parts]
            choices = {id(table.choice) for table in held if table is not None}
            if len(choices) == 1:
                tables[place] = self._of_parts(place, held, parts, operation)
                if couples and sum(bool(self.enclosures.varying(part.rows, place).any()) for part in parts) > 1:
                    found = self._meet(found, place, tables[place])
        return Related(found, tables)

    def _of_parts(
        self,
        place: int,
        held: list[Table | None],
        parts: Sequence[Related[RowsT]],
        operation: Callable[[list[Any]], Any],
    ) -> Table:
        choice = next(table.choice for table in held if table is not None)
        enclosures = self.enclosures

        def make() -> Any:
            rows = [
                enclosures.repeated(enclosures.one(part.rows, place), choice.count) if table is None else table.rows
                for table, part in zip(held, parts, strict=True)
            ]
            if any(each is None for each in rows) or not choice.fits(sum(map(enclosures.width, rows))):
                return None
            return operation(rows)

        return Table(choice, make)

    def _met(
        self,
        found: RowsT,
        tables: dict[int, Table],
        read: Related[RowsT],
        tells: Callable[[_Coordinates], Any],
    ) -> RowsT:
        """Return bounds, within the hulls of the tables that can tell more.

        Args:
            found: the bounds of a result.
            tables: its tables.
            read: what it was computed from.
            tells: called with the coordinates of a row that are not known: whether their relation tells more.

        """
        known: dict[bytes, bool] = {}
        for place, table in tables.items():
            varying = self.enclosures.varying(read.rows, place)
            key = varying.tobytes()
            if key not in known:
                known[key] = bool(tells(varying))
            if known[key]:
                found = self._meet(found, place, table)
        return found

    def _meet(self, found: RowsT, place: int, table: Table) -> RowsT:
        if table.rows is None:
            return found
        choice = table.choice
        hulls = self.enclosures.hulls(table.rows, choice.low - choice.first, choice.high - choice.first)
        return self.enclosures.met(found, place, hulls)
