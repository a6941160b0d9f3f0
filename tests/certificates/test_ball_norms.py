"""Norms, products and activations of boxes in balls: all members are within, and what is undefined never holds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import Ratios, Transformer, lower
from constructions.activations import ACTIVATIONS
from constructions.layers import Attention, Head, Linear, Unmarked, rotary
from verify.certificates import BallArithmetic
from verify.certificates.balls.columns import ball, ball_precision
from verify.certificates.balls.margins import ball_margins

ARITHMETIC = BallArithmetic()
_values = st.integers(-6, 6)


@st.composite
def _boxes(draw: st.DrawFn) -> tuple[list[int], list[int], list[Fraction]]:
    """Return the ends of a box, some coordinates known, and a member."""
    width = draw(st.integers(1, 4))
    low = draw(st.lists(_values, min_size=width, max_size=width))
    sizes = draw(st.lists(st.sampled_from([0, 0, 1, 5]), min_size=width, max_size=width))
    shares = draw(st.lists(st.fractions(0, 1, max_denominator=8), min_size=width, max_size=width))
    high = [value + size for value, size in zip(low, sizes, strict=True)]
    return low, high, [value + share * size for value, share, size in zip(low, shares, sizes, strict=True)]


def _rows(low: list[int], high: list[int]) -> Any:
    return ARITHMETIC.prompt_between(Ratios(np.array([[low]]), 1), Ratios(np.array([[high]]), 1))


def _within(found: Any, values: list[flint.arb]) -> None:
    for column, value in zip(found.columns, values, strict=True):
        low, high = (flint.arb(0),) * 2 if column is None else (column.low[0, 0], column.high[0, 0])
        assert not value < low.lower()
        assert not value > high.upper()


@given(_boxes(), st.booleans(), st.booleans(), st.sampled_from([Fraction(0), Fraction(1, 100), Fraction(3)]))
def test_the_norm_of_every_member_is_within(box: Any, centred: bool, mean: bool, eps: Fraction) -> None:  # noqa: FBT001 # drawn
    low, high, member = box
    with ball_precision():
        found = ARITHMETIC.normalise(_rows(low, high), centred=centred, mean=mean, eps=eps)
        middle = sum(member, Fraction(0)) / len(member) if centred else Fraction(0)
        moved = [value - middle for value in member]
        under = sum((value**2 for value in moved), Fraction(0)) / (len(member) if mean else 1) + eps
        if under > 0:
            _within(found, [ball(value) / ball(under).sqrt() for value in moved])
        ends = [end for column in found.columns if column is not None for end in (column.low[0, 0], column.high[0, 0])]
        assert not any(end.is_nan() for end in ends)
        if eps:
            width = len(member)
            limit = flint.arb(width if mean else 1).sqrt()
            assert all(end.is_finite() and abs(end) <= limit * (1 + flint.arb(2) ** -100) for end in ends)
            if low == high:
                assert all(end.rad() < flint.arb(2) ** -100 for end in ends)


def test_a_norm_that_may_be_undefined_verifies_nothing() -> None:
    """Between -1 and 1 a row may be 0, and then its direction is none, whatever the readout's bias."""
    with ball_precision():
        for centred in (False, True):
            row = ARITHMETIC.normalise(_rows([-1, -1], [1, 1]), centred=centred, mean=True, eps=Fraction(0))
            weight = ARITHMETIC.weight(lower([[1, 0], [0, 0]], {}))
            bias = ARITHMETIC.weight(lower([[1000], [0]], {}))
            assert not ball_margins(row, weight, bias, np.array([0])).lower[0] > 0
            known = ARITHMETIC.normalise(_rows([0, 0], [0, 0]), centred=centred, mean=True, eps=Fraction(0))
            assert not ball_margins(known, weight, bias, np.array([0])).lower[0] > 0


@given(_boxes(), st.sampled_from(ACTIVATIONS))
def test_the_activation_of_every_member_is_within(box: Any, activation: Any) -> None:
    low, high, member = box
    with ball_precision():
        _within(ARITHMETIC.pointwise(_rows(low, high), activation), [activation.ball(ball(value)) for value in member])


@given(_boxes(), st.data())
def test_the_product_of_every_two_members_is_within(box: Any, data: st.DataObject) -> None:
    low, high, member = box
    other = [data.draw(_values) for _ in low]
    with ball_precision():
        found = ARITHMETIC.multiply(_rows(low, high), _rows(other, other))
        _within(found, [ball(value * factor) for value, factor in zip(member, other, strict=True)])
        whole = ARITHMETIC.multiply(_rows(low, high), _rows(low, high))
        _within(whole, [ball(value * value) for value in member])


@pytest.mark.parametrize("more", [{"score_bias": [[0]]}, {"rotary": rotary(2, 1)}], ids=["score bias", "rotary"])
def test_short_tables_are_refused(more: Any) -> None:
    head = Head("one", [[1], [0]], [[1], [0]], [[1]], **more)
    layers = (Attention((head,)), Linear([[1]], None, None, "readout"))
    with pytest.raises(ValueError, match=r"expected (at least 2|cosines and sines of at least 2) positions"):
        _ = Transformer([[1]], layers, 2, positions=Unmarked()).lowered
