"""What a ledger holds, as data: the run that it is of, shards, how far the run is; and whether its rows fit."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flint

from constructions.validation import InvalidArgument
from verify.numbers import decimal
from verify.shards.findings import Findings

#: The largest unit that a ledger can hold, SQLite's largest integer: a billion units a second would take 292 years.
LARGEST_UNIT = 2**63 - 1


@dataclass(frozen=True)
class Run:
    """What a ledger is of.

    Attributes:
        key: what decides what is computed, as JSON values; see :func:`~verify.evidence.checkpoint.run_key`.
        work: the kind of run, such as ``exhaust``.
        title: the claim and its sizes, for readers.
        total: how many units there are.

    """

    key: Mapping[str, Any]
    work: str
    title: str
    total: int

    @property
    def digest(self) -> str:
        """The digest of all that two drivers, or a driver and a worker, must agree on."""
        text = json.dumps([self.work, decimal(self.total), dict(self.key)], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Shard:
    """Units ``start..stop-1``, claimed under a number."""

    id: int
    start: int
    stop: int


@dataclass(frozen=True)
class Standing:
    """How far a run is, in numbers.

    Attributes:
        units: how many are done, those of a shard above its first failure included.
        others: how many of them other drivers did.
        complete: whether every unit below the first failure, or below the end, is done.
        lease: seconds until the first claim of another driver ends; ``None`` where there is none.

    """

    units: int
    others: int
    complete: bool
    lease: float | None


@dataclass(frozen=True)
class State:
    """What a run has found, up to its first failure.

    Attributes:
        findings: of all that is done.
        ranges: what is done, as pairs of first and last (exclusive) unit.
        saved: when the last shard was done, in seconds since 1970; ``None`` where none is.

    """

    findings: Findings
    ranges: tuple[tuple[int, int], ...]
    saved: float | None


def sealed(digest: str, start: int, stop: int, text: str) -> str:
    """Return the digest of a row of findings."""
    return hashlib.sha256(f"{digest} {start} {stop} {text}".encode()).hexdigest()


def read_findings(text: str) -> Findings:
    """Return the findings of a row; raises ValueError and its like for anything else."""
    return Findings.from_json(json.loads(text))


def check_whole(sql: sqlite3.Connection, digest: str, path: Path | None) -> None:
    """Refuse a ledger whose rows do not fit together.

    Every row of findings has its digest and can be of its units, and what is done, open and claimed are together all
    units below the cursor, each once.

    Raises:
        InvalidArgument: it is damaged or was edited.

    """
    try:
        _check_whole(sql, digest)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError, RecursionError) as error:
        raise InvalidArgument(
            f"ledger: expected a ledger but {path} was damaged or edited: {' '.join(str(error).split())}"
        ) from error


def _check_whole(sql: sqlite3.Connection, digest: str) -> None:
    ((key, work, total, cursor, bound),) = sql.execute("SELECT key, work, total, cursor, bound FROM run")
    if Run(json.loads(key), work, "", int(flint.fmpz(total))).digest != digest:
        raise ValueError("its key has another digest")
    pieces, failures = [], []
    for start, stop, text, seal in sql.execute("SELECT start, stop, findings, seal FROM done"):
        if seal != sealed(digest, start, stop, text):
            raise ValueError(f"the digest of units {start}..{stop - 1} is another")
        findings = read_findings(text)
        if (objection := findings.objection(start, stop)) is not None:
            raise ValueError(f"units {start}..{stop - 1}: {objection}")
        failures += [] if findings.tally.failure is None else [findings.tally.failure]
        pieces.append((start, stop))
    if min(failures, default=None) != bound:
        raise ValueError(f"the first failure is {min(failures, default=None)}, and it says {bound}")
    for table in ("open", "claims"):
        pieces += sql.execute(f"SELECT start, stop FROM {table}").fetchall()  # noqa: S608 # one of two words
    place = 0
    for start, stop in sorted(pieces):
        if start != place or stop <= start:
            raise ValueError(f"unit {place} is in no row, or in two")
        place = stop
    if place != cursor or cursor > int(flint.fmpz(total)):
        raise ValueError(f"its rows end at unit {place}, and its cursor is {cursor}")
