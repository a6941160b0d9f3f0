"""Evidence: every case of the given sizes was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Drawn, Evidence, Strength
from verify.numbers import decimal, number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Exhausted(Evidence):
    """Every target was run with every user input."""

    name = "exhausted"
    strength = Strength(Covers.ALL_CASES, by_proof=False)
    subcommand = "exhaust"
    drawn = Drawn("9 3", "#ddd2f7", "#3f2a73")
    trusts = "The forward pass and the kernels of the machine that ran every case; it says nothing of other sizes."

    def sentence(self, verdict: Verdict) -> str:
        """Return how many of how many cases were run."""
        return f"exhausted: {number(verdict.cases)} of {number(verdict.space or 0)} cases"

    def objection(self, verdict: Verdict) -> str | None:
        """Refuse an enumeration that is not of the whole space."""
        if verdict.cases == verdict.space:
            return None
        given = f"{decimal(verdict.cases)} of {None if verdict.space is None else decimal(verdict.space)}"
        return f"expected every case of the space for True but got {given}"
