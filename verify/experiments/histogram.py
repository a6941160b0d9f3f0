"""The new skill of the paper's experiments: how often each digit of the question comes."""

from __future__ import annotations

import numpy as np

from constructions.validation import IntArray
from verify.experiments.tasks import DIGITS, TASKS, VOCABULARY, Task


def _histogram(questions: IntArray) -> IntArray:
    """Return, for each digit, how many digits of its question equal it, or the last token where there is none so large.

    Only ten equal digits come more often than the last token says.
    """
    counts = (questions[:, :, None] == np.arange(DIGITS)).sum(axis=1)
    return np.asarray(np.minimum(np.take_along_axis(counts, questions, axis=1), VOCABULARY - 1))


#: The task that the paper calls double histogram. Its companion code counts how often a digit comes, where the double
#: histogram of Weiss, Goldberg and Yahav (``double-histogram`` here) counts how many digits come as often.
HISTOGRAM = TASKS.add(Task("histogram", _histogram)).name
