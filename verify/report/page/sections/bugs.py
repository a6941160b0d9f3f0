"""The bugs that this project had, each with the test that catches it now, and the mutants that the verifier rejects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from verify.report.page.documents import rows
from verify.report.page.found import Derived, Found
from verify.report.page.sections.base import Count, Level, Link, Section

_BUGS, _MUTANTS = "proofs/BUGS.md", "proofs/MUTANTS.md"


class Bugs(Section):
    """From the two documents, in their order: the worst come first."""

    name = "bugs"
    title = "Bugs and mutants"

    def _tables(self) -> list[tuple[Found, Found]]:
        """Return the sections of the bug zoo that have a table, each with its rows."""
        document = self.material.library.markdown(_BUGS)
        return [
            (section, table["rows"]) for section in document or () for table in section["tables"] if table["rows"].value
        ]

    def _mutants(self) -> Found | None:
        """Return the sentence that counts the mutants."""
        document = self.material.library.markdown(_MUTANTS)
        words = (text for section in document or () for text in section["text"])
        return next((text for text in words if "mutants:" in text.value), None)

    def values(self) -> Mapping[str, Any]:
        """Return the bugs and the count of mutants."""
        tables = []
        for section, found in self._tables():
            listed = rows(section)
            count = Derived(found, "count")
            tables.append({"title": section["title"], "count": count, "rows": listed, "headings": list(listed[0])})
        return {"tables": tables, "mutants": self._mutants()}

    def links(self) -> Iterator[Link]:
        """Yield how the checkers were checked."""
        counts = [Count(Derived(found, "count"), f" in: {section['title'].value}") for section, found in self._tables()]
        if counts:
            yield Link(Level.CHECKERS, "Bugs with a test each", counts, "A bug that was found stays a test.")
        mutants = self._mutants()
        if mutants is not None:
            yield Link(
                Level.CHECKERS,
                "Mutants of weights, of the forward pass and of the verifier",
                [Count(mutants, "", "prose")],
                "A checker is tested by what it rejects.",
                not_by_ci="The tables that take longest are made again by make test-long, which CI leaves out.",
            )
