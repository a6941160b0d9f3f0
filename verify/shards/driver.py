"""The driver: claims shards, hands them to workers, writes down what they find, and draws the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from constructions.validation import InvalidArgument, check_integer
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.numbers import decimal
from verify.shards.answers import read
from verify.shards.executors.base import ATTEMPTS, Answer, Executor, WorkerError
from verify.shards.executors.in_process import InProcess
from verify.shards.findings import Findings
from verify.shards.ledger import Ledger
from verify.shards.recipe import Recipe
from verify.shards.records import Shard, State, moment
from verify.shards.sizes import Sizes
from verify.shards.works import WORKS
from verify.shards.works.base import Work

if TYPE_CHECKING:
    from verify.requests import Request

#: Seconds after which the driver looks around while it waits: for what other drivers have found, as a person would.
_GLANCE = 1.0
#: Number of the shard that is run again before anything of a ledger is taken over; claims count from 1.
_AGAIN = 0


class _Way(NamedTuple):
    """A shard that is with a worker: since when, and what the driver had spent on it."""

    shard: Shard
    since: float
    driver: float


@dataclass
class _Drive:
    """One driver at work on one ledger.

    Attributes:
        taken: units that this driver claimed.
        ways: shards that are with workers, by their numbers.
        ended: how often the worker of a shard ended before it answered, by the shard's first unit.
        errors: what was raised in shards of one batch, by their first unit: no unit from there on is run.
        halves: units that a shard may have now, by its first unit, after something was raised in a longer one: a case
            below may fail, and comes first.
        again: what the ledger had found before, while the shard of its smallest margin runs again.
        found: what this driver read in the ledger and wrote into it, which anybody may edit in the meantime.
        uncounted: what it found to be wrong in shards that were given to another driver, who must find it as well.

    """

    work: Work
    executor: Executor
    ledger: Ledger
    sizes: Sizes
    limit: int | None
    progress: Progress
    taken: int = 0
    ways: dict[int, _Way] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)
    halves: dict[int, int] = field(default_factory=dict)
    again: Findings | None = None
    found: Findings = field(default_factory=Findings)
    uncounted: list[Findings] = field(default_factory=list)

    @property
    def below(self) -> int | None:
        """The unit from which on nothing is run."""
        return min(self.errors, default=None)

    def run(self, before: State) -> None:
        """Run shards until nothing is left to do below the first failure; first, one of those done before again."""
        self.found = replace(before.findings, identities=frozenset())
        if before.findings.shard is not None:
            self.again = before.findings
            self._hand(Shard(_AGAIN, *before.findings.shard), 0.0)
        while True:
            self._claim()
            if not self.ways:
                if self._reached or self._complete():
                    return
                time.sleep(min(_GLANCE, self.ledger.standing(below=self.below).lease or _GLANCE))
            for answer in self.executor.wait(_GLANCE) if self.ways else []:
                self._take(answer)
            self.sizes.workers = self.executor.workers
            if self.ways and _AGAIN not in self.ways and self._complete():
                return  # what is still running lies above the first failure

    @property
    def _reached(self) -> bool:
        return self.limit is not None and self.taken >= self.limit

    def _complete(self) -> bool:
        return self.ledger.standing(below=self.below).complete

    def _claim(self) -> None:
        while len(self.ways) < self.executor.workers and not self._reached:
            started = time.perf_counter()
            shard = self.ledger.claim(self._upto, below=self.below)
            if shard is None:
                return
            self.taken += shard.stop - shard.start
            self._hand(shard, time.perf_counter() - started)

    def _upto(self, start: int, remaining: int) -> int:
        """Return where a shard is to end: at the end of a batch, or where the limit is reached."""
        unit = self.work.unit
        units = min(self.sizes.units(remaining), self.halves.get(start, remaining))
        stop = max((start + units) // unit * unit, start // unit * unit + unit)
        return stop if self.limit is None else min(stop, start + self.limit - self.taken)

    def _hand(self, shard: Shard, spent: float) -> None:
        self.ways[shard.id] = _Way(shard, time.perf_counter(), spent)
        self.executor.submit(shard)

    def _take(self, answer: Answer) -> None:
        way, now = self.ways.pop(answer.shard.id), time.perf_counter()
        shard = answer.shard
        if answer.text is None:
            self.ended[shard.start] = self.ended.get(shard.start, 0) + 1
            if self.ended[shard.start] >= ATTEMPTS:
                where = f"{shard.start}..{shard.stop - 1}"
                raise WorkerError(f"units {where} ended their worker {ATTEMPTS} times, the last with {answer.ended}")
            self._hand(shard, way.driver)
            return
        try:
            findings, seconds = read(answer.text, self.work, shard)
        except (InvalidArgument, MemoryError, WorkerError) as error:
            if shard.id == _AGAIN:
                raise
            count = shard.stop - shard.start
            if count > self.work.unit:
                self.halves[shard.start] = count // 2
                self.taken -= count
            else:
                self.errors[shard.start] = error
            self.ledger.release(shard)
            return
        if shard.id == _AGAIN:
            self._compare(findings)
            return
        if self.ledger.complete(shard, findings):  # not where it was given to another driver, who counts it
            self.found += replace(findings, identities=frozenset())
        elif findings.tally.failure is not None or findings.changed is not None:
            self.uncounted.append(findings)
        driver = way.driver + time.perf_counter() - now
        self.sizes.measured(
            shard.stop - shard.start, seconds=seconds, way=max(0.0, now - way.since - seconds), driver=driver
        )
        self.progress(self.ledger.standing().units, self.work.run.total)

    def check(self, after: State, *, complete: bool) -> None:
        """Refuse a ledger that says something better than what this driver read in it, found and wrote into it.

        Args:
            after: what it says at the end.
            complete: whether every unit below the first failure is done.

        Raises:
            InvalidArgument: it was edited while the run was under way.

        """
        if self.below is not None:  # what was raised is told, or a failure below it: nothing holds
            return
        mine, theirs = self.found.tally, after.findings.tally
        known = [self.found, *(self.uncounted if complete else [])]
        failure = min((each.tally.failure for each in known if each.tally.failure is not None), default=None)
        changed = next((each.changed for each in known if each.changed is not None), None)
        lost = None
        if failure is not None and (theirs.failure is None or theirs.failure > failure):
            lost = f"unit {failure} is not shown right"
        elif theirs.failure is None and changed is not None and after.findings.changed is None:
            lost = changed[1]
        elif theirs.failure is None and mine.margin is not None:
            smaller = theirs.margin is not None and theirs.margin <= mine.margin
            lost = None if smaller else f"unit {mine.closest} has a margin of {mine.margin}"
        if lost is not None:
            raise InvalidArgument(
                f"ledger: expected {self.ledger.path} as this run left it but it was edited in the meantime, and no"
                f" longer says that {lost}; take another file to start afresh"
            )

    def _compare(self, findings: Findings) -> None:
        assert self.again is not None, "it was asked for"
        held, found = self.again.tally, findings.tally
        if (held.margin, held.closest) != (found.margin, found.closest):
            raise InvalidArgument(
                f"ledger: expected a smallest margin of {held.margin} at unit {held.closest} as {self.ledger.path} has"
                f" it, but its shard gives {found.margin} at {found.closest} when run again; take another file to start"
                " afresh"
            )


def run_request(
    word: str,
    request: Request,
    settings: Mapping[str, Any],
    executor: Executor,
    *,
    ledger: Path | None = None,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Return the verdict on a command's request, run in shards; see :func:`gather`.

    Args:
        word: the kind of run.
        request: the claim, its sizes and the arithmetic.
        settings: what else the command was given, as JSON values.
        executor: who runs shards.
        ledger: see :func:`gather`.
        limit: the same.
        progress: the same.

    """
    work = WORKS[word].work.of(request, settings)
    recipe = Recipe.of_request(word, request, {**settings, **work.settings}) if executor.elsewhere else None
    return gather(work, recipe, executor, ledger=ledger, limit=limit, progress=progress)


