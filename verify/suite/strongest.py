"""Of all that was shown of a claim in an arithmetic, the strongest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from verify.arithmetic.families import numbers_of
from verify.evidence.kinds import Strength, kind_of
from verify.evidence.verdict import Verdict
from verify.report.tables import evidence, parameters


def arithmetic_family(verdict: Verdict) -> str:
    """Return what numbers a verdict is about: ``real``, ``rational`` or a float format, whatever computed it."""
    return numbers_of(verdict.arithmetic)


def strongest(verdicts: Iterable[Verdict]) -> Mapping[str, Mapping[str, tuple[Verdict | None, Verdict | None]]]:
    """Return for every claim and kind of numbers the strongest verdict that holds, and one that is falsified.

    Among verdicts of one kind the one about most cases is the strongest. A verdict that is not shown is no evidence.
    """
    found: dict[str, dict[str, tuple[Verdict | None, Verdict | None]]] = {}
    for verdict in verdicts:
        place = found.setdefault(verdict.claim, {})
        family = arithmetic_family(verdict)
        held, falsified = place.get(family, (None, None))
        if verdict.holds and (held is None or _rank(verdict) > _rank(held)):
            held = verdict
        if verdict.holds is False and falsified is None:
            falsified = verdict
        place[family] = (held, falsified)
    return found


def _rank(verdict: Verdict) -> tuple[Strength, int]:
    return kind_of(verdict.method).strength, verdict.cases


def strongest_table(verdicts: Iterable[Verdict]) -> Table:
    """Return one row for each claim and kind of numbers: the strongest evidence, and what refutes the claim."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("claim", "numbers", "strongest evidence", "sizes"):
        table.add_column(heading, overflow="fold")
    for claim, families in strongest(verdicts).items():
        for family, (held, falsified) in families.items():
            shown = "nothing shown" if held is None else evidence(held)
            sizes = "" if held is None else parameters(held)
            if falsified is not None:
                sizes += ("; " if sizes else "") + f"FALSIFIED: {falsified.reason or parameters(falsified)}"
            table.add_row(claim, family, shown, sizes)
    return table


def strongest_json(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """Return the same as JSON values: for every claim and kind of numbers, method, parameters and cases."""
    document: dict[str, Any] = {}
    for claim, families in strongest(verdicts).items():
        document[claim] = {
            family: None
            if held is None
            else {"method": held.method, "parameters": dict(held.parameters), "cases": held.to_json()["cases"]}
            for family, (held, _) in families.items()
        }
    return document
