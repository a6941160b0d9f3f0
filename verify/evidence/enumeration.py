"""Exhaustive enumeration: every target with every user input, in batches, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from constructions.specification import Specification
from constructions.validation import check_integer
from verify.backends import Runs, as_backend
from verify.evidence.checkpoint import Checkpoint, changed_since
from verify.evidence.kinds import EXHAUSTED
from verify.evidence.ranges import at_once
from verify.evidence.search import Search, cases_at_once
from verify.evidence.tally import Progress as Progress
from verify.evidence.tally import Tally as Tally
from verify.evidence.tally import no_progress as no_progress
from verify.evidence.verdict import Verdict, decimal
from verify.running.batches import enumerated
from verify.running.cases import Runner, parameters_of


def exhaust(
    construction: Specification,
    arithmetic: Runs,
    *,
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    limit: int | None = None,
    checkpoint: Path | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Check EVERY target with EVERY user input by greedy generation.

    Before it ends, a run asks ``encode`` and ``answer`` again for cases drawn from it, in another order and in other
    batches, and runs the case of the smallest margin alone. A backend whose weights are not known is asked again too.

    Args:
        construction: what is promised: a construction, whose weights run in an arithmetic, or any specification.
        arithmetic: the number system, or a backend, such as ``verify.CallableBackend(kernel)``.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction, for the reproduction of a counterexample.
        limit: stop after this many cases in this call; the verdict is then unknown, unless a case failed.
        checkpoint: a file that holds how far the run is; an interrupted run goes on from it, a finished one removes it.
        progress: called with cases done and cases in all after each batch.

    Returns:
        ``holds`` true only when every case of the space was checked and has a positive margin (or, on a backend that
        gives tokens alone, the right tokens), and nothing was another when it was asked again.

    Raises:
        InvalidArgument: the checkpoint is damaged, edited or of another run, the format cannot hold what the weights
            rely on, or the backend cannot run this specification.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> verdict = exhaust(UnconditionalGeneration(3, 3), RationalArithmetic())
        >>> verdict.holds, verdict.cases, verdict.margin
        (True, 27, Fraction(1, 189))

    """
    if limit is not None:
        check_integer("limit", limit, 1)
    backend = as_backend(arithmetic)
    search = Search(
        EXHAUSTED, backend, claim=claim or type(construction).__name__, command=lambda _: command, progress=progress
    )
    parameters = parameters_of(construction, backend)
    runner = Runner(construction, backend)
    targets, users, *_ = runner.declared
    space = targets.size * users.size
    file = None if checkpoint is None else Checkpoint(checkpoint, runner)
    search.tally, resumed = (Tally(), None) if file is None else file.resume(space)
    tally = search.tally
    size = cases_at_once(construction, backend)
    end = space if limit is None else min(space, tally.cases + limit)

    def kept() -> None:
        if file is not None:
            file.keep(tally)
        progress(tally.cases, space)

    progress(tally.cases, space)
    backend.expect(end - tally.cases)
    if not _at_once(search, runner, end, size=size, after=kept):
        starts = range(tally.cases, end, size)
        batches = (enumerated(construction, start, min(end, start + size)) for start in starts)
        search.through(runner, batches, after=kept)
    if tally.cases == space:
        if file is not None and tally.found is None and tally.reason is None:
            # its key was made before all else: code that changes with the first call is the same from then on
            tally.reason = changed_since(construction, file.key["run"])
        search.settle()
    complete = tally.cases == space and tally.found is None
    if file is not None and (complete or tally.found is not None):
        file.remove()
    cut_off = f"cut off after {tally.cases} of {decimal(space)} cases"
    return search.verdict(
        parameters,
        reason=None if complete or tally.found is not None else cut_off,
        space=space,
        resumed=None if resumed is None else resumed.to_json(),
        authored=runner.prepared.authored,
    )


def _at_once(search: Search, runner: Runner, end: int, *, size: int, after: Callable[[], None]) -> bool:
    """Run the ranks that are left at once; return false where the others are to run batch by batch.

    So many of them are asked for that it takes about a second: progress and the checkpoint move after each time.
    """
    tally, command = search.tally, search.command(runner.construction)
    first, many, found = tally.cases, size, None
    while tally.cases < end:
        started = time.perf_counter()
        found = at_once(runner, tally.cases, min(end, tally.cases + many))
        if found is None:
            break
        if not tally.take_ranks(runner, found, command=command):
            return True
        after()
        many *= 2 if time.perf_counter() - started < 1 else 1
    if tally.cases > first:
        tally.draw_witnesses(runner, range(first, tally.cases), size=size, command=command)
    return found is not None or tally.found is not None or tally.reason is not None
