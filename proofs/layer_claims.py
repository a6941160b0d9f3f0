"""The claims about ANY attention layer under a prefix; they are about no construction and have no sizes to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from constructions.validation import check_choice
from proofs import attention
from proofs.claims import CLAIMS, PAPER, Claim
from proofs.obligations import Obligation, Proof


@final
@dataclass(frozen=True)
class LayerClaim:
    """A statement about every attention layer.

    Attributes:
        id: as in ``prefixproof verify ID``.
        title: a line.
        statement: in words; positions are 0-based.
        latex: the statement in LaTeX, without dollar signs.
        source: where in the paper it is.
        arithmetics: where evidence is gathered; ``real`` is where the obligations are decided.
        obligations: what sympy must decide.
        caveat: what the obligations leave open; empty when they leave nothing.

    """

    id: str
    title: str
    statement: str
    latex: str
    source: str
    arithmetics: tuple[str, ...]
    obligations: tuple[Obligation, ...]
    caveat: str = ""

    def discharge(self) -> tuple[Proof, ...]:
        """Return the proofs of all obligations; raises as :meth:`Obligation.discharge` does."""
        return tuple(obligation.discharge() for obligation in self.obligations)


_ARITHMETICS = (
    "real",
    "rational",
    "numpy float64",
    "torch float64",
    "torch float32",
    "torch bfloat16",
    "torch float16",
)

#: The claims about attention under a prefix by their ids, in the order of the paper.
LAYER_CLAIMS: Mapping[str, LayerClaim] = MappingProxyType(
    {
        claim.id: claim
        for claim in (
            LayerClaim(
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
                arithmetics=_ARITHMETICS,
                obligations=attention.RESCALING_OBLIGATIONS,
            ),
            LayerClaim(
                id=attention.BIAS,
                title="A prefix only moves a layer's output towards the values of its vectors",
                statement=(
                    "The output of every attention layer under a prefix is, head by head and summed,"
                    " t^pt_i = (1 - alpha_i) t_i + sum_p alpha_ip W_V s_p. In floats the deviation is within a bound"
                    " that rounding alone gives for the layer."
                ),
                latex=r"t^{\mathrm{pt}}_i = \sum_h (1 - \alpha_i^h)\, t_i^h + \sum_p \alpha_{ip}^h W_V^h s_p",
                source=f"{PAPER}: section 4; the rounding bound is beyond the paper",
                arithmetics=_ARITHMETICS,
                obligations=attention.BIAS_OBLIGATIONS,
            ),
            LayerClaim(
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
                arithmetics=_ARITHMETICS,
                obligations=attention.SECOND_LAYER_OBLIGATIONS,
            ),
        )
    }
)


def get_any_claim(claim: str) -> Claim | LayerClaim:
    """Return the claim with an id, about a construction or about any attention layer.

    Raises:
        InvalidArgument: there is none; the message lists the ids.

    Example:
        >>> get_any_claim("attention-bias").title
        "A prefix only moves a layer's output towards the values of its vectors"

    """
    every: Mapping[str, Claim | LayerClaim] = {**CLAIMS, **LAYER_CLAIMS}
    return every[check_choice("claim", claim, tuple(every))]
