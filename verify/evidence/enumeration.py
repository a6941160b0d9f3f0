"""Exhaustive enumeration: every target with every user input, in batches, resumable."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from constructions.construction import Construction
from constructions.validation import check_integer
from verify.arithmetic import Arithmetic
from verify.evidence.checkpoint import Checkpoint
from verify.evidence.tally import Progress as Progress
from verify.evidence.tally import Tally as Tally
from verify.evidence.tally import no_progress as no_progress
from verify.evidence.verdict import Verdict, decimal
from verify.running.batches import enumerated
from verify.running.cases import Runner, batch_size, parameters_of

#: Cases of an arithmetic that runs them one by one come in batches of this many, so that progress and checkpoints move.
_UNBATCHED = 64


def exhaust(
    construction: Construction,
    arithmetic: Arithmetic[Any, Any, Any],
    *,
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    limit: int | None = None,
    checkpoint: Path | None = None,
    progress: Progress = no_progress,
    tf32: bool = False,
) -> Verdict:
    """Check EVERY target with EVERY user input by greedy generation.

    Before it ends, a run asks ``encode`` and ``answer`` again for cases drawn from it, in another order and in other
    batches, and runs the case of the smallest margin alone.

    Args:
        construction: what to check.
        arithmetic: the number system.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction, for the reproduction of a counterexample.
        limit: stop after this many cases in this call; the verdict is then unknown, unless a case failed.
        checkpoint: a file that holds how far the run is; an interrupted run goes on from it, a finished one removes it.
        progress: called with cases done and cases in all after each batch.
        tf32: allow TF32 in torch's float32 products.

    Returns:
        ``holds`` true only when every case of the space was checked and has a positive margin, and nothing was another
        when it was asked again.

    Raises:
        InvalidArgument: the checkpoint is damaged, edited or of another run, or the format cannot hold what the weights
            rely on.

    """
    started = time.perf_counter()
    if limit is not None:
        check_integer("limit", limit, 1)
    parameters = parameters_of(construction, arithmetic)
    runner = Runner(construction, arithmetic, tf32=tf32)
    targets, users, *_ = runner.declared
    space = targets.size * users.size
    file = None if checkpoint is None else Checkpoint(checkpoint, runner)
    tally, resumed = (Tally(), None) if file is None else file.resume(space)
    size = batch_size(construction) if arithmetic.batched else _UNBATCHED
    end = space if limit is None else min(space, tally.cases + limit)
    progress(tally.cases, space)
    while tally.cases < end:
        batch = enumerated(construction, tally.cases, min(end, tally.cases + size))
        if not tally.take(runner, batch, runner.run(batch.targets, batch.inputs), command=command):
            break
        if file is not None:
            file.keep(tally)
        progress(tally.cases, space)
    if tally.cases == space:
        tally.settle(lambda _: command)
    complete = tally.cases == space and tally.found is None
    if file is not None and (complete or tally.found is not None):
        file.remove()
    cut_off = f"cut off after {tally.cases} of {decimal(space)} cases"
    return Verdict(
        claim=claim or type(construction).__name__,
        parameters=parameters,
        method="exhausted",
        arithmetic=runner.name,
        device=arithmetic.device,
        holds=tally.holds(complete=complete),
        cases=tally.cases,
        space=space,
        margin=tally.margin,
        counterexample=tally.found,
        seconds=time.perf_counter() - started,
        reason=tally.reason or (None if complete or tally.found is not None else cut_off),
        resumed=None if resumed is None else resumed.to_json(),
    )
