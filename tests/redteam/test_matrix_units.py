"""Certificates on matrix units, attacked: kernels without a unit, orders of libraries, and what a verdict must say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from constructions import Construction, DigitGeneration, UnconditionalGeneration
from tests.certificates.emulated import Array, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.units import KINDS, UNITS, WORDS, UnitKernel, drawn
from tests.mutation.certifier_killers import outside
from tests.mutation.certifier_units import bounded
from verify import exhaust
from verify.arithmetic.matrix_unit import MatrixUnitArithmetic
from verify.certificates import RoundedArithmetic, certificate_arithmetic, certify
from verify.matrix_units import GENERATIONS


def _without_a_unit(rng: np.random.Generator, fmt: str, left: Array, right: Array, bias: float) -> Array:
    """Return sums as a kernel for one column computes them: in float32, fused or not, in any order, rounded once."""
    kernel = DrawnKernel("float32", rng)
    pairs = [(left[:, at], right[:, at]) for at in range(left.shape[1])]
    return to_format(kernel.sum_of(pairs, np.full(len(left), bias) if bias else None), fmt)


def _left_the_bounds(rounds: int, sums: int, seed: int) -> list[str]:
    rng, found = np.random.default_rng(seed), []
    for _ in range(rounds):
        for generation, fmt in UNITS:
            arithmetic = RoundedArithmetic.of(fmt, unit=generation, full_reduction=bool(rng.random() < 0.5))
            for kind in KINDS:
                left, right, shifts = drawn(rng, fmt, kind, sums, int(rng.choice([1, 2, 3, 8, 17])))
                for factors, bias in ((right[:1], shifts[:1]), (right, np.zeros(1))):
                    low, high = bounded(arithmetic, left, factors, bias)
                    every = np.broadcast_to(factors, left.shape)
                    values = _without_a_unit(rng, fmt, left, every, float(bias[0]))
                    if outside(low, high, values).any():
                        found.append(f"{arithmetic.name}, {kind}")
    return found


def test_a_kernel_without_a_unit_stays_within_the_bounds() -> None:
    with np.errstate(all="ignore"):
        assert _left_the_bounds(rounds=1, sums=24, seed=1) == []


@pytest.mark.parametrize("rounds", [pytest.param(3, marks=pytest.mark.heavy), pytest.param(15, marks=pytest.mark.long)])
def test_a_kernel_without_a_unit_stays_within_the_bounds_often(rounds: int) -> None:
    # 15 rounds, each unit, 10 kinds, with and without a bias, 200 sums each: over a million
    with np.errstate(all="ignore"):
        assert _left_the_bounds(rounds=rounds, sums=200, seed=2) == []


def _below_its_margin(generation: str, fmt: str, construction: Construction) -> list[str]:
    word, found = WORDS[fmt], []
    orders: list[dict[str, Any]] = [{}, {"split": 2}, {"slice_size": 3}]
    if word == "tf32":
        orders += [{"factors": "away"}, {"factors": "truncated"}]
    else:
        orders += [{"slice_size": 1, "reduced": True}, {"split": 2, "reduced": True}]
    certified = certify(construction, certificate_arithmetic("rounded", word, unit="any"))
    assert certified.holds
    assert certified.margin is not None
    for order in orders:
        verdict = exhaust(construction, MatrixUnitArithmetic(word, generation, **order))
        if not (verdict.holds and verdict.margin is not None and verdict.margin >= certified.margin):
            found.append(f"{verdict.arithmetic}: {verdict.margin} where {certified.margin} is certified")
    return found


@pytest.mark.parametrize(("generation", "fmt"), [("hopper", "bfloat16"), ("ampere", "float32")])
def test_no_order_of_a_library_comes_below_a_certified_margin(generation: str, fmt: str) -> None:
    assert _below_its_margin(generation, fmt, UnconditionalGeneration(3, 2)) == []


@pytest.mark.heavy
@pytest.mark.parametrize(("generation", "fmt"), UNITS)
def test_no_order_on_any_unit_comes_below_a_certified_margin(generation: str, fmt: str) -> None:
    for construction in (UnconditionalGeneration(4, 3), DigitGeneration(3, 2, 2)):
        assert _below_its_margin(generation, fmt, construction) == []


@pytest.mark.parametrize("word", WORDS.values())
@pytest.mark.parametrize("unit", ["any", *GENERATIONS])
def test_the_verdict_says_all_that_is_assumed(word: str, unit: str) -> None:
    meant = [name for name, found in GENERATIONS.items() if unit in {"any", name} and word in found.formats]
    if not meant:
        pytest.skip("no such unit")
    said = certificate_arithmetic("rounded", word, unit=unit).assumptions()
    assert "or without a unit" in said
    assert "subnormal numbers kept" in said
    assert ("flushed on cdna2" in said) == ("cdna2" in meant)
    assert ("scores rounded to" in said) == (word != "tf32")
    assert ("float32 numbers cut or rounded to it" in said) == (word == "tf32")
    by_code = [name for name in meant if name in {"turing", "cdna1", "cdna2", "cdna3"}]
    assert (f"({', '.join(by_code)}: known from code alone)" in said) == bool(by_code)


def test_drawn_kernels_keep_a_bias_that_nothing_is_added_to() -> None:
    # in the order of pairs it was once lost beside a row of zeros, and so seemed to contradict a certificate
    rows, weight, bias = np.ones((1, 2, 3)), np.zeros((1, 3)), np.array([0.25])
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for kernel in (DrawnKernel("float32", rng), UnitKernel("bfloat16", rng, generation="hopper")):
            assert (kernel.linear(rows, weight, bias) == bias).all()


@pytest.mark.parametrize("fmt", ["bfloat16", "float16"])
def test_scaled_scores_that_float32_holds_are_between_their_bounds(fmt: str) -> None:
    """A softmax in float32 may scale the scores itself, which rounds them to float32 and not to 16 bits."""
    rng, arithmetic = np.random.default_rng(5), RoundedArithmetic.of(fmt, unit="hopper")
    scores = to_format(rng.uniform(-300, 300, (1000, 1, 1)), fmt)
    gap = to_format(rng.uniform(0.1, 20, (1000, 1, 1)), "float32")
    low, high = arithmetic._exponents(scores, scores, gap, gap)
    scaled = to_format(scores * gap, "float32")
    assert not outside(low, high, scaled).any()
