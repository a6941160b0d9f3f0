"""An executor: it takes shards, and gives back what workers answer."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from verify.shards.recipe import Recipe
    from verify.shards.records import Shard
    from verify.shards.works.base import Work

#: How often a shard is run whose worker ends before it answers. One that ends workers each time, such as one that needs
#: more memory than there is, must not do so for ever; a machine that is switched off ends a shard once.
ATTEMPTS = 3


class WorkerError(RuntimeError):
    """Something unexpected in a worker."""


@dataclass(frozen=True)
class Answer:
    """What came back for a shard.

    Attributes:
        shard: the shard.
        text: the worker's answer; ``None`` where the worker ended before it.
        ended: how it ended, in words.

    """

    shard: Shard
    text: str | None
    ended: str = ""


class Executor(ABC):
    """Runs shards, in one process, in several, or anywhere; to be used in a ``with`` block.

    Attributes:
        word: its name on the command line.
        summary: what it is, in a few words.
        elsewhere: whether shards run in other processes, which make the run again.
        workers: how many shards run at once, known when it has started.

    """

    word: ClassVar[str]
    summary: ClassVar[str]
    elsewhere: ClassVar[bool] = True
    workers: int = 1

    @classmethod
    @abstractmethod
    def of(cls, *, jobs: int | None, scheduler: str | None) -> Self:
        """Return the executor of a command's options.

        Args:
            jobs: how many workers, ``None`` where that was not said.
            scheduler: the address of a cluster's scheduler.

        Raises:
            InvalidArgument: an option that it does not have, or lacks.

        """

    @abstractmethod
    def start(self, work: Work, recipe: Recipe | None) -> None:
        """Start the workers of a run.

        Args:
            work: the run.
            recipe: makes it again in another process; ``None`` where it cannot be made again.

        Raises:
            InvalidArgument: workers cannot be reached, or cannot run this.

        """

    @abstractmethod
    def submit(self, shard: Shard) -> None:
        """Run a shard; at most :attr:`workers` are asked for before one is answered."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Answer]:
        """Return the answers that have come, after at most so many seconds."""

    @abstractmethod
    def close(self) -> None:
        """End every worker, whatever it does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def job(recipe: Recipe, work: Work, shard: Shard) -> str:
    """Return the job of a shard, as :func:`verify.shards.worker.run_job` takes it."""
    return json.dumps(
        {"recipe": recipe.text, "digest": work.run.digest, "start": shard.start, "stop": shard.stop}, allow_nan=False
    )
