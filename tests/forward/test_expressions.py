"""What symbolic arithmetic asks of expressions is answered in moments or left open; ties and order stay exact."""

from __future__ import annotations

from math import isqrt

import numpy as np
import pytest
import sympy as sp

from constructions import Hardmax, InvalidArgument
from tests.forward.test_layer_trees import TOKENS, traced
from tests.forward.trees import IRRATIONAL
from verify.arithmetic import NumpyArithmetic, SymbolicArithmetic
from verify.arithmetic.expressions import (
    DIGITS,
    HIGHEST_DEGREE,
    LARGEST,
    MOST_TERMS,
    checked,
    largest,
    sign,
    tidied,
)

q = sp.Symbol("q", positive=True)
ROOT = sp.sqrt(2)


def _near_root(digits: int) -> sp.Rational:
    """Return the root of 2 up to its digits, smaller than it."""
    return sp.Rational(isqrt(2 * 100**digits), 10**digits)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (sp.Rational(-1, 3), -1),
        (sp.S.Zero, 0),
        (ROOT - _near_root(DIGITS // 2), 1),
        (_near_root(DIGITS // 2) - ROOT, -1),
        ((ROOT + 1) * (ROOT - 1) - 1, 0),
        (sp.exp(-1000) * ROOT, 1),
        (-sp.exp(-(sp.Integer(10) ** 9)), -1),
        # neither told from 0 at so many digits, nor 0
        (ROOT - _near_root(2 * DIGITS), None),
        # 0, by no identity that multiplying out shows
        (ROOT + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6)), None),
    ],
    ids=str,
)
def test_signs(value: sp.Expr, expected: int | None) -> None:
    assert sign(value) == expected


@pytest.mark.parametrize(("power", "expected"), [(11, 0), (12, None)])
def test_a_product_is_multiplied_out_up_to_a_number_of_terms(power: int, expected: int | None) -> None:
    assert 2**11 + 2 <= MOST_TERMS < 2**12 + 2  # a power of two terms, and the two that are taken off
    assert sign((1 + ROOT) ** power - sp.expand((1 + ROOT) ** power)) == expected


def test_ties_are_found_and_the_undecided_refused() -> None:
    same = (ROOT + 1) * (ROOT - 1)
    assert largest([sp.S.Zero, sp.S.One, same], "scores") == (1, [False, True, True])
    assert largest([sp.S.One, ROOT, _near_root(9)], "scores") == (ROOT, [False, True, False])
    with pytest.raises(
        InvalidArgument, match=r"^scores: symbolic arithmetic cannot tell whether .* are equal"
    ) as caught:
        largest([ROOT, _near_root(2 * DIGITS)], "scores")
    assert "..." in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("degree", "reduced"), [(HIGHEST_DEGREE // 2 - 1, True), (HIGHEST_DEGREE // 2, False)])
def test_quotients_are_reduced_up_to_a_degree(degree: int, *, reduced: bool) -> None:
    value = (q**degree - q) / (q**degree + q)
    expected = (q ** (degree - 1) - 1) / (q ** (degree - 1) + 1)
    assert tidied(value) == (expected if reduced else value)


@pytest.mark.parametrize("value", [ROOT * q, sp.Max(0, q - 1), sp.exp(q), q ** sp.Rational(1, 64) + 1])
def test_other_functions_are_left_as_they_are(value: sp.Expr) -> None:
    assert tidied(1 / value) == 1 / value


def test_expressions_up_to_a_size() -> None:
    def of(parts: int) -> sp.ImmutableDenseMatrix:
        return sp.ImmutableDenseMatrix([[sp.Add(*[sp.Symbol("x", positive=True)] * (parts - 1), evaluate=False)]])

    assert checked(of(LARGEST)) == of(LARGEST)
    with pytest.raises(InvalidArgument, match=rf"^rows: .* up to {LARGEST} parts, but one has {LARGEST + 1}; use"):
        checked(of(LARGEST + 1))


@pytest.mark.share(3)
@pytest.mark.parametrize("name", [name for name in IRRATIONAL if name != "alibi after scaling"])
def test_hardmax_between_irrational_scores(name: str) -> None:
    """Two of these did not end in seconds: silu, and gelu with tanh."""
    mine = traced(SymbolicArithmetic(), IRRATIONAL[name], Hardmax(), tokens=TOKENS[:1])[0]
    theirs = traced(NumpyArithmetic(), IRRATIONAL[name], Hardmax(), tokens=TOKENS[:1])[0]
    for step, value in theirs.items():
        if step.endswith("weights"):
            assert np.array_equal(mine[step].astype(float), value)
