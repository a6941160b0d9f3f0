"""One family of cases for every vocabulary size of a range: where a number format stops carrying a construction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from constructions.specification import Specification
from constructions.validation import InvalidArgument, check_integer
from verify.backends import Backend, Runs, as_backend
from verify.evidence.kinds import SWEPT
from verify.evidence.search import CommandFor, Search, Stop
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.running.batches import Batch, constant_batches
from verify.running.batches import constant_targets as constant_targets


def sweep(
    build: Callable[[int], Specification],
    arithmetic: Runs,
    *,
    max_vocab_size: int,
    claim: str,
    parameters: Mapping[str, Any] | None = None,
    command: CommandFor | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Check all :func:`constant_targets` at EVERY vocabulary size from 1 up, and say where the claim stops.

    Args:
        build: a construction for a vocabulary size.
        arithmetic: the number system, or a backend.
        max_vocab_size: the last size.
        claim: the claim's id.
        parameters: what the verdict says of the other sizes.
        command: how the command line builds a construction, for the reproduction of a counterexample.
        progress: called with sizes done and sizes in all.

    Returns:
        ``holds`` true when every size was checked; false at the first size that fails, named in ``reason``; unknown
        when a size is refused because the format cannot carry it.

    Example:
        >>> from constructions import ConditionalGeneration
        >>> from verify import RationalArithmetic
        >>> verdict = sweep(ConditionalGeneration, RationalArithmetic(), max_vocab_size=5, claim="theorem-2")
        >>> verdict.holds, verdict.cases
        (True, 15)

    """
    check_integer("max_vocab_size", max_vocab_size, 1)
    backend = as_backend(arithmetic)
    search = Search(SWEPT, backend, claim=claim, command=command, progress=progress)

    stop = search.over(
        [partial(built, build, size) for size in range(1, max_vocab_size + 1)], partial(batches, backend=backend)
    )
    reason = conclusion(search, stop)
    return search.verdict(
        {"vocab_size": f"1..{max_vocab_size}", **(parameters or {}), "targets": "constant"}, reason=reason
    )


def built(build: Callable[[int], Specification], vocab_size: int) -> Specification:
    """Return the construction of one size.

    Raises:
        InvalidArgument: it has another size.

    """
    construction = build(vocab_size)
    if construction.vocab_size != vocab_size:
        raise InvalidArgument(f"build: expected a vocab_size of {vocab_size} but got {construction!r}")
    return construction


def batches(construction: Specification, backend: Backend) -> Iterator[Batch]:
    """Yield the cases of one size, in the batches in which a backend runs them."""
    return constant_batches(construction, unbatched=not backend.batched)


def conclusion(search: Search, stop: Stop | None, *, before: int = 0) -> str | None:
    """Return what a reader must know with the verdict; where nothing stopped it, ask again for what it rests on.

    Args:
        search: after the sizes ran.
        stop: where it stopped.
        before: how many sizes are not in the search, and are known to be right.

    """
    found = search.tally.found
    if stop is not None and stop.refused is not None:
        last = before + stop.place
        return f"holds up to vocab_size {last}; refused at {last + 1}: {stop.refused}"
    if stop is not None and found is not None:
        last = before + stop.place
        return f"holds up to vocab_size {last}, stops at {last + 1} (token {found.expected})"
    if stop is None:
        search.settle()
        if search.tally.found is not None:
            return f"fails at {search.tally.found.construction}, alone and not in its batch"
    return None


def stopped_at(verdict: Verdict) -> int:
    """Return the vocabulary size at which a falsified sweep stopped: the size of its counterexample.

    Raises:
        InvalidArgument: a verdict without a counterexample, or one whose construction does not show its size.

    """
    if verdict.counterexample is None:
        raise InvalidArgument("verdict: expected a sweep that found a counterexample")
    found = re.search(r"vocab_size=(\d+)", verdict.counterexample.construction)
    if found is None:  # a default size, or a specification made of a function
        raise InvalidArgument(
            "verdict: expected a counterexample that shows its vocab_size but got"
            f" {verdict.counterexample.construction}"
        )
    return int(found[1])
