"""Evidence: cases run by what a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.evidence.kinds.base import Covers, Evidence, Strength
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict


class Exported(Evidence):
    """An exported file was read back, its weights compared with the construction's, and its cases run."""

    name = "exported"
    strength = Strength(Covers.GIVEN, by_proof=False)

    def sentence(self, verdict: Verdict) -> str:
        """Return how many cases were run, and of which file."""
        cases = f"{number(verdict.cases)} case{'s' if verdict.cases != 1 else ''}"
        return f"exported: {cases} from {verdict.parameters.get('file', 'a file')}"

    def objection(self, verdict: Verdict) -> str | None:
        """Refuse a verdict that does not say which bytes it is about."""
        return None if verdict.parameters.get("sha256") else "expected the SHA-256 of what was exported for True"
