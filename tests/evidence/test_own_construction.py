"""A construction of a user's own: about twenty lines, and every kind of evidence comes with it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import hypothesis.strategies as st
import pytest
import torch

import verify
from constructions import Attention, Construction, Head, Layout, Linear, Ratios, TargetSpace, Transformer
from constructions.validation import IntArray


@dataclass(frozen=True, repr=False)
class CaesarCipher(Construction):
    """The virtual token is a number, the shift; the transformer answers token X with (X + shift) mod V."""

    vocab_size: int

    @property
    def layout(self) -> Layout:
        return Layout(virtual=1, user=1, response=1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (1,))

    def encode(self, targets: IntArray) -> Ratios:
        return Ratios(targets[:, None, :], 1)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        shifted: IntArray = (targets + user_inputs) % self.vocab_size
        return shifted

    @cached_property
    def transformer(self) -> Transformer:
        V = self.vocab_size
        # every score is 0, so the head takes the mean of 2 * shift and 2 * X: their sum h
        add = Head("add", query=[[0, 0, 0]], key=[[0, 0, 0]], value=[[2, 0, 0]])
        # h, and two ramps whose difference is 1 if h >= V and 0 if not
        wrap = Linear([[1], [1], [1]], [[0], [1 - V], [-V]], name="wrap")
        # at x = h - V * (difference) the logit 2vx - v^2 = x^2 - (x - v)^2 is largest at v = x
        weight = [[2 * v, -2 * v * V, 2 * v * V] for v in range(V)]
        readout = Linear(weight, [[-v * v] for v in range(V)], activation=None, name="readout")
        return Transformer([list(range(V))], (Attention((add,)), wrap, readout), context_size=2)


@pytest.mark.parametrize("kind", ["rational", "symbolic", "numpy", "torch"])
@pytest.mark.parametrize("mask", ["causal", "none"])
def test_every_shift_of_every_token_in_every_arithmetic(kind: str, mask: Any) -> None:
    verdict = verify.exhaust(CaesarCipher(6, mask=mask), verify.get_arithmetic(kind))
    assert verdict.holds is True
    assert verdict.claim == "CaesarCipher"
    assert verdict.cases == verdict.space == 36
    assert verdict.margin == 1  # x is an integer, and the next best token is one away: (x-v)^2 = 1


def test_fuzzing_over_all_sizes() -> None:
    ciphers = st.builds(CaesarCipher, st.integers(1, 40))
    verdict = verify.fuzz(ciphers, verify.get_arithmetic("torch", dtype="float32"), examples=60, claim="caesar")
    assert verdict.holds is True
    assert verdict.cases > 30


def test_one_case_and_the_exact_margin() -> None:
    verdict = verify.check(CaesarCipher(26), target=[3], user_input=[25])
    assert verdict.holds is True
    assert verdict.margin == Fraction(1)


def test_as_a_torch_module() -> None:
    module = verify.to_torch(CaesarCipher(26), "float64")
    shifts = [[0], [3], [25]]
    assert module.generate(module.prompt(shifts), [[25], [25], [25]]).tolist() == [[25], [2], [24]]
    assert isinstance(module, torch.nn.Module)
    assert set(module.state_dict()) == {
        "embedding",
        *(f"attention__add__{part}" for part in ("query", "key", "value")),
        *(f"{layer}__{part}" for layer in ("wrap", "readout") for part in ("weight", "bias")),
    }


def test_a_sweep_stops_where_the_format_ends() -> None:
    # bfloat16 holds integers up to 2^8 = 256 only, and V^2 > 256 from V = 17 on
    verdict = verify.sweep(
        CaesarCipher, verify.get_arithmetic("torch", dtype="bfloat16"), max_vocab_size=300, claim="caesar"
    )
    assert verdict.holds is False
    assert verdict.cases >= sum(range(1, 17))
    fine = verify.sweep(
        CaesarCipher, verify.get_arithmetic("torch", dtype="float32"), max_vocab_size=40, claim="caesar"
    )
    assert fine.holds is True


def test_its_repr_rebuilds_it_and_it_prints() -> None:
    cipher = CaesarCipher(3, mask="none")
    assert eval(repr(cipher)) == cipher
    assert "Linear" not in cipher._repr_latex_()
    assert r"\text{readout:}" in cipher._repr_latex_()


@dataclass(frozen=True, repr=False)
class Unwrapped(Construction):
    """The same with the wrap forgotten: X + shift beyond the vocabulary stays at its last token."""

    vocab_size: int

    @property
    def _right(self) -> CaesarCipher:
        return CaesarCipher(self.vocab_size)

    layout = CaesarCipher.layout
    targets = CaesarCipher.targets
    encode = CaesarCipher.encode
    answer = CaesarCipher.answer

    @cached_property
    def transformer(self) -> Transformer:
        right = self._right.transformer
        add, _, readout = right.layers
        return Transformer(
            right.embedding, (add, Linear([[1], [0], [0]], [[0], [0], [0]], name="wrap"), readout), context_size=2
        )


def test_a_mistake_in_it_is_shrunk_to_the_smallest_case() -> None:
    wrong = st.builds(Unwrapped, st.integers(2, 30))
    verdict = verify.fuzz(wrong, verify.get_arithmetic("rational"), examples=60, claim="unwrapped")
    case = verdict.counterexample
    assert verdict.holds is False
    assert case is not None
    assert (case.construction, case.target, case.user_input) == ("Unwrapped(vocab_size=2)", [1], [1])
    assert (case.expected, case.produced) == (0, 1)
    assert verify.exhaust(Unwrapped(2), verify.get_arithmetic("rational")).cases == 4  # only the last case is wrong
