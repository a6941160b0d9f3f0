"""Theorem 2 in the language models of today: a residual stream, norms, smooth activations."""

from __future__ import annotations

from constructions import ResidualConditional
from constructions.residual import ARCHITECTURES
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import Step, up_to
from proofs.residual.obligations import CONDITIONAL, CONDITIONAL_OBLIGATIONS

CLAIM = Claim(
    id=CONDITIONAL,
    title="One virtual token makes one GPT-2, OPT, Llama or GPT-NeoX any of V^V maps of a token",
    statement=(
        "For all V >= 1 there are language models of the architectures of GPT-2, OPT, Llama and GPT-NeoX, with their"
        " default norms (weights of 1, biases of 0) and uniform attention of one head, that answer every token X with"
        " m(X), for ANY map m of the vocabulary, when their context starts with one virtual token that holds"
        " (m(0)/V, ..., m(V-1)/V). Their widths are 2V + 5 for GPT-2 and OPT, 2V + 3 for Llama, 2V + 5 for GPT-NeoX,"
        " the last two rounded up to a multiple of 2 and of 8. They have one block, GPT-NeoX two. Every factor of a"
        " norm is common to the numbers that the readout compares, and no argmax sees it."
    ),
    latex=(
        r"\forall V \ge 1\ \exists\, \text{language model}\ \forall m: \{0..V-1\} \to \{0..V-1\}\ \forall X:\quad"
        r" \operatorname{answer}\bigl(\tfrac1V (m(0), \dots, m(V-1)), 0, \dots; X\bigr) = m(X)"
    ),
    source=f"{PAPER}: section 3, Theorem 2; residual streams, norms and smooth activations are beyond the paper",
    construction=ResidualConditional,
    obligations=CONDITIONAL_OBLIGATIONS,
    plan=(
        Step("exhausted", "floats", {"vocab_size": 4}),
        *(Step("exhausted", "floats", {"vocab_size": 4}, {"architecture": name}) for name in [*ARCHITECTURES][1:]),
        *(Step("certified", "floats", {"vocab_size": 16}, {"architecture": name}) for name in ARCHITECTURES),
        Step("certified", "real", {"vocab_size": 16}),
        Step("fuzzed", "floats", {"vocab_size": up_to(94)}),
    ),
    caveat=(
        "the obligations are about real numbers, and treat an activation as a ReLU, but for Llama's gates: gelu is one"
        " up to 2^-54 of the number, from a gain on that follows from the size; the bound of the masks is an argument"
        " in the documentation of constructions.residual.bounds, of which the obligations decide the inequalities"
    ),
    symbols_at={"vocab_size": 2},
    extends=("theorem-2",),
)
