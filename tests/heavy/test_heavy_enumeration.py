"""The spaces that the project states are enumerated, every target with every user input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from constructions import ConditionalGeneration, Construction, LongerInputs, LongerResponses, UnconditionalGeneration
from verify import Runner, exhaust, get_arithmetic

pytestmark = pytest.mark.heavy


def _holds_everywhere(construction: Construction, arithmetic: Any, cases: int) -> None:
    verdict = exhaust(construction, arithmetic)
    assert verdict.holds is True, verdict.counterexample
    assert verdict.cases == verdict.space == cases


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("construction", "cases"),
    [
        (UnconditionalGeneration(4, 8), 65_536),
        (UnconditionalGeneration(10, 5), 100_000),
        (ConditionalGeneration(5), 3_125 * 5),
        (LongerResponses(3, 2), 729 * 3),
        (LongerInputs(2, 2), 16 * 4),
        (LongerInputs(2, 3), 256 * 8),
        (LongerInputs(3, 2), 19_683 * 9),
    ],
    ids=str,
)
def test_every_case_holds_in_floats(construction: Construction, cases: int, dtype: str) -> None:
    _holds_everywhere(construction, get_arithmetic("torch", dtype=dtype), cases)


@pytest.mark.parametrize(
    ("construction", "cases"),
    [
        (UnconditionalGeneration(4, 4), 256),
        (ConditionalGeneration(4), 256 * 4),
        (LongerResponses(3, 2), 729 * 3),
        (LongerInputs(2, 2), 16 * 4),
        (LongerInputs(2, 3), 256 * 8),
    ],
    ids=str,
)
def test_every_case_holds_exactly(construction: Construction, cases: int) -> None:
    _holds_everywhere(construction, get_arithmetic("rational"), cases)


@pytest.mark.parametrize("vocab_size", range(3, 9))
def test_two_thousand_random_maps_of_two_tokens(vocab_size: int) -> None:
    construction = LongerInputs(vocab_size, 2)
    runner = Runner(construction, get_arithmetic("torch", dtype="float64"))
    inputs = construction.user_inputs.unrank_range(0, vocab_size**2)
    maps = construction.targets.sample(2_000, seed=vocab_size)
    assert len({table.tobytes() for table in maps}) > 1_000
    for batch in np.split(maps, 20):
        targets = batch.repeat(len(inputs), axis=0)
        users = np.tile(inputs, (len(batch), 1))
        outcome = runner.run(targets, users)
        # the promise, read off the table by other means than the construction's own
        tables = batch.reshape(len(batch), -1)
        assert outcome.produced.reshape(len(batch), -1).tolist() == tables.tolist()
        assert not outcome.failures().any()
