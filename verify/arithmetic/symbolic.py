"""Symbols (sympy): the forward pass as expressions in ``q = exp(T/sqrt(k))``, for small sizes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias, final

import numpy as np
import sympy as sp
from jaxtyping import Int

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.ratios import Ratios
from constructions.temperature import Hardmax, Temperature
from constructions.validation import InvalidArgument
from verify.arithmetic.base import Arithmetic, Visible
from verify.arithmetic.expressions import checked, largest, sign, tidied
from verify.arithmetic.families import SYMBOLIC
from verify.arithmetic.gaps import check_exponents

_Matrix: TypeAlias = sp.ImmutableDenseMatrix

#: ``exp(T/sqrt(k))``, the same in every head.
q = sp.Symbol("q", positive=True)


@final
class SymbolicArithmetic(Arithmetic[_Matrix, _Matrix, _Matrix]):
    """Every number a sympy expression; attention weights are rational functions of :data:`q`.

    A ReLU whose argument has no decided sign stays a ``Max``; substitute a number for ``q`` to evaluate.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import check
        >>> check(UnconditionalGeneration(2, 2), target=[1, 0], arithmetic=SymbolicArithmetic()).holds
        True

    """

    spec = SYMBOLIC.spec()
    name = spec.name
    fmt = None
    device = "cpu"
    per_head: ClassVar[bool] = False

    def weight(self, matrix: ExactMatrix) -> _Matrix:
        """Return the matrix exactly."""
        rows = [[sp.Rational(value.numerator, value.denominator) for value in row] for row in matrix.to_fractions()]
        return _Matrix(*matrix.shape, [value for row in rows for value in row])

    def prompt(self, virtual_tokens: Ratios) -> _Matrix:
        """Return the virtual tokens exactly."""
        rows, columns = virtual_tokens.shape
        values = [sp.Rational(int(value), virtual_tokens.denominator) for value in virtual_tokens.numerators.flat]
        return _Matrix(rows, columns, values)

    def embed(self, embedding: _Matrix, tokens: Int[np.ndarray, " length"]) -> _Matrix:
        """Return the columns of the embedding as rows."""
        size = embedding.rows
        return _Matrix(len(tokens), size, [embedding[row, token] for token in tokens.tolist() for row in range(size)])

    def positions(self, context_size: int, start: int, stop: int) -> _Matrix:
        """Return rows of the identity."""
        return _Matrix(stop - start, context_size, lambda row, column: int(column == start + row))

    def beside(self, left: _Matrix, right: _Matrix) -> _Matrix:
        """Return the rows side by side."""
        return left.row_join(right)

    def below(self, top: _Matrix, bottom: _Matrix) -> _Matrix:
        """Return the rows one under the other."""
        return top.col_join(bottom)

    def last(self, rows: _Matrix) -> _Matrix:
        """Return the last row."""
        return rows[-1, :]

    def linear(self, rows: _Matrix, weight: _Matrix, bias: _Matrix | None = None) -> _Matrix:
        """Return ``W x + b``."""
        product = rows * weight.T
        return checked(product if bias is None else product + sp.ones(rows.rows, 1) * bias.T)

    def relu(self, rows: _Matrix) -> _Matrix:
        """Return ``Max(0, .)``, decided where the sign is plain."""
        return rows.applyfunc(_relu)

    def pointwise(self, rows: _Matrix, activation: Activation) -> _Matrix:
        """Return the activation's expression."""
        return checked(rows.applyfunc(activation.symbol))

    def multiply(self, left: _Matrix, right: _Matrix) -> _Matrix:
        """Return the product."""
        return checked(left.multiply_elementwise(right))

    def normalise(self, rows: _Matrix, *, centred: bool, mean: bool, eps: Fraction) -> _Matrix:
        """Return the rows over the square roots; a length that is plainly 0 is refused."""
        width, added, found = rows.cols, sp.Rational(eps.numerator, eps.denominator), []
        for row in rows.tolist():
            middle = sp.Add(*row) / width if centred else 0
            moved = [value - middle for value in row]
            squares = sp.Add(*(value**2 for value in moved))
            under = tidied((squares / width if mean else squares) + added)
            if eps == 0 and all(value.is_number and sign(value) == 0 for value in moved):
                raise InvalidArgument("norm: expected rows that are not 0, or eps > 0, but got a row of length 0")
            found.append([value / sp.sqrt(under) for value in moved])
        return checked(_Matrix(found))

    def affine(self, rows: _Matrix, weight: _Matrix | None, bias: _Matrix | None) -> _Matrix:
        """Return ``w * x + b``."""
        ones = sp.ones(rows.rows, 1)
        product = rows if weight is None else rows.multiply_elementwise(ones * weight.T)
        return product if bias is None else product + ones * bias.T

    def scores(self, queries: _Matrix, keys: _Matrix) -> _Matrix:
        """Return the inner products."""
        return checked(queries * keys.T)

    def score_table(self, table: _Matrix, start: int, stop: int) -> _Matrix:
        """Return a part of the table."""
        return table[start:stop, :stop]

    def shifted(self, scores: _Matrix, shift: _Matrix) -> _Matrix:
        """Return the sum."""
        return scores + shift

    def attention(self, scores: _Matrix, visible: Visible, temperature: Temperature, *, key_size: int) -> _Matrix:
        """Return rational functions of ``q``, or hardmax; scores must be numbers."""
        _check_numbers(scores)
        rows = []
        for row, seen in enumerate(visible):
            factors = [sp.S.Zero] * scores.cols
            columns = np.flatnonzero(seen)
            if isinstance(temperature, Hardmax):
                _, chosen = largest((scores[row, column] for column in columns), "scores")
                found = [sp.Integer(int(ties)) for ties in chosen]
            else:
                found = [q ** scores[row, column] for column in columns]
            for column, factor in zip(columns, found, strict=True):
                factors[column] = factor
            rows.append([tidied(factor / sp.Add(*factors)) for factor in factors])
        return _Matrix(rows)

    def shifted_attention(
        self, scores: _Matrix, shift: _Matrix, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> _Matrix:
        """Return functions of ``q`` and of the exponentials of the shift; scores must be numbers."""
        check_exponents(temperature)
        _check_numbers(scores)
        rows = []
        for row, seen in enumerate(visible):
            entries = zip(scores.row(row), shift.row(row), seen, strict=True)
            factors = [q**score * sp.exp(more) if sees else sp.S.Zero for score, more, sees in entries]
            rows.append([factor / sp.Add(*factors) for factor in factors])
        return _Matrix(rows)

    def mix(self, attention: _Matrix, values: _Matrix) -> _Matrix:
        """Return the weighted sums."""
        return checked(attention * values)

    def total(self, parts: Sequence[_Matrix]) -> _Matrix:
        """Return the sum, each entry over one denominator."""
        return checked(sum(parts[1:], parts[0])).applyfunc(tidied)

    def argmax(self, logits: _Matrix) -> Int[np.ndarray, " rows"]:
        """Return the first coordinate of the largest value; logits that still hold symbols are undecided."""
        if any(not value.is_number for value in logits):
            raise InvalidArgument("logits: the argmax of expressions in q is undecided; use hardmax, or a number for q")
        chosen = [largest(logits.row(row), "logits")[1].index(True) for row in range(logits.rows)]
        return np.array(chosen, dtype=np.int64)

    def numbers(self, rows: _Matrix) -> np.ndarray[Any, Any]:
        """Return an object array: Fractions where a value is rational, expressions elsewhere."""
        numbers = np.empty(rows.shape, dtype=object)
        numbers[:] = [[_number(value) for value in row] for row in rows.tolist()]
        return numbers


def _check_numbers(scores: _Matrix) -> None:
    if any(not score.is_number for score in scores):
        raise InvalidArgument("scores: symbolic arithmetic takes scores that are numbers, free of q")


def _number(value: sp.Expr) -> Fraction | sp.Expr:
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else value


def _relu(value: sp.Expr) -> sp.Expr:
    if value.is_nonnegative:
        return value
    if value.is_nonpositive:
        return sp.S.Zero
    return sp.Max(0, value, evaluate=False)
