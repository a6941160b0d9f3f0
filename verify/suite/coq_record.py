"""Theorems that Coq proved, read from the record that the proofs' own build leaves; never from a list in Python.

What a theorem is about is declared beside the sources, in ``subjects.txt``: no name says it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify.evidence.verdict import Verdict

#: Where the sources are in a checkout; an installed package has the audit alone, and then nothing is proved here.
SOURCES = Path(__file__).parents[2] / "proofs" / "coq"
RECORD = "build-record.json"

#: What the table of subjects calls the numbers of a theorem that is about no floats, and the claim of one without.
_REALS, _NO_CLAIM = "reals", "no claim"

#: The layout of the record that this module reads.
_FORMAT = 1


@dataclass(frozen=True)
class CoqTheorem:
    """A theorem that Coq accepted.

    Attributes:
        name: in ``Theorems.v``.
        axioms: what ``Print Assumptions`` lists.
        claim: the id of the claim that it is about; ``None`` for one about arithmetic alone.
        numbers: over which it speaks: ``"reals"``, ``"IEEE formats"`` or ``"matrix units"``.

    """

    name: str
    axioms: tuple[str, ...]
    claim: str | None
    numbers: str


@dataclass(frozen=True)
class CoqRecord:
    """The theorems of a build of the sources as they are now.

    Attributes:
        coq: Coq's version.
        theorems: in the order of ``Theorems.v``.

    """

    coq: str
    theorems: tuple[CoqTheorem, ...]

    def of_claim(self, claim: str) -> tuple[CoqTheorem, ...]:
        """Return the theorems about a claim."""
        return tuple(item for item in self.theorems if item.claim == claim)


def sources_sha256(folder: Path = SOURCES) -> str:
    """Return the digest of the sources that ``_CoqProject`` lists, sorted by name, one after the other."""
    listed = [line.strip() for line in (folder / "_CoqProject").read_text(encoding="utf-8").splitlines()]
    digest = hashlib.sha256()
    for name in sorted(name for name in listed if name.endswith(".v")):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def audited(folder: Path = SOURCES) -> tuple[CoqTheorem, ...]:
    """Return the theorems and axioms of the committed audit, ``audit.golden``, which a build must reproduce.

    A record is a file that a build leaves; this is what it is held against, so that editing it adds no theorem.

    Raises:
        KeyError: a theorem that is not in the table of subjects.

    """
    subjects = _subjects(folder)
    found: list[CoqTheorem] = []
    for line in (folder / "audit.golden").read_text(encoding="utf-8").splitlines():
        if line.startswith("theorem "):
            name = line.removeprefix("theorem ")
            found.append(CoqTheorem(name, (), *subjects[name]))
        named = re.match(r"([A-Za-z_.0-9]+) *(:|$)", line)
        if named is not None and named[1] != "Axioms":
            found[-1] = replace(found[-1], axioms=(*found[-1].axioms, named[1]))
    return tuple(found)


def _subjects(folder: Path) -> dict[str, tuple[str | None, str]]:
    """Return the claim and the numbers of each theorem, from the table beside the sources."""
    lines = (folder / "subjects.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if not line.startswith("#")]
    return {name: (None if claim == _NO_CLAIM else claim, numbers) for name, claim, numbers in rows}


def read_record(folder: Path = SOURCES) -> tuple[CoqRecord | None, str | None]:
    """Return the record of the proofs' build, or the reason why there is none to rely on.

    Args:
        folder: the Coq sources with the record of their build.

    Returns:
        The record and ``None``; or ``None`` and why: not built, another layout, built from other sources, or edited.

    """
    path = folder / RECORD
    if not path.exists():
        return None, "the Coq proofs are not built here; `make proofs` builds them"
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
        theorems = [(item["name"], tuple(item["axioms"])) for item in record["theorems"]]
        layout, coq, digest = record["format"], str(record["coq"]), record["sources_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        return None, f"the record of the Coq proofs' build cannot be read: {error!r}"
    if layout != _FORMAT:
        return None, f"the record of the Coq proofs' build has layout {layout}, not {_FORMAT}"
    if digest != sources_sha256(folder):
        return None, "the Coq proofs were built from other sources; `make proofs` builds these"
    expected = audited(folder)
    if theorems != [(theorem.name, theorem.axioms) for theorem in expected]:
        return (
            None,
            "the record of the Coq proofs' build lists other theorems or axioms than the audit that they passed",
        )
    return CoqRecord(coq, expected), None


def coq_verdict(claim: str, record: CoqRecord) -> Verdict | None:
    """Return the verdict that a claim is proved in Coq over the reals; ``None`` when no theorem says so.

    The verdict names the theorems; ``proofs/TRUST.md`` says what each one states. Theorems about IEEE formats and
    matrix units are counted and not listed: they are about other encodings or bounded vocabularies, not about all
    sizes.
    """
    theorems = record.of_claim(claim)
    real = [theorem.name for theorem in theorems if theorem.numbers == _REALS]
    if not real:
        return None
    floats = Counter(theorem.numbers for theorem in theorems if theorem.numbers != _REALS)
    counts = ", ".join(f"{count} about {numbers}" for numbers, count in floats.items())
    return Verdict(
        claim=claim,
        parameters={"sizes": "all", "prover": f"Coq {record.coq}"},
        method="proved",
        arithmetic="real",
        device="cpu",
        holds=True,
        cases=len(real),
        space=len(real),
        reason=f"proved in Coq: {', '.join(real)}" + (f"; and {counts}, see TRUST.md" if counts else ""),
    )
