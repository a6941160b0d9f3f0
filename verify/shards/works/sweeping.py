"""One family of cases at every vocabulary, in shards: a unit is a vocabulary, counted from the smallest."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np

from constructions.specification import Specification
from constructions.validation import InvalidArgument
from verify.backends import as_backend
from verify.evidence.checkpoint import REPLAYED, changed_since, run_key
from verify.evidence.kinds import SWEPT
from verify.evidence.search import Search
from verify.evidence.sweeping import batches, built, conclusion
from verify.evidence.tally import WITNESSES, Tally
from verify.evidence.verdict import Verdict
from verify.requests import Request
from verify.running.batches import Batch, constant_targets
from verify.running.cases import Runner
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.records import Run, State
from verify.shards.works.base import Work
from verify.suite.steps import Sweep, sweep_of


class Sweeping(Work):
    """A run of :func:`verify.evidence.sweeping.sweep`, in shards."""

    word = "sweep"
    units = "vocabularies"

    def __init__(self, request: Request, sizes: Sweep) -> None:
        """Make the largest size ready, of which the digest of the run is.

        Args:
            request: the claim and the arithmetic.
            sizes: that are swept.

        """
        self.request, self.sizes = request, sizes
        self.backend = as_backend(request.arithmetic)
        self.exact = self.backend.exact
        largest = built(sizes.build, sizes.last)
        key = run_key(Runner(largest, self.backend))
        title = f"{request.claim.id}, V = 1..{sizes.last}, in {self.backend.name}"
        self.run = Run(key, self.word, title, sizes.last)
        self._counts: dict[int, int] = {}

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run of a request, which has no settings."""
        return cls(request, sweep_of(request))

    def shard(self, start: int, stop: int) -> Findings:
        """Run all cases of some vocabularies, and ask again for some of them."""
        found, tally = RankTally(), Tally()
        for unit in range(start, stop):
            one = self._unit(unit, tally)
            found += one
            if one.failure is not None:
                break
        changed = tally.witnesses.changed() if found.failure is None else None
        return Findings(
            found,
            None if found.closest is None else (start, stop),
            None if changed is None else (start, changed),
        )

    def _unit(self, unit: int, tally: Tally) -> RankTally:
        specification = built(self.sizes.build, unit + 1)
        try:
            runner = Runner(specification, self.backend)
        except InvalidArgument:
            return RankTally(failure=unit)
        smallest = []
        for batch in batches(specification, self.backend):
            outcome = runner.run(batch.targets, batch.inputs)
            if outcome.failures().any():
                return RankTally(failure=unit)
            tally.add(outcome, runner, batch)
            smallest.append(outcome.smallest_margin())
        margin = min(smallest)
        return RankTally(1, margin, unit) if margin != float("inf") else RankTally(1)

    def objection(self, findings: Findings, start: int, stop: int) -> str | None:
        """Return why these cannot be the findings of a shard of this run, ``None`` where they can."""
        why, tally = super().objection(findings, start, stop), findings.tally
        if why is None and tally.cases and tally.margin is None:
            last = built(self.sizes.build, min(start + tally.cases, self.run.total))
            why = "there is no smallest margin" if Runner(last, self.backend).has_margins else None
        return why

    def _cases(self, unit: int) -> int:
        """Return how many cases a vocabulary has."""
        if unit not in self._counts:
            self._counts[unit] = len(constant_targets(built(self.sizes.build, unit + 1))[0])
        return self._counts[unit]

    def _drawn(self, units: Sequence[int], count: int, draw: random.Random) -> Iterator[tuple[Runner, Batch]]:
        """Yield cases drawn from all of some vocabularies, those of one vocabulary together."""
        places = [(unit, case) for unit in units for case in range(self._cases(unit))]
        chosen = sorted(draw.sample(places, min(count, len(places))))
        for unit in sorted({unit for unit, _ in chosen}):
            specification = built(self.sizes.build, unit + 1)
            targets, inputs = constant_targets(specification)
            cases = np.array([case for of, case in chosen if of == unit])
            yield Runner(specification, self.backend), Batch("drawn", targets[cases], inputs[cases])

    def replay(self, state: State, where: str) -> int:
        """Run cases drawn from all that are done; in exact arithmetic, none has a margin below the smallest."""
        looked_at = 0
        margin = state.findings.tally.margin
        for runner, batch in self._drawn(state.right(), REPLAYED, random.SystemRandom()):
            outcome = runner.run(batch.targets, batch.inputs)
            lower = self.exact and margin is not None and outcome.smallest_margin() < margin
            if outcome.failures().any() or lower:
                raise InvalidArgument(
                    f"ledger: expected all cases of {runner.construction!r} to be right as {where} has them, but one"
                    " is not when run again; take another file to start afresh"
                )
            looked_at += len(batch.targets)
        return looked_at

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Run the vocabulary at which it stopped again, or ask again for what is right."""
        request, findings = self.request, state.findings
        search = Search(SWEPT, self.backend, claim=request.claim.id, command=request.command)
        search.started = started
        found = findings.tally
        search.tally = Tally(sum(map(self._cases, state.right())), found.margin)
        cut_off = f"cut off after {found.cases} of {self.run.total} vocabularies"
        reason: str | None = cut_off
        if found.failure is not None:
            reason = self._stopped(search, found.failure)
        elif found.cases == self.run.total:
            reason = findings.changed[1] if findings.changed is not None else self._settled(search, found.closest)
        return search.verdict(
            {"vocab_size": f"1..{self.sizes.last}", **self.sizes.parameters, "targets": "constant"},
            reason=reason or search.tally.reason or self._shown(search),
            resumed=resumed,
        )

    def _shown(self, search: Search) -> str | None:
        """Return what a reader must know with a verdict that holds."""
        return None if search.tally.found is not None else self.sizes.refusal

    def _stopped(self, search: Search, unit: int) -> str | None:
        members = [partial(built, self.sizes.build, unit + 1)]
        stop = search.over(members, partial(batches, backend=self.backend))
        if stop is None:
            return f"vocab_size {unit + 1} was not shown right in a worker, and is when run again"
        return conclusion(search, stop, before=unit)

    def _settled(self, search: Search, closest: int | None) -> str | None:
        tally = search.tally
        tally.reason = changed_since(built(self.sizes.build, self.sizes.last), self.run.key["run"])
        if tally.reason is not None:
            return tally.reason
        for runner, batch in self._drawn(range(self.run.total), WITNESSES, random.Random(0)):  # noqa: S311 # no secret
            again = Tally()
            if not again.take(runner, batch, runner.run(batch.targets, batch.inputs), command=None):
                tally.reason = again.reason or f"a case of {runner.construction!r} was right, and is not when run again"
                return tally.reason
            tally.witnesses.add(runner, batch, runner.run(batch.targets, batch.inputs))
        if closest is not None:
            specification: Specification = built(self.sizes.build, closest + 1)
            runner, again = Runner(specification, self.backend), Tally()
            for batch in batches(specification, self.backend):
                outcome = runner.run(batch.targets, batch.inputs)
                if not again.take(runner, batch, outcome, command=search.command(specification)):
                    tally.found, tally.reason = again.found, again.reason
                    break
            if self.exact and tally.found is None and tally.reason is None and again.margin != tally.margin:
                where = f"vocab_size {closest + 1}"
                tally.reason = f"a margin of {tally.margin} was found at {where}, and of {again.margin} when run again"
            tally.closest = again.closest
        return conclusion(search, None)
