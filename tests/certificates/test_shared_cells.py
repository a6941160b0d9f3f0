"""Cells that share: the same margins as cells by themselves, every target held, and nothing shared that differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from constructions import ConditionalGeneration, Construction, DigitGeneration, LongerResponses, UnconditionalGeneration
from tests.certificates.own import rounded
from tests.mutation import certifier_shared as oracles
from verify import NumpyArithmetic, Runner
from verify.certificates import all_targets, certificate_arithmetic, certify, shared_cells
from verify.certificates.cells import cells
from verify.certificates.sharing import shared_margins, tally_shared
from verify.certificates.sheets import UnsharedError
from verify.evidence.enumeration import no_progress


@pytest.mark.parametrize(
    "oracle",
    [
        oracles.agreeing("float32"),
        oracles.covering,
        oracles.refused,
        oracles.unshared,
        oracles.few_terms,
        oracles.balls,
        oracles.of_few(oracles.places_of_few),
    ],
)
def test_cells_that_share_are_those_by_themselves(oracle: Any) -> None:
    assert oracle() == []


SHARED: list[Construction] = [
    UnconditionalGeneration(24, 16),
    UnconditionalGeneration(31, 20, encoding="integer", lift="mask", readout="banded"),
    ConditionalGeneration(24),
    LongerResponses(12, 3),
    DigitGeneration(40, 12, digits=2),
]


@pytest.mark.parametrize("construction", SHARED, ids=repr)
def test_no_run_has_a_smaller_margin(construction: Construction) -> None:
    bound = all_targets.bind_for_certificate(construction, rounded().for_cells())
    with np.errstate(all="ignore"):
        found = tally_shared(bound, construction, no_progress, budget=2**20, points=64)
    assert found is not None
    count, _, margin = found
    assert count >= construction.vocab_size * construction.layout.response
    targets, users = construction.targets.sample(64, seed=2), construction.user_inputs.sample(64, seed=3)
    outcome = Runner(construction, NumpyArithmetic("float32")).run(targets, users)
    assert float(np.min(outcome.margins)) >= margin


def test_sharing_starts_where_cells_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    construction = UnconditionalGeneration(16, 16)  # 16 steps of 16 cells of 16 entries
    count = sum(len(batch.expected) for batch in cells(construction, budget=10_000)) * 16
    assert count == shared_cells.SHARED_FROM
    assert len(list(shared_cells.shared_cells(construction, budget=10_000, numbers=2**12))) == 1
    monkeypatch.setattr(shared_cells, "SHARED_FROM", count + 1)
    with pytest.raises(UnsharedError, match="few cells"):
        next(shared_cells.shared_cells(construction, budget=10_000, numbers=2**12))


def test_many_user_inputs_are_bounded_in_several_passes() -> None:
    construction = ConditionalGeneration(20)
    bound = all_targets.bind_for_certificate(construction, rounded().for_cells())
    with np.errstate(all="ignore"):
        whole = [margins.lower for _, margins in shared_margins(bound, construction, budget=2**20, points=64)]
    parts = list(shared_cells.shared_cells(construction, budget=2**20, numbers=100))
    assert len(whole) == 1
    assert [len(part.users) for part in parts] == [3] * 6 + [2]
    assert sorted(user for part in parts for (user,) in part.users.tolist()) == list(range(20))


def test_the_verdict_is_that_of_cells_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    construction = UnconditionalGeneration(24, 16)
    shared = certify(construction, certificate_arithmetic("rounded"))
    monkeypatch.setattr(shared_cells, "SHARED_FROM", 2**60)
    alone = certify(construction, certificate_arithmetic("rounded"))
    assert (shared.holds, shared.margin, shared.cases, shared.space) == (True, alone.margin, alone.cases, alone.space)
    assert shared.reason != alone.reason  # which says how many members were looked at


def test_more_cells_than_the_budget_are_refused() -> None:
    verdict = certify(ConditionalGeneration(20), certificate_arithmetic("rounded"), budget=399)
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "budget of 399" in verdict.reason
