"""Shards in processes of this machine, each of which uses one thread."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Self

from constructions.validation import InvalidArgument, check_integer
from verify.cores import free_cores
from verify.shards.executors.base import ATTEMPTS, Answer, Executor, WorkerError, job
from verify.shards.worker import run_job

if TYPE_CHECKING:
    from verify.shards.recipe import Recipe
    from verify.shards.records import Shard
    from verify.shards.works.base import Work


#: Says that a worker has a job in hand, before its answer: one that ends without it has not ended because of the job.
_BEGUN = ""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    shard: Shard | None = None
    begun: bool = False


class Processes(Executor):
    """A pool of processes: one that is killed loses its shard alone, and another is started in its place.

    They are started afresh ("spawn"), as a copy of a process with threads may wait for ever. A process ends when the
    driver does, however that ends.
    """

    word = "processes"
    summary = "in processes of this machine"

    def __init__(self, jobs: int) -> None:
        """Nothing is started yet.

        Args:
            jobs: how many processes, where there is work for so many.

        """
        self._jobs = check_integer("jobs", jobs, 1)
        self._pool: list[_Worker] = []
        self._made: tuple[Work, Recipe] | None = None
        self._answered, self._unanswered, self._unbegun = False, 0, 0

    @classmethod
    def of(cls, *, jobs: int | None, scheduler: str | None) -> Self:
        """Return one; as many processes as there are cores for this one where nothing was said."""
        if scheduler is not None:
            raise InvalidArgument("scheduler: expected --engine dask with --scheduler")
        return cls(free_cores() if jobs is None else jobs)

    def start(self, work: Work, recipe: Recipe | None) -> None:
        """Start the processes, but no more than there can be shards."""
        if recipe is None:
            raise InvalidArgument("jobs: expected a run that other processes can make again")
        self._made = work, recipe
        self.workers = max(1, min(self._jobs, -(-work.run.total // work.unit)))
        self._pool = [self._worker() for _ in range(self.workers)]

    @staticmethod
    def _worker() -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True, name="prefixproof-worker")
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def submit(self, shard: Shard) -> None:
        """Hand a shard to a process that has none."""
        self._hand(next(worker for worker in self._pool if worker.shard is None), shard)

    def _hand(self, worker: _Worker, shard: Shard) -> None:
        assert self._made is not None, "it was started"
        worker.shard, worker.begun = shard, False
        work, recipe = self._made
        with contextlib.suppress(OSError):  # it has ended, and the next wait tells it
            worker.connection.send(job(recipe, work, shard))

    def wait(self, seconds: float) -> list[Answer]:
        """Return what has come; a process that has ended is replaced.

        A shard is told to have ended its process only where that had it in hand. A process that ends before, such as
        one that was idle, says nothing of the shard that it was sent, and another takes it.
        """
        ready = set(wait([end for one in self._pool for end in (one.connection, one.process.sentinel)], seconds))
        found = []
        for worker in list(self._pool):
            if worker.connection not in ready and worker.process.sentinel not in ready:
                continue
            text = self._received(worker)
            if text == _BEGUN:
                worker.begun, self._unbegun = True, 0
                continue
            shard, worker.shard = worker.shard, None
            if text is None:
                self._pool.remove(worker)
                ended = self._ended(worker)
                self._pool.append(self._worker())
                if shard is not None and worker.begun:
                    found.append(Answer(shard, None, ended))
                elif shard is not None:
                    self._hand(self._pool[-1], shard)
            elif shard is not None:
                self._answered = True
                found.append(Answer(shard, text))
        return found

    @staticmethod
    def _received(worker: _Worker) -> str | None:
        try:
            return str(worker.connection.recv()) if worker.connection.poll() else None
        except (EOFError, OSError):
            return None

    def _ended(self, worker: _Worker) -> str:
        """Bury a process that has ended; return how it did.

        Raises:
            WorkerError: processes end one after the other and none has ever answered, or has begun.

        """
        worker.connection.close()
        worker.process.kill()  # it may have closed its end, and live on
        worker.process.join()
        code = worker.process.exitcode or 0
        worker.process.close()
        ended = f"signal {-code}" if code < 0 else f"status {code}"
        self._unanswered += 1
        if not self._answered and self._unanswered >= ATTEMPTS * self.workers:
            raise WorkerError(f"{self._unanswered} workers ended before any of them answered, the last with {ended}")
        self._unbegun += not worker.begun
        if self._unbegun >= ATTEMPTS * self.workers:
            raise WorkerError(f"{self._unbegun} workers ended before any of them began, the last with {ended}")
        return ended

    def close(self) -> None:
        """Kill the processes: what they are at is not needed any more."""
        pool, self._pool = self._pool, []
        for worker in pool:
            worker.process.kill()
        for worker in pool:
            worker.process.join()
            worker.process.close()
            worker.connection.close()


def _serve(connection: Connection) -> None:
    """Answer jobs until the driver ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to tell
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    os.dup2(2, 1)  # the driver's standard output is one document
    with contextlib.suppress(EOFError, OSError):
        while True:
            given = connection.recv()
            connection.send(_BEGUN)
            connection.send(run_job(given))


def _end_with_the_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        wait([driver.sentinel])
        os._exit(1)
