"""The operations of a forward pass on numbers that are affine forms: it runs once, for all cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NoReturn, final

import flint
import numpy as np
from jaxtyping import Int

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.ratios import Ratios
from constructions.temperature import Temperature
from verify.arithmetic.base import NumberSystem, Visible
from verify.exact_engine.activations import applied
from verify.exact_engine.forms import ZERO, Form, Graph, NotCoveredError
from verify.exact_engine.softmax import attention_weights

_ONE = flint.fmpq(1)

#: Tokens from here on stand for the unknown token in a slot: beyond every vocabulary.
SLOTS = 2**62


@dataclass(frozen=True, eq=False)
class Sparse:
    """A weight, by its entries that are not 0.

    Attributes:
        shape: rows x columns.
        entries: for every row its entries by column.

    """

    shape: tuple[int, int]
    entries: tuple[Mapping[int, flint.fmpq], ...]

    @classmethod
    def of(cls, held: flint.fmpq_mat) -> Sparse:
        """Return a weight that rational arithmetic holds."""
        rows, columns = held.nrows(), held.ncols()
        entries = (((column, held[row, column]) for column in range(columns)) for row in range(rows))
        return cls((rows, columns), tuple({column: value for column, value in row if value != 0} for row in entries))

    @cached_property
    def columns(self) -> tuple[Mapping[int, flint.fmpq], ...]:
        """For every column its entries by row."""
        found: list[dict[int, flint.fmpq]] = [{} for _ in range(self.shape[1])]
        for row, entries in enumerate(self.entries):
            for column, value in entries.items():
                found[column][row] = value
        return tuple(found)

    @cached_property
    def uses(self) -> Mapping[int, int]:
        """By column, how many entries it has."""
        return Counter(column for entries in self.entries for column in entries)


@dataclass(frozen=True, eq=False)
class FormRows:
    """Rows, by their numbers that are not 0.

    Attributes:
        width: of every row.
        rows: for every position its numbers by coordinate.

    """

    width: int
    rows: tuple[Mapping[int, Form], ...]


#: Scores and weights of attention, queries x keys.
FormScores = tuple[tuple[Form, ...], ...]


@final
class FormArithmetic(NumberSystem[Sparse, FormRows, FormScores]):
    """Numbers of every case at once; a token from :data:`SLOTS` on stands for the token in a slot, whichever it is.

    Whatever a layer asks for beside these operations (a norm, the numbers themselves) raises
    :class:`~verify.exact_engine.forms.NotCoveredError`.

    Attributes:
        refused: the first operation that was refused, so that a layer which goes on without it is not believed.

    """

    refused: str | None = None

    name = "rational"
    fmt = None
    device = "cpu"

    def __init__(self, graph: Graph) -> None:
        """Hold atoms in ``graph``."""
        self.graph = graph

    def weight(self, matrix: ExactMatrix) -> Sparse:
        """Return the weight by its entries."""
        rows: list[dict[int, flint.fmpq]] = [{} for _ in range(matrix.shape[0])]
        for row, column, value in matrix.nonzero():
            rows[row][column] = flint.fmpq(value.numerator, value.denominator)
        return Sparse(matrix.shape, tuple(rows))

    def prompt(self, virtual_tokens: Ratios) -> FormRows:
        """Return known virtual tokens."""
        rows = virtual_tokens.to_fractions()
        exact = ({c: Form(flint.fmpq(x.numerator, x.denominator)) for c, x in enumerate(row) if x} for row in rows)
        return FormRows(virtual_tokens.shape[-1], tuple(exact))

    def numbers(self, rows: FormRows | FormScores) -> NoReturn:
        """Refuse: there are no numbers before there is a case."""
        self._refuse("the numbers of one case")

    def _refuse(self, operation: str) -> NoReturn:
        self.refused = self.refused or operation
        raise NotCoveredError(operation)

    # rows ------------------------------------------------------------------------------------------------------------

    def embed(self, embedding: Sparse, tokens: Int[np.ndarray, " length"]) -> FormRows:
        """Return the columns of the embedding as rows; those of a slot are functions of its token."""
        rows = [self._column(embedding, int(token)) for token in tokens.reshape(-1).tolist()]
        return FormRows(embedding.shape[0], tuple(rows))

    def _column(self, embedding: Sparse, token: int) -> Mapping[int, Form]:
        if token < SLOTS:
            return {row: Form(value) for row, value in embedding.columns[token].items()}
        zero = flint.fmpq(0)
        found = {
            row: self.graph.function(token - SLOTS, [entries.get(each, zero) for each in range(embedding.shape[1])])
            for row, entries in enumerate(embedding.entries)
            if entries
        }
        return {row: form for row, form in found.items() if not form.is_zero}

    def positions(self, context_size: int, start: int, stop: int) -> FormRows:
        """Return rows of the identity."""
        return FormRows(context_size, tuple({position: Form(_ONE)} for position in range(start, stop)))

    def beside(self, left: FormRows, right: FormRows) -> FormRows:
        """Return the rows side by side."""
        rows = (
            {**one, **{left.width + place: form for place, form in other.items()}}
            for one, other in zip(left.rows, right.rows, strict=True)
        )
        return FormRows(left.width + right.width, tuple(rows))

    def below(self, top: FormRows, bottom: FormRows) -> FormRows:
        """Return the rows one under the other."""
        return FormRows(top.width, top.rows + bottom.rows)

    def last(self, rows: FormRows) -> FormRows:
        """Return the last row."""
        return FormRows(rows.width, rows.rows[-1:])

    def total(self, parts: Sequence[FormRows]) -> FormRows:
        """Return the sums."""
        rows = (self._sums([(_ONE, row) for row in each]) for each in zip(*(p.rows for p in parts), strict=True))
        return FormRows(parts[0].width, tuple(rows))

    def _sums(self, parts: Sequence[tuple[flint.fmpq | Form, Mapping[int, Form]]]) -> Mapping[int, Form]:
        """Return a weighted sum of rows."""
        terms: dict[int, list[tuple[flint.fmpq, Form]]] = {}
        for factor, row in parts:
            for place, form in row.items():
                term = (_ONE, self.graph.product(factor, form)) if isinstance(factor, Form) else (factor, form)
                terms.setdefault(place, []).append(term)
        return self._kept({place: self.graph.combined(each) for place, each in terms.items()})

    @staticmethod
    def _kept(row: Mapping[int, Form]) -> Mapping[int, Form]:
        return {place: form for place, form in row.items() if not form.is_zero}

    # layers ----------------------------------------------------------------------------------------------------------

    def linear(self, rows: FormRows, weight: Sparse, bias: Sparse | None = None) -> FormRows:
        """Return ``W x + b``."""
        return FormRows(weight.shape[0], tuple(self._linear(row, weight, bias) for row in rows.rows))

    def _linear(self, row: Mapping[int, Form], weight: Sparse, bias: Sparse | None) -> Mapping[int, Form]:
        held = {place: self.graph.inlined(form, weight.uses.get(place, 0)) for place, form in row.items()}
        terms: dict[int, list[tuple[flint.fmpq, Form]]] = {}
        for place, form in held.items():
            for out, factor in weight.columns[place].items():
                terms.setdefault(out, []).append((factor, form))
        for out, value in ({} if bias is None else bias.columns[0]).items():
            terms.setdefault(out, []).append((value, Form(_ONE)))
        return self._kept({out: self.graph.combined(each) for out, each in terms.items()})

    def relu(self, rows: FormRows) -> FormRows:
        """Return ``max(0, .)``, which is 0 at 0."""
        positive = self.graph.positive
        return FormRows(
            rows.width, tuple(self._kept({place: positive(form) for place, form in row.items()}) for row in rows.rows)
        )

    def pointwise(self, rows: FormRows, activation: Activation) -> FormRows:
        """Return an activation that is made of pieces or a polynomial, or whose argument is a function of one token."""
        found = (
            self._kept({place: applied(self.graph, activation, row.get(place, ZERO)) for place in range(rows.width)})
            for row in rows.rows
        )
        return FormRows(rows.width, tuple(found))

    def multiply(self, left: FormRows, right: FormRows) -> FormRows:
        """Return the products."""
        product = self.graph.product
        found = (
            {place: product(form, other[place]) for place, form in row.items() if place in other}
            for row, other in zip(left.rows, right.rows, strict=True)
        )
        return FormRows(left.width, tuple(map(self._kept, found)))

    def normalise(self, rows: FormRows, *, centred: bool, mean: bool, eps: Fraction) -> FormRows:
        """Refuse: a length is irrational in most cases."""
        self._refuse("a norm")

    def affine(self, rows: FormRows, weight: Sparse | None, bias: Sparse | None) -> FormRows:
        """Return ``w * x + b``."""
        scales = None if weight is None else weight.columns[0]
        shifts = {} if bias is None else {place: Form(value) for place, value in bias.columns[0].items()}
        found = []
        for row in rows.rows:
            scaled = (
                row
                if scales is None
                else {p: self.graph.combined([(scales[p], f)]) for p, f in row.items() if p in scales}
            )
            found.append(self._sums([(_ONE, scaled), (_ONE, shifts)]))
        return FormRows(rows.width, tuple(found))

    # attention -------------------------------------------------------------------------------------------------------

    def scores(self, queries: FormRows, keys: FormRows) -> FormScores:
        """Return the inner products."""
        return tuple(tuple(self._inner(query, key) for key in keys.rows) for query in queries.rows)

    def _inner(self, query: Mapping[int, Form], key: Mapping[int, Form]) -> Form:
        small, other = (query, key) if len(query) <= len(key) else (key, query)
        products = [(_ONE, self.graph.product(form, other[place])) for place, form in small.items() if place in other]
        return self.graph.combined(products)

    def score_table(self, table: Sparse, start: int, stop: int) -> FormScores:
        """Return a part of the table."""
        return tuple(
            tuple(Form(table.entries[row].get(column, flint.fmpq(0))) for column in range(stop))
            for row in range(start, stop)
        )

    def shifted(self, scores: FormScores, shift: FormScores) -> FormScores:
        """Return the sums."""
        return tuple(
            tuple(self.graph.combined([(_ONE, a), (_ONE, b)]) for a, b in zip(row, other, strict=True))
            for row, other in zip(scores, shift, strict=True)
        )

    def attention(self, scores: FormScores, visible: Visible, temperature: Temperature, *, key_size: int) -> FormScores:
        """Return the weights, 0 for keys that are not seen."""
        found = []
        for row, seen in zip(scores, visible, strict=True):
            columns = [column for column in range(len(row)) if seen[column]]
            weights = dict(
                zip(
                    columns,
                    attention_weights(self.graph, [row[column] for column in columns], temperature),
                    strict=True,
                )
            )
            found.append(tuple(weights.get(column, ZERO) for column in range(len(row))))
        return tuple(found)

    def shifted_attention(self, *given: Any, **options: Any) -> NoReturn:
        """Refuse: rational arithmetic has no exponents."""
        self._refuse("a score bias that is added after scaling")

    def mix(self, attention: FormScores, values: FormRows) -> FormRows:
        """Return the weighted sums."""
        rows = (
            self._sums([(weight, row) for weight, row in zip(weights, values.rows, strict=True) if not weight.is_zero])
            for weights in attention
        )
        return FormRows(values.width, tuple(rows))
