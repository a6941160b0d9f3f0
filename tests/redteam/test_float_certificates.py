"""Floats that decide wrongly, each in a corner of its own: no certificate may call the construction right.

Every one of them was certified once, and falsified by a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import pytest

import verify
from constructions import (
    Attention,
    Construction,
    Head,
    Layout,
    Linear,
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.formats import FORMATS, round_to_format
from tests.certificates.own import Given, rounded
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import Kernel, certificate_arithmetic, certify
from verify.certificates.floats.kernel import Products
from verify.cli.app import run

PRODUCTS: tuple[Products, ...] = ("either", "separate", "fused")


def _always(token: int) -> Callable[[Any, Any], Any]:
    """Promise one token, whatever the target."""
    return lambda targets, users: np.full((len(targets), 1), token)


def _constant(*numbers: int) -> Callable[[Any], Ratios]:
    """Encode every target as the same numbers."""
    return lambda targets: Ratios(np.tile(np.array(numbers, dtype=np.int64), (len(targets), 1, 1)), 1)


# any embedding -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class NextToTheSpacing(Construction):
    """Token 1 leads token 0 by 1 next to 2^23, where float32 numbers are 1 apart, for whole embeddings."""

    vocab_size: int
    embedding: Fraction = field(default=Fraction(0), kw_only=True)
    layout = Layout(virtual=1, user=0, response=2)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (1,))

    def encode(self, targets: Any) -> Ratios:
        return Ratios(np.stack([targets * 0, targets * 0], axis=-1), 1)

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        return np.concatenate([targets * 0 + 1, targets * 0 + 1], axis=1)

    @cached_property
    def transformer(self) -> Transformer:
        readout = Linear([[1, 1, 0, 0]] * 2, [[2**23 - 1], [2**23]], activation=None, name="readout")
        return Transformer([[self.embedding] * 2] * 2, (readout,), context_size=2)


@pytest.mark.parametrize("products", PRODUCTS)
def test_any_embedding_may_be_a_fraction(products: Products) -> None:
    # (2^23 - 1 + 1/2) + 1/2 ties with (2^23 + 1/2) + 1/2, added in this order
    half = NextToTheSpacing(2, embedding=Fraction(1, 2))
    chain = TorchArithmetic("float32", bias="fma")
    assert verify.exhaust(half, chain).holds is False
    assert certify(half, rounded("float32", products)).holds is None
    assert certify(NextToTheSpacing(2), rounded("float32", products), any_embedding=Fraction(1)).holds is None
    assert certify(NextToTheSpacing(2), rounded("float32", products), any_embedding=Fraction(0)).holds is True


def test_any_embedding_in_real_numbers() -> None:
    verdict = certify(NextToTheSpacing(2), certificate_arithmetic("ball"), any_embedding=Fraction(1))
    assert verdict.holds is True  # token 1 leads by 1 whatever the embedding


def test_any_embedding_of_theorem_1_is_still_certified() -> None:
    construction = UnconditionalGeneration(5, 3, temperature=40.0)
    for arithmetic in (rounded(), rounded("float64"), certificate_arithmetic("ball")):
        assert certify(construction, arithmetic, any_embedding=Fraction(1)).holds is True
        assert certify(construction, arithmetic, any_embedding=Fraction(10**30)).holds is None


def test_an_embedding_beyond_the_format_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = "certify theorem-1 --vocab 3 --context 2 --dtype float16 --any-embedding 70000"
    assert run(words.split()) == 2
    assert "float16" in capsys.readouterr().err


# real numbers that are bounded by float64 ----------------------------------------------------------------------------

_SMALLEST = Fraction(1, 2**1074)  # of float64


def _between_subnormal_numbers(first: Fraction, second: Fraction) -> Construction:
    """Promise token 0, whose logit is the first number; both in units of the smallest float64."""
    weight = [[first * _SMALLEST, 0, 0], [second / 2 * _SMALLEST, second / 2 * _SMALLEST, 0]]
    readout = Linear(weight, [[0], [0]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]] * 2, (readout,), encoding=_constant(1, 1), promise=_always(0))


def _between_numbers_beyond_half_of_float64() -> Construction:
    """Promise token 0, whose logit is 1.5e8, against 8.5e8: coordinates of 1.5e308, whose sum of two is infinite."""
    up = Linear([[15 * 10**307, 0]], [[0]], activation=None, name="up")
    readout = Linear([[Fraction(1, 10**300)], [-Fraction(1, 10**300)]], [[0], [10**9]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]], (up, readout), encoding=_constant(1), promise=_always(0))


def _weights_beyond_float64() -> Construction:
    down = Linear([[Fraction(1, 10**400), 0]], [[0]], activation=None, name="down")
    readout = Linear([[10**400], [-(10**400)]], [[0], [10]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]], (down, readout), encoding=_constant(1), promise=_always(0))


def _a_weight_that_vanishes() -> Construction:
    """Promise token 0: 10^300 times a weight of 10^-330, which is 0 in float64, is above its logit."""
    up = Linear([[10**300, 0], [1, 0]], [[0], [0]], activation=None, name="up")
    weight = [[0, Fraction(1, 10**31)], [Fraction(1, 10**330), 0]]
    readout = Linear(weight, [[0], [0]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]], (up, readout), encoding=_constant(1), promise=_always(0))


@pytest.mark.parametrize(
    "construction",
    [
        pytest.param(_between_subnormal_numbers(Fraction(26, 10), Fraction(28, 10)), id="the smallest float64"),
        pytest.param(_between_subnormal_numbers(Fraction(1, 10), Fraction(1, 5)), id="below the smallest float64"),
        pytest.param(_between_numbers_beyond_half_of_float64(), id="a sum of two bounds is infinite"),
        pytest.param(_weights_beyond_float64(), id="weights that no float64 holds"),
        pytest.param(_a_weight_that_vanishes(), id="a weight that vanishes, times a large number"),
    ],
)
def test_real_numbers_at_the_ends_of_float64(construction: Construction) -> None:
    assert verify.exhaust(construction, verify.get_arithmetic("rational")).holds is False
    assert certify(construction, certificate_arithmetic("ball")).holds is None


@pytest.mark.parametrize(
    ("first", "second"), [(Fraction(28, 10), Fraction(26, 10)), (Fraction(1, 5), Fraction(1, 10)), (10**9, 10**9 - 1)]
)
def test_real_numbers_at_the_ends_of_float64_that_are_right(first: Fraction, second: Fraction) -> None:
    construction = _between_subnormal_numbers(Fraction(first), Fraction(second))
    verdict = certify(construction, certificate_arithmetic("ball"))
    assert verdict.holds is True
    assert verdict.margin is not None
    assert verdict.margin > 0


# fused multiply-add --------------------------------------------------------------------------------------------------

#: Odd, and its square above 2^24: float32 rounds it.
_ODD = 4097


def _cancelling(bias: int) -> Construction:
    """Promise token 1, whose logit is 1 where no product is rounded, and 0 where the first one is; token 0 has 1/2."""
    weight = [[0, 0, 0], [_ODD, bias - 16785408, 0]]
    readout = Linear(weight, [[Fraction(1, 2)], [-bias]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]] * 2, (readout,), encoding=_constant(_ODD, 1), promise=_always(1))


def _chain(terms: list[tuple[int, int]], start: int) -> float:
    """Return a chain of fused multiply-adds in float32, by exact rationals."""
    total = Fraction(start)
    for weight, number in terms:
        total = Fraction(round_to_format(weight * number + total, FORMATS["float32"]))
    return float(total)


@pytest.mark.parametrize("products", PRODUCTS)
def test_a_chain_from_zero_rounds_its_first_product(products: Products) -> None:
    assert _chain([(_ODD, _ODD), (-16785408, 1)], 0) == 0
    construction = _cancelling(0)
    for bias in ("linear", "separate", "fma"):
        assert verify.exhaust(construction, TorchArithmetic("float32", bias=bias)).holds is False
    assert certify(construction, rounded("float32", products)).holds is None


def test_a_chain_from_a_bias_does_not() -> None:
    # 4097 * 4097 - 16785408 is 1, in one fused multiply-add; the product alone would be rounded to 16785408
    construction = _cancelling(16785408)
    assert _chain([(_ODD, _ODD), (0, 1)], -16785408) == 1
    assert verify.exhaust(construction, TorchArithmetic("float32", bias="fma")).holds is True
    assert verify.exhaust(construction, TorchArithmetic("float32", bias="separate")).holds is False
    assert certify(construction, rounded("float32", "fused")).holds is True
    assert certify(construction, rounded("float32", "separate")).holds is None
    assert certify(construction, rounded("float32", "either")).holds is None


def test_the_assumption_is_told() -> None:
    def told(dtype: str, products: Products) -> str:
        return Kernel(FORMATS[dtype], products).assumptions()

    assert "one chain of fused multiply-adds that starts from the bias" in told("float32", "fused")
    assert "in float32, rounded at the end" in told("bfloat16", "fused")
    assert "in float32" not in told("float32", "fused")
    assert "rounded before a bias is added" in told("float32", "separate")
    assert "with or without fused multiply-add" in told("float32", "either")
    verdict = certify(_cancelling(16785408), rounded("float32", "fused"))
    assert verdict.reason is not None
    assert told("float32", "fused") in verdict.reason


# the ends of the formats ---------------------------------------------------------------------------------------------


def test_more_floats_than_int64_counts() -> None:
    # from -2 to 2 there are 2^63 + 1 numbers of float64
    encoding = lambda targets: Ratios((4 * targets - 2)[:, None, :], 1)  # noqa: E731 # one line
    readout = Linear([[0, 0], [1, 0]], [[0], [0]], activation=None, name="readout")
    construction = Given(2, 1, [[0, 0]], (readout,), encoding=encoding, promise=_always(0))
    for dtype in ("float64", "float32"):
        assert verify.exhaust(construction, verify.get_arithmetic("torch", dtype=dtype)).holds is False
        assert certify(construction, rounded(dtype)).holds is None


def test_a_temperature_beyond_the_format_times_scores_of_zero() -> None:
    # 0 times infinity is NaN, though no exponent overflows
    mean = Attention((Head("mean", [[0, 0]], [[0, 0]], [[1, 0]]),))
    readout = Linear([[0], [2]], [[0], [-1]], activation=None, name="readout")
    construction = Given(2, 1, [[0, 0]], (mean, readout), temperature=1e39)
    assert verify.exhaust(construction, verify.get_arithmetic("torch", dtype="float32")).holds is False
    assert certify(construction, rounded()).holds is None
    assert certify(construction, rounded("float64")).holds is True


def _beyond_tf32(*, weighs: bool) -> Construction:
    """Read the second coordinate; the first, or a weight of another row, rounds to infinity in TF32."""
    largest = 2**128 - 2**116  # of 12 bits
    first = Linear([[0, 0], [1, 0]], [[largest], [0]], name="first")
    wide = [largest, 0] if weighs else [0, 0]
    if weighs:
        first = Linear([[0, 0], [1, 0]], [[0], [0]], name="first")
    readout = Linear([wide, [0, 2]], [[0], [-1]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]], (first, readout))


def _below_tf32() -> Construction:
    """Tell 2^-140 from 0, both numbers of float32; 2^-140 is 0 in TF32."""
    first = Linear([[Fraction(1, 2**140), 0]], [[0]], name="first")
    readout = Linear([[0], [2**120]], [[0], [Fraction(-1, 2**21)]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]], (first, readout))


@pytest.mark.parametrize(
    "construction",
    [
        pytest.param(_beyond_tf32(weighs=False), id="a number that is infinite in TF32"),
        pytest.param(_beyond_tf32(weighs=True), id="a weight that is infinite in TF32"),
        pytest.param(_below_tf32(), id="a number that is 0 in TF32"),
    ],
)
def test_numbers_that_tf32_does_not_reach(construction: Construction) -> None:
    assert verify.exhaust(construction, TorchArithmetic("float32", tf32_factors=True)).holds is False
    assert certify(construction, rounded(tf32=True)).holds is None
    assert verify.exhaust(construction, TorchArithmetic("float32")).holds is True
    assert certify(construction, rounded()).holds is True
