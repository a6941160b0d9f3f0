"""Exact rationals (python-flint): hardmax, or softmax at a rational ``q`` wherever the scores are integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any, TypeAlias, final

import flint
import numpy as np
from jaxtyping import Int

from constructions.activations import Activation
from constructions.exact_matrix import LARGEST_DENSE, ExactMatrix
from constructions.ratios import Ratios
from constructions.temperature import Hardmax, RationalSoftmax, Temperature
from constructions.validation import InvalidArgument
from verify.arithmetic.base import Arithmetic, AtOnce, Visible
from verify.arithmetic.families import RATIONAL
from verify.arithmetic.gaps import check_exponents

if TYPE_CHECKING:
    from constructions.construction import Construction
    from verify.arithmetic.tensors import TorchArithmetic

_Matrix: TypeAlias = flint.fmpq_mat

#: Bits of the largest power of ``q``: one number then takes no more memory than the largest dense matrix of float64.
#: Far beyond that the library under it ends the process.
LARGEST_BITS = 64 * LARGEST_DENSE


def _rational(value: Fraction) -> flint.fmpq:
    return flint.fmpq(value.numerator, value.denominator)


def _fraction(value: flint.fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


@final
class RationalArithmetic(Arithmetic[_Matrix, _Matrix, _Matrix]):
    """Every number an exact rational; one sequence at a time.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> exhaust(UnconditionalGeneration(2, 3), RationalArithmetic()).margin
        Fraction(1, 52)

    """

    spec = RATIONAL.spec()
    name = spec.name
    fmt = None
    device = "cpu"

    def weight(self, matrix: ExactMatrix) -> _Matrix:
        """Return the matrix exactly."""
        matrix.check_dense()
        dense = _Matrix(*matrix.shape)
        for row, column, value in matrix.nonzero():
            dense[row, column] = _rational(value)
        return dense

    def held(self, numbers: np.ndarray[Any, Any]) -> _Matrix:
        """Return the numbers exactly; a float counts as the number that it is."""
        rows, columns = numbers.shape
        return _Matrix(rows, columns, [_rational(Fraction(entry)) for entry in numbers.reshape(-1).tolist()])

    def prompt(self, virtual_tokens: Ratios) -> _Matrix:
        """Return the virtual tokens exactly."""
        rows, columns = virtual_tokens.shape
        denominator = virtual_tokens.denominator
        entries = [flint.fmpq(int(value), denominator) for value in virtual_tokens.numerators.reshape(-1).tolist()]
        return _Matrix(rows, columns, entries)

    def embed(self, embedding: _Matrix, tokens: Int[np.ndarray, " length"]) -> _Matrix:
        """Return the columns of the embedding as rows."""
        size = embedding.nrows()
        entries = [embedding[row, token] for token in tokens.tolist() for row in range(size)]
        return _Matrix(len(tokens), size, entries)

    def positions(self, context_size: int, start: int, stop: int) -> _Matrix:
        """Return rows of the identity."""
        codes = _Matrix(stop - start, context_size)
        for row in range(stop - start):
            codes[row, start + row] = flint.fmpq(1)
        return codes

    def beside(self, left: _Matrix, right: _Matrix) -> _Matrix:
        """Return the rows side by side."""
        rows = [a + b for a, b in zip(left.tolist(), right.tolist(), strict=True)]
        return _Matrix(left.nrows(), left.ncols() + right.ncols(), [value for row in rows for value in row])

    def below(self, top: _Matrix, bottom: _Matrix) -> _Matrix:
        """Return the rows one under the other."""
        return _Matrix(top.nrows() + bottom.nrows(), top.ncols(), [*top.entries(), *bottom.entries()])

    def last(self, rows: _Matrix) -> _Matrix:
        """Return the last row."""
        return _Matrix(1, rows.ncols(), rows.tolist()[-1])

    def linear(self, rows: _Matrix, weight: _Matrix, bias: _Matrix | None = None) -> _Matrix:
        """Return ``W x + b`` exactly."""
        product = rows * weight.transpose()
        return product if bias is None else product + _Matrix(rows.nrows(), 1, [1] * rows.nrows()) * bias.transpose()

    def relu(self, rows: _Matrix) -> _Matrix:
        """Return ``max(0, .)`` exactly."""
        zero = flint.fmpq(0)
        return _Matrix(rows.nrows(), rows.ncols(), [value if value > zero else zero for value in rows.entries()])

    def pointwise(self, rows: _Matrix, activation: Activation) -> _Matrix:
        """Return an activation exactly; an irrational value is refused."""
        return _Matrix(rows.nrows(), rows.ncols(), [_activated(activation, value) for value in rows.entries()])

    def multiply(self, left: _Matrix, right: _Matrix) -> _Matrix:
        """Return the product exactly."""
        products = [a * b for a, b in zip(left.entries(), right.entries(), strict=True)]
        return _Matrix(left.nrows(), left.ncols(), products)

    def normalise(self, rows: _Matrix, *, centred: bool, mean: bool, eps: Fraction) -> _Matrix:
        """Return the rows over their lengths exactly; an irrational length is refused, and one of 0."""
        width, added, found = rows.ncols(), _rational(eps), []
        for row in rows.tolist():
            middle = sum(row, flint.fmpq(0)) / width if centred else flint.fmpq(0)
            moved = [value - middle for value in row]
            squares = sum((value * value for value in moved), flint.fmpq(0))
            length = _root((squares / width if mean else squares) + added)
            found += [value / length for value in moved]
        return _Matrix(rows.nrows(), width, found)

    def affine(self, rows: _Matrix, weight: _Matrix | None, bias: _Matrix | None) -> _Matrix:
        """Return ``w * x + b`` exactly."""
        scales = [flint.fmpq(1)] * rows.ncols() if weight is None else weight.entries()
        shifts = [flint.fmpq(0)] * rows.ncols() if bias is None else bias.entries()
        found = [
            value * scale + shift
            for row in rows.tolist()
            for value, scale, shift in zip(row, scales, shifts, strict=True)
        ]
        return _Matrix(rows.nrows(), rows.ncols(), found)

    def scores(self, queries: _Matrix, keys: _Matrix) -> _Matrix:
        """Return the inner products exactly."""
        return queries * keys.transpose()

    def score_table(self, table: _Matrix, start: int, stop: int) -> _Matrix:
        """Return a part of the table."""
        return _Matrix([row[:stop] for row in table.tolist()[start:stop]])

    def shifted(self, scores: _Matrix, shift: _Matrix) -> _Matrix:
        """Return the exact sum."""
        return scores + shift

    def attention(self, scores: _Matrix, visible: Visible, temperature: Temperature, *, key_size: int) -> _Matrix:
        """Return the weights exactly; a finite ``T`` has an irrational ``exp(T)`` and is refused."""
        weights = _Matrix(scores.nrows(), scores.ncols())
        for row, seen in enumerate(visible):
            columns = [column for column in range(scores.ncols()) if seen[column]]
            found = factors([scores[row, column] for column in columns], temperature)
            normaliser = sum(found, flint.fmpq(0))
            for column, factor in zip(columns, found, strict=True):
                weights[row, column] = factor / normaliser
        return weights

    def shifted_attention(
        self, scores: _Matrix, shift: _Matrix, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> _Matrix:
        """Refuse: at a finite ``T`` the weights are irrational, and nothing else has exponents to add to."""
        check_exponents(temperature)
        raise InvalidArgument(
            "temperature: rational arithmetic takes hardmax or an exact q, but a score bias that is added after scaling"
            f" needs a finite T, here {temperature!r}; use --arithmetic numpy or torch"
        )

    def mix(self, attention: _Matrix, values: _Matrix) -> _Matrix:
        """Return the weighted sums exactly."""
        return attention * values

    def total(self, parts: Sequence[_Matrix]) -> _Matrix:
        """Return the exact sum."""
        return sum(parts[1:], parts[0])

    def argmax(self, logits: _Matrix) -> Int[np.ndarray, " rows"]:
        """Return the first coordinate of the largest value of every row."""
        return np.array([row.index(max(row)) for row in logits.tolist()], dtype=np.int64)

    def numbers(self, rows: _Matrix) -> np.ndarray[Any, Any]:
        """Return an object array of Fractions."""
        exact = [[_fraction(value) for value in row] for row in rows.tolist()]
        array = np.empty((rows.nrows(), rows.ncols()), dtype=object)
        array[:] = exact
        return array

    def entries(self, rows: _Matrix) -> np.ndarray[Any, Any]:
        """Return an object array of python-flint's rationals, several times as fast as Fractions."""
        array = np.empty((rows.nrows(), rows.ncols()), dtype=object)
        array[:] = rows.tolist()
        return array

    def dense(self) -> TorchArithmetic:
        """Return float64's, which rounds: a case that fails there is told beside the verdict."""
        from verify.arithmetic.tensors import TorchArithmetic  # noqa: PLC0415 # it imports torch

        return TorchArithmetic("float64")

    def at_once(self, construction: Construction, model: Any, alone: Callable[..., Any]) -> AtOnce | None:
        """Return the exact engine, which runs many cases in one pass over all steps."""
        if type(self) is not RationalArithmetic:
            return None  # a subclass may compute otherwise, and its own operations are asked
        from verify.exact_engine import ExactPass  # noqa: PLC0415 # it imports this module

        return ExactPass(construction, model, alone)


