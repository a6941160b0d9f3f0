"""Property-based fuzzing with Hypothesis: drawn cases, and the smallest counterexample."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from constructions.construction import Construction
from constructions.validation import check_integer
from verify.arithmetic import Arithmetic
from verify.cases import Runner, counterexample
from verify.exhaust import Progress, Tally, no_progress
from verify.strategies import Case, cases
from verify.verdict import Verdict

#: Runners kept between examples: Hypothesis often comes back to the same sizes, above all while it shrinks.
_KEPT_RUNNERS = 256


class _NotShown(AssertionError):
    """A case that is not shown right; Hypothesis shrinks it."""


def fuzz(
    constructions: SearchStrategy[Any],
    arithmetic: Arithmetic[Any, Any, Any],
    *,
    examples: int = 1000,
    seed: int = 0,
    claim: str,
    parameters: Mapping[str, Any] | None = None,
    command: Callable[[Construction], Mapping[str, str] | None] | None = None,
    progress: Progress = no_progress,
    tf32: bool = False,
) -> Verdict:
    """Check drawn cases by greedy generation; a failing one is shrunk to the smallest that Hypothesis finds.

    Args:
        constructions: what to draw constructions from, see ``verify.strategies`` (``st.just`` of one is fine).
        arithmetic: the number system.
        examples: how many cases to draw; a space that is smaller is covered and ends the run early.
        seed: the same seed draws the same cases.
        claim: the claim's id.
        parameters: what the verdict says of the sizes drawn from.
        command: how the command line builds a construction, for the reproduction of a counterexample.
        progress: called with examples done and examples in all.
        tf32: allow TF32 in torch's float32 products.

    Returns:
        ``holds`` true when at least one case was drawn and every one has a positive margin; ``cases`` counts DISTINCT
        ones.

    """
    started = time.perf_counter()
    check_integer("examples", examples, 1)
    check_integer("seed", seed, 0)
    tally, runs = Tally(), 0
    seen: set[tuple[str, bytes, bytes]] = set()
    # constructions are frozen and compare by their parameters, so the same sizes give the same runner
    runner = lru_cache(maxsize=_KEPT_RUNNERS)(lambda construction: Runner(construction, arithmetic, tf32=tf32))

    def check(case: Case) -> None:
        nonlocal runs
        construction = case.construction
        outcome = runner(construction).run(case.target[None], case.user_input[None])
        if outcome.failures().any():
            tally.found = counterexample(
                construction,
                arithmetic,
                outcome,
                0,
                target=case.target,
                user_input=case.user_input,
                command=None if command is None else command(construction),
                tf32=tf32,
            )
            raise _NotShown
        identity = (repr(construction), case.target.tobytes(), case.user_input.tobytes())
        if tally.found is None and identity not in seen:
            seen.add(identity)
            tally.add(outcome)
        runs += 1
        progress(min(runs, examples), examples)

    reason = _search(cases(constructions), check, examples, seed)
    if reason is not None:
        tally.found = None
    if tally.found is not None:
        tally.margin = tally.found.margin
        tally.cases += 1
    return Verdict(
        claim=claim,
        parameters=dict(parameters or {}),
        method="fuzzed",
        arithmetic=arithmetic.name + (" with TF32" if tf32 else ""),
        device=arithmetic.device,
        holds=False if tally.found is not None else True if tally.cases and reason is None else None,
        cases=tally.cases,
        margin=tally.margin,
        counterexample=tally.found,
        seed=seed,
        seconds=time.perf_counter() - started,
        reason=reason or (None if tally.cases else "no case was drawn"),
    )


def _search(strategy: SearchStrategy[Case], check: Callable[[Case], None], examples: int, number: int) -> str | None:
    """Run Hypothesis; return why nothing can be concluded, ``None`` when its outcome stands."""

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(strategy)
    def search(case: Case) -> None:
        check(case)

    try:
        search()
    except _NotShown:
        return None
    except Flaky as error:
        return f"the same case gave different results ({type(error).__name__})"
    except Unsatisfiable:
        return "no case could be drawn"
    return None
