"""Evidence: a named family of cases, for every size of a range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Drawn, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Swept(Evidence):
    """The family, such as the targets that are one token everywhere, was run at every size."""

    name = "swept"
    strength = Strength(Covers.FAMILY, by_proof=False)
    drawn = Drawn("7 4", "#ead9f2", "#4c335f")
    trusts = "The forward pass and the kernels of the machine that ran the family; it says nothing of other cases."

    def sentence(self, verdict: Verdict) -> str:
        """Return how many cases were run."""
        return f"swept: {number(verdict.cases)} cases, every V"
