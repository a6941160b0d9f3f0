"""Theorem 1 in the language models of today: a residual stream, norms, smooth activations."""

from __future__ import annotations

from constructions import ResidualGeneration
from constructions.residual import ARCHITECTURES
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import Step, up_to
from proofs.residual.obligations import GENERATION, GENERATION_OBLIGATIONS

#: The architectures whose float certificates reach the sizes of the paper's notebook.
CERTIFIED = ("gpt2", "opt", "llama")

CLAIM = Claim(
    id=GENERATION,
    title="One virtual token makes one GPT-2, OPT, Llama or GPT-NeoX generate any of V^N sequences",
    statement=(
        "For all V, N >= 1 there are language models of the architectures of GPT-2, OPT, Llama and GPT-NeoX, with their"
        " default norms (weights of 1, biases of 0) and uniform attention of one head, that generate ANY sequence"
        " (y_0, ..., y_{N-1}) when their context starts with one virtual token that holds (y_0/V, ...,"
        " y_{N-1}/V). Their widths are 2N + 5 for GPT-2 and OPT, N + 5 for Llama, 2N + 6 for GPT-NeoX, the last two"
        " rounded up to a multiple of 2 and of 8. They have one block, GPT-NeoX three. Every factor of a norm is common"
        " to the numbers that the readout compares, and no argmax sees it."
    ),
    latex=(
        r"\forall V, N \ge 1\ \exists\, \text{language model}\ \forall y \in \{0..V-1\}^N:\quad"
        r" \operatorname{generate}\bigl(\tfrac1V (y_0, \dots, y_{N-1}), 0, \dots\bigr) = (y_0, \dots, y_{N-1})"
    ),
    source=f"{PAPER}: section 3, Theorem 1; residual streams, norms and smooth activations are beyond the paper",
    construction=ResidualGeneration,
    obligations=GENERATION_OBLIGATIONS,
    plan=(
        Step("exhausted", "floats", {"vocab_size": 4, "context_size": 4}),
        *(
            Step(
                "exhausted", "floats", {"vocab_size": 4, "context_size": 3}, {"architecture": name, "start_token": True}
            )
            for name in [*ARCHITECTURES][1:]
        ),
        *(
            Step("certified", "floats", {"vocab_size": 94, "context_size": 20}, {"architecture": name})
            for name in CERTIFIED
        ),
        Step("certified", "real", {"vocab_size": 94, "context_size": 20}),
        Step("fuzzed", "floats", {"vocab_size": up_to(94), "context_size": up_to(20)}),
    ),
    caveat=(
        "the obligations are about real numbers, and treat an activation as a ReLU: gelu and silu are one up to 2^-54"
        " of the number, from a gain on that follows from the sizes; the bound of the masks is an argument in the"
        " documentation of constructions.residual.bounds, of which the obligations decide the inequalities"
    ),
    symbols_at={"vocab_size": 2, "context_size": 2},
    extends=("theorem-1",),
)
