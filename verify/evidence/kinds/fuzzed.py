"""Evidence: cases drawn with a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Fuzzed(Evidence):
    """Drawn cases were run; ``cases`` counts the distinct ones."""

    name = "fuzzed"
    strength = Strength(Covers.DRAWN, by_proof=False)
    subcommand = "fuzz"

    def sentence(self, verdict: Verdict) -> str:
        """Return how many distinct cases were drawn, and with which seed."""
        return f"fuzzed: {number(verdict.cases)} distinct cases, seed {verdict.seed}"
