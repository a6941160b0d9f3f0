"""Certificates in shards, from Python."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from constructions.construction import Construction
from verify.certificates import BUDGET, POINTS
from verify.certificates.enclosing import EnclosingArithmetic
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.shards.driver import gather
from verify.shards.executors import Executor, one_of
from verify.shards.recipe import Recipe
from verify.shards.works.certifying import Certifying


def certify(
    construction: Construction,
    arithmetic: EnclosingArithmetic[Any, Any, Any],
    *,
    jobs: int | None = None,
    executor: Executor | None = None,
    claim: str | None = None,
    budget: int = BUDGET,
    points: int = POINTS,
    any_embedding: Fraction | None = None,
    limit: int | None = None,
    ledger: Path | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Certify that EVERY target is generated, in shards; the verdict is that of :func:`verify.certificates.certify`.

    Where layers have norms, the smallest margin may be another lower bound of the same margins.

    Args:
        construction: with its weights as they are. With other processes, it must be one that can be pickled.
        arithmetic: of :func:`~verify.certificates.certificate_arithmetic`.
        jobs: how many processes run shards; by default they run in this one.
        executor: who runs shards, in the place of ``jobs``.
        claim: the claim's id; the construction's name by default.
        budget: the most cells to look at.
        points: the most floats of a box to try one by one.
        any_embedding: see :func:`verify.certificates.certify`.
        limit: stop after so many pieces in this call; the verdict is then unknown.
        ledger: a file that holds how far the run is: another call goes on from it, and several may share it.
        progress: called with pieces done and pieces in all after each shard.

    Raises:
        InvalidArgument: workers cannot make the construction again, the ledger is of another run, or what
            :func:`verify.certificates.certify` refuses.

    Example:
        >>> from constructions import ConditionalGeneration
        >>> from verify.certificates import certificate_arithmetic
        >>> verdict = certify(ConditionalGeneration(5), certificate_arithmetic("rounded"))
        >>> verdict.holds, verdict.cases
        (True, 15625)

    """
    chosen = one_of(jobs, executor)
    limits = {"claim": claim, "budget": budget, "points": points, "any_embedding": any_embedding}
    work = _made(construction, arithmetic, limits)
    elsewhere = chosen is not None and chosen.elsewhere and not work.undivided
    recipe = Recipe.of_python(_made, construction, arithmetic, {**limits, **work.settings}) if elsewhere else None
    return gather(work, recipe, chosen, ledger=ledger, limit=limit, progress=progress)


def _made(
    construction: Construction, arithmetic: EnclosingArithmetic[Any, Any, Any], given: dict[str, Any]
) -> Certifying:
    """Return the run, in the driver and in a worker alike."""
    return Certifying(construction, arithmetic, **given)
