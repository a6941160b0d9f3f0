"""Evidence: cases drawn with a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Drawn, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Fuzzed(Evidence):
    """Drawn cases were run; ``cases`` counts the distinct ones."""

    name = "fuzzed"
    strength = Strength(Covers.DRAWN, by_proof=False)
    subcommand = "fuzz"
    drawn = Drawn("2 3", "#fbe5bd", "#5a3f0e")
    trusts = "The forward pass and the kernels of the machine, and chance: cases that were not drawn were not run."

    def objection(self, verdict: Verdict) -> str | None:
        """Refuse drawn cases that nobody can draw again."""
        return None if verdict.seed is not None else "expected the seed of what was drawn for True"

    def sentence(self, verdict: Verdict) -> str:
        """Return how many distinct cases were drawn, and with which seed."""
        return f"fuzzed: {number(verdict.cases)} distinct cases, seed {verdict.seed}"
