"""Verdicts that were read from a file, held against this package: a file can say anything."""

from __future__ import annotations

import re
from dataclasses import replace

from proofs import CLAIMS
from verify.evidence.kinds import Covers, kind_of
from verify.evidence.verdict import Verdict
from verify.suite.coq_record import CoqRecord, audited, coq_verdict

#: What a verdict says of a proof: the same of every run of it.
_SAID = ("parameters", "arithmetic", "device", "cases", "space", "margin", "seed", "reason", "resumed", "assumptions")


def reread(verdict: Verdict) -> Verdict:
    """Return a verdict as it was read; "not shown", with the reason, where it says a proof that this package has not.

    A run is what a file says that it was. A proof is not: Coq's theorems and axioms are those of the committed audit,
    and sympy's obligations those of the registered claim.

    Args:
        verdict: as it was read from a file.

    Example:
        >>> from verify.suite.coq_record import CoqTheorem
        >>> forged = coq_verdict("theorem-2", CoqRecord("8.16.1", (CoqTheorem("theorem_2", (), "theorem-2", "reals"),)))
        >>> forged.holds, reread(forged).holds
        (True, None)

    """
    why = (
        _doubt(verdict)
        if verdict.holds is True and kind_of(verdict.method).strength.covers is Covers.ALL_SIZES
        else None
    )
    return verdict if why is None else replace(verdict, holds=None, reason=why)


def _doubt(verdict: Verdict) -> str | None:
    prover = str(verdict.parameters.get("prover", "an unnamed prover"))
    said = f"the file says that {prover} proved it, but"
    if re.fullmatch(r"Coq [0-9.]+", prover):
        return _of_coq(verdict, prover.removeprefix("Coq "), said)
    if prover == "sympy":
        return _of_sympy(verdict, said)
    return f"{said} this package has no such prover"


def _of_coq(verdict: Verdict, version: str, said: str) -> str | None:
    try:
        expected = coq_verdict(verdict.claim, CoqRecord(version, audited()))
    except OSError:
        return f"{said} the audited list of theorems is not here"
    if expected is None:
        return f"{said} no theorem in the audited list is about {verdict.claim}"
    other = [name for name in _SAID if getattr(verdict, name) != getattr(expected, name)]
    if not other:
        return None
    verb = "is" if len(other) == 1 else "are"
    return f"{said} its {' and '.join(other)} {verb} not as in the audited list of theorems"


def _of_sympy(verdict: Verdict, said: str) -> str | None:
    claim = CLAIMS.get(verdict.claim)
    count = 0 if claim is None else len(claim.obligations)
    if not verdict.cases == verdict.space == count:
        return f"{said} {verdict.claim} has {count} obligations here, not {verdict.cases}"
    known = (
        set(verdict.parameters) <= {"sizes", "prover", "from the cache"} and verdict.parameters.get("sizes") == "all"
    )
    if not known or (verdict.arithmetic, verdict.margin) != ("real", None):
        return f"{said} a proof is about all sizes in real arithmetic, and has no margin"
    return None
