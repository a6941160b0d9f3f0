"""Weights over whole arrays of rows are what they are entry by entry: exact, correctly rounded, zeros never visited."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from constructions import FORMATS, Format, InvalidArgument, lower, round_to_format
from constructions.entries import Entries
from constructions.entry_functions import Unsupported, entries_of, evaluate_over
from constructions.exact_code import scalar_function
from constructions.exact_matrix import LARGEST_DENSE
from constructions.expressions import COLUMN, ROW, N, V, entries
from constructions.integers import product, smallest_dtype, total
from constructions.ratios import Ratios, round_ratios

Oracle = Callable[[Fraction, float, str], bool]
ALL_FORMATS = pytest.mark.parametrize("fmt", FORMATS.values(), ids=list(FORMATS))
INT64_EDGE = 2**63 - 1


# integers ---------------------------------------------------------------------------------------------------------


def test_sums_and_products_at_the_edge_of_int64_and_just_beyond() -> None:
    edge = np.array([2**62, -(2**62)])
    at = total(edge, 2**62 - 1)
    assert at.dtype == np.int64
    assert at.tolist() == [INT64_EDGE, -1]
    beyond = total(edge, 2**62)
    assert beyond.dtype == object
    assert beyond.tolist() == [2**63, 0]
    factor = np.array([7, -7])
    assert product(factor, INT64_EDGE // 7).dtype == np.int64  # 7 divides 2^63 - 1
    assert product(factor, INT64_EDGE // 7).tolist() == [INT64_EDGE, -INT64_EDGE]
    assert product(factor, INT64_EDGE // 7 + 1).tolist() == [INT64_EDGE + 7, -INT64_EDGE - 7]
    assert product(np.array([0, 0]), 2**80).tolist() == [0, 0]
    assert smallest_dtype([INT64_EDGE, -INT64_EDGE]).dtype == np.int64
    assert smallest_dtype([INT64_EDGE + 1]).dtype == object


# rounding ---------------------------------------------------------------------------------------------------------


def _neighbours_of_ties(fmt: Format, denominator: int) -> np.ndarray[Any, Any]:
    """Return numerators whose quotients lie at, just below and just above midpoints of a format's numbers."""
    numerators = []
    for exponent in range(-3, 3):
        for odd in (1, 3, 2 ** (fmt.precision - 1) + 1, 2**fmt.precision - 1):
            midpoint = Fraction(2 * (2 ** (fmt.precision - 1) + odd // 2) + 1) * Fraction(2) ** (
                exponent - fmt.precision
            )
            numerators += [int(midpoint * denominator) + step for step in (-1, 0, 1, 2)]
    return np.array([numerator for numerator in numerators if numerator < 2**53])


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("denominator", [1, 2**20, 3, 3 * 2**22, 94**2 * 4, 262144 * 262143, 2**53 - 1, 2**53])
def test_ties_and_what_is_next_to_them(name: str, denominator: int) -> None:
    numerators = _neighbours_of_ties(FORMATS[name], denominator)
    rounded = round_ratios(numerators, denominator, FORMATS[name])
    wanted = [round_to_format(Fraction(int(value), denominator), FORMATS[name]) for value in numerators]
    assert rounded.tolist() == wanted


def test_rounding_twice_would_differ_here() -> None:
    """The quotient is a little above a midpoint of bfloat16, and the nearest float64 is the midpoint itself."""
    denominator = 2**53 - 2
    numerator = (257 * denominator + 2) // 2**9
    exact = Fraction(numerator, denominator)
    midpoint = Fraction(257, 2**9)
    assert midpoint < exact
    assert numerator / denominator == midpoint
    rounded = round_ratios(np.array([numerator]), denominator, FORMATS["bfloat16"])
    assert rounded.tolist() == [float(Fraction(129, 2**8))]
    assert rounded[0] != float(Fraction(128, 2**8))  # where the tie would have gone


@given(
    st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=40),
    st.integers(1, 2**53),
    st.sampled_from(list(FORMATS)),
)
def test_any_ratios(correctly_rounded: Oracle, numerators: list[int], denominator: int, name: str) -> None:
    try:
        rounded = round_ratios(np.array(numerators), denominator, FORMATS[name])
    except OverflowError:
        assert max(abs(value) for value in numerators) > FORMATS[name].largest * denominator
    else:
        for numerator, value in zip(numerators, rounded.tolist(), strict=True):
            assert correctly_rounded(Fraction(numerator, denominator), value, name)


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1), st.integers(1, 2**70))
def test_integers_beyond_float64(numerators: list[int], denominator: int) -> None:
    rounded = round_ratios(smallest_dtype(numerators), denominator, FORMATS["float32"])
    wanted = [round_to_format(Fraction(value, denominator), FORMATS["float32"]) for value in numerators]
    assert rounded.tolist() == wanted


def test_subnormals_and_the_sign_of_zero() -> None:
    float16 = FORMATS["float16"]
    rounded = round_ratios(np.array([1, -1, 3, 2, 0]), 2**25, float16)  # the smallest subnormal is 2^-24
    assert rounded.tolist() == [0.0, 0.0, 2**-23, 2**-24, 0.0]
    assert not np.signbit(rounded).any()


@ALL_FORMATS
def test_overflow_is_an_error_with_the_same_message(fmt: Format) -> None:
    largest = int(fmt.largest)
    assert round_ratios(smallest_dtype([largest, -largest]), 1, fmt).tolist() == [largest, -largest]
    with pytest.raises(OverflowError) as caught:
        round_ratios(smallest_dtype([0, 2 * largest]), 1, fmt)
    with pytest.raises(OverflowError) as wanted:
        round_to_format(Fraction(2 * largest), fmt)
    assert str(caught.value) == str(wanted.value)


