from __future__ import annotations

import pytest
import sympy as sp

from proofs import ObligationFailed, ObligationUndecided, prove_equal, prove_nonnegative, prove_positive
from proofs.decide import natural, nonnegative, positive, prove_floor, relu, require, require_defined

N, X, Q = natural("n"), nonnegative("x"), positive("q")
UNKNOWN = sp.Function("f")(N)


@pytest.mark.parametrize(
    ("left", "right"),
    [((N + 1) ** 2, N**2 + 2 * N + 1), (1 / Q - 1 / (Q + 1), 1 / (Q * (Q + 1))), (UNKNOWN, UNKNOWN)],
)
def test_equal_expressions_are_decided_equal(left: sp.Expr, right: sp.Expr) -> None:
    assert prove_equal("they agree", left, right).what == "they agree"


@pytest.mark.parametrize(("left", "right"), [(N, N + 1), (N, 2 * N), (sp.KroneckerDelta(N, 3), 0), (N**2, N)])
def test_different_expressions_fail(left: sp.Expr, right: sp.Expr) -> None:
    with pytest.raises(ObligationFailed, match="false: they agree: "):
        prove_equal("they agree", left, right)


def test_a_failure_shows_the_expression_and_numbers_at_which_it_fails() -> None:
    with pytest.raises(ObligationFailed) as raised:
        prove_equal("n is its square", N**2, N)
    assert str(raised.value) == "false: n is its square: n**2 - n is 2, not zero, at n = 2"


def test_what_sympy_cannot_decide_is_never_shown() -> None:
    hard = sp.zeta(3) - sp.pi**3 * sp.Symbol("r", rational=True)
    with pytest.raises(ObligationUndecided, match="undecided: a hard one: "):
        prove_equal("a hard one", hard, 0)
    with pytest.raises(ObligationUndecided, match="undecided: a hard one: "):
        prove_positive("a hard one", hard)


@pytest.mark.parametrize("expr", [Q, N + 1, (Q + N) / Q, 1 - X / (1 + X), N**2 - N * (N - 1) + 1])
def test_positive(expr: sp.Expr) -> None:
    assert prove_positive("it is positive", expr).shown.endswith("is positive")
    assert prove_nonnegative("it is not negative", expr).shown.endswith("is nonnegative")


@pytest.mark.parametrize("expr", [N, X, Q - 1, N - 1, -Q, sp.S.Zero])
def test_not_positive_for_all_numbers(expr: sp.Expr) -> None:
    with pytest.raises(ObligationFailed):
        prove_positive("it is positive", expr)


@pytest.mark.parametrize("expr", [N - 1, -Q, Q - 2])
def test_negative_for_some_numbers(expr: sp.Expr) -> None:
    with pytest.raises(ObligationFailed):
        prove_nonnegative("it is not negative", expr)


def test_relu_of_a_decided_sign() -> None:
    assert relu("x", X + 1) == X + 1
    assert relu("x", -X) == 0
    assert relu("x", sp.S.Zero) == 0


def test_relu_of_an_undecided_sign() -> None:
    with pytest.raises(ObligationUndecided, match="of one sign"):
        relu("x", X - 1)


def test_floor() -> None:
    t, rest = natural("t"), natural("z")
    size = t + 1 + rest
    assert prove_floor("the quotient", (N * size + t) / size, N).what == "the quotient"
    with pytest.raises(ObligationFailed):
        prove_floor("the quotient", (N * size + t) / size, N + 1)
    with pytest.raises(ObligationFailed):  # t = K is one digit too far
        prove_floor("the quotient", (N * size + size) / size, N)
    with pytest.raises(ObligationUndecided, match="an integer"):
        prove_floor("the quotient", N, X)


def test_require() -> None:
    assert require("two heads", holds=True).what == "two heads"
    with pytest.raises(ObligationFailed, match=r"^false: two heads$"):
        require("two heads", holds=False)


def test_long_expressions_are_cut_in_messages() -> None:
    many = sum((sp.Symbol(f"a{index}", positive=True) for index in range(200)), sp.S.Zero)
    with pytest.raises(ObligationFailed) as raised:
        prove_equal("it is zero", many, 0)
    assert len(str(raised.value)) < 3 * 300


@pytest.mark.parametrize(
    ("expr", "what"),
    [
        ((N**2 - N) / N, "n is nonzero"),
        (1 / (Q - 1), "q - 1 is nonzero"),
        (N**-Q, "n is nonzero"),
        (sp.sqrt(N) ** -1, "n is nonzero"),
        (sp.Mod(N, X), "x is nonzero"),
        (sp.log(N), r"log\(n\) is an exact number"),
        (N + sp.I, "I is an exact number"),
        (N + sp.Float(0.5), "0.5* is an exact number"),
        (sp.floor(1 / X), "x is nonzero"),
        (sp.Piecewise((1, N > 0)), r"Piecewise\(\(1, n > 0\)\) is defined"),
        (sp.Piecewise((1, N > 0), (sp.zoo, True)), "zoo is an exact number"),
    ],
)
def test_what_is_no_number_for_some_values_is_never_shown(expr: sp.Expr, what: str) -> None:
    with pytest.raises(ObligationUndecided, match=f"undecided: it is one: sympy cannot tell whether .*{what}"):
        require_defined("it is one", expr)
    with pytest.raises(ObligationUndecided):
        prove_equal("it is itself", expr, expr)


@pytest.mark.parametrize("expr", [sp.Mod(1 / N, 2), sp.Piecewise((N, N > 0))])
def test_nor_has_it_a_sign(expr: sp.Expr) -> None:
    assert expr.is_nonnegative
    with pytest.raises(ObligationUndecided):
        prove_nonnegative("it is not negative", expr)
    with pytest.raises(ObligationUndecided):
        prove_positive("it is above -1", expr + 1)
    with pytest.raises(ObligationUndecided):
        relu("x", expr)


@pytest.mark.parametrize("expr", [1 / (N + 1), Q**-N, 2**N / (-Q - 2), N ** sp.Rational(1, 2), 1 / -Q, UNKNOWN])
def test_what_is_a_number_for_all_values(expr: sp.Expr) -> None:
    require_defined("it is one", expr)


def test_what_a_statement_supposes_not_to_be_0() -> None:
    left, right = (N**2 - N) / N, N - 1
    with pytest.raises(ObligationUndecided, match="n is nonzero"):
        prove_equal("one less", left, right)
    assert prove_equal("one less", left, right, nonzero=[N]).what == "one less"
