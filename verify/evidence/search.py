"""The one search: cases batch by batch, up to the first that is not shown right, and what is said at the end.

Every kind of evidence that runs cases is one of these: which cases, in which order, is all that they differ in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructions.specification import Specification
from constructions.validation import InvalidArgument
from verify.backends import Backend
from verify.evidence.found import Command
from verify.evidence.kinds import Evidence
from verify.evidence.tally import Progress, Tally, no_progress
from verify.evidence.verdict import Verdict
from verify.running.batches import Batch
from verify.running.cases import Runner, batch_size

#: Cases of a backend that runs them one by one come in batches of this many, so that progress and checkpoints move.
_UNBATCHED = 64

#: How the command line builds a specification, for the reproduction of a counterexample.
CommandFor = Callable[[Any], Command | None]


def cases_at_once(specification: Specification, backend: Backend) -> int:
    """Return how many cases of a specification come in one batch on a backend."""
    return batch_size(specification) if backend.batched else _UNBATCHED


@dataclass(frozen=True)
class Stop:
    """Where a search over several sizes stopped.

    Attributes:
        place: at which member.
        refused: why the backend could not run it; ``None`` where a case of it was not shown right.
        runner: the member on its backend, where it could run.

    """

    place: int
    refused: str | None = None
    runner: Runner | None = None


class Search:
    """One run over cases, by one kind of evidence.

    Attributes:
        tally: what was found so far.

    """

    def __init__(
        self,
        kind: Evidence,
        backend: Backend,
        *,
        claim: str,
        command: CommandFor | None = None,
        progress: Progress = no_progress,
    ) -> None:
        """Start the clock.

        Args:
            kind: of evidence.
            backend: what generates.
            claim: the claim's id, or the specification's name.
            command: how the command line builds a specification, ``None`` where it does not.
            progress: called with what is done and what there is in all.

        """
        self.started = time.perf_counter()
        self.kind, self.backend, self.claim, self.progress = kind, backend, claim, progress
        self.command: CommandFor = command if command is not None else lambda _: None
        self.tally = Tally()

    def through(self, runner: Runner, batches: Iterable[Batch], *, after: Callable[[], None] = lambda: None) -> bool:
        """Run batches up to the first case that is not shown right; return whether there was none.

        Args:
            runner: the specification on its backend.
            batches: the cases.
            after: called after every batch that is right.

        """
        for batch in batches:
            outcome = runner.run(batch.targets, batch.inputs)
            if not self.tally.take(runner, batch, outcome, command=self.command(runner.construction)):
                return False
            after()
        return True

    def over(self, members: Sequence[Callable[[], Any]], batches: Callable[[Any], Iterator[Batch]]) -> Stop | None:
        """Run members of a family, from the first to the last; return where it stopped, ``None`` at the end.

        Args:
            members: each makes a specification.
            batches: its cases.

        """
        for place, make in enumerate(members):
            specification = make()
            try:
                runner = Runner(specification, self.backend)
            except InvalidArgument as error:
                return Stop(place, refused=str(error))
            if not self.through(runner, batches(specification)):
                return Stop(place, runner=runner)
            self.progress(place + 1, len(members))
        return None

    def settle(self) -> None:
        """Ask again for what a verdict rests on, where nothing was found so far; see ``Tally.settle``."""
        self.tally.settle(self.command)

    def verdict(
        self,
        parameters: Mapping[str, Any],
        *,
        reason: str | None = None,
        space: int | None = None,
        seed: int | None = None,
        resumed: Mapping[str, Any] | None = None,
        authored: Sequence[str] = (),
    ) -> Verdict:
        """Return the verdict: false with a counterexample, true where there is no reason against it.

        Args:
            parameters: the sizes and options, as JSON values.
            reason: why not all of it was run, or what a reader must know with a counterexample.
            space: how many cases there are.
            seed: of what was drawn.
            resumed: what a checkpoint gave.
            authored: the classes of other authors that ran beside weights, whatever the verdict is; one that holds
                names those of the cases that are asked again, too.

        """
        tally, compared = self.tally, self.tally.witnesses.agreement
        agreed, holds = None if compared is None else compared.account(), tally.holds(complete=reason is None)
        named = dict.fromkeys(authored) | (tally.witnesses.authored if holds else {})
        same = f"{', '.join(named)}: the same function whenever it runs" if named else None
        return Verdict(
            claim=self.claim,
            parameters=parameters,
            method=self.kind.name,
            arithmetic=self.backend.name,
            device=self.backend.device,
            holds=holds,
            cases=tally.cases,
            space=space,
            margin=tally.margin,
            counterexample=tally.found,
            seed=seed,
            seconds=time.perf_counter() - self.started,
            reason=tally.reason or reason or (None if compared is None else compared.warning),
            resumed=resumed,
            assumptions="; ".join(filter(None, (self.backend.assumptions(), same, agreed))) or None,
        )
