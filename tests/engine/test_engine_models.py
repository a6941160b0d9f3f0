"""Every kind of layer in the engine: each case's margin is that of the dense arithmetic, or within certified bounds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Argmin, PerHeadSoftmax, RationalSoftmax, Softmax
from constructions.formats import get_format
from constructions.temperature import Hardmax
from tests.engine.models import FEW, named
from tests.forward.trees import MODELS
from verify import EngineArithmetic, Runner, TorchArithmetic, exhaust
from verify.engine import blocks
from verify.engine.comparing import Drawn
from verify.evidence.ranges import at_once, tally_ranks
from verify.running.again import WITNESSES


def _agrees(construction: Any, dtype: str) -> None:
    """Hold the margin of EVERY case against the dense arithmetic, and the tally against the verdict."""
    verdict = exhaust(construction, EngineArithmetic(dtype))
    assert verdict.holds, verdict.reason
    assert verdict.cases == verdict.space
    assert "by one pass" in str(verdict.assumptions)
    runner = Runner(construction, EngineArithmetic(dtype))
    drawn = Drawn(construction, get_format(dtype))
    smallest: list[float] = []
    for rank in range(verdict.cases):
        found = at_once(runner, rank, rank + 1)
        assert found is not None
        assert found.closest == rank
        assert isinstance(found.margin, float)
        smallest.append(found.margin)
    drawn._sample.held = list(enumerate(smallest))
    assert drawn.wrong() is None
    assert "where no certificate" not in drawn.account()
    assert min(smallest) == verdict.margin


@pytest.mark.parametrize("name", FEW[::2])
def test_models_of_every_operation(name: str) -> None:
    _agrees(named(name, user=2), "float32")


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_kind(name: str, dtype: str) -> None:
    _agrees(named(name), dtype)


@pytest.mark.parametrize("name", FEW[1:2])
def test_windows_of_ranks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of a few numbers: user inputs come in runs of ranks, of which the last is shorter."""
    monkeypatch.setattr(blocks, "cache_bytes", lambda: 8 * 2 * 4)
    construction = named(name, user=2)
    assert blocks.Blocks.of(construction, 8).windowed
    _agrees(construction, "float64")


@pytest.mark.parametrize("mask", ["causal", "none"])
@pytest.mark.parametrize("name", ["biases", pytest.param("two residuals", marks=pytest.mark.heavy)])
def test_generated_responses(name: str, mask: str) -> None:
    """Under the full mask every step is a pass of its own, as earlier positions see the later ones."""
    _agrees(named(name, user=1, response=2, mask=mask), "float64")


@pytest.mark.parametrize(
    "temperature",
    [
        Softmax(2.0, "length"),
        pytest.param(RationalSoftmax(Fraction(7, 2)), marks=pytest.mark.heavy),
        pytest.param(Hardmax(), marks=pytest.mark.heavy),
        PerHeadSoftmax({"one": Fraction(3), "two": Fraction(5, 2)}),
    ],
    ids=repr,
)
def test_temperatures(temperature: Any) -> None:
    _agrees(named("biases", user=1, response=2, temperature=temperature), "float64")


def test_keys_of_other_temperatures_run_in_batches() -> None:
    construction = named("two residuals", user=1, response=3, temperature=Softmax(2.0, "length"))
    verdict = exhaust(construction, EngineArithmetic("float64"))
    assert verdict.holds
    assert "no program for several attention layers scaled by the length" in str(verdict.assumptions)


def test_the_smallest_logit() -> None:
    _agrees(named("swiglu", user=2, decoding=Argmin()), "float32")


def test_ranges_add_up() -> None:
    runner = Runner(named("swiglu", user=3), EngineArithmetic("float64"))
    whole = at_once(runner, 0, 27)
    assert whole is not None
    for cut in (1, 9, 26):
        assert tally_ranks(runner, 0, cut, size=7) + tally_ranks(runner, cut, 27, size=7) == whole


def test_the_dense_arithmetic_has_no_ranks_at_once() -> None:
    assert at_once(Runner(named("sum", user=1), TorchArithmetic("float64")), 0, 3) is None


def test_numbers_have_the_shapes_of_the_dense_arithmetic() -> None:
    construction = named("grouped", user=2)
    inputs = np.array([[0, 1], [2, 2], [1, 0]])
    targets = np.zeros((3, 0), dtype=np.int64)
    for chosen in (slice(3), slice(1), slice(0)):
        mine, theirs = (
            Runner(construction, made).run(targets[chosen], inputs[chosen])
            for made in (EngineArithmetic("float64"), TorchArithmetic("float64"))
        )
        assert mine.logits is not None
        assert theirs.logits is not None
        assert mine.logits.shape == theirs.logits.shape
        assert (mine.produced == theirs.produced).all()


def test_each_rank_is_drawn_as_often_as_any_other() -> None:
    """Each at most once: of ranks that ran one by one, in long ranges, or in fewer than are drawn."""
    construction = named(FEW[0], user=2)
    times = np.zeros(160, dtype=int)
    for seed in range(400):
        drawn = Drawn(construction, get_format("float32"))
        drawn._sample._random.seed(seed)
        for start, stop in ((0, 1), (1, 2), (2, 40), (40, 40), (40, 150), (150, 160)):
            drawn.add(start, np.arange(start, stop) / 8)
            held = [rank for rank, _ in drawn._sample.held]
            assert len(held) == len(set(held)) == min(WITNESSES, stop)
        assert all(margin == rank / 8 for rank, margin in drawn._sample.held)
        times[held] += 1
    # 400 * 64 / 160 of each, with a standard deviation of 9.8: none of 160 is 5 off but once in 10,000 runs
    assert (abs(times - 160) < 5 * 9.8).all()
