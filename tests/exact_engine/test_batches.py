"""Batches of cases in rational arithmetic: the same tokens and logits, Fraction by Fraction, as case by case."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Argmin, ConditionalGeneration, Construction, Hardmax, UnconditionalGeneration
from tests.exact_engine.given import EXACT, Given, size_of
from tests.exact_engine.random_models import drawn_construction
from tests.exact_engine.test_every_construction import hand_built
from verify import Runner, Trace
from verify.exact_engine import passes
from verify.running.batches import enumerated
from verify.running.respond import Produced


def _alone(runner: Runner, prompts: Any, inputs: Any) -> Produced:
    made = [runner.prepared.run(prompts[place : place + 1], inputs[place : place + 1]) for place in range(len(inputs))]
    logits = [one.logits for one in made if one.logits is not None]
    return Produced(np.concatenate([one.answers for one in made]), np.concatenate(logits))


def _as_case_by_case(construction: Construction, most: int = 32) -> None:
    runner = Runner(construction, EXACT)
    batch = enumerated(construction, 0, min(most, size_of(construction)))
    prompts = construction.prompts(batch.targets)
    together, alone = runner.prepared.run(prompts, batch.inputs.copy()), _alone(runner, prompts, batch.inputs)
    assert together.answers.dtype == alone.answers.dtype
    np.testing.assert_array_equal(together.answers, alone.answers)
    assert together.logits is not None
    assert alone.logits is not None
    assert together.logits.shape == alone.logits.shape
    assert (together.logits == alone.logits).all()
    assert all(isinstance(value, Fraction) for value in together.logits.reshape(-1))


@pytest.mark.parametrize(
    "construction",
    [
        UnconditionalGeneration(3, 3),
        UnconditionalGeneration(3, 3, mask="none"),
        UnconditionalGeneration(1, 2),
        ConditionalGeneration(3),
        hand_built("gated", user=3, response=2, temperature=Hardmax()),
        hand_built("two residuals", user=3, response=3, read=True, reads_as=Argmin(), temperature=Hardmax()),
        hand_built("rms norm", user=3, response=1, temperature=Hardmax()),
    ],
    ids=repr,
)
def test_a_batch_runs_as_its_cases_do(construction: Construction) -> None:
    _as_case_by_case(construction)


def test_random_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "_FEW", 2)
    made: list[Given] = [drawn_construction(random.Random(seed)) for seed in range(100, 130)]
    several = [one for one in made if size_of(one) > 1 and isinstance(one.temperature, Hardmax)][:8]
    assert len(several) == 8
    for construction in several:
        _as_case_by_case(construction)


def test_a_trace_is_of_the_last_case_alone() -> None:
    construction = UnconditionalGeneration(3, 3)
    runner, batch = Runner(construction, EXACT), enumerated(UnconditionalGeneration(3, 3), 0, 27)
    together, alone = Trace(), Trace()
    runner.run(batch.targets, batch.inputs, trace=together)
    runner.run(batch.targets[-1:], batch.inputs[-1:], trace=alone)
    assert set(together.differences(alone).values()) == {0.0}
