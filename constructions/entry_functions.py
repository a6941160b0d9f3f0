"""Scalar expressions of a row and a column, evaluated exactly over whole arrays of rows and columns at once.

A value is ``numerators / denominator`` with one common denominator. Everything is integer arithmetic, which cannot
overflow: see :mod:`constructions.integers`. Only sums, products, powers, floors, remainders and Kronecker deltas are
evaluated; the caller handles other expressions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from constructions.entries import Entries
from constructions.exact_matrix import check_dense
from constructions.expressions import has_range
from constructions.integers import Integers, product, scaled_integers, smallest_dtype, total
from constructions.ratios import Ratios


class Unsupported(Exception):
    """An expression with a part that this module does not evaluate."""


@dataclass(frozen=True)
class Value:
    """Exact rationals: an array, or one number.

    Attributes:
        numerators: one integer, or an array of them.
        denominator: a positive integer.

    """

    numerators: Integers
    denominator: int

    def ratios(self, shape: tuple[int, ...]) -> Ratios:
        """Return the numbers as an array of the given shape, in lowest terms as far as all of them allow."""
        numerators = self.numerators
        if isinstance(numerators, int):
            numerators = smallest_dtype([numerators])
        common = math.gcd(self.denominator, int(np.gcd.reduce(numerators, axis=None))) if numerators.size else 1
        if common > 1:
            numerators = numerators // common
        return Ratios(np.broadcast_to(numerators, shape), self.denominator // common)


def evaluate_over(expr: sp.Expr, known: Mapping[sp.Symbol, Integers]) -> Value:
    """Return an expression's value.

    Args:
        expr: of the symbols in ``known``.
        known: an integer, or an array of integers, for every symbol; the arrays broadcast against each other.

    Raises:
        Unsupported: the expression has another kind of part.

    """
    if isinstance(expr, sp.Rational):
        return Value(int(expr.p), int(expr.q))
    if isinstance(expr, sp.Symbol) and expr in known:
        return Value(known[expr], 1)
    parts = [evaluate_over(part, known) for part in expr.args]
    if isinstance(expr, sp.Add):
        return _folded(_sum, parts)
    if isinstance(expr, sp.Mul):
        return _folded(_product, parts)
    if isinstance(expr, sp.Pow):
        return _power(*parts)
    if isinstance(expr, sp.floor):
        return _floor(parts[0])
    if isinstance(expr, sp.Mod):
        dividend, divisor = parts
        quotient = _floor(_product(dividend, _power(divisor, Value(-1, 1))))
        return _sum(dividend, _product(Value(-1, 1), _product(divisor, quotient)))
    if isinstance(expr, sp.KroneckerDelta) and not has_range(expr):
        difference = _sum(parts[0], _product(Value(-1, 1), parts[1])).numerators
        if isinstance(difference, int):
            return Value(int(difference == 0), 1)
        return Value(np.asarray(difference == 0).astype(np.int64), 1)
    raise Unsupported(str(expr))


def _folded(operation: Any, parts: list[Value]) -> Value:
    result: Value = parts[0]
    for part in parts[1:]:
        result = operation(result, part)
    return result


def _sum(left: Value, right: Value) -> Value:
    denominator = math.lcm(left.denominator, right.denominator)
    first, second = (product(part.numerators, denominator // part.denominator) for part in (left, right))
    return Value(total(first, second), denominator)


def _product(left: Value, right: Value) -> Value:
    return Value(product(left.numerators, right.numerators), left.denominator * right.denominator)


def _floor(value: Value) -> Value:
    if isinstance(value.numerators, int) or value.denominator < 2**63:
        return Value(value.numerators // value.denominator, 1)
    return Value(value.numerators.astype(object) // value.denominator, 1)


def _power(base: Value, exponent: Value) -> Value:
    if exponent.denominator != 1:
        raise Unsupported("a root")
    if isinstance(base.numerators, int):
        return _powers_of(Fraction(base.numerators, base.denominator), exponent.numerators)
    if not isinstance(exponent.numerators, int):
        raise Unsupported("a power whose base and exponent both vary")
    if exponent.numerators < 0:
        raise Unsupported("a quotient whose denominator varies")
    result = Value(1, 1)
    for _ in range(exponent.numerators):
        result = _product(result, base)
    return result


def _powers_of(base: Fraction, exponents: Integers) -> Value:
    if base == 0 and (exponents < 0 if isinstance(exponents, int) else bool((exponents < 0).any())):
        raise Unsupported("a division by zero")
    if isinstance(exponents, int):
        power = base**exponents
        return Value(power.numerator, power.denominator)
    distinct, places = np.unique(exponents, return_inverse=True)
    powers = [base ** int(exponent) for exponent in distinct]
    denominator = math.lcm(*(power.denominator for power in powers))
    numerators = smallest_dtype([power.numerator * (denominator // power.denominator) for power in powers])
    return Value(numerators[places].reshape(exponents.shape), denominator)


def entries_of(
    expr: sp.Expr, rows: int, columns: int, indices: tuple[sp.Symbol, sp.Symbol], bindings: Mapping[sp.Symbol, int]
) -> Entries:
    """Return the non-zero entries of the matrix whose entry ``(i, j)`` is ``expr``.

    A sum whose every term has a Kronecker delta of a row and a function of the columns, or of a column and a function
    of the rows, is evaluated where its deltas are 1 and nowhere else.

    Args:
        expr: of the two indices and the symbols of ``bindings``.
        rows: the number of rows, at least 1.
        columns: the number of columns, at least 1.
        indices: the symbols of the row and of the column.
        bindings: an integer for every other symbol.

    Raises:
        Unsupported: the expression has a part that cannot be evaluated over arrays.
        InvalidArgument: every entry has to be looked at, and there are too many.

    """
    found: list[Entries] = []
    for term in sp.Add.make_args(expr):
        places = _places(term, rows, columns, indices, bindings)
        if places is None:
            found = []
            break
        at_rows, at_columns, factor = places
        known = {**bindings, indices[0]: at_rows, indices[1]: at_columns}
        values = evaluate_over(factor, known).ratios(at_rows.shape)
        found.append(Entries.collected(at_rows, at_columns, values))
    if found:
        return _folded_entries(found)
    check_dense(rows, columns)
    known = {**bindings, indices[0]: np.arange(rows)[:, None], indices[1]: np.arange(columns)[None, :]}
    values = evaluate_over(expr, known).ratios((rows, columns))
    at_rows, at_columns = np.nonzero(values.numerators)
    return Entries(at_rows, at_columns, Ratios(values.numerators[at_rows, at_columns], values.denominator))


def _folded_entries(found: list[Entries]) -> Entries:
    result = found[0]
    for part in found[1:]:
        result += part
    return result


def _places(
    term: sp.Expr, rows: int, columns: int, indices: tuple[sp.Symbol, sp.Symbol], bindings: Mapping[sp.Symbol, int]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], sp.Expr] | None:
    """Return the rows and columns where a delta of the term is 1, and the term without it; ``None`` without a delta."""
    factors = sp.Mul.make_args(term)
    row, column = indices
    for own, other, own_count, other_count in ((column, row, columns, rows), (row, column, rows, columns)):
        for delta in factors:
            if not (isinstance(delta, sp.KroneckerDelta) and not has_range(delta) and own in delta.args):
                continue
            place = delta.args[1] if delta.args[0] == own else delta.args[0]
            if own in place.free_symbols:
                continue
            walk = np.arange(other_count)
            value = evaluate_over(place, {**bindings, other: walk})
            numerators = scaled_integers(np.broadcast_to(value.numerators, walk.shape), 1)
            target = numerators // value.denominator
            inside = (numerators % value.denominator == 0) & (target >= 0) & (target < own_count)
            kept, hit = walk[inside], np.asarray(target[inside], dtype=np.int64)
            rest = sp.Mul(*(factor for factor in factors if factor is not delta))
            return (kept, hit, rest) if own == column else (hit, kept, rest)
    return None
