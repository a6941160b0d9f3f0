"""Evidence: bounds that hold for every case of the given sizes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Drawn, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Certified(Evidence):
    """A certificate bounds the forward pass over all cases together; it never names one that fails."""

    name = "certified"
    strength = Strength(Covers.ALL_CASES, by_proof=True)
    subcommand = "certify"
    shares_assumptions = True
    drawn = Drawn("14 3", "#c9dcf8", "#1c3a66")
    trusts = "The bounds of the forward pass, and the assumptions about float kernels that the verdict prints."

    def objection(self, verdict: Verdict) -> str | None:
        """Refuse a certificate of only some of the cases."""
        return None if verdict.cases == verdict.space else "expected every case of the space to be certified for True"

    def sentence(self, verdict: Verdict) -> str:
        """Return how many cases were certified at once."""
        return f"certified: all {number(verdict.cases)} cases at once" if verdict.holds else "certified: not all cases"
