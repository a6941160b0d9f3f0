"""The exact engine against the cases one by one, on random constructions: the same findings, Fraction by Fraction."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructions import InvalidArgument
from tests.exact_engine.given import Given, promising, same
from tests.exact_engine.random_models import drawn_construction


def _compared(draw: random.Random) -> bool:
    """Compare one random construction; return whether the engine covers it."""
    made = drawn_construction(draw)
    try:
        kept = promising(made)
    except InvalidArgument:  # scores that are no integers, at a softmax
        return False
    covered = same(kept)
    if made.output_vocab_size > 1:
        assert same(promising(made, wrong=[draw.randrange(100)])) == covered
    assert same(made) == covered  # most of its promises are wrong
    return covered


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_random_construction(draw: random.Random) -> None:
    _compared(draw)


def test_nearly_all_random_constructions_are_covered() -> None:
    found = [_compared(random.Random(seed)) for seed in range(12)]
    assert sum(found) > 0.9 * len(found)


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.long if part else pytest.mark.heavy) for part in range(8)]
)
def test_many_random_constructions(part: int) -> None:
    found = [_compared(random.Random(f"{part} {seed}")) for seed in range(400)]
    assert sum(found) > 0.9 * len(found)


def test_constructions_are_drawn_of_all_kinds() -> None:
    made: list[Given] = [drawn_construction(random.Random(seed)) for seed in range(200)]
    assert {one.mask for one in made} == {"causal", "none"}
    assert {one.layout.virtual for one in made} == {one.layout.user for one in made} == {0, 1, 2}
    assert {str(one.numerators.dtype) for one in made if one.numerators is not None} >= {"int64", "object", "int8"}
