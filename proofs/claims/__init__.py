"""The claims, one file each: the promise, its source, its proof, and the plan of its evidence."""

from __future__ import annotations

from constructions.registry import Registry
from constructions.validation import check_choice
from proofs.claims import (
    attention_bias,
    attention_rescaling,
    digits,
    longer_inputs,
    longer_responses,
    residual_conditional,
    residual_generation,
    second_layer_attention,
    theorem_1,
    theorem_2,
)
from proofs.claims.claim import PAPER as PAPER
from proofs.claims.claim import Claim as Claim
from proofs.claims.plan import Plan as Plan
from proofs.claims.plan import Step as Step

#: Every claim by its id; a new one is registered here.
CLAIMS: Registry[Claim] = Registry(
    "claim",
    (
        module.CLAIM
        for module in (
            theorem_1,
            theorem_2,
            longer_responses,
            longer_inputs,
            digits,
            residual_generation,
            residual_conditional,
            attention_rescaling,
            attention_bias,
            second_layer_attention,
        )
    ),
    name=lambda claim: claim.id,
)


def get_claim(claim: str) -> Claim:
    """Return the claim with an id.

    Raises:
        InvalidArgument: there is none; the message lists the ids.

    Example:
        >>> get_claim("theorem-1").title
        'One virtual token makes one transformer generate any of V^N sequences'

    """
    return CLAIMS[check_choice("claim", claim, tuple(CLAIMS))]
