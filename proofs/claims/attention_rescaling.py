"""Section 4: a prefix leaves the attention over the content in proportion."""

from __future__ import annotations

from proofs import attention
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import Step

CLAIM = Claim(
    id=attention.RESCALING,
    title="A prefix cannot change the relative attention over the content",
    statement=(
        "In every head of every attention layer, with any mask and inverse temperature, prefix vectors in"
        " front of the content leave all ratios of a query's attention over the content as they are:"
        " A^pt_ij = (1 - alpha_i) A_ij, alpha_i the query's attention on the prefix. In floats the"
        " deviation is within a bound that rounding alone gives for the layer."
    ),
    latex=r"A^{\mathrm{pt}}_{ij} = (1 - \alpha_i)\, A_{ij}",
    source=f"{PAPER}: section 4; the rounding bound is beyond the paper",
    obligations=attention.RESCALING_OBLIGATIONS,
    plan=(Step("fuzzed layers", "rational"), Step("fuzzed layers", "floats")),
)
