"""Who runs shards; a new executor is its own file, and an entry here."""

from __future__ import annotations

from constructions.registry import Registry
from constructions.validation import InvalidArgument
from verify.shards.executors.base import Answer as Answer
from verify.shards.executors.base import Executor as Executor
from verify.shards.executors.base import WorkerError as WorkerError
from verify.shards.executors.cluster import Cluster as Cluster
from verify.shards.executors.in_process import InProcess as InProcess
from verify.shards.executors.processes import Processes as Processes

#: Executors by their words, those of ``--engine``.
EXECUTORS: Registry[type[Executor]] = Registry("engine", (InProcess, Processes, Cluster), name=lambda kind: kind.word)


def one_of(jobs: int | None, executor: Executor | None) -> Executor | None:
    """Return who runs shards: so many processes, an executor, or ``None`` for this process.

    Raises:
        InvalidArgument: both were given.

    """
    if jobs is not None and executor is not None:
        raise InvalidArgument("jobs: expected either jobs or an executor but got both")
    return executor if jobs is None else Processes(jobs)
