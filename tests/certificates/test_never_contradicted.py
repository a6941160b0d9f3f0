"""Constructions that fail in the arithmetic at hand, each by a way of its own: no certificate may call them right.

Every one of them was certified once, or would be by a bound that is a little less careful.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import verify
from constructions import (
    Attention,
    ConditionalGeneration,
    Construction,
    Head,
    InvalidArgument,
    Linear,
    RationalSoftmax,
    Ratios,
    UnconditionalGeneration,
)
from constructions.temperature import Softmax
from tests.certificates.own import Given, nearest, read_first, rounded
from verify.certificates import bit_exact, certificate_arithmetic, certify


def _above_one(targets: Any) -> Ratios:
    return Ratios(1 + targets[:, None, :], 1)


def _of_two(vocab: int, zeros: int = 0, half: int | Fraction = Fraction(3, 2)) -> Linear:
    """Return the readout that tells numbers below and above ``half``, the last coordinate read."""
    assert vocab == 2
    return Linear([[0] * zeros + [0], [0] * zeros + [2]], [[0], [-2 * half]], activation=None, name="readout")


def _nan_scores() -> Construction:
    # 300 * 300 is beyond float16, its softmax is NaN, and NaN times the 0 that it reads is NaN
    lost = Head("lost", [[300, 0, 0]], [[300, 0, 0]], [[0, 1, 0]])
    first = Head("first", [[0, 0, 1]], [[0, 0, 1]], [[1, 0, 0]])
    numbers = lambda targets: Ratios(np.stack([1 + targets[:, 0], 0 * targets[:, 0]], -1)[:, None, :], 1)  # noqa: E731 # one line
    layers = (Attention((lost, first)), _of_two(2))
    return Given(2, 1, [[0, 0], [0, 0]], layers, encoding=numbers, temperature=1.0)


def _overflow_unread() -> Construction:
    # the first coordinate is infinite at token 1; its weight is 0, and 0 times infinity is NaN
    wide = Linear([[40000, 0], [1, 0]], [[0], [0]], name="wide")
    return Given(2, 1, [[0, 0]], (wide, _of_two(2, zeros=1)), encoding=_above_one)


def _overflow_of_exact_sums() -> Construction:
    # 32768 + 32768 is a power of two, but not one of float16
    twice = Linear([[32768, 0], [32768, 0]], [[0], [0]], activation=None, name="twice")
    total = Linear([[1, 1]], [[0]], name="total")
    return Given(2, 1, [[0, 0]], (twice, total, Linear([[0], [Fraction(1, 1024)]], [[0], [-30]], activation=None)))


def _single_token_overflow() -> Construction:
    readout = Linear([[60000, 0]], [[60000]], activation=None, name="readout")
    return Given(1, 1, [[0]], (readout,), encoding=_above_one)


def _wraps_in_int64() -> Construction:
    numbers = lambda targets: Ratios((targets * 2**62 * 4 // 2**62 // 4)[:, None, :], 1)  # noqa: E731 # one line
    return Given(2, 1, [[0, 0]], (read_first(1, 1), nearest(2)), encoding=numbers)


def _reads_the_last_position() -> Construction:
    # no attention: position 0 holds the target, and the answer is read at the user's token
    readout = Linear([[0, 0, 0], [2, 0, 0]], [[0], [-1]], activation=None, name="readout")
    return Given(2, 1, [[0, 1]], (readout,), users=1)


@pytest.mark.parametrize(
    ("construction", "dtype"),
    [
        pytest.param(_reads_the_last_position(), "float32", id="no attention layer"),
        pytest.param(_nan_scores(), "float16", id="scores that overflow"),
        pytest.param(_overflow_unread(), "float16", id="overflow in a coordinate of weight 0"),
        pytest.param(_overflow_of_exact_sums(), "float16", id="a sum that would be exact overflows"),
        pytest.param(_single_token_overflow(), "float16", id="one token whose logit overflows"),
        pytest.param(_wraps_in_int64(), "float32", id="encode overflows in int64"),
        pytest.param(UnconditionalGeneration(4, 3, temperature=1e5), "float16", id="exponents overflow"),
        pytest.param(UnconditionalGeneration(4, 3, temperature=1e39), "float32", id="the temperature overflows"),
        pytest.param(UnconditionalGeneration(4, 3, temperature=1e39), "bfloat16", id="the temperature overflows too"),
    ],
)
def test_a_construction_that_fails_in_floats(construction: Construction, dtype: str) -> None:
    certificate = certify(construction, rounded(dtype))
    assert certificate.holds is None
    assert certificate.reason is not None
    assert verify.exhaust(construction, verify.get_arithmetic("torch", dtype=dtype)).holds is False


def test_a_partial_sum_may_overflow_in_some_order() -> None:
    # 60000 + 60000 - 60000 is right from the left in float32, and infinite in float16
    parts = Linear([[60000, 0], [60000, 0], [-60000, 0]], [[0], [0], [0]], activation=None, name="parts")
    total = Linear([[1, 1, 1]], [[0]], name="total")
    readout = Linear([[0], [Fraction(1, 1000)]], [[0], [-30]], activation=None, name="readout")
    construction = Given(2, 1, [[0, 0]], (parts, total, readout))
    assert certify(construction, rounded("float16")).holds is None
    assert certify(construction, rounded()).holds is True


def _below_one() -> Construction:
    # at q < 1 a score of 1 makes a key weigh LESS: what is read is the user's token, not 4 times the target
    readout = Linear([[0], [1]], [[0], [Fraction(-5, 4)]], activation=None, name="readout")
    numbers = lambda targets: Ratios(4 * targets[:, None, :], 1)  # noqa: E731 # one line
    layers = (read_first(1, 2), readout)
    return Given(2, 1, [[0, 1]], layers, users=1, encoding=numbers, temperature=RationalSoftmax(Fraction(1, 1000)))


def test_a_q_below_one_turns_the_order_of_scores_over() -> None:
    construction = _below_one()
    assert verify.exhaust(construction, verify.get_arithmetic("rational")).holds is False
    assert certify(construction, certificate_arithmetic("ball")).holds is None
    with pytest.raises(InvalidArgument, match=r"^q: expected at least 1 in rounded arithmetic.*Fraction\(1, 1000\)"):
        certify(construction, rounded())


def test_a_q_of_one_hides_nothing_in_floats() -> None:
    # 0 times the -inf of a hidden score is NaN at position 0, and the second layer reads it
    mean = Attention((Head("mean", [[0, 0, 0]], [[0, 0, 0]], [[2, 0, 0]]),), name="mean")
    again = Attention((Head("again", [[0]], [[0]], [[1]]),), name="again")
    layers = (mean, again, _of_two(2, half=Fraction(1, 2)))
    hidden = Given(2, 1, [[0, 0]], layers, users=1, temperature=RationalSoftmax(Fraction(1)))
    assert certify(hidden, certificate_arithmetic("ball")).holds is True
    assert certify(hidden, rounded()).holds is None
    assert verify.exhaust(hidden, verify.get_arithmetic("torch")).holds is False
    seen = replace(hidden, mask="none")
    assert certify(seen, rounded()).holds is True
    assert verify.exhaust(seen, verify.get_arithmetic("torch")).holds is True
    # a single layer reads the last position alone, where nothing is hidden
    assert certify(ConditionalGeneration(5, temperature=RationalSoftmax(Fraction(1))), rounded()).holds is True


def test_layers_scaled_by_a_length_that_grows() -> None:
    # generation keeps what the lower layer computed at the old length: not one pass, which is what is bounded
    first = Attention((Head("first", [[1, 1, 1]], [[0, 1, 0]], [[1, 0, 0]]),), name="lower")
    again = Attention((Head("again", [[0]], [[0]], [[1]]),), name="upper")
    layers = (first, again, _of_two(2, half=Fraction(1, 2)))
    promise = lambda targets, _: targets[:, [0, 0]]  # noqa: E731 # one line
    base = Given(2, 1, [[0, 0]], layers, steps=2, promise=promise, temperature=Softmax(60.0, scaled_by="length"))
    refused = certify(base, rounded())
    assert refused.holds is None
    assert refused.reason is not None
    assert "of other temperatures" in refused.reason
    assert certify(replace(base, mask="none"), rounded()).holds is True
    assert certify(replace(base, temperature=60.0), rounded()).holds is True


def test_a_virtual_token_below_the_smallest_number_is_not_exact() -> None:
    # 2^-30 is 0 in float16; what follows is exact, but of another number
    layers = (*(Linear([[1024, *[0] * (step == 0)]], [[0]], name=f"step {step}") for step in range(3)), nearest(2))
    numbers = lambda targets: Ratios(targets[:, None, :], 2**30)  # noqa: E731 # one line
    construction = Given(2, 1, [[0, 0]], layers, encoding=numbers)
    assert bit_exact(construction, rounded("float16")).holds is None
    assert certify(construction, rounded("float16")).holds is None
    assert bit_exact(construction, rounded()).holds is True
    assert certify(construction, rounded()).holds is True
