"""The finder: the smallest failing sizes, target, position and token; against brute force."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Construction, InvalidArgument, LongerInputs, RationalSoftmax, UnconditionalGeneration
from verify import check
from verify.arithmetic import NumpyArithmetic, RationalArithmetic, torch_arithmetic
from verify.evidence.finder import find_counterexample
from verify.evidence.verdict import Counterexample
from verify.running.cases import Outcome, Runner

EXACT = RationalArithmetic()


def blunt(vocab_size: int, context_size: int) -> Construction:
    return UnconditionalGeneration(vocab_size, context_size, temperature=RationalSoftmax(Fraction(9)))


def test_the_smallest_case_is_the_one_of_brute_force() -> None:
    ranges = {"vocab_size": range(1, 4), "context_size": range(1, 4)}
    verdict = find_counterexample(blunt, ranges, EXACT, claim="blunt")
    found = verdict.counterexample
    assert isinstance(found, Counterexample)
    sizes = sorted(itertools.product(range(1, 4), repeat=2), key=lambda pair: (max(pair), pair))
    failing = [
        (pair, rank)
        for pair in sizes
        for rank in range(pair[0] ** pair[1])
        if not check(blunt(vocab_size=pair[0], context_size=pair[1]), rank=rank).holds
    ]
    (vocab_size, context_size), rank = failing[0]
    assert verdict.parameters["vocab_size"] == vocab_size
    assert verdict.parameters["context_size"] == context_size
    assert found.rank == rank
    assert (found.position, found.expected, found.produced) == (2, 1, 0)
    assert found.margin == Fraction(-1, 44)


def test_every_size_right_is_a_pass_only_when_all_was_run() -> None:
    ranges = {"vocab_size": range(1, 4), "context_size": range(1, 4)}
    everything = find_counterexample(UnconditionalGeneration, ranges, EXACT, claim="sharp")
    assert (everything.holds, everything.cases) == (True, sum(v**n for v in range(1, 4) for n in range(1, 4)))
    partly = find_counterexample(UnconditionalGeneration, ranges, EXACT, claim="sharp", limit=10)
    assert partly.holds is None
    assert "have more than 10 cases" in str(partly.reason)


def test_a_large_space_is_searched_by_constant_targets_and_shrunk() -> None:
    def build(context_size: int) -> Construction:
        return UnconditionalGeneration(6, context_size, temperature=RationalSoftmax(Fraction(104)))

    verdict = find_counterexample(build, {"context_size": range(5, 9)}, NumpyArithmetic(), claim="large")
    found = verdict.counterexample
    assert isinstance(found, Counterexample)
    assert verdict.parameters["context_size"] == 6  # q must be above (N-1)(4V-3) = 105
    assert found.target == [0, 0, 0, 0, 0, 5]
    again = check(build(6), target=np.array(found.target), arithmetic="numpy", dtype="float64")
    assert again.holds is False


def test_a_refused_size_is_not_a_pass() -> None:
    def build(vocab_size: int) -> Construction:
        return LongerInputs(vocab_size, 2)

    verdict = find_counterexample(build, {"vocab_size": range(2, 40)}, torch_arithmetic("float16", "cpu"), claim="x")
    assert verdict.holds is None
    assert "refused at" in str(verdict.reason)


def test_the_shrunk_case_still_fails_and_no_lower_entry_does() -> None:
    construction = replace(UnconditionalGeneration(4, 3), temperature=RationalSoftmax(Fraction(5)))
    verdict = find_counterexample(lambda vocab_size: replace(construction, vocab_size=vocab_size),
                                  {"vocab_size": [4]}, EXACT, claim="x", limit=1)  # fmt: skip # one call
    found = verdict.counterexample
    assert isinstance(found, Counterexample)
    runner = Runner(construction, EXACT)
    none = np.zeros((1, 0), dtype=np.int64)
    target = np.array(found.target)
    assert runner.run(target[None], none).failures().any()
    for place in range(3):
        if target[place]:
            lower = target.copy()
            lower[place] -= 1
            assert not runner.run(lower[None], none).failures().any()


def test_a_case_that_fails_only_alone_names_the_sizes_it_fails_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may be right in a batch and not alone, as one of float32 is at V = 2553; it is emulated here."""
    run = Runner.run

    def batch_dependent(runner: Runner, targets: Any, user_inputs: Any, trace: Any = None) -> Outcome:
        outcome = run(runner, targets, user_inputs, trace)
        alone = len(targets) == 1 and runner.construction.vocab_size == 3
        return replace(outcome, margins=np.zeros_like(outcome.margins)) if alone else outcome

    monkeypatch.setattr(Runner, "run", batch_dependent)
    verdict = find_counterexample(
        lambda vocab_size: UnconditionalGeneration(vocab_size, 1), {"vocab_size": range(2, 4)}, EXACT, claim="x"
    )
    assert verdict.holds is False
    assert verdict.parameters["vocab_size"] == 3


def test_bad_ranges_are_refused() -> None:
    for ranges in ({}, {"vocab_size": range(0)}):
        with pytest.raises(InvalidArgument, match="ranges: expected at least one value for every size"):
            find_counterexample(blunt, ranges, EXACT, claim="x")
    with pytest.raises(InvalidArgument, match="limit: expected an integer >= 1"):
        find_counterexample(blunt, {"vocab_size": [1]}, EXACT, claim="x", limit=0)
