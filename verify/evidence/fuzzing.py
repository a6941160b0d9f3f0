"""Property-based fuzzing with Hypothesis: drawn cases, and the smallest counterexample."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.internal.conjecture import providers
from hypothesis.strategies import SearchStrategy

from constructions.layers.weighted import is_ours
from constructions.specification import Specification
from constructions.validation import check_integer
from verify.backends import Runs, as_backend
from verify.evidence.found import confirmed
from verify.evidence.kinds import FUZZED
from verify.evidence.search import CommandFor, Search
from verify.evidence.strategies import Case, cases
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.running.batches import Batch
from verify.running.cases import Runner

#: Runners kept between examples: Hypothesis often comes back to the same sizes, above all while it shrinks.
_KEPT_RUNNERS = 256


#: Distinct cases: the construction as text, the target and the user input as bytes.
Drawn = set[tuple[str, bytes, bytes]]


class _NotShown(AssertionError):
    """A case that is not shown right; Hypothesis shrinks it."""


def fuzz(
    constructions: SearchStrategy[Any],
    arithmetic: Runs,
    *,
    examples: int = 1000,
    seed: int = 0,
    claim: str,
    parameters: Mapping[str, Any] | None = None,
    command: CommandFor | None = None,
    drawn: Drawn | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Check drawn cases by greedy generation; a failing one is shrunk to the smallest that Hypothesis finds.

    Args:
        constructions: what to draw constructions from, see ``verify.evidence.strategies`` (``st.just`` of one is fine).
        arithmetic: the number system, or a backend.
        examples: how many cases to draw; a space that is smaller is covered and ends the run early.
        seed: the same seed draws the same cases.
        claim: the claim's id.
        parameters: what the verdict says of the sizes drawn from.
        command: how the command line builds a construction, for the reproduction of a counterexample.
        drawn: takes the distinct cases that are right.
        progress: called with examples done and examples in all.

    Returns:
        ``holds`` true when at least one case was drawn and every one has a positive margin; ``cases`` counts DISTINCT
        ones.

    Example:
        >>> from hypothesis import strategies as st
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> drawn = st.builds(UnconditionalGeneration, st.integers(1, 5), st.integers(1, 4))
        >>> fuzz(drawn, RationalArithmetic(), examples=20, claim="theorem-1").holds
        True

    """
    check_integer("examples", examples, 1)
    check_integer("seed", seed, 0)
    backend = as_backend(arithmetic)
    search = Search(FUZZED, backend, claim=claim, command=command, progress=progress)
    tally, runs = search.tally, 0
    seen: Drawn = set() if drawn is None else drawn
    runner = _Runners(lambda construction: Runner(construction, backend))

    def check(case: Case) -> None:
        nonlocal runs
        held = runner(case.construction)
        batch = Batch("alone", case.target[None], case.user_input[None])
        outcome = held.run(batch.targets, batch.inputs)
        if outcome.failures().any():
            found = confirmed(held, batch, 0, command=search.command(case.construction))
            tally.found, tally.reason = (None, found) if isinstance(found, str) else (found, None)
            raise _NotShown
        identity = (repr(case.construction), case.target.tobytes(), case.user_input.tobytes())
        if tally.found is None and identity not in seen:
            seen.add(identity)
            tally.add(outcome, held, batch)
        runs += 1
        progress(min(runs, examples), examples)

    reason = _search(cases(constructions), check, examples, seed)
    if reason is not None:
        tally.found, tally.reason = None, reason
    search.settle()
    if tally.found is not None:
        tally.margin = tally.found.margin
        tally.cases += 1
    return search.verdict(dict(parameters or {}), seed=seed, reason=None if tally.cases else "no case was drawn")


class _Runners:
    """The runners used last, for Hypothesis often comes back to the same sizes.

    Two constructions have the same runner only if all their fields are equal, those that their comparison leaves out
    too: a field that is not compared may well be a weight. A field of somebody else's class has one of its own, as the
    class says for itself what equals what.
    """

    def __init__(self, make: Callable[[Specification], Runner]) -> None:
        self._make = make
        self._held: OrderedDict[Any, Runner] = OrderedDict()

    def __call__(self, construction: Specification) -> Runner:
        values = [(item.name, getattr(construction, item.name)) for item in fields(construction)]
        key = (type(construction), tuple((name, type(value), value) for name, value in values))
        if not all(_is_plain(value) for _, value in values):
            return self._make(construction)
        try:
            found = self._held.pop(key, None) or self._make(construction)
        except TypeError:  # a field without a hash
            return self._make(construction)
        self._held[key] = found
        if len(self._held) > _KEPT_RUNNERS:
            self._held.popitem(last=False)
        return found


#: Types of Python's whose equal values are the same.
_PLAIN = (int, bool, str, bytes, Fraction, type(None))


def _is_plain(value: Any) -> bool:
    """Return whether equal values of this type are the same: Python's own, and this library's, such as temperatures."""
    if type(value) is tuple:
        return all(_is_plain(part) for part in value)
    return type(value) in _PLAIN or is_ours(value)


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
        with _of_the_seed_alone():
            search()
    except _NotShown:
        return None
    except Flaky as error:
        return f"the same case gave different results ({type(error).__name__})"
    except Unsatisfiable:
        return "no case could be drawn"
    return None


@contextmanager
def _of_the_seed_alone() -> Iterator[None]:
    """Draw the same cases whatever is imported.

    Now and then Hypothesis draws a number that stands in the source of some module of the user's that happens to be
    imported; it keeps what it found there in the current folder. Then the cases of a seed depend on the order in which
    commands run, on where the package is installed, and on every edit. Here it finds no such number. It has no setting
    for that, so that these two names are its own; a version without them has no such numbers, and a test would notice
    one that has them under other names.
    """
    ours: dict[str, Any] = {"_get_local_constants": getattr(providers, "Constants", None), "CONSTANTS_CACHE": {}}
    before = {name: getattr(providers, name) for name in ours if hasattr(providers, name)}
    for name in before:
        setattr(providers, name, ours[name])
    try:
        yield
    finally:
        for name, held in before.items():
            setattr(providers, name, held)
