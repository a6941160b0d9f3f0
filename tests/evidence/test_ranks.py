"""Findings of ranges of the enumeration: they merge in any order, and find the first failure."""

from __future__ import annotations

import functools
import itertools
import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import RationalSoftmax, UnconditionalGeneration
from constructions.validation import InvalidArgument
from verify import CallableBackend, NumpyArithmetic, RationalArithmetic, Runner, exhaust
from verify.evidence import enumeration
from verify.evidence.ranges import tally_ranks
from verify.running.ranks import RankTally

tallies = st.lists(
    st.tuples(st.integers(0, 9), st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.0])), st.booleans()), max_size=6
).map(
    lambda ranges: [
        RankTally(cases, margin, None if margin is None else 10 * place, 10 * place + 9 if failed else None)
        for place, (cases, margin, failed) in enumerate(ranges)
    ]
)


@given(tallies, st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_order(parts: list[RankTally], draw: object) -> None:
    shuffled = sorted(parts, key=lambda _: draw.random())  # type: ignore[attr-defined] # hypothesis' Random
    merged = functools.reduce(operator.add, parts, RankTally())
    assert functools.reduce(operator.add, shuffled, RankTally()) == merged
    assert functools.reduce(lambda one, other: other + one, parts, RankTally()) == merged


@pytest.mark.parametrize("size", [1, 4, 27])
def test_ranges_add_up_to_the_whole(size: int) -> None:
    runner = Runner(UnconditionalGeneration(3, 3), RationalArithmetic())
    whole = tally_ranks(runner, 0, 27, size=size)
    assert whole.cases == 27
    assert whole.failure is None
    assert whole.margin == exhaust(runner.construction, RationalArithmetic()).margin == Fraction(1, 189)
    for one, other in itertools.combinations([0, 5, 11, 27], 2):
        parts = (tally_ranks(runner, *ends, size=size) for ends in itertools.pairwise((0, one, other, 27)))
        assert sum(parts, RankTally()) == whole


def test_stops_at_the_first_failure() -> None:
    construction = UnconditionalGeneration(3, 2)
    runner = Runner(construction, CallableBackend(lambda *_: np.array([[1, 0]]), gives="tokens", batched=False))
    # rank 3 is the target (1, 0); everything before it is wrong already
    assert tally_ranks(runner, 0, 9, size=4) == RankTally(failure=0)
    assert tally_ranks(runner, 3, 9, size=4) == RankTally(cases=1, failure=4)


def test_nothing_runs_after_a_witness_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way to run many at once that calls some right, and then gives up: one of these is drawn, and refutes it."""
    answers = iter([RankTally(64, Fraction(1, 2), 0), None])
    monkeypatch.setattr(enumeration, "at_once", lambda *_: next(answers))
    verdict = exhaust(UnconditionalGeneration(5, 3, temperature=RationalSoftmax(Fraction(2))), RationalArithmetic())
    assert (verdict.holds, verdict.cases) == (False, 64)


def test_one_token_has_no_margin() -> None:
    found = tally_ranks(Runner(UnconditionalGeneration(1, 2), NumpyArithmetic()), 0, 1, size=1)
    assert found == RankTally(cases=1)


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan")])
def test_refuses_a_margin_that_shows_nothing(margin: float) -> None:
    with pytest.raises(InvalidArgument, match="margin: expected a positive number but got"):
        RankTally(1, margin, 0)
