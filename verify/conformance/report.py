"""Rows of conformance for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from verify.conformance.row import Row
from verify.numbers import number
from verify.report.tables import evidence, margin, outcome, parameters


def passed(rows: Sequence[Row], *, required: frozenset[str] = frozenset(), bitwise: bool = False) -> bool:
    """Return whether at least one backend ran, and all that ran passed.

    Args:
        rows: of all backends and formats.
        required: names of backends that were asked for by their own name: each must run in every format.
        bitwise: whether a bit that depends on the batch counts as a failure.

    """
    ran = [row for row in rows if row.ran]
    missing = [row for row in rows if not row.ran and row.backend in required]
    dependent = bitwise and any(row.independent is False for row in ran)
    return bool(ran) and not missing and not dependent and all(row.passed for row in ran)


def conformance_table(rows: Sequence[Row]) -> Table:
    """Return one line for each row: tokens, margin, deviation of the logits and what is allowed, bits, outcome."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("claim", "backend", "dtype", "right", "margin", "deviation", "allowed", "bits", "time", ""):
        table.add_column(heading, no_wrap=True, overflow="fold")
    for row in rows:
        table.add_row(row.claim, row.backend, row.dtype, *_measured(row), _outcome(row))
    return table


def _measured(row: Row) -> tuple[str, ...]:
    """Return what a row measured; nothing of a backend that did not run."""
    if row.tokens is None:
        return ("", "", "", "", "", "")
    found = row.deviation
    return (
        f"{number(row.right)} of {number(row.cases)}",
        "" if row.margin is None else margin(row.margin),
        "" if found is None or found.largest is None else margin(found.largest),
        "" if found is None or found.allowance is None else margin(found.allowance),
        _bits(row),
        f"{row.tokens.seconds:.1f} s",
    )


def _bits(row: Row) -> str:
    compared, equal = (sum(getattr(batch, name) for batch in row.batches) for name in ("compared", "equal"))
    if row.independent is None:
        return ""
    return "equal" if row.independent else f"{number(equal)} of {number(compared)} equal"


def _outcome(row: Row) -> Text:
    """Return the outcome in a word: of both verdicts the one that does not hold."""
    if row.tokens is None:
        return Text("not run", style="bold yellow")
    return outcome(max(row.verdicts, key=lambda verdict: (verdict.holds is not True, verdict.holds is False)))


def lines(rows: Sequence[Row]) -> list[str]:
    """Return the lines below the table: what was run, what fails and why, what did not run, what is assumed."""
    ran = [row for row in rows if row.tokens is not None]
    found = [f"{row.claim}, {parameters(row.tokens)}: {evidence(row.tokens)}" for row in ran if row.tokens is not None]
    for row in ran:
        for verdict in row.verdicts:
            if verdict.holds is not True:
                case = verdict.case
                told = f"not shown: {verdict.reason}" if case is None else case.sentence()
                found.append(f"{row.backend} {row.dtype}: {told}")
                found += [] if case is None else [f"  reproduce: {case.reproduce}"]
        found += [f"{row.backend} {row.dtype}: {said}" for batch in row.batches if (said := batch.sentence())]
    found += [line for row in rows if row.missing is not None for line in row.failures()]
    found += [
        f"{row.backend} {row.dtype}: no verdict on logits: {row.without_logits}" for row in ran if row.without_logits
    ]
    found += [f"allowed, {row.certificate}" for row in ran if row.logits is not None]
    found += [f"{row.backend}: {row.tokens.assumptions}" for row in ran if row.tokens and row.tokens.assumptions]
    return list(dict.fromkeys(found))


def document(rows: Sequence[Row], *, passed: bool) -> Mapping[str, Any]:
    """Return the JSON document of a run."""
    return {"passed": passed, "ran": sum(row.ran for row in rows), "rows": [row.to_json() for row in rows]}
