"""Domains: their size, their order both ways, their samples, and what they refuse."""

from __future__ import annotations

import doctest
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import constructions.domain
from constructions import Domain, InvalidArgument, TargetSpace
from constructions.domain import MOST_COUNTED

ALPHABETS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True).map(tuple), max_size=4)


def _listed(domain: Domain) -> list[tuple[int, ...]]:
    every = [list(row) for row in itertools.product(*domain.alphabets)]
    if domain.allowed is None:
        return [tuple(row) for row in every]
    return [tuple(row) for row in every if domain.allowed(np.array([row], dtype=np.int64).reshape(1, -1))[0]]


def _even_sum(x: Any) -> Any:
    return x.sum(axis=1) % 2 == 0


def test_the_examples_run() -> None:
    assert doctest.testmod(constructions.domain).failed == 0


@given(ALPHABETS, st.booleans())
def test_it_is_what_a_product_and_a_filter_give(alphabets: Any, filtered: Any) -> None:
    domain = Domain(tuple(alphabets), _even_sum if filtered else None)
    listed = _listed(domain)
    if not listed:
        with pytest.raises(InvalidArgument, match="allowed: expected at least one input"):
            _ = domain.size
        return
    assert domain.size == len(listed)
    every = domain.unrank_range(0, domain.size)
    assert [tuple(row) for row in every.tolist()] == listed
    for rank, row in enumerate(listed):
        assert tuple(domain.unrank(rank).tolist()) == row
        assert domain.rank(row) == rank
    assert domain.unrank_range(domain.size // 2, domain.size).tolist() == every[domain.size // 2 :].tolist()
    drawn = domain.sample(50, seed=3)
    assert {tuple(row) for row in drawn.tolist()} <= set(listed)
    assert domain.contains(drawn).all()
    assert (drawn == domain.sample(50, seed=3)).all()


def test_what_is_not_in_it_is_told() -> None:
    domain = Domain((range(2, 5), (7, 1), range(3)), lambda x: x[:, 0] > x[:, 2])
    rows = np.array(list(itertools.product(range(9), repeat=3)))
    inside = set(_listed(domain))
    assert [tuple(row) in inside for row in rows.tolist()] == domain.contains(rows).tolist()
    with pytest.raises(InvalidArgument, match="user_input: expected an input of the domain"):
        domain.rank([2, 7, 2])


def test_samples_reach_everything_and_agree_with_a_space_of_targets() -> None:
    domain = Domain((range(3), (5, 2)), _even_sum)
    assert {tuple(row) for row in domain.sample(200, seed=0).tolist()} == set(_listed(domain))
    assert (Domain.of(5, 3).sample(40, seed=9) == TargetSpace(5, (3,)).sample(40, seed=9)).all()


def test_a_huge_one_is_counted_and_unranked_exactly() -> None:
    domain = Domain.of(1000, 50)
    assert domain.size == 1000**50
    assert domain.unrank(domain.size - 1).tolist() == [999] * 50
    assert domain.unrank_range(domain.size - 2, domain.size).tolist() == [[999] * 49 + [998], [999] * 50]
    assert domain.rank([999] * 50) == domain.size - 1


def test_a_predicate_is_counted_up_to_the_bound_and_refused_beyond() -> None:
    assert Domain((range(MOST_COUNTED),), lambda x: x[:, 0] % 2 == 1).size == MOST_COUNTED // 2
    with pytest.raises(InvalidArgument, match=r"allowed: expected at most 16777216 combinations .* at least 2\^24"):
        _ = Domain((range(MOST_COUNTED + 1),), lambda x: x[:, 0] >= 0).size


def test_a_predicate_that_is_no_function_is_refused() -> None:
    draw = np.random.default_rng(0)
    with pytest.raises(InvalidArgument, match="allowed: expected a function"):
        _ = Domain.of(9, 2, lambda x: draw.random(len(x)) < 0.5).size
    with pytest.raises(InvalidArgument, match="allowed: expected a function"):
        _ = Domain.of(9, 2, lambda x: np.arange(len(x)) % 2 == 0).size


def test_a_predicate_that_writes_into_its_argument_changes_nothing() -> None:
    def greedy(x: Any) -> Any:
        found = x[:, 0] <= x[:, 1]
        x[:] = 0
        return found

    assert Domain.of(3, 2, greedy).unrank_range(0, 6).tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]


@pytest.mark.parametrize(
    "said", [None, True, [True] * 9, np.ones(9), np.ones((9, 1), dtype=bool), np.ones(8, dtype=bool)]
)
def test_a_predicate_must_give_booleans(said: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"allowed: expected booleans of shape \(9\)"):
        _ = Domain.of(3, 2, lambda _: said).size


@pytest.mark.parametrize(
    "alphabets", [5, ((),), ((1, 1),), ((-1,),), ((0.5,),), ((True,),), ("ab",), (3,), (range(-1, 2),)]
)
def test_alphabets_are_distinct_natural_numbers(alphabets: Any) -> None:
    with pytest.raises(InvalidArgument, match="alphabets"):
        Domain(alphabets)


def test_a_domain_cannot_be_subclassed_and_other_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected no subclass of Domain"):
        type("Fewer", (Domain,), {"size": 1})
    with pytest.raises(InvalidArgument, match="allowed: expected a function"):
        Domain.of(2, 1, 3)  # type: ignore[arg-type] # what is refused
    for rank in (-1, 4, 0.0):
        with pytest.raises(InvalidArgument, match="rank"):
            Domain.of(2, 2).unrank(rank)  # type: ignore[arg-type] # what is refused
    assert Domain(((0, 1, 2),)) == Domain.of(3, 1)
    assert "0x" not in repr(Domain.of(3, 1, _even_sum))
