"""The smallest case in which a construction fails: sizes, target, position and token."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.validation import IntArray, InvalidArgument, check_integer
from verify.arithmetic import Arithmetic
from verify.cases import Runner, batch_size, counterexample, parameters_of
from verify.exhaust import Progress, Tally, no_progress
from verify.sweep import constant_targets
from verify.verdict import Verdict

#: Spaces up to this many cases are enumerated, so that the first failing case is the smallest of its sizes.
LARGEST_ENUMERATED = 4096


def find_counterexample(
    build: Callable[..., Construction],
    ranges: Mapping[str, Sequence[int]],
    arithmetic: Arithmetic[Any, Any, Any],
    *,
    claim: str,
    command: Callable[[Construction], Mapping[str, str] | None] | None = None,
    limit: int = LARGEST_ENUMERATED,
    progress: Progress = no_progress,
) -> Verdict:
    """Return the verdict on all sizes of a range, from the smallest up to the first that fails.

    Sizes are tried in the order of their largest one, then of each in turn. Where there are at most ``limit`` cases all
    of them are run, in the order of their ranks, so that the first failure has the smallest target. Otherwise the
    targets that are one token everywhere are run, which decode every token at every position, and a failing target is
    shrunk: every entry to the smallest token that still fails.

    Args:
        build: a construction for sizes by name: one of the package's, or the user's own class.
        ranges: for every size its values, by the names that ``build`` takes.
        arithmetic: the number system.
        claim: the claim's id, or the construction's name.
        command: how the command line builds a construction, for the reproduction.
        limit: the largest space that is enumerated.
        progress: called with sizes done and sizes in all.

    Returns:
        ``holds`` false with the smallest counterexample; true when every size of the range was enumerated without one;
        ``None`` when some were not, or were refused.

    Raises:
        InvalidArgument: no range, or sizes that the construction refuses.

    """
    started = time.perf_counter()
    check_integer("limit", limit, 1)
    if not ranges or not all(len(values) for values in ranges.values()):
        raise InvalidArgument("ranges: expected at least one value for every size")
    grid = sorted(itertools.product(*ranges.values()), key=lambda sizes: (max(sizes), sizes))
    tally, partly, refused = Tally(), 0, None
    parameters: Mapping[str, Any] = {name: f"{min(values)}..{max(values)}" for name, values in ranges.items()}
    for done, sizes in enumerate(grid):
        construction = build(**dict(zip(ranges, sizes, strict=True)))
        try:
            runner = Runner(construction, arithmetic)
        except InvalidArgument as error:
            refused = f"refused at {sizes}: {error}"
            break
        found = _first_failure(construction, runner, tally, limit)
        if found is not None:
            target, user = _shrunk(construction, runner, *found)
            outcome = runner.run(target[None], user[None])
            tally.found = counterexample(
                construction,
                arithmetic,
                outcome,
                0,
                target=target,
                user_input=user,
                command=None if command is None else command(construction),
            )
            tally.margin = tally.found.margin
            parameters = parameters_of(construction, arithmetic)
            break
        partly += _space(construction) > limit
        progress(done + 1, len(grid))
    reason = refused
    if reason is None and partly and tally.found is None:
        reason = f"{partly} of {len(grid)} sizes have more than {limit} cases; of them only constant targets were run"
    return Verdict(
        claim=claim,
        parameters=parameters,
        method="swept",
        arithmetic=arithmetic.name,
        device=arithmetic.device,
        holds=False if tally.found is not None else True if reason is None else None,
        cases=tally.cases,
        margin=tally.margin,
        counterexample=tally.found,
        seconds=time.perf_counter() - started,
        reason=reason,
    )


def _space(construction: Construction) -> int:
    return construction.target_space.size * construction.user_inputs.size


def _batches(construction: Construction, limit: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the cases to run, batch by batch."""
    if _space(construction) <= limit:
        targets = construction.targets.unrank_range(0, construction.targets.size)
        inputs = construction.user_inputs.unrank_range(0, construction.user_inputs.size)
        targets, inputs = targets.repeat(len(inputs), axis=0), np.tile(inputs, (len(targets), 1))
    else:
        targets, inputs = constant_targets(construction)
    size = batch_size(construction)
    for start in range(0, len(targets), size):
        yield np.array(targets[start : start + size]), np.array(inputs[start : start + size])


def _first_failure(
    construction: Construction, runner: Runner, tally: Tally, limit: int
) -> tuple[IntArray, IntArray] | None:
    for targets, inputs in _batches(construction, limit):
        outcome = runner.run(targets, inputs)
        failed = outcome.failures().any(axis=1)
        if failed.any():
            case = int(np.argmax(failed))
            tally.cases += case + 1
            return targets[case], inputs[case]
        tally.add(outcome)
    return None


def _shrunk(construction: Construction, runner: Runner, target: IntArray, user: IntArray) -> tuple[IntArray, IntArray]:
    """Lower every entry of a failing case, from the first on, to the smallest token with which it still fails."""
    for array in (target, user):
        for place in np.ndindex(array.shape):
            for token in (0, int(array[place]) // 2, int(array[place]) - 1):
                lower = array.copy()
                lower[place] = token
                case = (lower, user) if array is target else (target, lower)
                if 0 <= token < array[place] and runner.run(case[0][None], case[1][None]).failures().any():
                    array[place] = token
                    break
    assert runner.run(target[None], user[None]).failures().any()
    return target, user
