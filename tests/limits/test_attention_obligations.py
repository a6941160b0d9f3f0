"""The sympy obligations about attention under a prefix, and rules that do not meet them."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp

from constructions import InvalidArgument
from proofs import CLAIMS, Claim, ObligationError, ObligationFailed, get_claim
from proofs.attention import AttentionRule, softmax
from verify.prefixes import IDENTITIES

ALL = [claim for claim in CLAIMS.values() if claim.construction is None]


def rule(normaliser: Any) -> AttentionRule:
    return AttentionRule(softmax().factor, normaliser)


MUTANTS = {
    "the prefix is not in the normaliser": rule(lambda content, prefix: content),
    "the content is not in the normaliser": rule(lambda content, prefix: prefix),
    "the prefix counts twice": rule(lambda content, prefix: content + 2 * prefix),
    "no normaliser": rule(lambda content, prefix: sp.S.One),
}
OTHER_RULES = {
    "without an exponential": AttentionRule(lambda score: 1 + score**2, softmax().normaliser),
    "a power of two": AttentionRule(lambda score: sp.Integer(2) ** score, softmax().normaliser),
}


@pytest.mark.share(1)
@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
def test_the_obligations_are_discharged(claim: Claim) -> None:
    proofs = claim.discharge()
    assert len(proofs) == len(claim.obligations) >= 1
    assert all(proof.holds and proof.obligation.startswith(f"{claim.id}.") for proof in proofs)


@pytest.mark.share(4)
@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_rule_is_refused(claim: Claim, mutant: str) -> None:
    with pytest.raises(ObligationError):
        [obligation.discharge(MUTANTS[mutant]) for obligation in claim.obligations]


@pytest.mark.parametrize("other", OTHER_RULES)
def test_what_is_proved_is_about_normalising_and_not_about_the_exponential(other: str) -> None:
    for obligation in CLAIMS["attention-rescaling"].obligations:
        assert obligation.discharge(OTHER_RULES[other]).holds


def test_a_wrong_rule_is_refused_with_what_is_false() -> None:
    (obligation,) = CLAIMS["attention-rescaling"].obligations
    with pytest.raises(ObligationError, match=r"sums to 1|A.pt_ij") as raised:
        obligation.discharge(MUTANTS["the prefix is not in the normaliser"])
    assert isinstance(raised.value, (ObligationFailed, ObligationError))


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
def test_a_claim_says_what_and_whence(claim: Claim) -> None:
    assert min(map(len, (claim.title, claim.statement, claim.latex))) > 20
    assert "arXiv 2310.19698: section" in claim.source
    for text in (claim.latex, *(obligation.latex for obligation in claim.obligations)):
        assert text.count("{") == text.count("}")


def test_registered_claims_are_those_that_are_checked() -> None:
    assert tuple(claim.id for claim in ALL) == IDENTITIES
    with pytest.raises(InvalidArgument, match=r"claim: expected one of theorem-1, .*, second-layer-attention but got"):
        get_claim("theorem-9")
