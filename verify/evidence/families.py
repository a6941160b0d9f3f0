"""Kinds of evidence that run a family of cases of one specification, and how any of them is gathered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from constructions.specification import Specification
from verify.backends import Runs, as_backend
from verify.evidence.kinds import KINDS
from verify.evidence.kinds.base import CaseFamily
from verify.evidence.search import Search, cases_at_once
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.numbers import decimal
from verify.running.batches import Batch
from verify.running.cases import Runner, parameters_of


def families() -> dict[str, CaseFamily]:
    """Return the registered kinds of evidence that are families of cases, by name."""
    return {name: family for name, kind in KINDS.items() if (family := kind.case_family) is not None}


def run_family(
    kind: CaseFamily,
    construction: Specification,
    runs: Runs,
    *,
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Check every case of a family, and ask again as :func:`~verify.evidence.enumeration.exhaust` does.

    Args:
        kind: the family.
        construction: what is promised.
        runs: the number system, or a backend.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction, for the reproduction of a counterexample.
        progress: called with cases done and cases in all after each batch.

    Returns:
        ``holds`` true only when every case of the family was checked and has a positive margin.

    Raises:
        InvalidArgument: the family is not one of this specification's, or the backend cannot run it.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> from verify.evidence.kinds import PAIRED
        >>> verdict = run_family(PAIRED, UnconditionalGeneration(5, 4), RationalArithmetic())
        >>> verdict.holds, verdict.cases
        (True, 25)

    """
    backend = as_backend(runs)
    search = Search(
        kind, backend, claim=claim or type(construction).__name__, command=lambda _: command, progress=progress
    )
    count = kind.count(construction)
    runner = Runner(construction, backend)
    size = cases_at_once(construction, backend)
    starts = range(0, count, size)
    progress(0, count)
    search.through(
        runner,
        (family_batch(kind, construction, start, min(count, start + size)) for start in starts),
        after=lambda: progress(search.tally.cases, count),
    )
    cut_off = None if search.tally.cases == count else f"{search.tally.cases} of {decimal(count)} cases were run"
    if search.tally.found is None and cut_off is None:
        search.settle()
    targets, users, *_ = runner.declared
    return search.verdict(
        parameters_of(construction, backend) | {"family": decimal(count)},
        reason=None if search.tally.found is not None else cut_off,
        space=targets.size * users.size,
    )


def family_batch(kind: CaseFamily, construction: Specification, start: int, stop: int) -> Batch:
    """Return cases ``start..stop-1`` of a family, by the name under which :func:`named` finds them again."""
    return Batch(f"{kind.name}:{decimal(start)}..{decimal(stop - 1)}", *kind.cases(construction, start, stop))


def named() -> dict[str, tuple[Callable[[Specification], int], Callable[[Specification, int, int], Batch]]]:
    """Return for every family its size and its batches, as ``named_batch`` takes them."""
    return {name: (kind.count, partial(family_batch, kind)) for name, kind in families().items()}
