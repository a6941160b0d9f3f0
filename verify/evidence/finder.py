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
from verify.evidence.found import Command, confirmed
from verify.evidence.tally import Progress, Tally, no_progress
from verify.evidence.verdict import Verdict
from verify.running.batches import Batch, constant_targets, constants, enumerated, spaces
from verify.running.cases import Runner, batch_size, parameters_of

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
        words = None if command is None else command(construction)
        if not all(
            tally.take(runner, batch, runner.run(batch.targets, batch.inputs), command=words)
            for batch in _batches(construction, limit)
        ):
            _shrink(runner, tally, words)
            parameters = parameters_of(construction, arithmetic)
            break
        partly += _space(construction) > limit
        progress(done + 1, len(grid))
    before = tally.found
    tally.settle(lambda construction: None if command is None else command(construction))
    if before is None and tally.found is not None and tally.closest is not None:  # right in its batch, and not alone
        parameters = parameters_of(tally.closest[0].construction, arithmetic)
    reason = refused or tally.reason
    if reason is None and partly and tally.found is None:
        reason = f"{partly} of {len(grid)} sizes have more than {limit} cases; of them only constant targets were run"
    return Verdict(
        claim=claim,
        parameters=parameters,
        method="swept",
        arithmetic=arithmetic.name,
        device=arithmetic.device,
        holds=tally.holds(complete=reason is None),
        cases=tally.cases,
        margin=tally.margin,
        counterexample=tally.found,
        seconds=time.perf_counter() - started,
        reason=reason,
    )


def _space(construction: Construction) -> int:
    targets, users = spaces(construction)
    return targets.size * users.size


def _batches(construction: Construction, limit: int) -> Iterator[Batch]:
    """Yield the cases to run, batch by batch."""
    whole = _space(construction) <= limit
    count = _space(construction) if whole else len(constant_targets(construction)[0])
    size = batch_size(construction)
    for start in range(0, count, size):
        yield (enumerated if whole else constants)(construction, start, min(count, start + size))


def _shrink(runner: Runner, tally: Tally, command: Command | None) -> None:
    """Make what was found smaller, where it fails alone."""
    if tally.found is None or tally.found.batch is not None:
        return
    space, _ = spaces(runner.construction)
    target = np.array(tally.found.target, dtype=np.int64).reshape(space.shape)
    user = np.array(tally.found.user_input, dtype=np.int64)
    target, user = _shrunk(runner, target, user)
    found = confirmed(runner, Batch("alone", target[None], user[None]), 0, command=command)
    if isinstance(found, str):
        tally.found, tally.reason = None, found
    else:
        tally.found, tally.margin = found, found.margin


def _shrunk(runner: Runner, target: IntArray, user: IntArray) -> tuple[IntArray, IntArray]:
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
    return target, user
