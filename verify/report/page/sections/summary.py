"""What a reader wants to know first: how many verdicts hold, and when they were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proofs import CLAIMS
from verify.report.page.found import Derived
from verify.report.page.sections.base import Section
from verify.report.page.states import FALSE, HOLDS, NOT_SHOWN, age_of, by_claim


class Summary(Section):
    """Counts of the main job's document, and its age."""

    name = "summary"
    title = "In short"

    def values(self) -> Mapping[str, Any]:
        """Return the counts."""
        listed = self.material.document["verdicts"]
        called = ((True, HOLDS), (False, FALSE), (None, NOT_SHOWN))
        return {
            "all": Derived(listed, "count"),
            "counts": [(state, Derived(listed, "count", where={"/holds": value})) for value, state in called],
            "document": self.material.document,
            "without": [claim for claim in CLAIMS if claim not in by_claim(self.material.verdicts)],
            "age": age_of(self.material.document),
        }