def gather(
    work: Work,
    recipe: Recipe | None = None,
    executor: Executor | None = None,
    *,
    ledger: Path | None = None,
    limit: int | None = None,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.time,
) -> Verdict:
    """Run all shards of a run, and return the verdict: the same as one process would give.

    A shard above the first failure that is known need not run; those below it do, so that the counterexample is that of
    the smallest unit, whoever found which first. The driver runs it again itself before it says so.

    Args:
        work: the run.
        recipe: makes it again in a worker; ``None`` where all runs in this process.
        executor: who runs shards; this process by default, and where the run is all one piece.
        ledger: a file that holds how far the run is, and that several drivers may share.
        limit: stop after so many units in this call.
        progress: called with units done and units in all.
        clock: seconds since 1970.

    Raises:
        InvalidArgument: the ledger is none, or of another run; workers cannot be reached, or run something else.
        WorkerError: something unexpected in a worker.

    """
    if limit is not None:
        check_integer("limit", limit, 1)
    started = time.perf_counter()
    chosen = InProcess() if executor is None or work.undivided else executor
    book = Ledger(ledger, work.run, clock=clock, objection=work.objection)
    try:
        before, taken_over = book.state(), book.standing().others
        replayed = work.replay(before, str(ledger)) if before.ranges else 0
        progress(book.standing().units, work.run.total)
        with chosen, book.beating():
            chosen.start(work, recipe)
            drive = _Drive(work, chosen, book, Sizes(chosen.workers, work.unit), limit, progress)
            drive.run(before)
        standing, after = book.standing(below=drive.below), book.state(below=drive.below)
        drive.check(after, complete=standing.complete)
        failure = after.findings.tally.failure
        if drive.below is not None and (failure is None or failure >= drive.below):
            raise drive.errors[drive.below]
        resumed = None
        if standing.others and after.saved is not None:
            if standing.others > taken_over:  # other drivers were at work too
                replayed = work.replay(after, str(ledger))
            resumed = {
                work.units: decimal(standing.others),
                "saved": moment(before.saved or after.saved),
                "replayed": replayed,
            }
        verdict = work.conclude(after, started=started, resumed=resumed)
        if standing.complete:
            book.finish(verdict.to_json())
        return verdict
    finally:
        book.close()
