"""Evidence: obligations or theorems, discharged for all sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Drawn, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Proved(Evidence):
    """Every obligation of a claim was discharged; ``cases`` counts the obligations."""

    name = "proved"
    strength = Strength(Covers.ALL_SIZES, by_proof=True)
    measures_margin = False
    drawn = Drawn("none", "#c3e6cb", "#1d4a2c")
    trusts = (
        "The statement as it is written, and the prover: Coq's kernel with the axioms of its standard library, or"
        " sympy's decisions about each obligation."
    )

    def word(self, verdict: Verdict) -> str:
        """Return that it is proved, and by which prover."""
        return f"proved by {verdict.parameters.get('prover', 'an unnamed prover')}"

    def objection(self, verdict: Verdict) -> str | None:
        """Refuse a proof of only some of its obligations."""
        return None if verdict.cases == verdict.space else "expected every obligation or theorem to be proved for True"

    def sentence(self, verdict: Verdict) -> str:
        """Return how many obligations (of sympy) or theorems (of another prover) there are."""
        prover = verdict.parameters.get("prover", "")
        what = "obligations" if prover == "sympy" else "theorems"
        return f"proved: {number(verdict.cases)} of {number(verdict.space or 0)} {what} ({prover})"
