"""Longer inputs: the exact threshold of two user tokens, and how far from it the sufficient q is elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest

from constructions import InvalidArgument, LongerInputs, RationalSoftmax
from constructions.thresholds import longer_inputs_sufficient_q, two_inputs_threshold
from tests.constructions.test_head_thresholds import is_right, run

F = Fraction
NUDGE = F(1, 10**9)
Lift = Literal["add", "mask"]
Mask = Literal["causal", "none"]


def two_inputs(vocab_size: int, q: Fraction) -> LongerInputs:
    return LongerInputs(vocab_size, 2, temperature=RationalSoftmax(q))


def hardest_map(vocab_size: int) -> Any:
    """Return the map that is ``V-1`` at the input 0, 1 and 0 everywhere else."""
    table = np.zeros((vocab_size, vocab_size), dtype=np.int64)
    table[0, 1] = vocab_size - 1
    return table


@pytest.mark.parametrize("vocab_size", [2, 4])
def test_two_inputs_at_their_threshold(vocab_size: int) -> None:
    threshold = two_inputs_threshold(vocab_size)
    assert threshold == 2 * (4 * vocab_size - 3)
    case = 1  # the input 0, 1 among all V^2 of them

    def margin(q: Fraction) -> Any:
        return run(two_inputs(vocab_size, q), [hardest_map(vocab_size)]).margins[case, 0]

    assert margin(threshold - NUDGE) < 0
    assert margin(F(threshold)) == 0
    assert margin(threshold + NUDGE) > 0


def test_all_maps_of_two_tokens_are_right_above_it() -> None:
    assert is_right(two_inputs(2, two_inputs_threshold(2) + NUDGE))


def test_maps_of_three_tokens_are_right_above_it() -> None:
    construction = two_inputs(3, two_inputs_threshold(3) + NUDGE)
    extreme = [np.full((3, 3), 2), np.eye(3, dtype=np.int64) * 2, 2 - np.eye(3, dtype=np.int64) * 2]
    assert is_right(construction, [hardest_map(3), *extreme, *construction.targets.sample(9, seed=0)])


def test_a_single_token_needs_no_temperature() -> None:
    assert two_inputs_threshold(1) == 0
    assert is_right(two_inputs(1, F(6)))
    with pytest.raises(InvalidArgument, match=r"^vocab_size: expected an integer >= 1 but got 0 \(type int\)$"):
        two_inputs_threshold(0)


def test_what_is_sufficient_is_more_than_what_is_needed() -> None:
    for vocab_size in range(2, 20):
        exact = two_inputs_threshold(vocab_size)
        assert exact < longer_inputs_sufficient_q(vocab_size, 2, causal=True, lift="add") == exact + 4 + 1


ENCLOSURES = [
    pytest.param(2, "none", "add", F("17.56"), F("17.58"), 62),
    pytest.param(2, "none", "mask", F("22.17"), F("22.19"), 126),
    pytest.param(3, "causal", "add", F("31.28"), F("31.32"), 62, marks=pytest.mark.heavy),
]


@pytest.mark.parametrize(("size", "mask", "lift", "needed", "enough", "sufficient"), ENCLOSURES)
def test_the_gap_to_the_sufficient_q(
    size: int, mask: Mask, lift: Lift, needed: Fraction, enough: Fraction, sufficient: int
) -> None:
    """All maps at V = 2: one is wrong at the lower end, and all are right at the upper one."""

    def right(q: Fraction) -> bool:
        return is_right(LongerInputs(2, size, lift, temperature=RationalSoftmax(q), mask=mask))

    assert not right(needed)
    assert right(enough)
    assert longer_inputs_sufficient_q(2, size, causal=mask == "causal", lift=lift) == sufficient
