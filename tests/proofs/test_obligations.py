from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache

import pytest

from constructions import ConditionalGeneration, Transformer, UnconditionalGeneration
from proofs import CLAIMS, Decision, Obligation, ObligationUndecided, Proof, get_claim

OBLIGATIONS = {obligation.id: obligation for claim in CLAIMS.values() for obligation in claim.obligations}


@cache
def seconds_and_proofs() -> tuple[float, dict[str, Proof]]:
    started = time.process_time()
    found = [proof for claim in CLAIMS.values() for proof in claim.discharge()]
    return time.process_time() - started, {proof.obligation: proof for proof in found}


@pytest.mark.parametrize("obligation", list(OBLIGATIONS.values()), ids=lambda obligation: obligation.id)
def test_an_obligation_is_discharged(obligation: Obligation) -> None:
    _, proofs = seconds_and_proofs()
    proof = proofs[obligation.id]
    assert proof.holds
    assert proof.seconds > 0
    assert proof.decisions
    assert all(decision.what and decision.shown for decision in proof.decisions)
    assert obligation.statement
    assert obligation.latex


def test_all_obligations_are_discharged_in_seconds() -> None:
    seconds, proofs = seconds_and_proofs()
    assert list(proofs) == list(OBLIGATIONS)
    assert seconds < 20


@pytest.mark.parametrize("sizes", [(1, 1), (5, 7), (200_000, 10**5)])
def test_the_numbers_that_a_transformer_was_built_with_play_no_part(sizes: tuple[int, int]) -> None:
    transformer = UnconditionalGeneration(*sizes).transformer
    for obligation in get_claim("theorem-1").obligations[:6]:
        shown = [decision.what for decision in obligation.discharge(transformer).decisions]
        assert shown == [decision.what for decision in obligation.discharge().decisions]


def test_a_check_that_decides_nothing_is_undecided() -> None:
    def nothing(_: Transformer) -> Iterator[Decision]:
        yield from ()

    obligation = Obligation("theorem-2.nothing", "nothing", "", nothing, lambda: ConditionalGeneration(1).transformer)
    with pytest.raises(ObligationUndecided, match=r"^undecided: theorem-2\.nothing: its check decided nothing$"):
        obligation.discharge()
