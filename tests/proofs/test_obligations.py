from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from constructions import ConditionalGeneration, Transformer, UnconditionalGeneration
from proofs import CLAIMS, Decision, Obligation, ObligationUndecided, get_claim
from tests.shares import drawn

OBLIGATIONS = {obligation.id: obligation for claim in CLAIMS.values() for obligation in claim.obligations}


#: `make verify` decides all of them; here some are drawn, and the others are heavy.
DRAWN = drawn(list(OBLIGATIONS), 12)


@pytest.mark.parametrize(
    "obligation",
    [pytest.param(each, marks=() if each.id in DRAWN else pytest.mark.heavy) for each in OBLIGATIONS.values()],
    ids=lambda obligation: obligation.id,
)
def test_an_obligation_is_discharged(obligation: Obligation) -> None:
    proof = obligation.discharge()
    assert proof.obligation == obligation.id
    assert proof.holds
    assert proof.seconds > 0
    assert proof.decisions
    assert all(decision.what and decision.shown for decision in proof.decisions)
    assert obligation.statement
    assert obligation.latex


def test_a_claim_discharges_all_of_its_own() -> None:
    claim = replace(CLAIMS["theorem-2"], obligations=CLAIMS["theorem-2"].obligations[:4])
    assert len(claim.obligations) == 4
    assert [proof.obligation for proof in claim.discharge()] == [item.id for item in claim.obligations]


@pytest.mark.parametrize("sizes", [(1, 1), (5, 7), (200_000, 10**5)])
def test_the_numbers_that_a_transformer_was_built_with_play_no_part(sizes: tuple[int, int]) -> None:
    transformer = UnconditionalGeneration(*sizes).transformer
    for obligation in get_claim("theorem-1").obligations[:3]:
        shown = tuple(decision.what for decision in obligation.discharge(transformer).decisions)
        assert shown == _shown(obligation)


@cache
def _shown(obligation: Obligation) -> tuple[str, ...]:
    return tuple(decision.what for decision in obligation.discharge().decisions)


def test_a_check_that_decides_nothing_is_undecided() -> None:
    def nothing(_: Transformer) -> Iterator[Decision]:
        yield from ()

    obligation = Obligation("theorem-2.nothing", "nothing", "", nothing, lambda: ConditionalGeneration(1).transformer)
    with pytest.raises(ObligationUndecided, match=r"^undecided: theorem-2\.nothing: its check decided nothing$"):
        obligation.discharge()
