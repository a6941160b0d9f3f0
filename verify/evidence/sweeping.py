"""One family of cases for every vocabulary size of a range: where a number format stops carrying a construction."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from constructions.construction import Construction
from constructions.validation import InvalidArgument, check_integer
from verify.arithmetic import Arithmetic
from verify.evidence.tally import Progress, Tally, no_progress
from verify.evidence.verdict import Verdict
from verify.running.batches import constant_targets as constant_targets
from verify.running.batches import constants
from verify.running.cases import Runner, batch_size


def sweep(
    build: Callable[[int], Construction],
    arithmetic: Arithmetic[Any, Any, Any],
    *,
    max_vocab_size: int,
    claim: str,
    parameters: Mapping[str, Any] | None = None,
    command: Callable[[Construction], Mapping[str, str] | None] | None = None,
    progress: Progress = no_progress,
    tf32: bool = False,
) -> Verdict:
    """Check all :func:`constant_targets` at EVERY vocabulary size from 1 up, and say where the claim stops.

    Args:
        build: a construction for a vocabulary size.
        arithmetic: the number system.
        max_vocab_size: the last size.
        claim: the claim's id.
        parameters: what the verdict says of the other sizes.
        command: how the command line builds a construction, for the reproduction of a counterexample.
        progress: called with sizes done and sizes in all.
        tf32: allow TF32 in torch's float32 products.

    Returns:
        ``holds`` true when every size was checked; false at the first size that fails, named in ``reason``; unknown
        when a size is refused because the format cannot carry it.

    """
    started = time.perf_counter()
    check_integer("max_vocab_size", max_vocab_size, 1)
    tally = Tally()
    reason = None
    arithmetic_name = arithmetic.name + (" with TF32" if tf32 else "")
    for vocab_size in range(1, max_vocab_size + 1):
        construction = build(vocab_size)
        if construction.vocab_size != vocab_size:
            raise InvalidArgument(f"build: expected a vocab_size of {vocab_size} but got {construction!r}")
        try:
            runner = Runner(construction, arithmetic, tf32=tf32)
        except InvalidArgument as error:
            reason = f"holds up to vocab_size {vocab_size - 1}; refused at {vocab_size}: {error}"
            break
        words = None if command is None else command(construction)
        count = len(constant_targets(construction)[0])
        size = batch_size(construction) if arithmetic.batched else count
        for start in range(0, count, size):
            batch = constants(construction, start, min(count, start + size))
            if not tally.take(runner, batch, runner.run(batch.targets, batch.inputs), command=words):
                break
        if tally.reason is not None:
            break
        if tally.found is not None:
            reason = f"holds up to vocab_size {vocab_size - 1}, stops at {vocab_size} (token {tally.found.expected})"
            break
        progress(vocab_size, max_vocab_size)
    if reason is None:
        tally.settle(lambda construction: None if command is None else command(construction))
        if tally.found is not None:
            reason = f"fails at {tally.found.construction}, alone and not in its batch"
    return Verdict(
        claim=claim,
        parameters={"vocab_size": f"1..{max_vocab_size}", **(parameters or {}), "targets": "constant"},
        method="swept",
        arithmetic=arithmetic_name,
        device=arithmetic.device,
        holds=tally.holds(complete=reason is None),
        cases=tally.cases,
        space=None,
        margin=tally.margin,
        counterexample=tally.found,
        seconds=time.perf_counter() - started,
        reason=tally.reason or reason,
    )


def stopped_at(verdict: Verdict) -> int:
    """Return the vocabulary size at which a falsified sweep stopped: the size of its counterexample."""
    if verdict.counterexample is None:
        raise InvalidArgument("verdict: expected a sweep that found a counterexample")
    found = re.search(r"vocab_size=(\d+)", verdict.counterexample.construction)
    assert found is not None, "every construction shows its vocabulary size"
    return int(found[1])
