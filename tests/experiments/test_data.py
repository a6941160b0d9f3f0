"""Tasks, draws and the split: what the experiments are trained and measured on. No optional library is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from verify.experiments.base import at_least, below
from verify.experiments.draws import draw, held_out, number
from verify.experiments.histogram import HISTOGRAM
from verify.experiments.models import mixed, read_by
from verify.experiments.tasks import DIGITS, TASKS, VOCABULARY


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("ascending", [0, 1, 1, 7, 7, 7]),
        ("descending", [7, 7, 7, 1, 1, 0]),
        ("add-one", [8, 2, 8, 1, 2, 8]),
        ("add-two", [9, 3, 9, 2, 3, 9]),
        ("ascending-add-one", [1, 2, 2, 8, 8, 8]),
        ("double-histogram", [1, 1, 1, 1, 1, 1]),  # three of 7, two of 1, one of 0: each number of times is one digit's
        (HISTOGRAM, [3, 2, 3, 1, 2, 3]),
    ],
)
def test_tasks(task: str, answer: list[int]) -> None:
    assert TASKS[task].answer(np.array([[7, 1, 7, 0, 1, 7]])).tolist() == [answer]


def test_double_histogram_counts_digits_that_come_as_often() -> None:
    given = np.array([[0, 1, 1, 2], [3, 3, 4, 4], [5, 5, 5, 5]])
    assert TASKS["double-histogram"].answer(given).tolist() == [[2, 1, 1, 2], [2, 2, 2, 2], [1, 1, 1, 1]]


def test_the_histogram_is_that_of_the_papers_code_and_not_the_double_one() -> None:
    given = np.array([[0, 1, 1, 2], [3, 3, 4, 4], [5, 5, 5, 5]])
    assert TASKS[HISTOGRAM].answer(given).tolist() == [[1, 2, 2, 1], [2, 2, 2, 2], [4, 4, 4, 4]]


def test_ten_equal_digits_are_counted_by_the_last_token() -> None:
    """There is no token 10: a loss on it would end the run. Nine are counted."""
    given = np.array([[6] * 9 + [0], [6] * 10])
    assert TASKS[HISTOGRAM].answer(given).tolist() == [[9] * 9 + [1], [9] * 10]


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_tokens(task: str) -> None:
    answers = TASKS[task].answer(draw(200, 10, "any", test=False))
    assert answers.shape == (200, 10)
    assert answers.min() >= 0
    assert answers.max() < VOCABULARY


def test_the_split_is_of_the_sequence_alone() -> None:
    every = np.stack(np.meshgrid(*[np.arange(DIGITS)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    held = held_out(every)
    # a share of 1/4 of 4,096: four standard deviations are 111
    assert abs(held.sum() - 1024) < 111
    assert (held_out(every[::-1]) == held[::-1]).all()
    # no salt of this process, and no choice of this machine
    assert np.flatnonzero(held_out(np.arange(DIGITS)[:, None].repeat(6, axis=1))).tolist() == [1, 4, 7]
    assert draw(2, 6, "x", test=True).tolist() == [[4, 2, 5, 2, 0, 4], [1, 4, 4, 6, 6, 5]]


def test_nothing_that_is_trained_on_is_held_out() -> None:
    assert held_out(draw(500, 6, "here", test=True)).all()
    assert not held_out(draw(500, 6, "here", test=False)).any()


def test_draws_with_many_distinct_digits_are_rejected_half_of_the_time() -> None:
    def share(rows: Any) -> float:
        return float(np.mean([len(set(row)) > 5 for row in rows.tolist()]))

    plain = share(np.random.default_rng(0).integers(DIGITS, size=(20_000, 10)))
    found = share(draw(20_000, 10, "any", test=False))
    # p/2 of p/2 + (1 - p); five standard deviations of a share of 20,000 are below 0.018
    assert abs(found - plain / 2 / (1 - plain / 2)) < 2 * 0.018


def test_words_decide_what_is_drawn() -> None:
    assert number("a", 1) == number("a", 1)
    assert number("a", 1) != number("a", 2)
    assert (draw(5, 6, "a", test=True) == draw(5, 6, "a", test=True)).all()
    assert (draw(50, 6, "a", test=True) != draw(50, 6, "b", test=True)).any()


def test_a_mixture_answers_each_question_by_one_of_its_tasks() -> None:
    questions = draw(300, 6, "any", test=False)
    answers = mixed(questions, ("add-one", "add-two"), "here")
    added = answers - questions
    assert (added == added[:, :1]).all()
    assert set(added[:, 0].tolist()) == {1, 2}
    assert (read_by(questions, answers)[:, 6:] == answers[:, :-1]).all()


def test_checks_hold_on_numbers_alone() -> None:
    assert at_least("x", [1.0, 2.0], 1).holds
    assert not at_least("x", [1.0, 0.99], 1).holds
    assert below("x", [0.99], 1).holds
    assert not below("x", [0.5, 1.0], 1).holds
    for check in (at_least, below):
        assert not check("x", [float("nan")], 1).holds
        assert not check("x", [], 1).holds
        assert not check("x", [1.0, float("nan")], 1).holds or check is below
    assert not below("x", [0.5, float("nan")], 1).holds
    assert not at_least("x", [2.0, float("nan")], 1).holds
