"""Whether a step's answer depends on no more than its specification says, held against drawn inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from constructions.specification import Reads, Specification
from constructions.validation import IntArray, check_integer, reject
from verify.running.batches import spaces

#: Pairs of inputs that are compared at each step. If a share ``p`` of the pairs that agree on what is read had other
#: answers, all of this many would agree with a chance of ``(1 - p)^1024``: below 1e-4 for one in a hundred.
PAIRS = 1024


def contradiction(specification: Specification, step: int, *, pairs: int = PAIRS, seed: int = 0) -> str | None:
    """Return two inputs that refute what a step is said to read, ``None`` where none was found.

    Inputs are drawn, and of each a second one that agrees with it in the places that are read and is drawn elsewhere.
    Two of them that agree on these places and on the tokens that were fed back must have the same answer at the step,
    for the same target. Finding none proves nothing.

    Args:
        specification: says what the step reads; ``None`` is no claim, and never contradicted.
        step: of the response, 0-based.
        pairs: how many inputs are drawn, each with a second one.
        seed: the same seed draws the same inputs.

    Raises:
        InvalidArgument: places that there are not.

    """
    layout = specification.layout
    check_integer("step", step, 0, layout.response - 1)
    check_integer("pairs", pairs, 1)
    said = specification.reads(step)
    if said is None:
        return None
    read = _checked(said, layout.user, step)
    targets, users = spaces(specification)
    drawn, others = users.sample(pairs, seed=seed), users.sample(pairs, seed=seed + 1)
    mixed = others.copy()
    mixed[:, list(read.user)] = drawn[:, list(read.user)]
    there = users.contains(mixed)
    rows = np.concatenate([drawn, others, mixed[there]])
    chosen = np.tile(targets.sample(1, seed=seed), (len(rows), *(1 for _ in targets.shape)))
    answers = specification.response(chosen, rows)
    known: dict[tuple[Any, ...], tuple[IntArray, Any]] = {}
    for row, answer in zip(rows, answers, strict=True):
        key = (*row[list(read.user)].tolist(), *(answer[place] for place in read.fed))
        before, other = known.setdefault(key, (row, answer[step]))
        if other != answer[step]:
            return (
                f"step {step} does not depend on {read} alone: {before.tolist()} gives {other}, and {row.tolist()}"
                f" gives {answer[step]}"
            )
    return None


def _checked(said: Any, user: int, step: int) -> Reads:
    if not isinstance(said, Reads):
        reject("reads", "Reads of places in the input, and in the response before the step,", said)
    for place in said.user:
        check_integer("reads.user", place, 0, user - 1)
    for place in said.fed:
        check_integer("reads.fed", place, 0, step - 1)
    return said
