"""Longer inputs: one virtual token selects a map of several user tokens."""

from __future__ import annotations

from collections.abc import Mapping

from constructions import Hardmax, LongerInputs
from proofs import longer_inputs, longer_inputs_softmax
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import SWEPT_VOCABULARY, Step, up_to

#: The most packed digits of a construction that fuzzing draws; every digit is two layers.
MOST_DRAWN_DIGITS = 32


def _shallow(sizes: Mapping[str, int]) -> bool:
    """Say whether the digits of these sizes, ``V^(n_X - 1)``, make no more layers than can be run many times."""
    vocab_size, digits = sizes["vocab_size"], sizes["input_size"] - 1
    # the exponent is looked at first, so that no huge power is ever built
    return vocab_size == 1 or (digits <= MOST_DRAWN_DIGITS and vocab_size**digits <= MOST_DRAWN_DIGITS)


CLAIM = Claim(
    id="longer-inputs",
    title="One virtual token makes one deeper transformer answer n_X user tokens by any of V^(V^n_X) maps",
    statement=(
        "For all V >= 1, n_X >= 2 there is a transformer with vocabulary V, context n_X + 1, embedding size V and"
        " n_X attention layers of two heads with MLPs between them that answers every user input (x_1, ..., x_n)"
        " with m(x_1, ..., x_n), for ANY map m, when its context starts with the single virtual token whose"
        " coordinate j packs the table of m for a first token j into base-V digits after the point. At hardmax; two"
        " user tokens also with softmax, the causal mask, the add lift and one q >= 6 if and only if q > 2(4V-3)."
        " The obligations are about every layer's weights for all sizes; the order of the layers, whose number"
        " depends on V, is read off one size."
    ),
    latex=(
        r"\forall V \ge 1, n \ge 2\ \exists\, \text{transformer}\ \forall m \colon \{0..V-1\}^n \to \{0..V-1\}\ "
        r"\forall x:\quad \operatorname{answer}(s(m), x) = m(x), \qquad"
        r" s(m)_j = \sum_{k=1}^{V^{n-1}} V^{-k}\, m(j, \text{digits}_V(k-1))"
    ),
    source=(
        f"{PAPER}: appendix, longer user inputs (n_X > 1, n_Y = 1); the explicit ReLU MLP that unpacks"
        " the digits, and n_X > 2, are beyond the paper"
    ),
    construction=LongerInputs,
    obligations=(*longer_inputs.OBLIGATIONS, *longer_inputs_softmax.OBLIGATIONS),
    caveat=(
        "the obligations are about one block and one digit for all sizes; that the layers follow each other in this"
        " order is read off one size, and what the blocks of two user tokens do together at a finite q is put"
        " together in two_inputs_threshold"
    ),
    plan=(
        # at the default q, just above what is proved to be enough, bounds of each coordinate alone are too wide
        Step("certified", "real", {"vocab_size": 4, "input_size": 2}, {"temperature": Hardmax()}),
        Step("exhausted", "rational", {"vocab_size": 2, "input_size": 2}),
        Step("exhausted", "rational", {"vocab_size": 2, "input_size": 3}),
        Step("fuzzed", "rational", {"vocab_size": up_to(8), "input_size": up_to(4)}),
        Step("exhausted", "floats", {"vocab_size": 2, "input_size": 2}),
        Step("exhausted", "floats", {"vocab_size": 2, "input_size": 3}),
        Step("exhausted", "floats", {"vocab_size": 3, "input_size": 2}),
        Step("swept", "floats", {"vocab_size": up_to(SWEPT_VOCABULARY), "input_size": 2}),
        Step("certified", "floats", {"vocab_size": 4, "input_size": 2}),
        Step("fuzzed", "floats", {"vocab_size": up_to(13), "input_size": up_to(4)}),
    ),
    symbols_at={"vocab_size": 2, "input_size": 3},
    drawn=_shallow,
    extends=("theorem-2",),
)
