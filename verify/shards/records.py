"""The contents of a ledger, as data: the run that it is of, shards, and how far the run is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any, Self

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
        others: how many of them this driver did not do.
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
        shards: how many were done, by all drivers.

    """

    findings: Findings
    ranges: tuple[tuple[int, int], ...]
    saved: float | None
    shards: int = 0

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, str, float]], shards: int = 0) -> Self:
        """Return what rows of findings say: first and last (exclusive) unit, findings as text, and when."""
        held = list(rows)
        return cls(
            reduce(add, (read_findings(text) for _, _, text, _ in held), Findings()),
            tuple((start, stop) for start, stop, *_ in held),
            max((saved for *_, saved in held), default=None),
            shards,
        )

    def right(self) -> list[int]:
        """Return the units that are right, one by one, up to the first that is not."""
        failure = self.findings.tally.failure
        ends = ((start, stop if failure is None else min(stop, failure)) for start, stop in self.ranges)
        return [unit for start, end in ends for unit in range(start, end)]


def sealed(digest: str, start: int, stop: int, text: str) -> str:
    """Return the digest of a row of findings."""
    return hashlib.sha256(f"{digest} {start} {stop} {text}".encode()).hexdigest()


def read_findings(text: str) -> Findings:
    """Return the findings of a row; raises ValueError and its like for anything else."""
    return Findings.from_json(json.loads(text))


def moment(seconds: float) -> str:
    """Return a time in seconds since 1970 in words, in UTC; raises OverflowError and its like beyond all calendars."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
