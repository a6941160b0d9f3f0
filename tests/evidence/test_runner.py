"""Running cases: what must never verify, whatever the tokens are."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
)
from constructions.thresholds import unconditional_generation_threshold
from verify import Runner, StructuredTorchArithmetic, exhaust, get_arithmetic
from verify.running.cases import Outcome

EXACT = get_arithmetic("rational")
FLOATS = [get_arithmetic(kind, dtype=dtype) for kind in ("torch", "numpy") for dtype in ("float64", "float32")]
EVERYWHERE = pytest.mark.parametrize(
    "arithmetic", [EXACT, get_arithmetic("symbolic"), *FLOATS], ids=lambda arithmetic: str(arithmetic.name)
)


def _no_input(cases: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.zeros((cases, 0), dtype=np.int64)


def _module(runner: Runner) -> Any:
    return runner.prepared.module  # type: ignore[attr-defined] # the module that the runner runs is what is mutated here


@EVERYWHERE
def test_an_outcome_has_what_was_promised_what_came_and_by_how_much(arithmetic: Any) -> None:
    construction = UnconditionalGeneration(2, 2, temperature=Hardmax())
    targets = construction.targets.unrank_range(0, 4)
    outcome = Runner(construction, arithmetic).run(targets, _no_input(4))
    assert outcome.expected.tolist() == outcome.produced.tolist() == targets.tolist()
    assert not outcome.failures().any()
    # at x = y/V the logit of y exceeds that of a neighbour by 1/V^2, and both are dyadic here
    assert [[Fraction(margin) for margin in row] for row in outcome.margins.tolist()] == [[Fraction(1, 4)] * 2] * 4
    assert outcome.smallest_margin() == Fraction(1, 4)


@EVERYWHERE
@pytest.mark.parametrize("construction", [UnconditionalGeneration(2, 3), ConditionalGeneration(2), LongerInputs(2, 2)])
def test_an_empty_batch_gives_an_empty_outcome(arithmetic: Any, construction: Construction) -> None:
    targets = np.zeros((0, *construction.targets.shape), dtype=np.int64)
    user = construction.layout.user
    outcome = Runner(construction, arithmetic).run(targets, np.zeros((0, user), dtype=np.int64))
    shape = (0, construction.layout.response)
    assert outcome.expected.shape == outcome.produced.shape == outcome.failures().shape == shape


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("vocab_size", [1, 2, 5])
@pytest.mark.parametrize("place", ["every", "last"])
def test_logits_that_are_not_finite_never_verify(value: float, vocab_size: int, place: str) -> None:
    runner = Runner(UnconditionalGeneration(vocab_size, 2), get_arithmetic("torch", dtype="float32"))
    bias = _module(runner).get_buffer("readout__bias")
    bias[slice(None) if place == "every" else slice(-1, None)] = value
    targets = runner.construction.targets.unrank_range(0, 1)
    outcome = runner.run(targets, _no_input(1))
    assert outcome.failures().all()
    smallest = outcome.smallest_margin()
    assert isinstance(smallest, float)
    assert math.isnan(smallest)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_logit_that_is_not_finite_spoils_a_right_answer(value: float) -> None:
    # token 0 is right and keeps the largest FINITE logit; the minus infinity of token 2 alone must spoil it
    runner = Runner(ConditionalGeneration(3), get_arithmetic("torch", dtype="float64"))
    _module(runner).get_buffer("readout__bias")[2] = -value
    outcome = runner.run(np.array([[0, 1, 2]]), np.array([[0]]))
    assert outcome.failures().all()


def test_a_buffer_of_nan_inside_never_verifies() -> None:
    construction = LongerResponses(3, 2)
    runner = Runner(construction, get_arithmetic("torch", dtype="float64"))
    _module(runner).get_buffer("attention__user__key").fill_(math.nan)
    outcome = runner.run(construction.targets.unrank_range(0, 3), np.array([[0], [1], [2]]))
    assert outcome.failures().all()


def test_a_mutated_weight_is_what_runs() -> None:
    construction = UnconditionalGeneration(3, 2)
    runner = Runner(construction, get_arithmetic("torch", dtype="float64"))
    readout = _module(runner).get_buffer("readout__bias")
    readout.copy_(readout[[1, 2, 0]])
    assert runner.run(construction.targets.unrank_range(0, 9), _no_input(9)).failures().any()


@pytest.mark.parametrize("token", [0, 1, 2])
def test_a_tie_never_verifies(token: int) -> None:
    # every logit 0: greedy decoding yields token 0, which is even the right one for one of the targets
    construction = ConditionalGeneration(3)
    runner = Runner(construction, get_arithmetic("torch", dtype="float32"))
    for name in ("readout__weight", "readout__bias"):
        _module(runner).get_buffer(name).zero_()
    outcome = runner.run(np.full((1, 3), token), np.array([[1]]))
    assert outcome.margins.tolist() == [[0.0]]
    assert outcome.failures().all()
    assert outcome.produced.tolist() == [[0]]


def test_an_exact_tie_never_verifies() -> None:
    # at the threshold the last token is decoded to half a step below itself, where two logits are equal
    threshold = unconditional_generation_threshold(3, 2)
    construction = UnconditionalGeneration(3, 2, temperature=RationalSoftmax(Fraction(threshold)))
    outcome = Runner(construction, EXACT).run(np.array([[0, 2]]), _no_input(1))
    assert outcome.margins.tolist() == [[outcome.margins[0, 0], Fraction(0)]]
    assert outcome.failures().tolist() == [[False, True]]


def test_an_overflow_never_verifies() -> None:
    # float16 ends at 65,504: T of 10^6 makes the scaled scores infinite, and infinity minus infinity is NaN
    construction = UnconditionalGeneration(2, 2, temperature=1e6)
    verdict = exhaust(construction, get_arithmetic("torch", dtype="float16"))
    assert verdict.holds is False
    assert isinstance(verdict.margin, float)
    assert math.isnan(verdict.margin)


@EVERYWHERE
def test_one_token_has_no_margin_to_speak_of(arithmetic: Any) -> None:
    verdict = exhaust(UnconditionalGeneration(1, 3), arithmetic)
    assert verdict.holds is True
    assert verdict.cases == verdict.space == 1
    assert verdict.margin is None


def test_the_smallest_margin_is_nan_wherever_the_nan_is() -> None:
    for margins in ([math.nan, 1.0], [1.0, math.nan], [1.0, math.nan, -1.0]):
        tokens = np.zeros((1, len(margins)), dtype=np.int64)
        smallest = Outcome(tokens, tokens, np.array([margins])).smallest_margin()
        assert isinstance(smallest, float)
        assert math.isnan(smallest)


def test_the_runner_leaves_torch_s_settings_alone() -> None:
    before = torch.get_float32_matmul_precision()
    construction = ConditionalGeneration(2)
    runner = Runner(construction, get_arithmetic("torch", dtype="float32", tf32=True))
    assert not runner.run(np.array([[1, 0]]), np.array([[1]])).failures().any()
    assert torch.get_float32_matmul_precision() == before


def test_the_structured_arithmetic_runs_as_itself() -> None:
    construction = UnconditionalGeneration(5, 4)
    verdict = exhaust(construction, StructuredTorchArithmetic("float32"))
    assert verdict.holds is True
    assert verdict.cases == 5**4
    assert verdict.arithmetic == "torch float32 structured"
    blunt = replace(construction, temperature=RationalSoftmax(Fraction(50)))  # the threshold is (N-1)(4V-3) = 51
    wrong = exhaust(blunt, StructuredTorchArithmetic("float64"))
    assert wrong.holds is False
    assert wrong.counterexample is not None
    assert wrong.counterexample.reproduce.endswith("arithmetic=verify.StructuredTorchArithmetic('float64'))")
