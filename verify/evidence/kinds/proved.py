"""Evidence: obligations or theorems, discharged for all sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Proved(Evidence):
    """Every obligation of a claim was discharged; ``cases`` counts the obligations."""

    name = "proved"
    strength = Strength(Covers.ALL_SIZES, by_proof=True)

    def sentence(self, verdict: Verdict) -> str:
        """Return how many obligations (of sympy) or theorems (of another prover) there are."""
        prover = verdict.parameters.get("prover", "")
        what = "obligations" if prover == "sympy" else "theorems"
        return f"proved: {number(verdict.cases)} of {number(verdict.space or 0)} {what} ({prover})"
