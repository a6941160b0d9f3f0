"""Runs that are split into shards: over processes, over a cluster, over several drivers, and over power cuts.

A *unit* is what a run counts: a rank of the enumeration, a seed of fuzzing, a vocabulary of a sweep, a piece
of a certificate. A *shard* is a range of units. Its findings merge with those of any other, in any order. A *ledger*
says which units are done, with which findings, and which are claimed, by whom and until when. *Workers* run shards; the
*driver* claims them, hands them to workers through an *executor*, and draws the verdict, for which it runs what decides
again itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.shards.certification import certify as certify
    from verify.shards.driver import gather as gather
    from verify.shards.enumeration import exhaust as exhaust
    from verify.shards.findings import Findings as Findings
    from verify.shards.ledger import Ledger as Ledger
    from verify.shards.runs import summary as summary

_HOMES = {
    "certify": "verify.shards.certification",
    "gather": "verify.shards.driver",
    "exhaust": "verify.shards.enumeration",
    "Findings": "verify.shards.findings",
    "Ledger": "verify.shards.ledger",
    "summary": "verify.shards.runs",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: a worker sets its threads before it imports anything."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
