"""How answers are read: margins at the bound and just beyond it, and no answer where a number is not finite."""

from __future__ import annotations

import doctest
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import constructions.decoding
from constructions import Argmax, Argmin, Decoding, InvalidArgument, Number, Ratios
from constructions.decoding import DECODINGS, check_decoding, decoding_from_json

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def _exact(*values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = [Fraction(value) for value in values]
    return array


def test_the_examples_run() -> None:
    assert doctest.testmod(constructions.decoding).failed == 0


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6), st.data())
def test_tokens_have_the_margin_of_the_promised_one(values: list[int], data: Any) -> None:
    token = data.draw(st.integers(0, len(values) - 1))
    others = [value for place, value in enumerate(values) if place != token]
    for logits in (np.array([values], dtype=np.float64), _exact(*values)[None]):
        assert Argmax().margins(np.array([token]), logits).tolist() == [values[token] - max(others)]
        assert Argmin().margins(np.array([token]), logits).tolist() == [min(others) - values[token]]
        assert Argmax().produced(logits).tolist() == [values.index(max(values))]
        assert Argmin().produced(logits).tolist() == [values.index(min(values))]


@pytest.mark.parametrize("decoding", [Argmax(), Argmin()])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_has_no_margin(decoding: Decoding, value: float) -> None:
    for place in range(3):
        logits = np.array([[1.0, 2.0, 3.0]])
        logits[0, place] = value
        for token in range(3):
            assert math.isnan(decoding.margins(np.array([token]), logits)[0])


@pytest.mark.parametrize("decoding", [Argmax(), Argmin()])
def test_a_tie_has_no_positive_margin_and_one_token_has_none(decoding: Decoding) -> None:
    assert decoding.margins(np.array([0]), np.array([[1.0, 1.0]])).tolist() == [0.0]
    assert decoding.margins(np.array([0]), np.array([[1.0]])).tolist() == [math.inf]
    assert math.isnan(decoding.margins(np.array([0]), np.array([[math.nan]]))[0])


@given(FINITE, st.fractions(), st.fractions(min_value=Fraction(1, 10**9), max_value=100))
def test_a_number_has_the_exact_sign_of_what_is_left(value: float, promised: Fraction, tolerance: Fraction) -> None:
    decoding, left = Number(tolerance), tolerance - abs(Fraction(value) - promised)
    margin = decoding.margins(_exact(promised), np.array([[value]]))[0]
    assert not (margin > 0 and left <= 0)  # never positive wrongly, whatever is rounded
    assert not (left > Fraction(5e-324) and not margin > 0)
    assert bool(decoding.differ(_exact(promised), np.array([value]))[0]) == (left <= 0)
    exact = decoding.margins(_exact(promised), _exact(value)[:, None])[0]
    assert exact == left
    assert type(exact) is Fraction


def test_exactly_the_tolerance_is_not_enough() -> None:
    decoding = Number(Fraction(1, 8))
    logits = np.array([[1.125], [np.nextafter(1.125, 0)], [np.nextafter(1.125, 2)], [0.875]])
    margins = decoding.margins(_exact(1, 1, 1, 1), logits)
    assert margins[0] == margins[3] == 0
    assert margins[1] > 0 > margins[2]
    assert decoding.differ(_exact(1, 1, 1, 1), logits[:, 0]).tolist() == [True, False, True, True]


def test_what_is_left_may_be_below_all_floats_and_then_does_not_count() -> None:
    decoding = Number(Fraction(1, 8) + Fraction(1, 2**2000))
    assert decoding.margins(_exact(1), np.array([[1.125]])).tolist() == [0.0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_never_near(value: float) -> None:
    decoding = Number(10**6)
    assert math.isnan(decoding.margins(_exact(0), np.array([[value]]))[0])
    assert decoding.differ(_exact(0), np.array([value])).all()
    assert "not finite" in decoding.instead(0, value, math.nan)


def test_a_margin_far_beyond_all_floats_is_minus_infinity() -> None:
    promised = np.array([Fraction(10**400)], dtype=object)
    assert Number(1).margins(promised, np.array([[0.0]])).tolist() == [-math.inf]


@pytest.mark.parametrize("tolerance", [0, -1, math.nan, math.inf, "x", None, True])
def test_a_tolerance_is_a_positive_number(tolerance: Any) -> None:
    with pytest.raises(InvalidArgument, match="tolerance"):
        Number(tolerance)


def test_answers_are_checked() -> None:
    for found in (np.array([[0.5]]), [[1]], None, np.array([[True]]), Ratios(np.array([[1.0]]), 2)):
        with pytest.raises(InvalidArgument, match="answer: expected Ratios, or integers, of shape 1 x 1"):
            Number(1).checked("It", found, (1, 1), 1)
    assert Number(1).checked("It", Ratios(np.array([[3]]), 2), (1, 1), 1).tolist() == [[Fraction(3, 2)]]
    assert Number(1).checked("It", np.array([[3]]), (1, 1), 1).tolist() == [[Fraction(3)]]
    with pytest.raises(InvalidArgument, match="output_vocab_size: expected 1 for It"):
        Number(1).checked("It", np.array([[3]]), (1, 1), 2)
    with pytest.raises(InvalidArgument, match=r"answer: expected tokens in 0..2 but got 3"):
        Argmin().checked("It", np.array([[3]]), (1, 1), 3)


def test_json_makes_it_again() -> None:
    for decoding in (Argmax(), Argmin(), Number("7/3")):
        assert decoding_from_json(json.loads(json.dumps(decoding.to_json()))) == decoding
    for value in ("argmost", None, 3, {"name": "number"}, {"name": "argmax", "tolerance": "1"}, {}):
        with pytest.raises(InvalidArgument, match="decoding: expected one of"):
            decoding_from_json(value)


def test_only_the_package_s_decodings_are_believed() -> None:
    class Generous(Number):  # type: ignore[misc] # final, to a type checker
        def margins(self, expected: Any, logits: Any) -> Any:
            return np.ones(expected.shape)

    assert set(DECODINGS.values()) == {Argmax, Argmin, Number}
    for given_one in (Generous(1), Argmax, None, "argmax"):
        with pytest.raises(InvalidArgument, match="decoding of It: expected one of Argmax, Argmin, Number"):
            check_decoding("It", given_one)


def test_an_expression_is_never_taken_for_a_number() -> None:
    produced = np.array([sp.sqrt(2)], dtype=object)  # irrational, and no float is it
    assert Number(10).differ(_exact(1), produced).all()
    assert math.isnan(Number(10).margins(_exact(1), produced[:, None])[0])
