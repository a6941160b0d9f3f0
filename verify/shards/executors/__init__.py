"""Who runs shards; a new executor is its own file, and an entry here."""

from __future__ import annotations

from constructions.registry import Registry
from verify.shards.executors.base import Answer as Answer
from verify.shards.executors.base import Executor as Executor
from verify.shards.executors.base import WorkerError as WorkerError
from verify.shards.executors.cluster import Cluster as Cluster
from verify.shards.executors.in_process import InProcess as InProcess
from verify.shards.executors.processes import Processes as Processes

#: Executors by their words, those of ``--engine``.
EXECUTORS: Registry[type[Executor]] = Registry("engine", (InProcess, Processes, Cluster), name=lambda kind: kind.word)
