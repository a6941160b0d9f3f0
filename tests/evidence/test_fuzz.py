"""Fuzzing: what is wrong is found and shrunk, what is right holds, and nothing is claimed that was not seen."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    Layout,
    RationalSoftmax,
    Ratios,
    Softmax,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.thresholds import unconditional_generation_threshold
from constructions.validation import IntArray
from verify import Verdict, fuzz, get_arithmetic
from verify.evidence import strategies
from verify.requests import command_for

EXACT = get_arithmetic("rational")
FLOAT32 = get_arithmetic("torch", dtype="float32")
FLOAT64 = get_arithmetic("torch", dtype="float64")


def _at_the_threshold(vocab_size: int, context_size: int) -> UnconditionalGeneration:
    q = Fraction(unconditional_generation_threshold(vocab_size, context_size))
    return UnconditionalGeneration(vocab_size, context_size, temperature=RationalSoftmax(q))


def _fuzz(drawn: st.SearchStrategy[Any], arithmetic: Any = EXACT, **options: Any) -> Verdict:
    return fuzz(drawn, arithmetic, **{"examples": 100, "claim": "a claim", **options})


def test_what_is_right_holds() -> None:
    verdict = _fuzz(strategies.unconditional_generations(8, 3), FLOAT32, examples=50, parameters={"vocab_size": "1..8"})
    assert verdict.holds is True
    assert verdict.method == "fuzzed"
    assert (verdict.claim, verdict.parameters) == ("a claim", {"vocab_size": "1..8"})
    assert 0 < verdict.cases <= 50
    assert verdict.margin is not None
    assert verdict.margin > 0
    assert verdict.space is None
    assert verdict.seed == 0


def test_exactly_at_the_threshold_shrinks_to_the_smallest_counterexample() -> None:
    drawn = st.builds(_at_the_threshold, st.integers(2, 20), st.integers(2, 8))
    verdict = _fuzz(drawn)
    case = verdict.counterexample
    assert verdict.holds is False
    assert case is not None
    assert case.construction == repr(_at_the_threshold(2, 2))
    assert (case.target, case.user_input, case.position) == ([0, 1], [], 1)
    assert (case.expected, case.produced, case.margin) == (1, 0, 0)
    assert verdict.margin == 0


def test_a_wrong_target_shrinks_entry_by_entry() -> None:
    # q = 2 at N = 2 spoils position 1 alone: q > 2(4 + y) - 1 is needed there, except for token 0
    wrong = UnconditionalGeneration(4, 2, temperature=RationalSoftmax(Fraction(2)))
    case = _fuzz(st.just(wrong)).counterexample
    assert case is not None
    assert case.target == [0, 1]


@pytest.mark.parametrize(
    ("heat", "vocab", "context"), [(12.6, 12, 6), pytest.param(50.0, 94, 30, marks=pytest.mark.heavy)]
)
def test_the_notebook_s_scaling_is_caught_at_its_smallest_token(heat: float, vocab: int, context: int) -> None:
    """Dividing T = 50 by the square root of the length is too blunt at V = 94, N = 30 (paper's notebook)."""
    wrong = UnconditionalGeneration(vocab, context, temperature=Softmax(heat, "length"))
    verdict = _fuzz(st.just(wrong), FLOAT64, examples=20)
    case = verdict.counterexample
    assert verdict.holds is False
    assert case is not None

    # position t - 1 decodes token y iff exp(T/sqrt(t)) > (t-1)(2(V+y)-1), or y = 0; sharper for every smaller t
    def right(length: int, token: int) -> bool:
        return token == 0 or math.exp(heat / math.sqrt(length)) > (length - 1) * (2 * (vocab + token) - 1)

    assert all(right(length, vocab - 1) for length in range(1, context))
    smallest = min(token for token in range(vocab) if not right(context, token))
    assert case.target == [0] * (context - 1) + [smallest]
    assert (case.position, case.expected, case.produced) == (context - 1, smallest, smallest - 1)
    # the paper's own scaling at the computed temperature decodes the very same target
    assert _fuzz(st.just(replace(wrong, temperature=None)), FLOAT64, examples=20).holds is True


def test_the_same_seed_draws_the_same_cases() -> None:
    drawn = strategies.conditional_generations(9)
    first, again, other = (_fuzz(drawn, FLOAT64, examples=30, seed=seed) for seed in (7, 7, 8))
    assert (first.cases, first.margin, first.seed) == (again.cases, again.margin, 7)
    assert (other.cases, other.margin) != (first.cases, first.margin)
    wrong = st.builds(_at_the_threshold, st.integers(2, 6), st.integers(2, 3))
    assert _fuzz(wrong, seed=3).counterexample == _fuzz(wrong, seed=3).counterexample


def test_distinct_cases_are_counted() -> None:
    # two targets, one construction: 50 examples cannot be more than 2 distinct cases
    verdict = _fuzz(st.just(UnconditionalGeneration(2, 1)), examples=50)
    assert verdict.holds is True
    assert verdict.cases == 2


@pytest.mark.parametrize("examples", [1, 37])
def test_as_many_examples_as_asked_for(examples: int) -> None:
    seen: list[tuple[int, int]] = []
    drawn = strategies.conditional_generations(40)
    verdict = _fuzz(drawn, FLOAT32, examples=examples, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, examples) for done in range(1, examples + 1)]
    assert 1 <= verdict.cases <= examples


