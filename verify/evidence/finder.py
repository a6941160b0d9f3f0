"""The smallest case in which a construction fails: sizes, target, position and token."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument, check_integer
from verify.backends import Runs, as_backend
from verify.evidence.found import Command, confirmed
from verify.evidence.kinds import SWEPT
from verify.evidence.search import CommandFor, Search
from verify.evidence.tally import Progress, Tally, no_progress
from verify.evidence.verdict import Verdict
from verify.running.batches import Batch, constant_batches, enumerated, spaces
from verify.running.cases import Runner, batch_size, parameters_of

#: Spaces up to this many cases are enumerated, so that the first failing case is the smallest of its sizes.
LARGEST_ENUMERATED = 4096


def find_counterexample(
    build: Callable[..., Specification],
    ranges: Mapping[str, Sequence[int]],
    arithmetic: Runs,
    *,
    claim: str,
    command: CommandFor | None = None,
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
        arithmetic: the number system, or a backend.
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
    check_integer("limit", limit, 1)
    if not ranges or not all(len(values) for values in ranges.values()):
        raise InvalidArgument("ranges: expected at least one value for every size")
    grid = sorted(itertools.product(*ranges.values()), key=lambda sizes: (max(sizes), sizes))
    backend = as_backend(arithmetic)
    search = Search(SWEPT, backend, claim=claim, command=command, progress=progress)
    parameters: Mapping[str, Any] = {name: f"{min(values)}..{max(values)}" for name, values in ranges.items()}
    partly: list[Specification] = []

    def batches(construction: Specification) -> Iterator[Batch]:
        space = _space(construction)
        if space > limit:
            yield from constant_batches(construction)
            partly.append(construction)  # not reached where one of them fails
            return
        size = batch_size(construction)
        for start in range(0, space, size):
            yield enumerated(construction, start, min(space, start + size))

    stop = search.over([partial(build, **dict(zip(ranges, sizes, strict=True))) for sizes in grid], batches)
    tally, refused = search.tally, None
    if stop is not None and stop.runner is not None:
        _shrink(stop.runner, tally, search.command(stop.runner.construction))
        parameters = parameters_of(stop.runner.construction, backend)
    elif stop is not None:
        refused = f"refused at {grid[stop.place]}: {stop.refused}"
    before = tally.found
    search.settle()
    if before is None and tally.found is not None and tally.closest is not None:  # right in its batch, and not alone
        parameters = parameters_of(tally.closest[0].construction, backend)
    reason = refused
    if reason is None and partly and tally.found is None:
        large = f"{len(partly)} of {len(grid)} sizes have more than {limit} cases"
        reason = f"{large}; of them only constant targets were run"
    return search.verdict(parameters, reason=reason)


def _space(construction: Specification) -> int:
    targets, users = spaces(construction)
    return targets.size * users.size


def _shrink(runner: Runner, tally: Tally, command: Command | None) -> None:
    """Make what was found smaller, where it fails alone."""
    if tally.found is None or tally.found.batch is not None:
        return
    space = spaces(runner.construction)[0]
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
    users = spaces(runner.construction)[1]
    for array in (target, user):
        for place in np.ndindex(array.shape):
            for token in (0, int(array[place]) // 2, int(array[place]) - 1):
                lower = array.copy()
                lower[place] = token
                case = (lower, user) if array is target else (target, lower)
                there = 0 <= token < array[place] and users.contains(case[1][None])[0]
                if there and runner.run(case[0][None], case[1][None]).failures().any():
                    array[place] = token
                    break
    return target, user
