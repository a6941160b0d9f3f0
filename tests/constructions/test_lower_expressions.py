"""The vocabulary of weight expressions: what lowers, to which numbers, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import sympy as sp

from constructions import FORMATS, ExactMatrix, InvalidArgument, UnitRow, lower
from constructions.exact_matrix import Leaf
from constructions.expressions import N, V, entries
from constructions.lowering import evaluate

SIZES = {V: 3, N: 2}
EXPRESSIONS: list[tuple[Any, list[list[Any]]]] = [
    (sp.Identity(N), [[1, 0], [0, 1]]),
    (sp.Identity(N - 2), []),
    (sp.ZeroMatrix(N, V), [[0, 0, 0], [0, 0, 0]]),
    (sp.OneMatrix(1, V), [[1, 1, 1]]),
    (UnitRow(V, N), [[0, 0, 1]]),
    (UnitRow(V, N).T, [[0], [0], [1]]),
    (sp.Transpose(sp.OneMatrix(N, 1)), [[1, 1]]),
    (V * sp.Identity(N), [[3, 0], [0, 3]]),
    (-sp.OneMatrix(N, 1) / V, [[Fraction(-1, 3)], [Fraction(-1, 3)]]),
    ((V - 3) * sp.OneMatrix(1, N), [[0, 0]]),
    (2 * UnitRow(N, 0), [[2, 0]]),
    (2 * sp.Identity(N) - sp.OneMatrix(N, N), [[1, -1], [-1, 1]]),
    (sp.Identity(N) - sp.Identity(N), [[0, 0], [0, 0]]),
    (2 * (sp.Identity(N) + sp.OneMatrix(N, N)), [[4, 2], [2, 4]]),
    (entries(N, V, lambda i, j: i / V + j), [[0, 1, 2], [Fraction(1, 3), Fraction(4, 3), Fraction(7, 3)]]),
    (entries(N, N, lambda i, j: V ** (i - j)), [[1, Fraction(1, 3)], [3, 1]]),
    (entries(V, 1, lambda i, _: sp.KroneckerDelta(i, N - 1) + sp.floor(i / N)), [[0], [1], [1]]),
    (sp.KroneckerProduct(sp.Identity(N), sp.OneMatrix(1, N)), [[1, 1, 0, 0], [0, 0, 1, 1]]),
    (sp.KroneckerProduct(UnitRow(N, 1), sp.Matrix([[1], [V]])), [[0, 1], [0, 3]]),
    (sp.Matrix([[V, 1], [0, V / N]]), [[3, 1], [0, Fraction(3, 2)]]),
    (
        sp.BlockMatrix([[sp.Identity(N), sp.ZeroMatrix(N, 1)], [sp.OneMatrix(1, N), sp.Identity(1)]]),
        [[1, 0, 0], [0, 1, 0], [1, 1, 1]],
    ),
]


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[str(pair[0]) for pair in EXPRESSIONS])
def test_what_lowers(expression: Any, expected: list[list[Any]]) -> None:
    matrix = lower(expression, SIZES)
    assert matrix.to_fractions() == expected
    assert matrix.shape[0] == len(expected)
    assert all(value != 0 for _, _, value in matrix.nonzero())
    assert {type(value) for row in matrix.to_fractions() for value in row} <= {Fraction}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sp.Identity(sp.Symbol("M")), "bindings: expected a number for M in M"),
        (entries(N, 1, lambda i, _: i + sp.Symbol("M")), "bindings: expected a number for M in M + i"),
        (sp.Matrix([[sp.Symbol("M")]]), "bindings: expected a number for M in M"),
        (sp.Symbol("M") * sp.Identity(2), "bindings: expected a number for M in M"),
        (
            entries(N, N, lambda i, j: sp.KroneckerDelta(i, j, (0, 0))),
            "matrix: expected Kronecker deltas without a range but got KroneckerDelta(i, j, (0, 0))",
        ),
        (sp.Identity(N - 3), "matrix size: expected a natural number but N - 3 is -1"),
        (sp.OneMatrix(1, V / 2), "matrix size: expected a natural number but V/2 is 3/2"),
        (
            sp.MatrixSymbol("A", 2, 2),
            "matrix: expected an expression that can be lowered but got A (MatrixSymbol)",
        ),
        (
            sp.MatMul(sp.OneMatrix(2, 2), sp.MatrixSymbol("A", 2, 2)),
            "matrix: expected an expression that can be lowered but got 1*A (MatMul)",
        ),
    ],
)
def test_what_does_not(expression: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        lower(expression, SIZES)
    assert str(caught.value) == message


def test_the_block_structure_is_kept() -> None:
    matrix = lower(
        sp.BlockMatrix([[sp.Identity(N), sp.ZeroMatrix(N, V)], [sp.ZeroMatrix(1, N), 5 * sp.OneMatrix(1, V)]]), SIZES
    )
    assert (matrix.row_sizes, matrix.column_sizes) == ((2, 1), (2, 3))
    assert matrix.leaves == {(0, 0): Leaf("identity"), (1, 1): Leaf("constant", Fraction(5))}
    one, five = Fraction(1), Fraction(5)
    assert sorted(matrix.nonzero()) == [(0, 0, one), (1, 1, one), (2, 2, five), (2, 3, five), (2, 4, five)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (sp.floor(V / 2 + N / 3), 2),  # 13/6
        (sp.floor(-V / 2 - N / 3), -3),
        (sp.ceiling(V / 2 + N / 3), 3),
        (sp.ceiling(V / 2) / sp.ceiling(N / 3), 2),
        (sp.ceiling(V / 2) ** 2 - sp.ceiling(N / 3), 3),
        (sp.frac(V / 2), Fraction(1, 2)),
        (sp.frac(V / 2 + N / 3), Fraction(1, 6)),
        (sp.Mod(V + N, 3) * sp.Mod(V / 2, 1), 1),
        (sp.KroneckerDelta(V - 1, N) + sp.Abs(N - V), 2),
        (sp.Max(V, N + 2) - sp.Min(V / 2, N), Fraction(5, 2)),
        (sp.Piecewise((V / N, V > N), (0, True)), Fraction(3, 2)),
        (V ** (N - V) + N**V, 8 + Fraction(1, 3)),
    ],
)
def test_an_entry_is_the_value_of_its_expression(expression: sp.Expr, value: Fraction) -> None:
    assert evaluate(expression, SIZES) == value == Fraction(str(expression.subs(SIZES)))
    assert lower(sp.Matrix([[expression]]), SIZES).to_fractions() == [[value]]


@pytest.mark.parametrize(
    "expression",
    [
        sp.floor(sp.sqrt(V)),
        sp.floor(sp.log(V) / sp.log(3)),  # in floats log(243)/log(3) is below 5
        sp.floor(sp.Float(0.1) * V),
        sp.ceiling(V ** (V / 2)),
        sp.Max(sp.sqrt(V), 5),
        sp.Piecewise((1, sp.sqrt(V) > N), (0, True)),
        sp.KroneckerDelta(sp.sqrt(V), N),
        sp.KroneckerDelta(sp.Function("f")(V), N),
    ],
)
def test_a_rounded_number_is_hidden_in_no_floor_and_no_comparison(expression: sp.Expr) -> None:
    with pytest.raises(InvalidArgument) as caught:
        evaluate(expression, SIZES)
    assert str(caught.value) == f"matrix: expected rational entries but {expression} is not one"


def test_scalars() -> None:
    assert evaluate(V / N + 1, SIZES) == Fraction(5, 2)
    assert evaluate(7, {}) == 7
    assert evaluate(V ** (-N), SIZES) == Fraction(1, 9)


def test_an_entry_beyond_the_format_is_an_error_not_an_infinity() -> None:
    matrix: ExactMatrix = lower([[2**20]], {})
    assert matrix.to_numpy(FORMATS["bfloat16"]).tolist() == [[2.0**20]]
    with pytest.raises(OverflowError, match=r"^a weight of about 2\^20 is beyond the largest number of float16$"):
        matrix.to_numpy(FORMATS["float16"])
