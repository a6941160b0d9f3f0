"""A run that is split into shards: how one is run, and how the findings of all make the verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from verify.evidence.verdict import Verdict
from verify.shards.findings import Findings
from verify.shards.records import Run, State

if TYPE_CHECKING:
    from verify.requests import Request


class Work(ABC):
    """A run, the same in the driver and in every worker.

    Attributes:
        word: the kind of run, which is the word of its command.
        units: a word for several units, as a verdict says how many were taken over.
        run: what a ledger is of.
        unit: shards end at multiples of so many units.
        exact: whether margins are exact numbers.
        settings: what a worker is told of the run beside what the command was given, as JSON values.
        undivided: whether it is all one piece, which the driver runs itself.

    """

    word: ClassVar[str]
    units: ClassVar[str] = "cases"
    run: Run
    unit: int = 1
    exact: bool = False
    settings: Mapping[str, Any] = MappingProxyType({})
    undivided: bool = False

    @classmethod
    @abstractmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run that a command asks for.

        Args:
            request: the claim, its sizes and the arithmetic.
            settings: what else the command was given, as JSON values.

        """

    @abstractmethod
    def shard(self, start: int, stop: int) -> Findings:
        """Run units ``start..stop-1``, up to the first that is not shown right."""

    @abstractmethod
    def replay(self, state: State, where: str) -> int:
        """Run again some of what a ledger calls done, in the driver; return how many cases.

        Args:
            state: of the ledger.
            where: the ledger, for messages.

        Raises:
            InvalidArgument: one of them is not as the ledger has it.

        """

    @abstractmethod
    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Return the verdict on what is done, after running again here what it rests on.

        Args:
            state: of the ledger, up to the first unit that is not shown right.
            started: when the run began, by ``time.perf_counter``.
            resumed: what a verdict says of a run that went on.

        """

    def objection(self, findings: Findings, start: int, stop: int) -> str | None:
        """Return why these cannot be the findings of a shard of this run, ``None`` where they can."""
        margin = findings.tally.margin
        if margin is not None and isinstance(margin, Fraction) is not self.exact:
            return f"a margin of {margin!r} is none of this arithmetic"
        return findings.objection(start, stop)
