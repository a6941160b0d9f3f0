"""Shards on a cluster, over dask.distributed: its workers are processes on any machines that have this package."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from constructions.validation import InvalidArgument
from verify.extras import needed
from verify.shards.executors.base import Answer, Executor, job
from verify.shards.worker import run_job

if TYPE_CHECKING:
    from verify.shards.recipe import Recipe
    from verify.shards.records import Shard
    from verify.shards.works.base import Work

#: Seconds that a scheduler may take to answer, and then to have a worker: as dask itself waits by default.
PATIENCE = 30.0


class Cluster(Executor):
    """The workers of a dask scheduler; one shard at a time in each, whatever threads it has."""

    word = "dask"
    summary = "on the workers of a dask scheduler, with --scheduler ADDRESS"

    def __init__(self, scheduler: str, *, patience: float = PATIENCE) -> None:
        """Nothing is connected yet.

        Args:
            scheduler: its address, such as ``tcp://10.0.0.1:8786``.
            patience: seconds to wait for the scheduler, and then for a worker.

        """
        self._address, self._patience = scheduler, patience
        self._client: Any = None
        self._futures: dict[Any, Shard] = {}
        self._made: tuple[Work, Recipe] | None = None
        self._numbers = itertools.count()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @classmethod
    def of(cls, *, jobs: int | None, scheduler: str | None) -> Self:
        """Return one; the cluster says how many workers there are."""
        if scheduler is None:
            raise InvalidArgument("scheduler: expected --scheduler ADDRESS with --engine dask")
        if jobs is not None:
            raise InvalidArgument("jobs: expected no --jobs with --engine dask, whose cluster has its own workers")
        return cls(scheduler)

    def start(self, work: Work, recipe: Recipe | None) -> None:
        """Connect, and wait for a worker."""
        distributed = needed("distributed", "engine")
        if recipe is None:
            raise InvalidArgument("engine: expected a run that other processes can make again")
        self._made = work, recipe
        try:
            distributed.comm.parse_host_port(distributed.comm.parse_address(self._address)[1])
            self._client = _within(
                2 * self._patience,  # twice, as it waits that long itself where it can
                lambda: distributed.Client(self._address, timeout=self._patience, set_as_default=False),
            )
            self._client.wait_for_workers(1, timeout=self._patience)
        except (OSError, ValueError, TimeoutError) as error:  # dask raises ValueError for what is not an address
            self.close()
            why = " ".join(str(error).split()) or type(error).__name__
            raise InvalidArgument(
                f"scheduler: expected a scheduler with workers that answers within {self._patience:.0f} s but"
                f" {self._address}: {why}"
            ) from error
        self.workers = len(self._client.nthreads())

    def submit(self, shard: Shard) -> None:
        """Hand a shard to the scheduler, which runs it again itself where its worker is gone."""
        assert self._made is not None, "it was started"
        work, recipe = self._made
        # a name of its own each time: the scheduler remembers what failed under another
        name = f"prefixproof-{work.run.digest[:16]}-{id(self)}-{next(self._numbers)}"
        future = self._client.submit(run_job, job(recipe, work, shard), key=name, pure=False)
        self._futures[future] = shard
        future.add_done_callback(self._done.put)

    def wait(self, seconds: float) -> list[Answer]:
        """Return what has come."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._done.get(timeout=seconds))
            while True:
                found.append(self._done.get_nowait())
        self.workers = max(1, len(self._client.nthreads()))
        return [self._answer(future) for future in found]

    def _answer(self, future: Any) -> Answer:
        shard = self._futures.pop(future)
        try:
            return Answer(shard, str(future.result()))
        except Exception as error:  # noqa: BLE001 # run_job raises nothing: its worker was killed, or cannot import it
            return Answer(shard, None, f"{type(error).__name__}: {' '.join(str(error).split())}")
        finally:
            future.release()

    def close(self) -> None:
        """Take back what is not done, and leave the cluster as it was."""
        if self._client is None:
            return
        client, self._client = self._client, None
        with contextlib.suppress(Exception):
            client.cancel(list(self._futures))
        self._futures.clear()
        client.close(timeout=self._patience)


def _within(seconds: float, make: Callable[[], Any]) -> Any:
    """Return what is made within some seconds: dask waits for ever for a program that takes a connection and is silent.

    Raises:
        TimeoutError: it took longer; it goes on until the process ends.

    """
    made: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            made.put((make(), None))
        except Exception as error:  # noqa: BLE001 # it is raised below
            made.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        found, error = made.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("it takes connections and does not answer") from None
    if error is not None:
        raise error
    return found