def test_the_command_is_of_the_shrunk_construction() -> None:
    drawn = st.builds(_at_the_threshold, st.integers(2, 9), st.integers(2, 5))
    case = _fuzz(drawn, command=lambda construction: command_for("theorem-1", construction)).counterexample
    assert case is not None
    assert case.reproduce == (
        "prefixproof check theorem-1 --vocab 2 --context 2 --q 5/1 --rank 1 --arithmetic rational"
    )


@pytest.mark.parametrize("examples", [0, -1, 2.5, True])
def test_a_number_of_examples_that_is_not_a_count_is_refused(examples: Any) -> None:
    with pytest.raises(InvalidArgument, match="examples"):
        _fuzz(st.just(ConditionalGeneration(2)), examples=examples)


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_a_seed_that_is_not_natural_is_refused(seed: Any) -> None:
    with pytest.raises(InvalidArgument, match="seed"):
        _fuzz(st.just(ConditionalGeneration(2)), seed=seed)


def test_nothing_drawn_is_nothing_shown() -> None:
    verdict = _fuzz(st.nothing())
    assert verdict.holds is None
    assert verdict.cases == 0
    assert verdict.reason is not None


def test_everything_filtered_out_is_nothing_shown() -> None:
    verdict = _fuzz(strategies.conditional_generations(5).filter(lambda _: False))
    assert verdict.holds is None
    assert verdict.reason is not None


@dataclass(frozen=True, repr=False)
class Fickle(Construction):
    """Theorem 2, but the promise differs at one of the calls: the same case is wrong once and then right."""

    vocab_size: int
    calls: list[int] = field(default_factory=list, compare=False)

    @property
    def layout(self) -> Layout:
        return self._right.layout

    @property
    def transformer(self) -> Transformer:
        return self._right.transformer

    @property
    def targets(self) -> TargetSpace:
        return self._right.targets

    @property
    def _right(self) -> ConditionalGeneration:
        return ConditionalGeneration(self.vocab_size)

    def encode(self, targets: IntArray) -> Ratios:
        return self._right.encode(targets)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        self.calls.append(len(targets))
        promised = self._right.answer(targets, user_inputs)
        return (promised + 1) % self.vocab_size if len(self.calls) == 3 else promised


def test_a_case_that_fails_once_and_then_not_shows_nothing() -> None:
    verdict = _fuzz(st.just(Fickle(3)))
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "different results" in verdict.reason


def test_an_error_is_not_swallowed() -> None:
    # a temperature that rational arithmetic cannot compute with is the caller's mistake, not a counterexample
    with pytest.raises(InvalidArgument, match="rational arithmetic"):
        _fuzz(st.just(ConditionalGeneration(3, temperature=2.0)))


def test_the_cases_of_a_seed_do_not_depend_on_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis would draw numbers that stand in imported modules, and keep them in the current folder."""
    monkeypatch.chdir(tmp_path)

    def drawn() -> list[int]:
        sizes: list[int] = []

        def made(size: int) -> Construction:
            sizes.append(size)
            return UnconditionalGeneration(1 + size % 3, 1)

        _fuzz(st.integers(1, 10**6).map(made), examples=100, seed=5)
        return sizes

    before = drawn()
    (tmp_path / "full_of_numbers.py").write_text(f"NUMBERS = {list(range(200_000, 200_300))}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_numbers")
    assert drawn() == before
    assert not (tmp_path / ".hypothesis").exists()
