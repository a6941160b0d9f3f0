"""Runs that are made to be split: small, slow, wrong, and untrue."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from constructions import UnconditionalGeneration
from constructions.validation import InvalidArgument
from verify.evidence.verdict import Verdict
from verify.requests import Request
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.ledger import Ledger
from verify.shards.records import Run, Shard, State
from verify.shards.works.base import Work


class Counting(Work):
    """Counts numbers, each of whose margins is known; those of ``wrong`` are not right."""

    word = "count"

    def __init__(self, total: int, wrong: tuple[int, ...] = (), unit: int = 1, key: str = "") -> None:
        self.run = Run({"construction": "numbers", "arithmetic": "by hand", "of": key}, self.word, "numbers", total)
        self.unit, self.wrong, self.ran = unit, wrong, list[tuple[int, int]]()

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        raise AssertionError("tests make it themselves: no worker makes it from a request")

    @staticmethod
    def margin(unit: int) -> float:
        return 1.0 + (unit * 7919) % 104729

    def shard(self, start: int, stop: int) -> Findings:
        self.ran.append((start, stop))
        failure = min((unit for unit in self.wrong if start <= unit < stop), default=None)
        end = stop if failure is None else failure
        closest = min(range(start, end), key=self.margin, default=None)
        margin = None if closest is None else self.margin(closest)
        return Findings(RankTally(end - start, margin, closest, failure), None if closest is None else (start, stop))

    def replay(self, state: State, where: str) -> int:
        return min(3, sum(stop - start for start, stop in state.ranges))

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        found = state.findings.tally
        return Verdict(
            claim="numbers",
            parameters={"total": self.run.total},
            method="exhausted",
            arithmetic="by hand",
            device="cpu",
            holds=True if found.failure is None and found.cases == self.run.total else None,
            cases=found.cases,
            space=self.run.total,
            margin=found.margin,
            reason=None if found.failure is None else f"unit {found.failure} is wrong",
            resumed=resumed,
        )


class Slow(Counting):
    """Sleeps a little in each shard."""

    def __init__(self, total: int, seconds: float, **options: Any) -> None:
        super().__init__(total, **options)
        self.seconds = seconds

    def shard(self, start: int, stop: int) -> Findings:
        time.sleep(self.seconds)
        return super().shard(start, stop)


class Failing(Counting):
    """Raises, ends its process, or lies, in the shard that has a unit."""

    def __init__(self, total: int, at: int, how: str, mark: str = "", **options: Any) -> None:
        super().__init__(total, **options)
        self.at, self.how, self.mark = at, how, mark

    def shard(self, start: int, stop: int) -> Findings:
        if not start <= self.at < stop or any(start <= unit < self.at for unit in self.wrong):
            return super().shard(start, stop)  # it stops before it comes there
        if self.how == "refuses":
            raise InvalidArgument("kernel: expected numbers but got 'nothing' (type str)")
        if self.how == "raises":
            raise ZeroDivisionError("unlucky\nin two lines")
        if self.how == "memory":
            raise MemoryError("no more")
        if self.how == "another range":
            return super().shard(start + 1, stop + 1)
        if self.how == "too few":
            return super().shard(start, max(start, stop - 1))
        if self.how == "killed once" and not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().shard(start, stop)


def generation() -> UnconditionalGeneration:
    """Return a construction, as a factory."""
    return UnconditionalGeneration(4, 4)


def ten(start: int, remaining: int) -> int:
    """End a shard after ten units."""
    return start + 10


def take(ledger: Ledger, **options: Any) -> Shard:
    """Claim ten units."""
    shard = ledger.claim(ten, **options)
    assert shard is not None
    return shard


def done(ledger: Ledger, shard: Shard) -> bool:
    """Count numbers, and write down what was found."""
    return ledger.complete(shard, Counting(ledger.run.total).shard(shard.start, shard.stop))
