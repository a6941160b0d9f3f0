"""Right constructions of every kind: the engine shows what the dense path shows, by every way of running it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    Layout,
    LongerInputs,
    LongerResponses,
    Ratios,
    Softmax,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.activations import RELU
from constructions.layers import Linear
from constructions.token_functions import equals
from constructions.validation import IntArray
from verify import EngineArithmetic, Runner, TorchArithmetic, exhaust, fuzz
from verify.engine import blocks
from verify.evidence.ranges import at_once, tally_ranks

ENGINE = EngineArithmetic("float32")


@dataclass(frozen=True, repr=False)
class Mixed(Construction):
    """Says whether its two tokens are equal; its one number is their difference."""

    vocab_size: int
    layout = Layout(virtual=1, user=0, response=1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (2,))

    def encode(self, targets: IntArray) -> Ratios:
        return Ratios((targets[:, :1] - targets[:, 1:])[:, None, :], 1)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return equals(targets[:, :1] - targets[:, 1:], 0)

    @cached_property
    def transformer(self) -> Transformer:
        distance = Linear([[1, 0], [-1, 0]], None, RELU, "distance")
        last = Linear([[2, 2], [0, 0], [-9, -9]], [[0], [1], [-9]], None, "readout")
        return Transformer([[0] * 3], (distance, last), context_size=1)


def _told(construction: Any, dtype: str = "float32") -> Any:
    return exhaust(construction, EngineArithmetic(dtype))


RIGHT = [
    UnconditionalGeneration(4, 3),
    UnconditionalGeneration(1, 1),
    UnconditionalGeneration(5, 1),
    UnconditionalGeneration(1, 4),
    UnconditionalGeneration(3, 3, mask="none"),
    UnconditionalGeneration(3, 3, temperature=Softmax(60.0, "length")),
    UnconditionalGeneration(3, 3, embedding=[[1, 0, 2], [0, 0, 0], [0, 1, 0]]),
    ConditionalGeneration(3),
    LongerInputs(2, 2),
    LongerInputs(2, 2, "mask"),
    LongerResponses(3, 2),
]


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("construction", RIGHT, ids=repr)
def test_what_the_dense_path_shows_right(construction: Any, *, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that holds a fifth of the cases makes for prefixes, a large one for suffixes alone."""
    space = construction.targets.size * construction.user_inputs.size
    cache = 4 * construction.layout.context_size * space // 5 if few else 2**30
    monkeypatch.setattr(blocks, "cache_bytes", lambda: cache)
    mine, theirs = _told(construction), exhaust(construction, TorchArithmetic("float32"))
    assert mine.holds
    assert theirs.holds
    assert (mine.cases, mine.margin is None) == (theirs.cases, theirs.margin is None)
    assert mine.arithmetic == "engine float32"


def test_prompts_that_mix_the_entries_of_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of the prompt that depends on prefix and suffix is asked for, case by case."""
    monkeypatch.setattr(blocks, "cache_bytes", lambda: 8 * 2 * 4)
    construction = Mixed(3)
    for dtype in ("float64", "float32"):
        mine, theirs = _told(construction, dtype), exhaust(construction, TorchArithmetic(dtype))
        assert mine.holds is theirs.holds is True
        assert (mine.cases, mine.margin) == (theirs.cases, theirs.margin)


def test_a_checkpoint_goes_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "cache_bytes", lambda: 300)
    construction, file = UnconditionalGeneration(4, 4), tmp_path / "run"
    part = exhaust(construction, EngineArithmetic("float32"), checkpoint=file, limit=100)
    assert (part.holds, part.cases) == (None, 100)
    rest = exhaust(construction, EngineArithmetic("float32"), checkpoint=file)
    whole = exhaust(construction, EngineArithmetic("float32"))
    assert rest.holds
    assert (rest.cases, rest.margin) == (256, whole.margin)
    assert rest.resumed is not None
    assert rest.resumed["cases"] == "100"


def test_a_vocabulary_made_some_tokens_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "WRITTEN_OUT", 3)
    for construction in (
        UnconditionalGeneration(10, 2),
        ConditionalGeneration(3),
        UnconditionalGeneration(10, 2, temperature=1.0),
    ):
        mine, theirs = _told(construction), exhaust(construction, TorchArithmetic("float32"))
        assert (mine.holds, mine.cases) == (theirs.holds, theirs.cases)


def test_other_evidence_runs_in_the_engine_too() -> None:
    import hypothesis.strategies as st

    assert fuzz(st.just(UnconditionalGeneration(3, 2)), ENGINE, examples=20, claim="x").holds
    runner = Runner(UnconditionalGeneration(3, 3), ENGINE)
    assert tally_ranks(runner, 9, 27, size=64).cases == 18
    one = at_once(runner, 5, 6)
    assert one is not None
    assert one.closest == 5
