"""One family of cases for every vocabulary size of a range: where a number format stops carrying a construction."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.validation import IntArray, InvalidArgument, check_integer
from verify.arithmetic import Arithmetic
from verify.cases import Runner, batch_size, counterexample
from verify.exhaust import Progress, Tally, no_progress
from verify.verdict import Verdict


def constant_targets(construction: Construction) -> tuple[IntArray, IntArray]:
    """Return the targets that are one token everywhere, one for each token, each with a user input.

    Every token is decoded at every position of the response. User inputs walk through the vocabulary. Where the
    alphabet of the targets is not the vocabulary, the cases are as many as the larger one has, and the smaller one
    comes round again.

    Returns:
        Targets of shape ``(V, *targets.shape)`` and user inputs of shape ``(V, user)``.

    """
    vocab_size, space = construction.vocab_size, construction.target_space
    cases = np.arange(max(vocab_size, space.vocab_size), dtype=np.int64)
    letters = (cases % space.vocab_size).reshape(-1, *(1 for _ in space.shape))
    targets = np.broadcast_to(letters, (len(cases), *space.shape))
    user = np.arange(construction.layout.user)
    return targets, (cases[:, None] + user + vocab_size // 2) % vocab_size


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
    for vocab_size in range(1, max_vocab_size + 1):
        construction = build(vocab_size)
        try:
            runner = Runner(construction, arithmetic, tf32=tf32)
        except InvalidArgument as error:
            reason = f"holds up to vocab_size {vocab_size - 1}; refused at {vocab_size}: {error}"
            break
        targets, inputs = constant_targets(construction)
        size = batch_size(construction) if arithmetic.batched else vocab_size
        for start in range(0, len(targets), size):
            stop = min(len(targets), start + size)
            outcome = runner.run(targets[start:stop], inputs[start:stop])
            failed = outcome.failures().any(axis=1)
            if failed.any():
                case = int(np.argmax(failed))
                tally.found = counterexample(
                    construction,
                    arithmetic,
                    outcome,
                    case,
                    target=targets[start + case],
                    user_input=inputs[start + case],
                    command=None if command is None else command(construction),
                    tf32=tf32,
                )
                tally.margin = tally.found.margin
                tally.cases += case + 1
                break
            tally.add(outcome)
        if tally.found is not None:
            reason = f"holds up to vocab_size {vocab_size - 1}, stops at {vocab_size} (token {tally.found.expected})"
            break
        progress(vocab_size, max_vocab_size)
    return Verdict(
        claim=claim,
        parameters={"vocab_size": f"1..{max_vocab_size}", **(parameters or {}), "targets": "constant"},
        method="swept",
        arithmetic=arithmetic.name + (" with TF32" if tf32 else ""),
        device=arithmetic.device,
        holds=False if tally.found is not None else True if reason is None else None,
        cases=tally.cases,
        space=None,
        margin=tally.margin,
        counterexample=tally.found,
        seconds=time.perf_counter() - started,
        reason=reason,
    )


def stopped_at(verdict: Verdict) -> int:
    """Return the vocabulary size at which a falsified sweep stopped: the size of its counterexample."""
    if verdict.counterexample is None:
        raise InvalidArgument("verdict: expected a sweep that found a counterexample")
    found = re.search(r"vocab_size=(\d+)", verdict.counterexample.construction)
    assert found is not None, "every construction shows its vocabulary size"
    return int(found[1])
