"""A range of the enumeration and its findings: what a fast engine returns at once, and what shards add up.

The findings of two ranges that do not overlap merge in any order and with any grouping to the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from constructions.validation import reject
from verify.numbers import Margin


@dataclass(frozen=True)
class RankTally:
    """The findings of some ranks of the enumeration.

    Attributes:
        cases: how many ranks were run and are shown right; those above the first failure of a range are not run.
        margin: the smallest margin among these, ``None`` where there is none to speak of.
        closest: the first rank that has it.
        failure: the first rank that is not shown right, ``None`` where every rank is.

    Example:
        >>> RankTally(5, 0.25, 3) + RankTally(5, 0.25, 8)
        RankTally(cases=10, margin=0.25, closest=3, failure=None)

    """

    cases: int = 0
    margin: Margin | None = None
    closest: int | None = None
    failure: int | None = None

    def __post_init__(self) -> None:
        """Refuse a margin that is not positive: such a rank is a failure, and is not counted."""
        if self.margin is not None and not self.margin > 0:
            reject("margin", "a positive number", self.margin)

    def __add__(self, other: RankTally) -> RankTally:
        """Return the findings of both ranges, which have no rank in common."""
        failures = [failure for failure in (self.failure, other.failure) if failure is not None]
        found = [
            (tally.margin, tally.closest)
            for tally in (self, other)
            if tally.margin is not None and tally.closest is not None
        ]
        margin, closest = min(found) if found else (None, None)
        return RankTally(self.cases + other.cases, margin, closest, min(failures, default=None))
