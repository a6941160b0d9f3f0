"""Whether a ledger is of a run, and whether its rows fit together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import flint

from constructions.validation import InvalidArgument
from verify.evidence.verdict import Verdict
from verify.shards.findings import Findings
from verify.shards.records import Run, moment, read_findings, sealed

#: Returns why findings cannot be those of units ``start..stop-1``, ``None`` where they can.
Objection = Callable[[Findings, int, int], str | None]

#: Types of values by the words for them in the tables of a ledger.
_TYPES = {"INTEGER": int, "TEXT": str, "REAL": float}


def refuse_other(run: Run, path: Path | None, key: str, work: str, title: str) -> NoReturn:
    """Refuse a ledger of another run, and say in what the two differ.

    Args:
        run: the run that was asked for.
        path: of the ledger.
        key: of the run that it is of, as it has it.
        work: the same.
        title: the same.

    """
    try:
        theirs = json.loads(key)
    except ValueError:
        theirs = {}
    if work != run.work or not isinstance(theirs, dict):
        raise InvalidArgument(f"ledger: expected one of {run.work} but {path} is of {work} ({title})")
    mine = run.key
    if any(mine.get(name) != theirs.get(name) for name in ("construction", "arithmetic")):
        raise InvalidArgument(f"ledger: expected one of {run.title} but {path} is of {title}")
    names = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)) or ["its digest"]
    raise InvalidArgument(
        f"ledger: expected one of this very run but {path} differs in {', '.join(names)}; take another file to start"
        " afresh"
    )


def check_whole(
    sql: sqlite3.Connection, digest: str, path: Path | None, *, objection: Objection = Findings.objection
) -> None:
    """Refuse a ledger whose rows do not fit together.

    Every value has the type of its column, every row of findings has its digest and can be of its units, what is done,
    open and claimed are together all units below the cursor, each once, and a verdict comes after all that it is on.

    Args:
        sql: a connection to it.
        digest: of the run.
        path: for messages.
        objection: says why findings cannot be those of some units of this run.

    Raises:
        InvalidArgument: it is damaged or was edited.

    """
    try:
        _check_values(sql)
        _check_whole(sql, digest, objection)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, OSError) as error:
        raise InvalidArgument(
            f"ledger: expected a ledger but {path} was damaged or edited: {' '.join(str(error).split())}"
        ) from error


def _check_values(sql: sqlite3.Connection) -> None:
    """Refuse a value of another type than its column's, which SQLite would store, and a time beyond all calendars."""
    for table in ("run", "claims", "open", "done", "drivers"):
        for _, name, kind, *_ in sql.execute(f"PRAGMA table_info({table})").fetchall():
            values = f"SELECT {name} FROM {table} WHERE {name} IS NOT NULL"  # noqa: S608 # words of our own tables
            for (value,) in sql.execute(values):
                if not isinstance(value, _TYPES[kind]):
                    raise TypeError(f"{name} of {table} is no {kind}")
                if isinstance(value, float):  # every REAL is a time
                    moment(value)


def _check_whole(sql: sqlite3.Connection, digest: str, objection: Objection) -> None:
    ((key, work, total, cursor, bound, verdict),) = sql.execute(
        "SELECT key, work, total, cursor, bound, verdict FROM run"
    )
    if Run(json.loads(key), work, "", int(flint.fmpz(total))).digest != digest:
        raise ValueError("its key has another digest")
    pieces, failures, held = [], [], list[Findings]()
    for start, stop, text, seal in sql.execute("SELECT start, stop, findings, seal FROM done"):
        if seal != sealed(digest, start, stop, text):
            raise ValueError(f"the digest of units {start}..{stop - 1} is another")
        findings = read_findings(text)
        if (why := objection(findings, start, stop)) is not None:
            raise ValueError(f"units {start}..{stop - 1}: {why}")
        held.append(findings)
        failures += [] if findings.tally.failure is None else [findings.tally.failure]
        pieces.append((start, stop))
    if min(failures, default=None) != bound:
        raise ValueError(f"the first failure is {min(failures, default=None)}, and it says {bound}")
    left = sql.execute("SELECT start, stop FROM open UNION ALL SELECT start, stop FROM claims").fetchall()
    place = 0
    for start, stop in sorted(pieces + left):
        if start != place or stop <= start:
            raise ValueError(f"unit {place} is in no row, or in two")
        place = stop
    if place != cursor or cursor > int(flint.fmpz(total)):
        raise ValueError(f"its rows end at unit {place}, and its cursor is {cursor}")
    if verdict is not None:
        end = int(flint.fmpz(total)) if bound is None else bound
        if min([cursor, *(start for start, _ in left)]) < end:
            raise ValueError("it has a verdict, and is not done")
        _check_verdict(Verdict.from_json(json.loads(verdict)), held, bound)


def _check_verdict(verdict: Verdict, held: Sequence[Findings], bound: int | None) -> None:
    """Refuse a verdict that holds with findings that it cannot have come from; a margin may be a lower bound."""
    if not verdict.holds:
        return
    if bound is not None:
        raise ValueError(f"its verdict holds, and unit {bound} is not shown right")
    for findings in held:
        if findings.changed is not None:
            raise ValueError(f"its verdict holds, and {findings.changed[1]}")
    margin, margins = verdict.margin, [each.tally.margin for each in held if each.tally.margin is not None]
    smallest = min(margins, default=None)
    if (margin is not smallest) if margin is None or smallest is None else (margin > smallest):
        raise ValueError(f"its verdict has a margin of {margin}, and the smallest is {smallest}")
