"""Shards one after the other, in this very process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

from constructions.validation import InvalidArgument
from verify.shards.executors.base import Answer, Executor
from verify.shards.worker import answer, raised

if TYPE_CHECKING:
    from verify.shards.recipe import Recipe
    from verify.shards.records import Shard
    from verify.shards.works.base import Work


class InProcess(Executor):
    """The driver is its own worker: for a ledger without other processes, and for what no other process can make."""

    word = "in-process"
    summary = "in this process, one after the other"
    elsewhere = False

    def __init__(self) -> None:
        """Nothing is started."""
        self._work: Work | None = None
        self._waiting: list[Shard] = []

    @classmethod
    def of(cls, *, jobs: int | None, scheduler: str | None) -> Self:
        """Return one; it has a single worker."""
        if scheduler is not None:
            raise InvalidArgument("scheduler: expected --engine dask with --scheduler")
        if jobs not in {None, 1}:
            raise InvalidArgument(f"jobs: expected 1 with --engine in-process but got {jobs} (type int)")
        return cls()

    def start(self, work: Work, recipe: Recipe | None) -> None:
        """Take the run as it is."""
        self._work = work

    def submit(self, shard: Shard) -> None:
        """Remember the shard; it runs when it is waited for."""
        self._waiting.append(shard)

    def wait(self, seconds: float) -> list[Answer]:
        """Run what was asked for, however long it takes."""
        assert self._work is not None, "it was started"
        waiting, self._waiting = self._waiting, []
        return [Answer(shard, self._run(self._work, shard)) for shard in waiting]

    @staticmethod
    def _run(work: Work, shard: Shard) -> str:
        job = {"digest": work.run.digest, "start": shard.start, "stop": shard.stop}
        try:
            return answer(work, job)
        except Exception as error:  # noqa: BLE001 # the driver tells it, as of any worker
            return json.dumps(raised(error))

    def close(self) -> None:
        """Forget what was asked for."""
        self._waiting.clear()