# entry functions --------------------------------------------------------------------------------------------------

ARRAYS: list[Any] = [
    2 * ROW / V - 1,
    sp.Rational(1, 4) - (ROW / V) ** 2,
    (ROW - sp.floor(V / 2)) * COLUMN**3 / 7 + N,
    sp.floor((3 * ROW - 2 * COLUMN) / N),
    sp.Mod(ROW - 2 * COLUMN, N),
    sp.KroneckerDelta(ROW + COLUMN, N),
    sp.KroneckerDelta(COLUMN, sp.floor(ROW / N)) * (ROW - N * sp.floor(ROW / N)) / N**2,
    -sp.KroneckerDelta(ROW, 2 * COLUMN) / 3 + sp.KroneckerDelta(COLUMN, ROW),
    sp.KroneckerDelta(COLUMN, ROW / N) + sp.KroneckerDelta(COLUMN, ROW - N),
    sp.KroneckerDelta(ROW, 1) * COLUMN,
    sp.KroneckerDelta(COLUMN, 0) - sp.KroneckerDelta(COLUMN, sp.Mod(ROW, 2)) * 5,
    V ** (ROW - COLUMN),
    sp.Integer(3) ** ROW / V**COLUMN,
    V**40 * (ROW + 1),
    sp.Integer(0) * ROW,
]


@pytest.mark.parametrize("expr", ARRAYS, ids=str)
@pytest.mark.parametrize("sizes", [(1, 1, 3, 2), (7, 5, 7, 2), (12, 6, 12, 3)])
def test_arrays_are_what_the_entries_are(expr: Any, sizes: tuple[int, int, int, int]) -> None:
    rows, columns, vocab_size, other = sizes
    bindings = {V: vocab_size, N: other}
    entry = scalar_function(sp.sympify(expr), (ROW, COLUMN), bindings)
    wanted = [(row, column, entry(row, column)) for row in range(rows) for column in range(columns)]
    found = entries_of(sp.sympify(expr), rows, columns, (ROW, COLUMN), bindings)
    assert list(found) == [item for item in wanted if item[2]]


@pytest.mark.parametrize("expr", [1 / (ROW + 1), sp.sqrt(ROW), sp.Max(ROW, COLUMN), ROW**COLUMN], ids=str)
def test_what_is_left_to_the_slow_way(expr: Any) -> None:
    with pytest.raises(Unsupported):
        entries_of(expr, 3, 2, (ROW, COLUMN), {})


def test_the_slow_way_gives_the_same_kind_of_matrix() -> None:
    assert lower(entries(3, 1, lambda i, _: 1 / (i + 1)), {}).to_fractions() == [
        [1],
        [Fraction(1, 2)],
        [Fraction(1, 3)],
    ]
    assert lower(entries(2, 2, sp.Max), {}).to_fractions() == [[0, 1], [1, 1]]
    with pytest.raises(InvalidArgument, match=r"^matrix: expected rational entries but sqrt\(i\) is not one$"):
        lower(entries(3, 1, lambda i, _: sp.sqrt(i)), {})


def test_integers_of_any_size_stay_exact() -> None:
    value = evaluate_over(V**9 * (2 * ROW + 1) - ROW, {V: 2**25, ROW: np.arange(4)})
    assert value.numerators.tolist() == [2**225 * (2 * row + 1) - row for row in range(4)]


def test_a_band_of_a_huge_matrix_is_lowered_without_its_zeros() -> None:
    size = 2**18
    band = entries(V, V, lambda i, j: sp.KroneckerDelta(j, i - 1) * i / V)
    matrix = lower(band, {V: size})
    assert matrix.shape == (size, size)  # 2^36 entries
    leaf = matrix.leaves[0, 0].nonzero
    assert leaf is not None
    assert len(leaf) == size - 1
    assert leaf.rows.tolist() == list(range(1, size))
    assert leaf.values.numerators.tolist() == list(range(1, size))
    with pytest.raises(InvalidArgument, match=rf"^sizes: expected weights of at most {LARGEST_DENSE} entries each but"):
        lower(entries(V, V, lambda i, j: i * j), {V: size})


@pytest.mark.share(2)
@ALL_FORMATS
def test_a_whole_column_rounds_as_its_entries_do(fmt: Format) -> None:
    size = 5003
    column = lower(entries(V, 1, lambda v, _: sp.Rational(1, 4) - (v / V) ** 2), {V: size}).to_numpy(fmt)
    wanted = [round_to_format(Fraction(1, 4) - Fraction(token, size) ** 2, fmt) for token in range(size)]
    assert column[:, 0].tolist() == wanted


# sparse entries ---------------------------------------------------------------------------------------------------

_triples = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.fractions(max_denominator=9)), max_size=20)


def _summed(triples: list[tuple[int, int, Fraction]]) -> list[tuple[int, int, Fraction]]:
    found: dict[tuple[int, int], Fraction] = {}
    for row, column, value in triples:
        found[row, column] = found.get((row, column), Fraction(0)) + value
    return sorted((row, column, value) for (row, column), value in found.items() if value)


@given(_triples, _triples)
def test_entries_add_up(left: list[tuple[int, int, Fraction]], right: list[tuple[int, int, Fraction]]) -> None:
    assert list(Entries.of(left)) == _summed(left)
    assert list(Entries.of(left) + Entries.of(right)) == _summed(left + right)
    turned = [(column, row, value) for row, column, value in left]
    assert list(Entries.of(left).transposed()) == _summed(turned)


def test_many_entries_at_one_place_do_not_overflow() -> None:
    places = np.zeros(4, dtype=np.int64)
    found = Entries.collected(places, places, Ratios(np.full(4, 2**62), 1))
    assert list(found) == [(0, 0, Fraction(2**64))]
