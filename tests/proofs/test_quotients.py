"""Quotients of polynomials: equal to the expression, and no sign that a number contradicts."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.quotients import quotient

N = sp.Symbol("n", integer=True, nonnegative=True)
Q = sp.Symbol("q", positive=True)
X = sp.Symbol("x", real=True)
ANY = sp.Function("f")(N)  # of which nothing is known
SYMBOLS = (N, Q, X, ANY)


def _rational(first: int) -> st.SearchStrategy[sp.Rational]:
    return st.builds(sp.Rational, st.integers(first, 6), st.integers(1, 3))


def _points() -> st.SearchStrategy[dict[sp.Expr, sp.Rational]]:
    one = {N: st.integers(0, 6).map(sp.Integer), Q: _rational(1), X: _rational(-6), ANY: _rational(-6)}
    return st.fixed_dictionaries(one)


def _grown(smaller: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    pairs = st.tuples(smaller, smaller)
    return (
        pairs.map(lambda pair: sp.Add(*pair))
        | pairs.map(lambda pair: sp.Mul(*pair))
        | st.tuples(smaller, st.integers(-2, 3)).map(lambda pair: sp.Pow(*pair))
    )


EXPRESSIONS = st.recursive(st.sampled_from(SYMBOLS) | _rational(-3), _grown, max_leaves=8)


@given(EXPRESSIONS, st.lists(_points(), min_size=1, max_size=4))
def test_the_quotient_is_the_expression_and_numbers_contradict_no_sign(
    expr: sp.Expr, points: list[dict[sp.Expr, sp.Rational]]
) -> None:
    found = quotient(expr)
    if found is None:
        return
    for point in points:
        value = expr.xreplace(point)
        if not value.is_Rational:  # divided by 0
            assert not found.is_positive
            continue
        same = found.expr.xreplace(point)
        assert same == value or not same.is_Rational  # a factor that cancels may be 0
        assert value == 0 or not found.is_zero
        assert value >= 0 or not found.is_nonnegative
        assert value <= 0 or not found.is_nonpositive
        assert value > 0 or not found.is_positive
        assert value < 0 or not found.is_negative


@pytest.mark.parametrize(
    ("expr", "positive", "nonnegative"),
    [
        (Q, True, True),
        (N, False, True),
        (N + 1, True, True),
        (N * Q + Q, True, True),
        (X**2, False, True),
        (X**2 + Q, True, True),
        (X, False, False),
        (ANY**2, False, False),  # it may be imaginary
        (Q - 1, False, False),
        (1 / (N + 1) - 1 / (N + 2), True, True),
        (-1 / (-Q - N), True, True),
        (1 / N, False, False),  # 0 divides it
        (1 / (Q - 1) ** 2, False, False),
        ((N + Q) / (X**2 + 1) ** 3, True, True),
        (Q * (ANY - ANY * (1 + N) / (N + 1)) + Q, True, True),
    ],
)
def test_signs(expr: sp.Expr, *, positive: bool, nonnegative: bool) -> None:
    found = quotient(expr)
    assert found is not None
    assert (found.is_positive, found.is_nonnegative, found.is_zero) == (positive, nonnegative, False)
    negative = quotient(-expr)
    assert negative is not None
    assert (negative.is_positive, negative.is_nonpositive) == (False, nonnegative)
    assert (found.is_negative, negative.is_negative) == (False, positive)


def test_zero_is_decided_over_a_common_denominator() -> None:
    found = quotient(1 / (Q * (Q + 1)) - 1 / Q + 1 / (1 + Q))
    assert found is not None
    assert found.is_zero
    assert found.is_nonnegative
    assert not found.is_positive


def test_anything_else_is_a_variable_of_its_own() -> None:
    root = sp.sqrt(Q)
    found = quotient((root + 1) * (root - 1) - Q + 1)
    assert found is not None
    assert not found.is_zero  # that the root's square is q is not used
    third = quotient((ANY + N) * (ANY - N) - ANY**2 + N**2)
    assert third is not None
    assert third.is_zero


@pytest.mark.parametrize(
    "expr",
    [
        sp.Float(0.5) * Q,
        sp.pi * Q,
        Q + sp.oo,
        Q + sp.I,
        sp.Symbol("a", commutative=False) * Q,
        1 / ((N + 1) ** 2 - N**2 - 2 * N - 1),
        sp.Integer(2),
    ],
)
def test_what_is_no_quotient_of_polynomials_is_left_to_sympy(expr: sp.Expr) -> None:
    assert quotient(expr) is None


def test_the_expression_is_expanded_over_factors() -> None:
    found = quotient(Fraction(1, 2) / (2 * Q + 2) + N / Q**2)
    assert found is not None
    assert sp.simplify(found.expr - (sp.Rational(1, 4) / (Q + 1) + N / Q**2)) == 0
    assert set(found.denominator.values()) == {1, 2}
