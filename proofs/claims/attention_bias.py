"""Section 4: a prefix moves the output of a layer."""

from __future__ import annotations

from proofs import attention
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import Step

CLAIM = Claim(
    id=attention.BIAS,
    title="A prefix only moves a layer's output towards the values of its vectors",
    statement=(
        "The output of every attention layer under a prefix is, head by head and summed,"
        " t^pt_i = (1 - alpha_i) t_i + sum_p alpha_ip W_V s_p. In floats the deviation is within a bound"
        " that rounding alone gives for the layer."
    ),
    latex=r"t^{\mathrm{pt}}_i = \sum_h (1 - \alpha_i^h)\, t_i^h + \sum_p \alpha_{ip}^h W_V^h s_p",
    source=f"{PAPER}: section 4; the rounding bound is beyond the paper",
    obligations=attention.BIAS_OBLIGATIONS,
    plan=(Step("fuzzed layers", "rational"), Step("fuzzed layers", "floats")),
    extends=(attention.RESCALING,),
)
