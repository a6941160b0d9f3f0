"""Section 6: a prefix enters the scores of the next layer."""

from __future__ import annotations

from proofs import attention
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import Step

CLAIM = Claim(
    id=attention.SECOND_LAYER,
    title="A prefix enters the scores of the next layer through four terms only",
    statement=(
        "With mu = W_V s of one prefix vector and H = W_Q^T W_K of the next layer, the next layer's score"
        " of i on j is (1-a_i)(1-a_j) t_i'H t_j + a_i (1-a_j) mu'H t_j + (1-a_i) a_j t_i'H mu"
        " + a_i a_j mu'H mu. For several heads and vectors the kept outputs and the biases, summed over"
        " them, take the places of (1-a_i) t_i and a_i mu."
    ),
    latex=(
        r"(1-a_i)(1-a_j) t_i^\top H t_j + a_i (1-a_j) \mu^\top H t_j + (1-a_i) a_j t_i^\top H \mu"
        r" + a_i a_j \mu^\top H \mu"
    ),
    source=f"{PAPER}: section 6; several heads and vectors, and the rounding bound, are beyond the paper",
    obligations=attention.SECOND_LAYER_OBLIGATIONS,
    plan=(Step("fuzzed layers", "rational"), Step("fuzzed layers", "floats")),
    extends=(attention.BIAS,),
)
