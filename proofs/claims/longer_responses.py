"""Longer responses: one virtual token for each token of the answer."""

from __future__ import annotations

from constructions import LongerResponses
from proofs import longer_responses, longer_responses_softmax
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import SWEPT_VOCABULARY, Step, up_to

CLAIM = Claim(
    id="longer-responses",
    title="N0 virtual tokens make one transformer answer with N0 tokens by any of V^(V N0) maps",
    statement=(
        "For all V, N0 >= 1 there is a transformer with vocabulary V, context 2 N0, embedding size V, one attention"
        " layer of two heads and a three-layer MLP that answers every user token X with m_0(X), ..., m_{N0-1}(X),"
        " for ANY maps m_p, when its context starts with the virtual tokens (m_p(0)/V, ..., m_p(V-1)/V)."
        " That holds at hardmax; for V >= 2, with softmax and the causal mask, it holds if and only if"
        " q > (4V-3)(2 N0 - 2) - 1, the same q in both heads."
    ),
    latex=(
        r"\forall V, N_0 \ge 1\ \exists\, \text{transformer}\ \forall m_p \colon \{0..V-1\} \to \{0..V-1\}\ \forall"
        r" X: \quad \operatorname{answer}\bigl((\tfrac1V m_p)_{p < N_0}, X\bigr) = (m_0(X), \dots, m_{N_0-1}(X))"
    ),
    source=(f"{PAPER}: appendix, longer responses (n_X = 1, n_Y > 1); the softmax threshold is beyond the paper"),
    construction=LongerResponses,
    obligations=(*longer_responses.OBLIGATIONS, *longer_responses_softmax.OBLIGATIONS),
    plan=(
        Step("certified", "real", {"vocab_size": 30, "response_size": 4}),
        Step("exhausted", "rational", {"vocab_size": 3, "response_size": 2}),
        Step("fuzzed", "rational", {"vocab_size": up_to(20), "response_size": up_to(6)}),
        Step("exhausted", "floats", {"vocab_size": 3, "response_size": 2}),
        Step("exhausted", "floats", {"vocab_size": 2, "response_size": 4}),
        Step("swept", "floats", {"vocab_size": up_to(SWEPT_VOCABULARY), "response_size": 4}),
        Step("certified", "floats", {"vocab_size": 30, "response_size": 4}),
        Step("fuzzed", "floats", {"vocab_size": up_to(60), "response_size": up_to(16)}),
    ),
    symbols_at={"vocab_size": 2, "response_size": 2},
    extends=("theorem-2",),
)
