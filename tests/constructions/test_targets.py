"""The space of targets: its size, its order both ways, its ends, its samples, and what it refuses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import (
    ConditionalGeneration,
    Domain,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    TargetSpace,
    UnconditionalGeneration,
)

SPACES = st.builds(TargetSpace, st.integers(1, 100), st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))


@pytest.mark.parametrize("space", [TargetSpace(3, (4,)), TargetSpace(2, (2, 3)), TargetSpace(1, (5,))])
def test_the_order_is_lexicographic(space: TargetSpace) -> None:
    listed = [list(digits) for digits in itertools.product(range(space.vocab_size), repeat=space.digits)]
    assert space.size == len(listed)
    assert space.unrank_range(0, space.size).reshape(space.size, -1).tolist() == listed
    assert [space.unrank(rank).reshape(-1).tolist() for rank in range(space.size)] == listed
    assert [space.rank(space.unrank(rank)) for rank in range(space.size)] == list(range(space.size))


@given(SPACES, st.data())
def test_rank_and_unrank_are_inverse(space: TargetSpace, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, space.size - 1))
    target = space.unrank(rank)
    assert target.shape == space.shape
    assert target.dtype == np.int64
    assert space.rank(target) == rank
    stop = min(space.size, rank + 3)
    assert space.unrank_range(rank, stop).tolist() == [space.unrank(place).tolist() for place in range(rank, stop)]


def test_a_huge_space_is_exact() -> None:
    space = UnconditionalGeneration(94, 20).targets
    assert space.size == 94**20
    last = [93] * 20
    assert space.rank(last) == 94**20 - 1
    assert space.unrank(94**20 - 1).tolist() == last
    assert space.rank([1] + [0] * 19) == 94**19
    assert space.unrank_range(94**20 - 2, 94**20).tolist() == [[93] * 19 + [92], last]
    middle = space.unrank_range(2**62 - 1, 2**62 + 1)  # where int64 arithmetic ends
    assert [space.rank(target) for target in middle] == [2**62 - 1, 2**62]


@pytest.mark.parametrize("vocab_size", [2, 94, 2**20, 2**62, 2**62 + 1, 2**63 - 1])
def test_ranges_beyond_int64(vocab_size: int) -> None:
    space = TargetSpace(vocab_size, (10,) if vocab_size > 2 else (70,))
    ends = vocab_size ** next(count for count in range(64) if vocab_size ** (count + 1) > 2**62)  # int64 ranks these
    for start in (2**62 - 2, 2**62, 3 * 2**62 // ends * ends + ends - 2, space.size - 5):
        rows = space.unrank_range(start, start + 5)
        assert rows.tolist() == [space.unrank(rank).tolist() for rank in range(start, start + 5)]
    assert space.unrank_range(2**63, 2**63).shape == (0, *space.shape)


def test_the_spaces_of_the_constructions() -> None:
    assert UnconditionalGeneration(5, 3).targets == TargetSpace(5, (3,))
    assert ConditionalGeneration(5).targets.size == 5**5
    assert LongerResponses(3, 2).targets == TargetSpace(3, (2, 3))
    assert LongerInputs(2, 3).targets == TargetSpace(2, (2, 2, 2))
    assert UnconditionalGeneration(5, 3).user_inputs.size == 1
    assert LongerInputs(2, 3).user_inputs == Domain.of(2, 3)


def test_samples() -> None:
    space = TargetSpace(4, (2, 3))
    sample = space.sample(2000, seed=3)
    assert sample.shape == (2000, 2, 3)
    assert sample.dtype == np.int64
    assert sample.tolist() == space.sample(2000, seed=3).tolist()
    assert sample.tolist() != space.sample(2000, seed=4).tolist()
    assert {*sample.reshape(-1).tolist()} == {0, 1, 2, 3}
    # each digit comes 500 times with a standard deviation below 20; six of them would be one in a billion
    for digit in sample.reshape(2000, 6).T:
        assert all(abs(count - 500) < 6 * 20 for count in np.bincount(digit, minlength=4))
    assert space.sample(0, seed=0).shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda space: space.unrank(9), "rank: expected an integer <= 8 but got 9 (type int)"),
        (lambda space: space.unrank(-1), "rank: expected an integer >= 0 but got -1 (type int)"),
        (lambda space: space.unrank(1.0), "rank: expected an integer >= 0 but got 1.0 (type float)"),
        (lambda space: space.unrank(np.True_), "rank: expected an integer >= 0 but got np.True_ (type bool)"),
        (lambda space: space.unrank_range(0, 10), "stop: expected an integer <= 9 but got 10 (type int)"),
        (lambda space: space.unrank_range(3, 2), "start: expected an integer <= 2 but got 3 (type int)"),
        (lambda space: space.unrank_range(-1, 2), "start: expected an integer >= 0 but got -1 (type int)"),
        (lambda space: space.sample(-1, seed=0), "count: expected an integer >= 0 but got -1 (type int)"),
        (lambda space: space.sample(1, seed=-1), "seed: expected an integer >= 0 but got -1 (type int)"),
        (
            lambda space: space.rank([0, 3]),
            "target: expected integers from 0 to 2 of shape (2) but got [0, 3] (type list)",
        ),
        (lambda space: space.rank([0]), "target: expected integers from 0 to 2 of shape (2) but got [0] (type list)"),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(TargetSpace(3, (2,)))
    assert str(caught.value) == message


def test_a_batch_has_no_single_rank() -> None:
    with pytest.raises(InvalidArgument):
        TargetSpace(3, (2,)).rank([[0, 1], [1, 1]])


def test_the_empty_ranges() -> None:
    assert TargetSpace(3, (2,)).unrank_range(9, 9).shape == (0, 2)
    assert TargetSpace(3, (0,)).unrank(0).shape == (0,)
