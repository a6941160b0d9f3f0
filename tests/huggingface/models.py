"""Decoders with random weights, one for each family: every bias, several heads, shared keys, turned pairs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Domain, HandBuilt, Softmax, Transformer, specify
from constructions.activations import GELU, RELU, SILU, TANH_GELU
from constructions.layers import (
    Added,
    Attention,
    Chain,
    Gated,
    Head,
    LayerNorm,
    Linear,
    Residual,
    RMSNorm,
    Sum,
    Unmarked,
)

WIDTH, HEADS, KEYS, HIDDEN, CONTEXT, VOCAB = 8, 4, 2, 12, 5, 6
#: as configurations hold them
EPS = 1e-5


class Weights:
    """Random dyadic weights by name, of few bits, which every format but the shortest holds."""

    def __init__(self, seed: int, blocks: int) -> None:
        self.rng, self.blocks = np.random.default_rng(seed), blocks

    def __call__(self, *shape: int, around: float = 0.0) -> Any:
        return np.round(self.rng.normal(0, 0.5, shape) * 64) / 64 + around

    def column(self, rows: int, around: float = 0.0) -> list[list[Fraction]]:
        return [[Fraction(value)] for value in self(rows, around=around).tolist()]


def layer_norm(w: Weights, name: str) -> LayerNorm[Any]:
    return LayerNorm(EPS, w.column(WIDTH, 1.0), w.column(WIDTH), name=name)


def rms_norm(w: Weights, name: str) -> RMSNorm[Any]:
    return RMSNorm(EPS, w.column(WIDTH, 1.0), name=name)


def attention(w: Weights, name: str, *, biased: bool = True, groups: int = HEADS, rotary: Any = None) -> Attention[Any]:
    heads = []
    for index in range(HEADS):
        more: dict[str, Any] = {} if rotary is None else {"rotary": rotary}
        if biased:
            more["query_bias"] = w.column(KEYS)
        first = index % (HEADS // groups)
        if first:
            more["shares"] = f"h{index - first}"
        else:
            more |= {"key": w(KEYS, WIDTH), "value": w(KEYS, WIDTH)}
            if biased:
                more |= {"key_bias": w.column(KEYS), "value_bias": w.column(KEYS)}
        heads.append(Head(f"h{index}", w(KEYS, WIDTH), **more))
    bias = w.column(WIDTH) if biased else None
    return Attention(tuple(heads), name, output=w(WIDTH, HEADS * KEYS), output_bias=bias)


def mlp(w: Weights, at: int, activation: Any) -> tuple[Linear[Any], Linear[Any]]:
    return (
        Linear(w(HIDDEN, WIDTH), w.column(HIDDEN), activation, f"up {at}"),
        Linear(w(WIDTH, HIDDEN), w.column(WIDTH), None, f"down {at}"),
    )


def sequential(w: Weights, activation: Any) -> list[Any]:
    layers: list[Any] = []
    for at in range(w.blocks):
        layers += [
            Residual((layer_norm(w, f"norm {at}"), attention(w, f"attention {at}")), f"r {at}"),
            Residual((layer_norm(w, f"norm {at} b"), *mlp(w, at, activation)), f"s {at}"),
        ]
    return layers


def parallel(w: Weights, rotary: Any) -> list[Any]:
    return [
        Residual(
            (
                Sum(
                    (
                        Chain((layer_norm(w, f"norm {at}"), attention(w, f"attention {at}", rotary=rotary)), f"a {at}"),
                        Chain((layer_norm(w, f"norm {at} b"), *mlp(w, at, GELU)), f"m {at}"),
                    ),
                    f"sum {at}",
                ),
            ),
            f"r {at}",
        )
        for at in range(w.blocks)
    ]


def gated(w: Weights, rotary: Any) -> list[Any]:
    layers: list[Any] = []
    for at in range(w.blocks):
        both = Gated(
            Linear(w(HIDDEN, WIDTH), None, SILU, f"gate {at}"),
            Linear(w(HIDDEN, WIDTH), None, None, f"up {at}"),
            f"gated {at}",
        )
        down = Linear(w(WIDTH, HIDDEN), None, None, f"down {at}")
        seeing = attention(w, f"attention {at}", biased=False, groups=2, rotary=rotary)
        layers += [
            Residual((rms_norm(w, f"norm {at}"), seeing), f"r {at}"),
            Residual((rms_norm(w, f"norm {at} b"), both, down), f"s {at}"),
        ]
    return layers


def built(w: Weights, layers: list[Any], norm: Any, *, learned: bool) -> HandBuilt:
    """Return a construction of these blocks, which promises nothing true: its logits are what is compared."""
    positions = Added(w(WIDTH, CONTEXT)) if learned else Unmarked()
    whole = (*layers, norm(w, "norm"), Linear(w(VOCAB, WIDTH), None, None, "readout"))
    transformer = Transformer(w(WIDTH, VOCAB), whole, CONTEXT, positions=positions)
    promise = specify(Domain.of(VOCAB, CONTEXT), lambda x: x[:, -1:])
    return replace(HandBuilt.of(transformer, promise), temperature=Softmax(1.0))


def random_model(family: str, seed: int, rotary: Any = None, blocks: int = 2) -> HandBuilt:
    """Return a construction that a family holds."""
    w = Weights(seed, blocks)
    if family == "gpt2":
        return built(w, sequential(w, TANH_GELU), layer_norm, learned=True)
    if family == "opt":
        return built(w, sequential(w, RELU), layer_norm, learned=True)
    if family == "llama":
        return built(w, gated(w, rotary), rms_norm, learned=False)
    return built(w, parallel(w, rotary), layer_norm, learned=False)
