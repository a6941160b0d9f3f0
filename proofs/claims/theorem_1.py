"""Theorem 1: one virtual token selects a sequence."""

from __future__ import annotations

from constructions import UnconditionalGeneration
from proofs import codings, theorem_1, theorem_1_heads, theorem_1_softmax
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import SWEPT_VOCABULARY, Step, up_to

CLAIM = Claim(
    id="theorem-1",
    title="One virtual token makes one transformer generate any of V^N sequences",
    statement=(
        "For all V, N >= 1 there is a transformer with vocabulary V, context N, embedding size N, one attention"
        " layer of two heads and a three-layer MLP that generates ANY sequence (y_0, ..., y_{N-1}) when its context"
        " starts with the single virtual token (y_0/V, ..., y_{N-1}/V). That holds at hardmax; a single token"
        " (V = 1) needs no temperature. For V >= 2, with softmax, E = 0 and the causal mask it holds if and only if"
        " q = exp(T/sqrt(k)) > (N-1)(4V-3), the same q in both heads. For V >= 2 and every embedding |E| <= M it"
        " holds if and only if q > (N-1)(4V-3+2VM); with a q for each head, which leaks l = (N-1)/(q+N-1), if and"
        " only if l_self + l_first ((V-1)/V + M) < 1/(2V). The same shape works at hardmax with other encodings,"
        " lifts and readouts of a token."
    ),
    latex=(
        r"\forall V, N \ge 1\ \exists\, \text{transformer}\ \forall y \in \{0..V-1\}^N:\quad"
        r" \operatorname{generate}\bigl(\tfrac1V (y_0, \dots, y_{N-1})\bigr) = (y_0, \dots, y_{N-1})"
    ),
    source=(
        f"{PAPER}: section 3, Theorem 1 (exponential unconditional generation capacity of a single virtual token)"
        " and Figure 4; the softmax thresholds are beyond the paper"
    ),
    construction=UnconditionalGeneration,
    obligations=(
        *theorem_1.OBLIGATIONS,
        *theorem_1_softmax.OBLIGATIONS,
        *theorem_1_heads.OBLIGATIONS,
        *codings.OBLIGATIONS,
    ),
    plan=(
        Step("certified", "real", {"vocab_size": 94, "context_size": 20}),
        Step("exhausted", "rational", {"vocab_size": 4, "context_size": 4}),
        Step("fuzzed", "rational", {"vocab_size": up_to(60), "context_size": up_to(24)}),
        Step("exhausted", "floats", {"vocab_size": 4, "context_size": 8}),
        Step("exhausted", "floats", {"vocab_size": 10, "context_size": 5}),
        Step("swept", "floats", {"vocab_size": up_to(SWEPT_VOCABULARY), "context_size": 8}),
        Step("certified", "floats", {"vocab_size": 94, "context_size": 20}),
        Step("fuzzed", "floats", {"vocab_size": up_to(300), "context_size": up_to(64)}),
    ),
    symbols_at={"vocab_size": 2, "context_size": 2},
)
