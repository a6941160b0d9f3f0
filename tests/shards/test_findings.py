"""Findings of shards: they merge in any order, travel as JSON, and are refused where they cannot be a shard's."""

from __future__ import annotations

import functools
import json
import operator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.running.ranks import RankTally
from verify.shards.findings import Findings


@st.composite
def shards(draw: st.DrawFn) -> list[Findings]:
    """Draw the findings of shards of ten units each."""
    found = []
    for place in range(draw(st.integers(0, 6))):
        start = 10 * place
        failure = draw(st.none() | st.integers(start, start + 9))
        cases = 10 if failure is None else failure - start
        margin = draw(st.sampled_from([Fraction(1, 3), Fraction(1, 2)]) | st.none()) if cases else None
        closest = None if margin is None else start + draw(st.integers(0, cases - 1))
        changed = draw(st.none() | st.just((start, "another")))
        names = draw(st.frozensets(st.sampled_from("abc")))
        shard = None if margin is None else (start, start + 10)
        found.append(Findings(RankTally(cases, margin, closest, failure), shard, changed, names))
    return found


@given(shards(), st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_order(parts: list[Findings], draw: Any) -> None:
    merged = functools.reduce(operator.add, parts, Findings())
    shuffled = sorted(parts, key=lambda _: draw.random())
    assert functools.reduce(operator.add, shuffled, Findings()) == merged
    half = len(shuffled) // 2
    first, second = (functools.reduce(operator.add, some, Findings()) for some in (shuffled[:half], shuffled[half:]))
    assert second + first == merged
    assert merged.tally.cases == sum(part.tally.cases for part in parts)
    assert merged.tally.failure == min((p.tally.failure for p in parts if p.tally.failure is not None), default=None)


@given(shards())
def test_they_travel_as_json_and_can_be_their_shards(parts: list[Findings]) -> None:
    for place, part in enumerate(parts):
        assert Findings.from_json(json.loads(json.dumps(part.to_json()))) == part
        assert part.objection(10 * place, 10 * place + 10) is None


RIGHT = Findings(RankTally(10, 0.5, 13), (10, 20))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(RIGHT, tally=RankTally(9, 0.5, 13)),  # a unit that was left out
        replace(RIGHT, tally=RankTally(11, 0.5, 13)),  # or counted twice
        replace(RIGHT, tally=RankTally(10, 0.5, 9)),  # a place in another shard
        replace(RIGHT, tally=RankTally(10, 0.5, 20)),
        replace(RIGHT, tally=RankTally(10, 0.5, 13, failure=20)),
        replace(RIGHT, tally=RankTally(10, 0.5, 13, failure=19)),  # ten are right before the tenth
        replace(RIGHT, tally=RankTally(3, 0.5, 14, failure=13)),  # the smallest margin after the failure
        replace(RIGHT, shard=None),
        replace(RIGHT, shard=(0, 20)),
        replace(RIGHT, shard=(14, 20)),
        replace(RIGHT, changed=(20, "another")),
    ],
)
def test_what_cannot_be_a_shard_is_told(wrong: Findings) -> None:
    assert RIGHT.objection(10, 20) is None
    assert wrong.objection(10, 20) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"cases": -1},
        {"cases": "-1"},
        {"cases": "1.0"},
        {"cases": "٣"},
        {"margin": "0"},
        {"margin": "-1/2"},
        {"margin": "nan"},
        {"margin": True},
        {"identities": [1]},
        {"changed": ["1", 2]},
        {"more": 1},
    ],
)
def test_what_is_no_findings_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Findings.from_json({**RIGHT.to_json(), **change})
