"""The wrong constructions of the mutation corpus and of the evidence tests, through the exact engine.

Each is caught at the same case, with the same margins before it, as by the cases one by one; exhausting it gives the
same counterexample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from unittest import mock

import pytest

from constructions import Construction, InvalidArgument
from tests.exact_engine.given import EXACT, one_by_one, size_of
from tests.mutation.corpus import FAMILIES, SUBJECTS, Mutant, drawn_mutants, mutants
from tests.shares import few_or_all
from verify import RationalArithmetic, Runner, exhaust

#: Every how many mutants one is run in the default tier.
_SHARE = 60


def _runners(chosen: Iterable[Mutant]) -> Iterator[Runner]:
    for mutant in chosen:
        try:
            yield Runner(mutant.construction, EXACT)
        except InvalidArgument:  # shapes that do not fit
            continue


def _caught(runner: Runner) -> bool:
    """Assert that a mutant has the same findings with the engine as without; return whether it is refuted."""
    construction = runner.construction
    assert isinstance(construction, Construction)
    stop = size_of(construction)
    found = runner.prepared.tally_ranks(0, stop)
    assert found is not None, f"{construction} is covered"
    assert found == one_by_one(runner, 0, stop)
    if found.failure is None:
        return False
    verdict = exhaust(construction, EXACT)
    with mock.patch.object(RationalArithmetic, "at_once", return_value=None):
        before = exhaust(construction, EXACT)
    assert verdict.counterexample is not None
    assert replace(verdict, seconds=0) == replace(before, seconds=0)
    return True


@pytest.mark.parametrize("name", SUBJECTS)
def test_some_mutants_are_caught_at_the_same_case(name: str) -> None:
    chosen = islice(mutants(name, "matrices, layers, virtual tokens"), 0, None, _SHARE)
    caught = [_caught(runner) for runner in _runners(chosen)]
    assert sum(caught) > len(caught) / 2


@few_or_all(24)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", SUBJECTS)
def test_every_mutant_is_caught_at_the_same_case(name: str, family: str, count: int | None) -> None:
    caught: list[Any] = [_caught(runner) for runner in _runners(drawn_mutants(name, family, count))]
    assert any(caught)
