"""The exact engine against the cases one by one, on every construction and every kind of layer."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from constructions import (
    Argmin,
    Attention,
    ConditionalGeneration,
    Construction,
    DigitGeneration,
    Hardmax,
    Head,
    Layout,
    Linear,
    LongerInputs,
    LongerResponses,
    Number,
    PerHeadSoftmax,
    RationalSoftmax,
    ResidualGeneration,
    Softmax,
    Transformer,
    UnconditionalGeneration,
    Unmarked,
)
from constructions.activations import SQUARE
from tests.evidence.hand_built import InductionHead, TwoDigitAdder
from tests.exact_engine.given import Given, promising, same
from tests.forward.trees import CONTEXT, IRRATIONAL, MODELS, RATIONAL, VOCAB

_TWO_HEADS = PerHeadSoftmax({"self": Fraction(31, 2), "first": 29})

CONSTRUCTIONS: list[Construction] = [
    UnconditionalGeneration(3, 3),
    UnconditionalGeneration(5, 2),
    UnconditionalGeneration(1, 2),
    UnconditionalGeneration(3, 3, temperature=Hardmax()),
    UnconditionalGeneration(3, 3, temperature=RationalSoftmax(Fraction(3, 2))),  # too blunt: it fails
    UnconditionalGeneration(3, 3, temperature=RationalSoftmax(Fraction(1, 3))),
    UnconditionalGeneration(3, 3, temperature=_TWO_HEADS),
    UnconditionalGeneration(3, 3, mask="none"),
    UnconditionalGeneration(2, 2, embedding=[[1, Fraction(1, 3)], [Fraction(-2, 7), 0]], temperature=Hardmax()),
    ConditionalGeneration(3, mask="none"),
    LongerResponses(2, 2),
    LongerInputs(2, 2),
    LongerInputs(2, 2, lift="mask"),
    DigitGeneration(9, 2, 2),
    InductionHead(),
]


@pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)
def test_a_construction(construction: Construction) -> None:
    assert same(construction)


def test_an_adder() -> None:
    assert same(TwoDigitAdder(), start=9950, stop=9990)


@pytest.mark.parametrize(
    "construction",
    [ResidualGeneration(2, 2), UnconditionalGeneration(2, 2, temperature=Softmax(3.0))],
    ids=["norm", "irrational temperature"],
)
def test_others_run_one_by_one(construction: Construction) -> None:
    assert not same(construction)


def hand_built(name: str, *, user: int, response: int, **more: Any) -> Given:
    layout = Layout(0, user, response) if more.pop("read", None) is None else Layout(0, user, user, (0,) * user)
    return Given(VOCAB, weights=MODELS[name], laid_out=layout, **more)


#: Trees with a row's own length in them, which is rational for these rows.
NORMED = [name for name in RATIONAL if "norm" in name]


@pytest.mark.parametrize("name", [name for name in RATIONAL if name not in NORMED])
@pytest.mark.parametrize("mask", ["causal", pytest.param("none", marks=pytest.mark.heavy)])
def test_a_tree_of_layers(name: str, mask: str) -> None:
    made = promising(hand_built(name, user=2, response=CONTEXT - 1, mask=mask, temperature=Hardmax()))
    assert same(made)


@pytest.mark.parametrize("name", [*NORMED, *IRRATIONAL])
def test_a_norm_or_an_irrational_value_is_left_alone(name: str) -> None:
    made = hand_built(name, user=2, response=2, temperature=Hardmax())
    assert name in {"sigmoid", "tanh"} or not same(made)


@pytest.mark.parametrize("name", ["gated", "two residuals"])
def test_decodings_and_reading_in_one_pass(name: str) -> None:
    read: Any = {"user": 3, "response": 3, "read": True, "temperature": Hardmax()}
    assert same(promising(hand_built(name, **read, reads_as=Argmin())))
    assert same(promising(hand_built(name, **{**read, "read": None, "response": 1}, reads_as=Argmin()), wrong=[11]))
    assert same(promising(hand_built(name, **read), wrong=[17]))


def test_a_number() -> None:
    square = Linear([[1, Fraction(1, 3)], [0, 2]], activation=SQUARE, name="square")
    readout = Linear([[Fraction(2, 7), 1]], [[Fraction(-1, 2)]], activation=None, name="readout")
    mean = Attention((Head("mean", query=[[0, 0]], key=[[0, 0]], value=[[1, 0], [0, 1]]),))
    weights = Transformer([[0, 1, 3], [2, 0, 1]], (mean, square, readout), 2, positions=Unmarked(), output_vocab_size=1)
    for tolerance in (Fraction(22), Fraction(25)):  # the largest number is near 24
        made = Given(3, weights=weights, laid_out=Layout(0, 2, 1), outputs=1, reads_as=Number(tolerance))
        assert same(made)
