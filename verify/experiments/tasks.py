"""The tasks of the paper's experiments: a sequence of digits, and the sequence that answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from constructions.registry import Registry
from constructions.validation import IntArray

#: Digits of a question are 0..7; the tokens of a model are 0..9, so that 2 can be added to each digit.
DIGITS, VOCABULARY = 8, 10


@dataclass(frozen=True)
class Task:
    """A task that answers a sequence of digits by one of the same length.

    Attributes:
        name: as results and messages say it.
        answer: takes int64 sequences x length of digits, and returns as many tokens.

    """

    name: str
    answer: Callable[[IntArray], IntArray]


def _ascending(questions: IntArray) -> IntArray:
    return np.sort(questions, axis=1)


def _double_histogram(questions: IntArray) -> IntArray:
    """Return, for each digit, how many digits come exactly as often as it does (``hist2`` of RASP)."""
    counts = (questions[:, :, None] == np.arange(DIGITS)).sum(axis=1)
    own = np.take_along_axis(counts, questions, axis=1)
    return np.asarray((counts[:, None, :] == own[:, :, None]).sum(axis=2))


#: Every task by its name. A new one is registered here.
TASKS: Registry[Task] = Registry(
    "task",
    (
        Task("ascending", _ascending),
        Task("descending", lambda questions: _ascending(questions)[:, ::-1]),
        Task("add-one", lambda questions: questions + 1),
        Task("add-two", lambda questions: questions + 2),
        Task("ascending-add-one", lambda questions: _ascending(questions) + 1),  # two of the above, composed
        Task("double-histogram", _double_histogram),  # as Weiss, Goldberg and Yahav define it
    ),
    name=lambda task: task.name,
)
