"""Theorem 2: one virtual token selects a map of the user's token."""

from __future__ import annotations

from constructions import ConditionalGeneration
from proofs import theorem_2, theorem_2_heads
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import SWEPT_VOCABULARY, Step, up_to

CLAIM = Claim(
    id="theorem-2",
    title="One virtual token makes one transformer answer by any of V^V maps of the user's token",
    statement=(
        "For all V >= 1 there is a transformer with vocabulary V, context 2, embedding size V, one attention layer"
        " of two heads and a three-layer MLP that answers every user token X with m(X), for ANY map m, when its"
        " context starts with the single virtual token (m(0)/V, ..., m(V-1)/V). At hardmax, and with softmax at"
        " every temperature that is the same in both heads; for V >= 2, with a q for each if and only if"
        " -1/(2V) < d < 1/(2(V-1)), d = 1/(1+q_self) - 1/(1+q_first)."
    ),
    latex=(
        r"\forall V \ge 1\ \exists\, \text{transformer}\ \forall m \colon \{0..V-1\} \to \{0..V-1\}\ \forall X:"
        r"\quad \operatorname{answer}\bigl(\tfrac1V (m(0), \dots, m(V-1)), X\bigr) = m(X)"
    ),
    source=(
        f"{PAPER}: section 3, Theorem 2 (conditional generation capacity of a single virtual token, n_X = n_Y ="
        " 1); the statement about temperatures is beyond the paper"
    ),
    construction=ConditionalGeneration,
    obligations=(*theorem_2.OBLIGATIONS, *theorem_2_heads.OBLIGATIONS),
    plan=(
        Step("certified", "real", {"vocab_size": 94}),
        Step("exhausted", "rational", {"vocab_size": 4}),
        Step("fuzzed", "rational", {"vocab_size": up_to(60)}),
        Step("exhausted", "floats", {"vocab_size": 5}),
        Step("swept", "floats", {"vocab_size": up_to(SWEPT_VOCABULARY)}),
        Step("certified", "floats", {"vocab_size": 94}),
        Step("fuzzed", "floats", {"vocab_size": up_to(300)}),
    ),
    symbols_at={"vocab_size": 2},
)
