"""Exhaustive enumeration in shards, from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from constructions.specification import Specification
from verify.backends import Runs
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.shards.driver import gather
from verify.shards.executors import Executor, one_of
from verify.shards.recipe import Recipe
from verify.shards.works.enumerating import Enumerating


def exhaust(
    construction: Specification | Callable[[], Specification],
    arithmetic: Runs,
    *,
    jobs: int | None = None,
    executor: Executor | None = None,
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    limit: int | None = None,
    ledger: Path | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Check EVERY target with EVERY user input, in shards; the verdict is that of :func:`verify.exhaust`.

    Args:
        construction: what is promised, or a function of a module that makes it. With other processes it must be one
            that can be pickled; so must a backend of the user's own.
        arithmetic: the number system, or a backend.
        jobs: how many processes run shards; by default they run in this one.
        executor: who runs shards, in the place of ``jobs``.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction, for the reproduction of a counterexample.
        limit: stop after so many cases in this call; the verdict is then unknown, unless a case failed.
        ledger: a file that holds how far the run is: another call goes on from it, and several may share it.
        progress: called with cases done and cases in all after each shard.

    Raises:
        InvalidArgument: workers cannot make the construction again, the ledger is of another run, or what
            :func:`verify.exhaust` refuses.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> verdict = exhaust(UnconditionalGeneration(4, 4), RationalArithmetic())
        >>> verdict.holds, verdict.cases, verdict.margin
        (True, 256, Fraction(1, 688))

    """
    chosen = one_of(jobs, executor)
    given = construction, arithmetic, claim, None if command is None else dict(command)
    recipe = Recipe.of_python(_made, *given) if chosen is not None and chosen.elsewhere else None
    work = _made(*given)
    return gather(work, recipe, chosen, ledger=ledger, limit=limit, progress=progress)


def _made(
    construction: Specification | Callable[[], Specification],
    arithmetic: Runs,
    claim: str | None,
    command: Mapping[str, str] | None,
) -> Enumerating:
    """Return the run, in the driver and in a worker alike."""
    made = construction if isinstance(construction, Specification) else construction()
    return Enumerating(made, arithmetic, claim=claim, command=command)
