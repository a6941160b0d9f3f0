"""The plan of a claim: which sizes are shown by which kind of evidence, in which numbers.

Plans are data. They name kinds of evidence and numbers in words, which ``verify.suite`` knows how to gather and to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final


@final
@dataclass(frozen=True)
class Step:
    """One piece of evidence to gather.

    Attributes:
        evidence: the kind, in a word of ``verify.suite.steps.STEPS``, such as ``exhausted``.
        numbers: in a word of ``verify.suite.numbers.NUMBERS``: ``real``, ``rational``, or ``floats`` for every float
            format that is asked for.
        sizes: by the construction's fields: a number, or the range of those to look at.
        options: other fields of the construction, where they are not at their defaults.

    """

    evidence: str
    numbers: str
    sizes: Mapping[str, int | range] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


#: The steps of a claim or of a construction, in the order in which they are gathered in any one kind of numbers.
Plan = tuple[Step, ...]


def up_to(last: int) -> range:
    """Return the sizes from 1 to ``last``.

    Example:
        >>> up_to(3)
        range(1, 4)

    """
    return range(1, last + 1)


#: Every vocabulary up to this one is swept: the printable characters, 94 in the paper's notebook.
SWEPT_VOCABULARY = 94
