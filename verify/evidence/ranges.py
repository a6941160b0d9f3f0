"""A range of the enumeration, run at once or batch by batch."""

from __future__ import annotations

import numpy as np

from verify.running.batches import enumerated
from verify.running.cases import Runner
from verify.running.ranks import RankTally


def tally_ranks(runner: Runner, start: int, stop: int, *, size: int) -> RankTally:
    """Return the findings of ranks ``start..stop-1``: at once, where the backend can, or batch by batch.

    It stops at the first rank that is not shown right, which it does not run again: see
    :func:`~verify.evidence.found.confirmed`.

    Args:
        runner: the specification on its backend.
        start: the first rank.
        stop: the rank after the last one.
        size: how many cases come in one batch, where they come in batches.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> tally_ranks(Runner(UnconditionalGeneration(3, 3), RationalArithmetic()), 9, 27, size=64)
        RankTally(cases=18, margin=Fraction(1, 189), closest=11, failure=None)

    """
    at_once = runner.prepared.tally_ranks(start, stop)
    if at_once is not None:
        return at_once
    tally = RankTally()
    for first in range(start, stop, size):
        tally += _batch(runner, first, min(stop, first + size))
        if tally.failure is not None:
            break
    return tally


def _batch(runner: Runner, start: int, stop: int) -> RankTally:
    batch = enumerated(runner.construction, start, stop)
    outcome = runner.run(batch.targets, batch.inputs)
    failed = outcome.failures().any(axis=1)
    right = int(np.argmax(failed)) if failed.any() else stop - start
    smallest = [min(margins) for margins in outcome.margins[:right].tolist()]
    at = min(range(right), key=smallest.__getitem__, default=None)
    known = at is not None and smallest[at] != float("inf")
    return RankTally(
        right,
        smallest[at] if known and at is not None else None,
        start + at if known and at is not None else None,
        start + right if right < stop - start else None,
    )
