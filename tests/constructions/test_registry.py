"""A registry: names, order, one more for a while, and no name twice."""

from __future__ import annotations

import pytest

from constructions import InvalidArgument
from constructions.registry import Registry


def test_names_and_order() -> None:
    held = Registry("word", ["bb", "a"], name=str)
    assert (list(held), held["a"], len(held), "c" in held) == (["bb", "a"], "a", 2, False)
    assert held.add("c") == "c"
    assert list(held.values()) == ["bb", "a", "c"]
    with pytest.raises(KeyError):
        held["d"]


def test_the_largest_come_first_and_equal_ones_as_they_came() -> None:
    held = Registry("word", ["b", "ccc", "a", "dd"], name=str, order=len)
    assert list(held) == ["ccc", "dd", "b", "a"]
    held.add("ee")
    assert list(held) == ["ccc", "dd", "ee", "b", "a"]


def test_a_name_that_is_taken_is_refused_and_the_first_stays() -> None:
    held = Registry("word", ["a", "B"], name=str.lower)
    with pytest.raises(InvalidArgument, match="word: expected a name that is not taken but got 'a'"):
        held.add("A")
    assert held["a"] == "a"
    with pytest.raises(InvalidArgument, match="not taken"):
        Registry("word", ["a", "a"], name=str)


def test_one_more_for_a_while_goes_even_after_an_error() -> None:
    held = Registry("word", ["a"], name=str)
    with pytest.raises(KeyError), held.having("b"):
        held["c"]
    assert list(held) == ["a"]
    with pytest.raises(InvalidArgument), held.having("a"):
        pass
    assert list(held) == ["a"]
