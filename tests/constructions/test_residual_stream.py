"""The residual stream with named parts: matrices by name, and vectors of different bases do not add."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy as sp

from constructions import InvalidArgument, Stream, lower
from constructions.expressions import N, UnitRow, V

SOURCE = Stream.of(embedding=V, position=N)
TARGET = Stream.of(row=V, code=N, one=1)


def test_names_sizes_and_width() -> None:
    assert SOURCE.names == ("embedding", "position")
    assert SOURCE["position"] == N
    assert TARGET.width == V + N + 1


def test_a_matrix_is_what_it_reads_and_writes() -> None:
    matrix = TARGET.reads(SOURCE, {("code", "position"): 2 * sp.Identity(N), ("one", "embedding"): UnitRow(V, 1)})
    assert matrix.shape == (V + N + 1, V + N)
    expected = [[0] * 5 for _ in range(6)]
    for place in range(2):
        expected[3 + place][3 + place] = 2
    expected[5][1] = 1
    assert lower(matrix, {V: 3, N: 2}).to_fractions() == [[Fraction(value) for value in row] for row in expected]


def test_a_bias_is_zero_where_nothing_is_said() -> None:
    bias = TARGET.constant({"code": sp.OneMatrix(N, 1)})
    assert lower(bias, {V: 2, N: 1}).to_fractions() == [[0], [0], [1], [0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: TARGET.reads(SOURCE, {("rows", "embedding"): sp.Identity(V)}),
            "block: expected one of row, code, one but got 'rows' (type str)",
        ),
        (
            lambda: TARGET.reads(SOURCE, {("row", "token"): sp.Identity(V)}),
            "block: expected one of embedding, position but got 'token' (type str)",
        ),
        (
            lambda: TARGET.reads(SOURCE, {("row", "position"): sp.Identity(V)}),
            "parts['row', 'position']: expected shape (V, N) but got (V, V) (type Identity)",
        ),
        (
            lambda: TARGET.reads(SOURCE, {("one", "position"): sp.OneMatrix(N, 1)}),
            "parts['one', 'position']: expected shape (1, N) but got (N, 1) (type OneMatrix)",
        ),
        (
            lambda: TARGET.constant({"row": sp.OneMatrix(1, V)}),
            "parts['row', 'one']: expected shape (V, 1) but got (1, V) (type OneMatrix)",
        ),
        (
            lambda: TARGET.constant({"bias": sp.OneMatrix(V, 1)}),
            "block: expected one of row, code, one but got 'bias' (type str)",
        ),
        (lambda: SOURCE["token"], "block: expected one of embedding, position but got 'token' (type str)"),
        (lambda: Stream((("a", V), ("a", N))), "blocks: expected distinct names but got a, a"),
    ],
)
def test_what_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == message


def test_equal_sizes_may_be_written_differently() -> None:
    target = Stream.of(sum=V + N)
    source = Stream.of(one=1)
    assert target.reads(source, {("sum", "one"): sp.OneMatrix(N + V, 1)}).shape == (V + N, 1)
