"""Residual models with one thing wrong: none is certified that fails for a target, and what must fail is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Construction
from constructions.activations import ABSOLUTE, GELU, RELU, SIGMOID, SILU, SQUARE, TANH, TANH_GELU
from constructions.layers import Gated, Layer, LayerNorm, Linear, Norm, RMSNorm
from constructions.residual.symbols import GAIN, MASK
from constructions.transformer import Transformer
from tests.certificates.factored_runs import theorem
from tests.certificates.own import rounded
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import BallArithmetic, certify
from verify.running.model import bind_construction
from verify.running.respond import respond

Change = Callable[[Transformer], Transformer]


@dataclass(frozen=True, repr=False)
class Changed(Construction):
    """A construction with another transformer."""

    vocab_size: int
    original: Any
    made: Any

    layout = property(lambda self: self.original.layout)
    targets = property(lambda self: self.original.targets)
    transformer = property(lambda self: self.made)

    def encode(self, targets: Any) -> Any:
        return self.original.encode(targets)

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        return self.original.answer(targets, user_inputs)

    def default_temperature(self, fmt: Any) -> Any:
        return self.original.default_temperature(fmt)


def _each(layer: Any, change: Callable[[Any], Any]) -> Any:
    """Return a layer with every layer in it changed."""
    fields: dict[str, Any] = {}
    for name in ("layers", "branches"):
        if hasattr(layer, name):
            fields[name] = tuple(_each(part, change) for part in getattr(layer, name))
    if isinstance(layer, Gated):
        fields = {"gate": _each(layer.gate, change), "value": _each(layer.value, change)}
    return change(replace(layer, **fields) if fields else layer)


def layers(change: Callable[[Layer], Layer]) -> Change:
    """Return a change of every layer."""
    return lambda model: replace(model, layers=tuple(_each(layer, change) for layer in model.layers))


def norms(change: Callable[[Norm], Norm]) -> Change:
    """Return a change of every norm."""
    return layers(lambda layer: change(layer) if isinstance(layer, Norm) else layer)


def activation(of: Any) -> Change:
    """Return another activation of the layers that have one."""

    def change(layer: Any) -> Any:
        has = isinstance(layer, Linear) and layer.activation is not None and layer.name != "readout"
        return replace(layer, activation=of) if has else layer

    return layers(change)


def number(symbol: Any, value: int) -> Change:
    """Return another value of a number that weights are made of."""
    return lambda model: replace(model, bindings={**model.bindings, symbol: value})


CHANGES: dict[str, Change] = {
    "eps 0": norms(lambda norm: replace(norm, eps=Fraction(0))),
    "eps 1": norms(lambda norm: replace(norm, eps=Fraction(1))),
    "eps huge": norms(lambda norm: replace(norm, eps=Fraction(10) ** 30)),
    "mean dropped": norms(lambda norm: RMSNorm(norm.eps, name=norm.name)),
    "mean taken off": norms(lambda norm: LayerNorm(norm.eps, name=norm.name)),
    **{
        f"activation {one.name}": activation(one)
        for one in (RELU, GELU, SILU, TANH_GELU, TANH, SIGMOID, ABSOLUTE, SQUARE)
    },
    "gain 1": number(GAIN, 1),
    "gain 4": number(GAIN, 4),
    "mask 0": number(MASK, 0),
    "mask 1": number(MASK, 1),
}
#: What fails for some target.
REFUSED = {
    ("gpt2", 1): ("mask 0", "activation tanh", "activation sigmoid", "activation abs", "gain 1"),
    ("opt", 1): ("mask 0", "activation gelu", "activation silu", "activation tanh", "activation sigmoid"),
    ("opt", 2): ("mask 0", "activation gelu", "activation tanh", "activation sigmoid"),
    ("gpt2", 2): ("mask 0", "activation tanh", "activation sigmoid"),
    ("llama", 1): ("activation tanh", "activation sigmoid", "gain 1"),
    ("llama", 2): ("activation sigmoid",),
}


def _wrong(construction: Construction, dtype: str) -> int:
    """Return for how many of some targets the response is not as promised, in floats."""
    rng, model = np.random.default_rng(1), bind_construction(construction, TorchArithmetic(dtype))
    space = construction.target_space
    targets = rng.integers(0, space.vocab_size, (60, *space.shape))
    targets[20:40] = rng.choice([0, space.vocab_size - 1], (20, *space.shape))
    users = construction.user_inputs.unrank_range(0, construction.user_inputs.size)
    wrong = 0
    for user in users:
        given = np.tile(user, (len(targets), 1))
        made = respond(
            model, construction, model.arithmetic.prompt(construction.virtual_tokens(targets)), given
        ).answers
        wrong += int((made != construction.answer(targets, given)).any(axis=1).sum())
    return wrong


#: True of real numbers, which float64 is not precise enough to show.
REAL = ("eps huge",)


@pytest.mark.parametrize(
    ("architecture", "which"),
    [
        pytest.param(*model, marks=pytest.mark.long if place else pytest.mark.heavy)
        for place, model in enumerate(REFUSED)
    ],
)
def test_no_mutant_that_fails_is_certified(architecture: str, which: int) -> None:
    original = theorem(which, architecture, 6, 4)
    for name, change in CHANGES.items():
        try:
            changed = Changed(original.vocab_size, original, change(original.transformer))
        except TypeError:  # a layer of another kind has no such field
            continue
        for arithmetic, dtype in ((BallArithmetic(), "float64"), (rounded("float32"), "float32")):
            fails = 0 if dtype == "float64" and name in REAL else _wrong(changed, dtype)
            verdict = certify(changed, arithmetic, points=1)
            assert verdict.holds is None or (verdict.holds is True and not fails), (name, arithmetic.name)
            if name in REFUSED[architecture, which]:
                assert fails, (name, dtype)


@pytest.mark.share(1)
@pytest.mark.parametrize(
    ("architecture", "name"), [("opt", "activation gelu"), ("gpt2", "mask 0"), ("llama", "gain 1")]
)
def test_a_wrong_model_is_refused(architecture: str, name: str) -> None:
    original = theorem(1, architecture, 6, 3)
    changed = Changed(original.vocab_size, original, CHANGES[name](original.transformer))
    assert _wrong(changed, "float32")
    assert certify(original, rounded("float32"), points=1).holds is True
    assert certify(changed, rounded("float32"), points=1).holds is None
