"""The findings of a run over many cases, and the questions that it asks again before it ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from constructions.validation import InvalidArgument
from verify.evidence.found import Command, confirmed
from verify.evidence.verdict import Counterexample, Margin
from verify.running.again import WITNESSES as WITNESSES
from verify.running.again import Sample, Witness, cases, changed, groups
from verify.running.batches import Batch, enumerated, together
from verify.running.cases import Outcome, Runner, declared
from verify.running.ranks import RankTally

if TYPE_CHECKING:
    from verify.conformance.agreement import Agreement

Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


class Witnesses:
    """Cases drawn from a run, each as likely as any other, with what ``encode`` and ``answer`` gave for them.

    A verdict speaks of functions: their values must be the same when they are asked again, in another order and in
    batches of another size. So must those of a backend whose weights are not known.
    """

    def __init__(self) -> None:
        """Hold no case yet."""
        self._drawn = Sample[tuple[Runner, Witness]]()
        #: How cases of code of other authors agree with the dense arithmetic, where any were compared.
        self.agreement: Agreement | None = None
        #: The classes of other authors that ran beside weights, in the order in which they came.
        self.authored: dict[str, None] = {}

    def add(self, runner: Runner, batch: Batch, outcome: Outcome) -> None:
        """Look at a batch that ran."""
        self.authored |= dict.fromkeys(runner.prepared.authored)
        prompts, promised = outcome.prompts, outcome.expected
        self._drawn.add(len(batch.targets), lambda case: (runner, Witness.of(batch, prompts, promised, case)))

    def changed(self) -> str | None:
        """Ask again; return what is not what it was, ``None`` where everything is."""
        by_runner: dict[int, tuple[Runner, list[Witness]]] = {}
        for runner, witness in reversed(self._drawn.held):
            by_runner.setdefault(id(runner), (runner, []))[1].append(witness)
        for runner, held in by_runner.values():
            construction, now = runner.construction, declared(runner.construction)
            if now != runner.declared:
                return f"targets, layout, vocabulary and mask are not what they were: {now}, before {runner.declared}"
            found = runner.prepared.changed()
            if found is not None:
                return found
            for group in groups(held):
                found = changed(construction, group) or self._answers_otherwise(runner, group)
                if found is not None:
                    return found
        return None

    def _answers_otherwise(self, runner: Runner, held: Sequence[Witness]) -> str | None:
        """Ask again for cases that were right, in another order and one by one, where only answers tell anything.

        So it is of a backend of which nothing else is known, and of a transformer with code of other authors. What such
        code gives is also held against the dense arithmetic.
        """
        if runner.backend.inspected and not runner.prepared.authored:
            return None
        targets, inputs = cases(held)
        try:
            outcome = runner.run(targets, inputs)
        except InvalidArgument as error:
            return f"{runner.backend.name}, asked again: {error}"
        failed = outcome.failures().any(axis=1)
        if failed.any():
            again = f"was right, and is not when asked again in a batch of {len(held)}"
            return f"{runner.backend.name} is no function: {held[int(np.argmax(failed))]} {again}"
        if runner.prepared.dense is None:
            return None
        if self.agreement is None:
            from verify.conformance.agreement import Agreement  # noqa: PLC0415 # it imports this module

            self.agreement = Agreement()
        return self.agreement.off(runner, Batch("drawn", targets, inputs), outcome.margins)


@dataclass
class Tally:
    """The findings of a run over many cases so far.

    Attributes:
        cases: how many were checked.
        margin: the smallest margin, ``None`` before the first case or where every vocabulary has one token.
        found: the first case that is not shown right.
        reason: why nothing is shown although no case refutes the claim.
        closest: where the smallest margin was: what ran, the batch, and the place in it.
        witnesses: what is asked again at the end.

    """

    cases: int = 0
    margin: Margin | None = None
    found: Counterexample | None = None
    reason: str | None = None
    closest: tuple[Runner, Batch, int] | None = None
    witnesses: Witnesses = field(default_factory=Witnesses)

    def add(self, outcome: Outcome, runner: Runner | None = None, batch: Batch | None = None) -> None:
        """Count a batch without failures."""
        self.cases += len(outcome.expected)
        smallest = outcome.smallest_margin()
        if smallest != float("inf") and (self.margin is None or not smallest >= self.margin):
            self.margin = smallest
            if runner is not None and batch is not None:
                self.closest = (runner, batch, int(np.argmin(outcome.margins.min(axis=1))))
        if runner is not None and batch is not None:
            self.witnesses.add(runner, batch, outcome)

    def take(self, runner: Runner, batch: Batch, outcome: Outcome, *, command: Command | None) -> bool:
        """Count a batch, or confirm its first failure; return whether the run goes on."""
        failed = outcome.failures().any(axis=1)
        if not failed.any():
            self.add(outcome, runner, batch)
            return True
        case = int(np.argmax(failed))
        self.cases += case + 1
        self._refute(confirmed(runner, batch, case, command=command))
        return False

    def take_ranks(self, runner: Runner, found: RankTally, *, command: Command | None) -> bool:
        """Count ranks that ran at once, or confirm their first failure; return whether the run goes on."""
        self.cases += found.cases
        if (
            found.margin is not None
            and found.closest is not None
            and (self.margin is None or not found.margin >= self.margin)
        ):
            self.margin = found.margin
            self.closest = (runner, enumerated(runner.construction, found.closest, found.closest + 1), 0)
        if found.failure is None:
            return True
        self.cases += 1
        one = enumerated(runner.construction, found.failure, found.failure + 1)
        self._refute(confirmed(runner, one, 0, command=command))
        return False

    def draw_witnesses(self, runner: Runner, ranks: range, *, size: int, command: Command | None) -> None:
        """Run cases drawn from ranks that ran at once as batches, and hold them as witnesses.

        Args:
            runner: the specification on its backend.
            ranks: those that ran at once; they are counted already.
            size: how many cases come in one batch.
            command: how the command line builds the specification.

        """
        drawn = sorted(random.Random(0).sample(ranks, min(WITNESSES, len(ranks))))  # noqa: S311 # no secret
        for start in range(0, len(drawn), size):
            part = drawn[start : start + size]
            batch = together([enumerated(runner.construction, rank, rank + 1) for rank in part])
            outcome = runner.run(batch.targets, batch.inputs)
            failed = outcome.failures().any(axis=1)
            if failed.any():
                rank = part[int(np.argmax(failed))]
                self._refute(confirmed(runner, enumerated(runner.construction, rank, rank + 1), 0, command=command))
                return
            self.witnesses.add(runner, batch, outcome)

    def settle(self, command: Callable[[Any], Command | None]) -> None:
        """Ask the witnesses again, and run the case of the smallest margin alone, where nothing was found so far."""
        if self.found is not None or self.reason is not None:
            return
        self.reason = self.witnesses.changed()
        if self.reason is None and self.closest is not None:
            runner, batch, case = self.closest
            target, user = batch.targets[case], batch.inputs[case]
            if runner.run(target[None], user[None]).failures().any():
                self._refute(confirmed(runner, batch, case, command=command(runner.construction)))

    def _refute(self, found: Counterexample | str) -> None:
        if isinstance(found, str):
            self.reason = found
        else:
            self.found, self.margin = found, found.margin

    def holds(self, *, complete: bool) -> bool | None:
        """Return the verdict: false with a counterexample, true when all was run and nothing speaks against it."""
        return False if self.found is not None else True if complete and self.reason is None else None
