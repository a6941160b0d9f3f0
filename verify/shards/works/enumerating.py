"""Every target with every user input, in shards: a unit is a rank.

What a run asks again before it ends, it asks here in three places. Each shard asks for some of its own cases again,
where it ran: as many as the square root of its cases, up to :data:`~verify.evidence.tally.WITNESSES`, whose share of
the work vanishes as the shard grows. The driver draws as many cases from ALL shards as a sequential run keeps, runs
them itself, in another process and in other batches than before, and then asks again for them as a sequential run does.
And it runs the case of the smallest margin alone. A function that answers otherwise in one call of ``k`` is so met at
least as often as by one process.

Shards end where batches of a sequential run end, so that the same cases run together, and floats round as they do
there.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from constructions.specification import Specification
from constructions.validation import InvalidArgument
from verify.backends import Runs, as_backend
from verify.evidence.checkpoint import REPLAYED, changed_since, run_key
from verify.evidence.found import Command, confirmed
from verify.evidence.kinds import EXHAUSTED
from verify.evidence.ranges import at_once, tally_ranks
from verify.evidence.search import Search, cases_at_once
from verify.evidence.tally import WITNESSES, Tally, Witnesses
from verify.evidence.verdict import Margin, Verdict
from verify.numbers import decimal
from verify.running.batches import Batch, enumerated, together
from verify.running.cases import Runner, parameters_of
from verify.shards.findings import Findings
from verify.shards.records import Run, State
from verify.shards.works.base import Work

if TYPE_CHECKING:
    from verify.requests import Request


class Enumerating(Work):
    """A run of :func:`verify.evidence.enumeration.exhaust`, in shards."""

    word = "exhaust"

    def __init__(
        self, construction: Specification, runs: Runs, *, claim: str | None = None, command: Command | None = None
    ) -> None:
        """Make the backend ready; arguments as of :func:`verify.evidence.enumeration.exhaust`."""
        backend = as_backend(runs)
        self.claim, self.command = claim or type(construction).__name__, command
        self.parameters = parameters_of(construction, backend)
        self.runner = Runner(construction, backend)
        targets, users, *_ = self.runner.declared
        self.unit, self.exact = cases_at_once(construction, backend), backend.exact
        title = f"{construction!r} in {backend.name}"
        self.run = Run(run_key(self.runner), self.word, title, targets.size * users.size)
        backend.expect(self.run.total)

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run of a request, which has no settings."""
        construction = request.construction
        return cls(construction, request.arithmetic, claim=request.claim.id, command=request.command(construction))

    def shard(self, start: int, stop: int) -> Findings:
        """Run ranks ``start..stop-1``, and ask again for some of them."""
        tally = tally_ranks(self.runner, start, stop, size=self.unit)
        changed = self._changed(start, tally.cases)
        return Findings(
            tally,
            None if tally.closest is None else (start, stop),
            None if changed is None else (start, changed),
        )

    def objection(self, findings: Findings, start: int, stop: int) -> str | None:
        """Return why these cannot be the findings of a shard of this run, ``None`` where they can."""
        if findings.tally.cases and findings.tally.margin is None and self.runner.has_margins:
            return "there is no smallest margin"
        return super().objection(findings, start, stop)

    def _changed(self, start: int, cases: int) -> str | None:
        count = min(WITNESSES, math.isqrt(cases))
        if not count:
            return None
        draw = random.Random(start)  # noqa: S311 # no secret
        ranks = draw.sample(range(start, start + cases), count)
        try:
            failed, witnesses = self._witnessed(ranks)
        except InvalidArgument as error:
            return f"encode or answer, asked again: {error}"
        if failed is not None:
            return f"case {failed} was right, and is not when asked again"
        return witnesses.changed()

    def _witnessed(self, ranks: Sequence[int]) -> tuple[int | None, Witnesses]:
        """Run cases in batches of their own; return the first that is not right, and all as witnesses."""
        witnesses = Witnesses()
        for first in range(0, len(ranks), self.unit):
            some = ranks[first : first + self.unit]
            batch = self._batch(some)
            outcome = self.runner.run(batch.targets, batch.inputs)
            failed = outcome.failures().any(axis=1)
            if failed.any():
                return some[int(np.argmax(failed))], witnesses
            witnesses.add(self.runner, batch, outcome)
        return None, witnesses

    def _failed_at_once(self, ranks: Sequence[int]) -> int | None:
        """Run cases as shards do, where the backend runs ranks at once: its account is then of cases of all shards."""
        for rank in ranks:
            found = at_once(self.runner, rank, rank + 1)
            if found is None:
                return None
            if found.failure is not None:
                return found.failure
        return None

    def _batch(self, ranks: Sequence[int]) -> Batch:
        return together([enumerated(self.runner.construction, rank, rank + 1) for rank in ranks])

    def _around(self, rank: int) -> tuple[Batch, int]:
        """Return the batch in which a sequential run has a rank, and its place there."""
        start = rank // self.unit * self.unit
        return enumerated(self.runner.construction, start, min(self.run.total, start + self.unit)), rank - start

    def replay(self, state: State, where: str) -> int:
        """Run cases drawn from all that are done; in exact arithmetic, none has a margin below the smallest.

        Nobody knows beforehand which cases are drawn, not even someone who makes up a ledger.
        """
        ends = [*itertools.accumulate(stop - start for start, stop in state.ranges)]
        ranks = [
            state.ranges[row][1] - (ends[row] - number)
            for number in random.SystemRandom().sample(
                range(ends[-1] if ends else 0), min(REPLAYED, ends[-1] if ends else 0)
            )
            for row in (bisect.bisect(ends, number),)
        ]
        failure, margin = state.findings.tally.failure, state.findings.tally.margin
        for rank in sorted(rank for rank in ranks if failure is None or rank < failure):
            batch = self._batch([rank])
            outcome = self.runner.run(batch.targets, batch.inputs)
            lower = self.exact and margin is not None and outcome.smallest_margin() < margin
            if outcome.failures().any() or lower:
                raise InvalidArgument(
                    f"ledger: expected case {rank} to be right as {where} has it, but it is not when run again; take"
                    " another file to start afresh"
                )
        return len(ranks)

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Confirm the first failure, or ask again for what is right."""
        search = Search(EXHAUSTED, self.runner.backend, claim=self.claim, command=lambda _: self.command)
        search.started = started
        found, space = state.findings.tally, self.run.total
        search.tally = tally = Tally(found.cases, found.margin)
        if found.failure is not None:
            tally.cases += 1
            self._refute(tally, found.failure)
        elif found.cases == space and state.findings.changed is not None:
            tally.reason = state.findings.changed[1]
        elif found.cases == space:
            self._settle(search, found.closest)
        cut_off = f"cut off after {decimal(found.cases)} of {decimal(space)} cases"
        return search.verdict(
            self.parameters,
            reason=None if found.cases == space or tally.found is not None else cut_off,
            space=space,
            resumed=resumed,
            authored=self.runner.prepared.authored,
        )

    def _refute(self, tally: Tally, rank: int) -> None:
        found = confirmed(self.runner, *self._around(rank), command=self.command)
        if isinstance(found, str):
            tally.reason = found
        else:
            tally.found, tally.margin = found, found.margin

    def _settle(self, search: Search, closest: int | None) -> None:
        space = self.run.total
        search.tally.reason = changed_since(self.runner.construction, self.run.key["run"])
        if search.tally.reason is not None:
            return
        draw = random.Random(space)  # noqa: S311 # no secret
        ranks = draw.sample(range(space), min(WITNESSES, space))
        try:
            failed, search.tally.witnesses = self._witnessed(ranks)
            if failed is None:
                failed = self._failed_at_once(ranks)
        except InvalidArgument as error:
            search.tally.reason = f"encode or answer, asked again: {error}"
            return
        if failed is not None:
            self._refute(search.tally, failed)
            return
        if closest is not None:
            search.tally.reason = self._other_margin(closest, search.tally.margin)
            search.tally.closest = (self.runner, *self._around(closest))
        search.settle()

    def _other_margin(self, rank: int, margin: Margin | None) -> str | None:
        """Run the case of the smallest margin again; return in words that exact arithmetic gives it another one."""
        if not self.exact or margin is None:
            return None
        batch = self._batch([rank])
        found = self.runner.run(batch.targets, batch.inputs).smallest_margin()
        if found == margin or not found > 0:  # that is a counterexample, which is run and told by itself
            return None
        return f"a margin of {margin} was found at case {rank}, and of {found} when it is run again"
