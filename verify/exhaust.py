"""Exhaustive enumeration: every target with every user input, in batches, resumable."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.validation import IntArray, InvalidArgument, check_integer
from verify.arithmetic import Arithmetic
from verify.cases import Outcome, Runner, batch_size, counterexample, parameters_of
from verify.files import write_atomically
from verify.verdict import Counterexample, Margin, Verdict, decimal, margin_from_json, margin_to_json

Progress = Callable[[int, int], None]

#: Cases of an arithmetic that runs them one by one come in batches of this many, so that progress and checkpoints move.
_UNBATCHED = 64


#: Cases whose virtual tokens and promised responses are part of the digest of a run.
_SAMPLED = 64


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


@dataclass
class Tally:
    """What a run over many cases has found so far.

    Attributes:
        cases: how many were checked.
        margin: the smallest margin, ``None`` before the first case or where every vocabulary has one token.
        found: the first case that is not shown right.

    """

    cases: int = 0
    margin: Margin | None = None
    found: Counterexample | None = None

    def add(self, outcome: Outcome) -> None:
        """Count a batch without failures."""
        self.cases += len(outcome.expected)
        smallest = outcome.smallest_margin()
        if smallest != float("inf"):
            self.margin = smallest if self.margin is None else min(self.margin, smallest)


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
        ``holds`` true only when every case of the space was checked and has a positive margin.

    Raises:
        InvalidArgument: the checkpoint belongs to another run, or the format cannot hold what the weights rely on.

    """
    started = time.perf_counter()
    if limit is not None:
        check_integer("limit", limit, 1)
    runner = Runner(construction, arithmetic, tf32=tf32)
    space = construction.target_space.size * construction.user_inputs.size
    parameters = parameters_of(construction, arithmetic)
    key = {} if checkpoint is None else _key(construction, arithmetic, temperature=parameters["temperature"], tf32=tf32)
    tally = _resume(checkpoint, key)
    size = batch_size(construction) if arithmetic.batched else _UNBATCHED
    end = space if limit is None else min(space, tally.cases + limit)
    progress(tally.cases, space)
    while tally.cases < end and tally.found is None:
        targets, inputs = _cases(construction, tally.cases, min(end, tally.cases + size))
        outcome = runner.run(targets, inputs)
        failed = outcome.failures().any(axis=1)
        if failed.any():
            case = int(np.argmax(failed))
            tally.found = counterexample(
                construction,
                arithmetic,
                outcome,
                case,
                target=targets[case],
                user_input=inputs[case],
                command=command,
                tf32=tf32,
            )
            tally.cases += case + 1
            tally.margin = tally.found.margin
            break
        tally.add(outcome)
        _keep(checkpoint, key, tally)
        progress(tally.cases, space)
    complete = tally.cases == space and tally.found is None
    if checkpoint is not None and (complete or tally.found is not None):
        checkpoint.unlink(missing_ok=True)
    return Verdict(
        claim=claim or type(construction).__name__,
        parameters=parameters,
        method="exhausted",
        arithmetic=arithmetic.name + (" with TF32" if tf32 else ""),
        device=arithmetic.device,
        holds=False if tally.found is not None else True if complete else None,
        cases=tally.cases,
        space=space,
        margin=tally.margin,
        counterexample=tally.found,
        seconds=time.perf_counter() - started,
        reason=None
        if complete or tally.found is not None
        else f"cut off after {tally.cases} of {decimal(space)} cases",
    )


def _key(
    construction: Construction, arithmetic: Arithmetic[Any, Any, Any], *, temperature: str, tf32: bool
) -> Mapping[str, Any]:
    """Return what a checkpoint is of, as JSON values."""
    return {
        "construction": repr(construction),
        "run": run_sha256(construction),
        "arithmetic": arithmetic.name,
        "device": arithmetic.device,
        "temperature": temperature,
        "tf32": tf32,
    }


def run_sha256(construction: Construction) -> str:
    """Return a digest of what is run: a checkpoint of another run must not be gone on from.

    Every exact weight, where there are ReLUs, the mask, and, for :data:`_SAMPLED` cases drawn with a fixed seed, the
    virtual tokens and the promised response.
    """
    lowered = construction.transformer.lowered
    digest = hashlib.sha256()
    for name, matrix in lowered.matrices().items():
        digest.update(f"{name} {matrix.shape}".encode())
        for entry in matrix.nonzero():
            digest.update(repr(entry).encode())
    digest.update(repr([(layer.name, getattr(layer, "relu", None)) for layer in lowered.layers]).encode())
    digest.update(f"{lowered.context_size} {lowered.mask}".encode())
    targets = construction.targets.sample(_SAMPLED, seed=0)
    inputs = construction.user_inputs.sample(_SAMPLED, seed=0)
    ratios, response = construction.virtual_tokens(targets), construction.response(targets, inputs)
    for numbers in (ratios.numerators, response):
        # Python integers, as objects, have no bytes of their own
        digest.update(repr(numbers.tolist()).encode() if numbers.dtype == object else numbers.tobytes())
    digest.update(hex(ratios.denominator).encode())
    return digest.hexdigest()


def _cases(construction: Construction, start: int, stop: int) -> tuple[IntArray, IntArray]:
    """Return cases ``start..stop-1`` of the product space; the user input varies fastest."""
    inputs = construction.user_inputs.size
    first, last = start // inputs, (stop - 1) // inputs
    targets = construction.target_space.unrank_range(first, last + 1)
    if inputs == 1:
        return targets, construction.user_inputs.unrank_range(0, 1).repeat(stop - start, axis=0)
    numbers = np.arange(start - first * inputs, stop - first * inputs)
    all_inputs = construction.user_inputs.unrank_range(0, inputs)
    return targets[numbers // inputs], all_inputs[numbers % inputs]


def _resume(checkpoint: Path | None, key: Mapping[str, Any]) -> Tally:
    if checkpoint is None or not checkpoint.exists():
        return Tally()
    try:
        record = json.loads(checkpoint.read_text(encoding="utf-8"))
        held, cases, margin = dict(record["key"]), int(record["cases"]), margin_from_json(record["margin"])
    except (ValueError, TypeError, KeyError, OSError, ZeroDivisionError) as error:
        raise InvalidArgument(f"checkpoint: expected a checkpoint file but {checkpoint} is not: {error}") from None
    if held != key:
        raise InvalidArgument(
            f"checkpoint: expected one of {key['construction']} in {key['arithmetic']} but {checkpoint} is of"
            f" {held.get('construction')} in {held.get('arithmetic')}"
        )
    return Tally(cases, margin)


def _keep(checkpoint: Path | None, key: Mapping[str, Any], tally: Tally) -> None:
    if checkpoint is not None:
        record = {"key": key, "cases": str(tally.cases), "margin": margin_to_json(tally.margin)}
        write_atomically(checkpoint, json.dumps(record))
