"""Evidence: the cases that were given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Evaluated(Evidence):
    """The given cases were run, often one; its command is how a counterexample is shown again."""

    name = "evaluated"
    strength = Strength(Covers.GIVEN, by_proof=False)
    subcommand = "check"

    def sentence(self, verdict: Verdict) -> str:
        """Return how many cases were run."""
        return f"evaluated: {number(verdict.cases)} case{'s' if verdict.cases != 1 else ''}"
