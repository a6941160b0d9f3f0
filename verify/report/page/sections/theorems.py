"""The theorems in Coq and the obligations of sympy: what is proved for all sizes, and on which axioms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from verify.report.page.documents import Library, rows
from verify.report.page.found import Derived, Found
from verify.report.page.sections.base import Count, Level, Link, Section
from verify.report.page.states import HOLDS, Told, worst
from verify.suite.coq_record import audited

_TRUST = "proofs/TRUST.md"
_AUDIT = "proofs/coq/audit.golden"
_GOLDEN = "proofs/coq/golden/*.txt"


def _table(library: Library, heading: str) -> list[Mapping[str, Found]]:
    """Return the rows of the first table of TRUST.md that has a heading; none where there is none."""
    document = library.markdown(_TRUST)
    for section in document or ():
        for place, table in enumerate(section["tables"]):
            if heading in table["headings"].value:
                return rows(section, table=place)
    return []


def of_claim(library: Library, claim: str) -> Sequence[Mapping[str, Found]]:
    """Return the rows of the trust table about a claim."""
    return [row for row in _table(library, "in plain words") if claim in str(row["claim"].value).split(", ")]


def _audit(text: str, library: Library) -> list[dict[str, Any]]:
    del text  # read again there, in the one way that a build's record is held against
    return [{"name": item.name, "axioms": list(item.axioms)} for item in audited((library.root / _AUDIT).parent)]


class Theorems(Section):
    """Theorems count as proved where a verdict of the main job says so, never because a file lists them."""

    name = "theorems"
    title = "Theorems and axioms"

    def _by(self, prover: str) -> list[Told]:
        return [
            told
            for told in self.material.verdicts
            if told.verdict.method == "proved" and str(told.verdict.parameters.get("prover")).startswith(prover)
        ]

    def values(self) -> Mapping[str, Any]:
        """Return the axioms, and the verdicts of Coq."""
        return {
            "axioms": _table(self.material.library, "axiom"),
            "theorems": _table(self.material.library, "in plain words"),
            "in_coq": self._by("Coq"),
            "coq_state": worst([told.state for told in self._by("Coq")]),
        }

    def links(self) -> Iterator[Link]:
        """Yield the theorems, the obligations, the files that tie Coq's weights to Python's, and recorded sums."""
        library = self.material.library
        audit = library.lines(_AUDIT, lambda text: _audit(text, library))
        coq = self._by("Coq")
        state = worst([told.state for told in coq])
        if audit is not None:
            yield Link(
                Level.THEOREMS,
                "Theorems in Coq",
                [Count(Derived(audit, "count"), " theorems in the committed audit")],
                "Coq's kernel accepts the proofs, and prints the axioms of each.",
                state,
                "" if state is HOLDS else "The verdicts on this page were made where the proofs were not built.",
            )
        listed = self.material.document["verdicts"]
        sympy = {"/method": "proved", "/parameters/prover": "sympy", "/holds": True}
        yield Link(
            Level.OBLIGATIONS,
            "Obligations by sympy",
            [Count(Derived(listed, "sum", "/cases", sympy), " obligations decided")],
            "They are about the symbolic weights that every other link runs.",
            worst([told.state for told in self._by("sympy")]),
        )
        golden = library.made(_GOLDEN, lambda: library.folder("proofs/coq/golden", "*.txt"))
        if golden.value:
            yield Link(
                Level.WEIGHTS,
                "Weights of Coq and of Python",
                [Count(Derived(golden, "count"), " files of weights")],
                "Coq writes the matrices of its theorems; a test compares every entry with Python's.",
            )
        sums = [Count(row["sums"], "", "prose") for row in _table(library, "held against") if row["sums"].value != "-"]
        if sums:
            yield Link(
                Level.ARITHMETIC,
                "Matrix units: recorded sums",
                sums,
                "Coq and Python give the bits that GPUs gave.",
                not_by_ci="CI has no GPU: it compares with the record of what they computed.",
            )
