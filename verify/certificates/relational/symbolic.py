"""An arithmetic of bounds that keeps the factors of norms as symbols, beside the relations of the one below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any, Generic, final

import numpy as np
from jaxtyping import Int

from constructions.activations import RELU, Activation
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.ratios import Ratios
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.relational.arithmetic import RelationalArithmetic
from verify.certificates.relational.enclosures import enclosures_of
from verify.certificates.relational.factors.arithmetic import FactoredArithmetic
from verify.certificates.relational.over import OverArithmetic
from verify.certificates.relational.related import Related


def relational(arithmetic: EnclosingArithmetic[WeightT, Any, ScoresT]) -> EnclosingArithmetic[Any, Any, Any] | None:
    """Return the arithmetic that keeps relations beside the bounds of ``arithmetic``; ``None`` where none is known."""
    enclosures = enclosures_of(arithmetic)
    if enclosures is None:
        return None
    found = RelationalArithmetic(arithmetic, enclosures)
    return found if enclosures.symbols is None else SymbolicArithmetic(found)


def factored(arithmetic: EnclosingArithmetic[WeightT, Any, ScoresT]) -> EnclosingArithmetic[Any, Any, Any] | None:
    """Return the arithmetic that keeps factors of norms for one pass over many cells; ``None`` where none is known."""
    enclosures = enclosures_of(arithmetic)
    if enclosures is None or enclosures.kernels is None:
        return None
    return FactoredArithmetic(arithmetic, enclosures, enclosures.kernels)


class Symbols:
    """Rows as sums of monomials in positive unknowns, computed when they are first asked for.

    Attributes:
        normed: whether a norm has a part in them, without which there is no use in it.

    """

    def __init__(self, make: Callable[[], Any], *, normed: bool = False) -> None:
        """Hold the forms that ``make`` returns."""
        self.normed = normed
        self._make: Callable[[], Any] | None = make
        self._forms: Any = None

    @property
    def forms(self) -> Any:
        """The forms of every row."""
        if self._make is not None:
            self._forms, self._make = self._make(), None
        return self._forms


@dataclass(frozen=True, eq=False)
class SymbolicRows(Generic[RowsT]):
    """Rows.

    Attributes:
        related: bounds and relations.
        symbols: the same rows with the factors of norms as symbols.

    """

    related: Related[RowsT]
    symbols: Symbols


@final
class SymbolicArithmetic(OverArithmetic[WeightT, SymbolicRows[RowsT], ScoresT]):
    """Bounds with relations, and with the factors of norms as symbols, see the module of monomials.

    Attributes:
        base: the arithmetic below.

    """

    base: RelationalArithmetic[WeightT, RowsT, ScoresT]

    def __init__(self, base: RelationalArithmetic[WeightT, RowsT, ScoresT]) -> None:
        """Keep symbols beside the bounds of ``base``."""
        super().__init__(base)
        self._domain = base.enclosures.symbols

    def _given(self, rows: Related[RowsT]) -> SymbolicRows[RowsT]:
        """Return rows of which nothing but bounds is known."""
        return SymbolicRows(rows, Symbols(lambda: self._domain.of_bounds(rows.rows)))

    def _made(
        self,
        found: Related[RowsT],
        operation: Callable[..., Any] | None,
        *parts: SymbolicRows[RowsT],
        normed: bool = False,
    ) -> SymbolicRows[RowsT]:
        """Return the result of an operation.

        Args:
            found: its bounds.
            operation: the same on forms, ``None`` where it has no rule; it returns ``None`` where none applies.
            parts: the operands.
            normed: whether the operation is a norm.

        """

        def make() -> Any:
            forms = None if operation is None else operation(*(part.symbols.forms for part in parts))
            return self._domain.of_bounds(found.rows) if forms is None else forms

        return SymbolicRows(found, Symbols(make, normed=normed or any(part.symbols.normed for part in parts)))

    def _bounds(self, rows: SymbolicRows[RowsT]) -> Related[RowsT]:
        """Return bounds of rows, within those of their forms where a norm has a part in them."""
        if not rows.symbols.normed:
            return rows.related
        hull = self._domain.hull(rows.symbols.forms)
        return Related(self._domain.within(rows.related.rows, hull), rows.related.tables)

    def prompt_between(self, low: Ratios, high: Ratios) -> SymbolicRows[RowsT]:
        """Return virtual tokens between two."""
        return self._given(self.base.prompt_between(low, high))

    def reals_between(self, low: Ratios, high: Ratios) -> SymbolicRows[RowsT]:
        """Return rows of any real numbers between two."""
        return self._given(self.base.reals_between(low, high))

    def embed_between(
        self, embedding: WeightT, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> SymbolicRows[RowsT]:
        """Return bounds of the columns of tokens between two."""
        return self._given(self.base.embed_between(embedding, low, high))

    # rows ------------------------------------------------------------------------------------------------------------

    def positions(self, context_size: int, start: int, stop: int) -> SymbolicRows[RowsT]:
        """Return rows of the identity."""
        return self._given(self.base.positions(context_size, start, stop))

    def beside(self, left: SymbolicRows[RowsT], right: SymbolicRows[RowsT]) -> SymbolicRows[RowsT]:
        """Return the rows side by side."""
        return self._made(self.base.beside(left.related, right.related), self._domain.beside, left, right)

    def below(self, top: SymbolicRows[RowsT], bottom: SymbolicRows[RowsT]) -> SymbolicRows[RowsT]:
        """Return the rows one under the other."""
        return self._made(self.base.below(top.related, bottom.related), lambda a, b: a + b, top, bottom)

    def last(self, rows: SymbolicRows[RowsT]) -> SymbolicRows[RowsT]:
        """Return the last row."""
        return self._made(self.base.last(rows.related), lambda forms: forms[-1:], rows)

    # layers ----------------------------------------------------------------------------------------------------------

    def linear(self, rows: SymbolicRows[RowsT], weight: WeightT, bias: WeightT | None = None) -> SymbolicRows[RowsT]:
        """Return ``W x + b``."""
        operation = partial(self._domain.linear, weight=weight, bias=bias)
        return self._made(self.base.linear(rows.related, weight, bias), operation, rows)

    def relu(self, rows: SymbolicRows[RowsT]) -> SymbolicRows[RowsT]:
        """Return ``max(0, .)``."""
        return self._made(self.base.relu(rows.related), partial(self._domain.pointwise, activation=RELU), rows)

    def total(self, parts: Sequence[SymbolicRows[RowsT]]) -> SymbolicRows[RowsT]:
        """Return the sum."""
        return self._made(self.base.total([part.related for part in parts]), self._domain.total, *parts)

    def pointwise(self, rows: SymbolicRows[RowsT], activation: Activation) -> SymbolicRows[RowsT]:
        """Return an activation of every coordinate."""
        operation = partial(self._domain.pointwise, activation=activation)
        return self._made(self.base.pointwise(rows.related, activation), operation, rows)

    def multiply(self, left: SymbolicRows[RowsT], right: SymbolicRows[RowsT]) -> SymbolicRows[RowsT]:
        """Return the product, of which nothing but bounds is kept."""
        return self._made(self.base.multiply(self._bounds(left), self._bounds(right)), None, left, right)

    def normalise(self, rows: SymbolicRows[RowsT], *, centred: bool, mean: bool, eps: Fraction) -> SymbolicRows[RowsT]:
        """Return every row over its length, a new symbol for each."""
        operation = partial(self._domain.normalise, centred=centred, mean=mean, eps=eps)
        undefined = self.undefined
        found = self.base.normalise(rows.related, centred=centred, mean=mean, eps=eps)
        if self.undefined and not undefined:  # unless the forms have lengths that are not 0
            forms = operation(rows.symbols.forms)
            if forms is not None:
                self.undefined = False
                # finite from here on, so that what is undefined later is seen
                found = replace(found, rows=self._domain.within(found.rows, self._domain.hull(forms)))
        return self._made(found, operation, rows, normed=True)

    def affine(self, rows: SymbolicRows[RowsT], weight: WeightT | None, bias: WeightT | None) -> SymbolicRows[RowsT]:
        """Return ``w * x + b``."""
        operation = partial(self._domain.affine, weight=weight, bias=bias)
        return self._made(self.base.affine(rows.related, weight, bias), operation, rows)

    # attention -------------------------------------------------------------------------------------------------------

    def scores(self, queries: SymbolicRows[RowsT], keys: SymbolicRows[RowsT]) -> ScoresT:
        """Return the inner products."""
        return self.base.scores(self._bounds(queries), self._bounds(keys))

    def mix(self, attention: ScoresT, values: SymbolicRows[RowsT]) -> SymbolicRows[RowsT]:
        """Return the weighted sums."""
        found = self.base.mix(attention, self._bounds(values))
        return self._made(found, partial(self._domain.mix, attention), values)

    # what comes out --------------------------------------------------------------------------------------------------

    def margins(
        self,
        rows: SymbolicRows[RowsT],
        weight: WeightT,
        bias: WeightT,
        expected: Int[np.ndarray, " cells"],
        *,
        points: int,
    ) -> Margins:
        """Return lower bounds of the margins; a factor that all logits have drops out."""
        found = self.base.margins(rows.related, weight, bias, expected, points=points)
        if not rows.symbols.normed:
            return found
        return Margins(np.fmax(found.lower, self._domain.margins(rows.symbols.forms[0], weight, bias, expected)))

    def numbers(self, rows: SymbolicRows[RowsT] | ScoresT) -> np.ndarray[Any, Any]:
        """Return the bounds as the arithmetic below does."""
        return self.base.numbers(rows.related if isinstance(rows, SymbolicRows) else rows)
