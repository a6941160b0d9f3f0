"""Theorems that Coq proved, read from the record that the proofs' own build leaves; never from a list in Python."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.evidence.verdict import Verdict

#: Where the sources are in a checkout; an installed package has the audit alone, and then nothing is proved here.
SOURCES = Path(__file__).parents[2] / "proofs" / "coq"
RECORD = "build-record.json"

#: Words in the names of theorems that are about floats, by the floats that they are about.
_FLOATS = {
    "IEEE formats": {"ieee", "binary16", "bfloat16", "binary32", "binary64", "powers"},
    "matrix units": {"matrix"},
}

#: The layout of the record that this module reads.
_FORMAT = 1


@dataclass(frozen=True)
class CoqTheorem:
    """A theorem that Coq accepted.

    Attributes:
        name: in ``Theorems.v``.
        axioms: what ``Print Assumptions`` lists.

    """

    name: str
    axioms: tuple[str, ...]


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
        """Return the theorems named after the claim: ``theorem_1`` and ``theorem_1_...`` for ``theorem-1``."""
        stem = claim.replace("-", "_")
        return tuple(item for item in self.theorems if item.name == stem or item.name.startswith(f"{stem}_"))


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
    """
    found: list[CoqTheorem] = []
    for line in (folder / "audit.golden").read_text(encoding="utf-8").splitlines():
        if line.startswith("theorem "):
            found.append(CoqTheorem(line.removeprefix("theorem "), ()))
        named = re.match(r"([A-Za-z_.0-9]+) *(:|$)", line)
        if named is not None and named[1] != "Axioms":
            found[-1] = CoqTheorem(found[-1].name, (*found[-1].axioms, named[1]))
    return tuple(found)


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
        theorems = tuple(CoqTheorem(item["name"], tuple(item["axioms"])) for item in record["theorems"])
        layout, coq, digest = record["format"], str(record["coq"]), record["sources_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        return None, f"the record of the Coq proofs' build cannot be read: {error!r}"
    if layout != _FORMAT:
        return None, f"the record of the Coq proofs' build has layout {layout}, not {_FORMAT}"
    if digest != sources_sha256(folder):
        return None, "the Coq proofs were built from other sources; `make proofs` builds these"
    if theorems != audited(folder):
        return (
            None,
            "the record of the Coq proofs' build lists other theorems or axioms than the audit that they passed",
        )
    return CoqRecord(coq, theorems), None


def coq_verdict(claim: str, record: CoqRecord) -> Verdict | None:
    """Return the verdict that a claim is proved in Coq over the reals; ``None`` when no theorem says so.

    The verdict names the theorems; ``proofs/TRUST.md`` says what each one states. Theorems about IEEE formats and
    matrix units are counted and not listed: they are about other encodings or bounded vocabularies, not about all
    sizes.
    """
    theorems = record.of_claim(claim)
    floats = {
        kind: [theorem.name for theorem in theorems if words & set(theorem.name.split("_"))]
        for kind, words in _FLOATS.items()
    }
    real = [theorem.name for theorem in theorems if not any(theorem.name in names for names in floats.values())]
    if not real:
        return None
    counts = ", ".join(f"{len(names)} about {kind}" for kind, names in floats.items() if names)
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