def _activated(activation: Activation, value: flint.fmpq) -> flint.fmpq:
    found = activation.exact(_fraction(value))
    if found is None:
        raise InvalidArgument(
            f"activation: rational arithmetic holds no irrational numbers, such as {activation.name} of {value}; use"
            " --arithmetic symbolic, numpy or torch"
        )
    return _rational(found)


def _root(value: flint.fmpq) -> flint.fmpq:
    """Return the square root of a positive square of a rational."""
    over, under = isqrt(int(value.p)), isqrt(int(value.q))
    if value == 0:
        raise InvalidArgument("norm: expected rows that are not 0, or eps > 0, but got a row of length 0")
    if over**2 != value.p or under**2 != value.q:
        raise InvalidArgument(
            f"norm: rational arithmetic holds no square roots that are irrational, such as of {value}; use"
            " --arithmetic symbolic, numpy or torch"
        )
    return flint.fmpq(over, under)


def factors(scores: Sequence[flint.fmpq], temperature: Temperature) -> list[flint.fmpq]:
    """Return the unnormalised attention weights of the visible scores, the largest of them 1."""
    largest = max(scores)
    if isinstance(temperature, Hardmax):
        return [flint.fmpq(score == largest) for score in scores]
    if not isinstance(temperature, RationalSoftmax):
        raise InvalidArgument(
            f"temperature: rational arithmetic takes hardmax or an exact q = exp(T/sqrt(k)) but got {temperature!r}"
        )
    q = _rational(temperature.q)
    gaps = [score - largest for score in scores]
    if any(gap.q != 1 for gap in gaps):
        raise InvalidArgument(
            "temperature: rational arithmetic at a finite q takes integer score differences but got"
            f" {next(gap for gap in gaps if gap.q != 1)}; use hardmax"
        )
    most = max(-int(gap.p) for gap in gaps)
    bits = most * max(temperature.q.numerator.bit_length(), temperature.q.denominator.bit_length())
    if bits > LARGEST_BITS:
        raise InvalidArgument(
            f"q: expected powers of at most {LARGEST_BITS} bits in rational arithmetic but got q^{most}, as the"
            f" scores differ by that much, with q = {temperature.q}"
        )
    return [q ** int(gap.p) for gap in gaps]
