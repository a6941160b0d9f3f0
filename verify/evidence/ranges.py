"""A range of the enumeration, run at once or batch by batch."""

from __future__ import annotations

import numpy as np

from constructions.validation import InvalidArgument
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
    found = at_once(runner, start, stop)
    if found is not None:
        return found
    tally = RankTally()
    for first in range(start, stop, size):
        tally += _batch(runner, first, min(stop, first + size))
        if tally.failure is not None:
            break
    return tally


def at_once(runner: Runner, start: int, stop: int) -> RankTally | None:
    """Return the findings of ranks ``start..stop-1`` where the backend runs them at once, ``None`` where it does not.

    Raises:
        InvalidArgument: it says nothing of some of them, or knows no margin where there is one.

    """
    found = runner.prepared.tally_ranks(start, stop)
    if found is None:
        return None
    right = (stop if found.failure is None else found.failure) - start
    margin = (found.margin is None) == (found.closest is None) and (found.margin is not None or not runner.has_margins)
    if found.cases != right or not 0 <= right <= stop - start or not (margin or right == 0):
        raise InvalidArgument(
            f"backend: expected findings of every rank from {start} up to {stop} or the first failure, but"
            f" {runner.backend.name} gave {found}"
        )
    return found


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
