"""Small transformers of every kind of layer, with random weights, by name."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from constructions import Transformer
from constructions.activations import ABSOLUTE, ACTIVATIONS, IDENTITY, SILU, SQUARE, Activation, ClippedRelu
from constructions.layers import (
    Added,
    Attention,
    Chain,
    Gated,
    Head,
    L2Norm,
    LayerNorm,
    Linear,
    Mask,
    OneHot,
    Residual,
    RMSNorm,
    Rotary,
    Sum,
    Table,
    Unmarked,
    Window,
    rotary,
    sinusoidal,
)

WIDTH, CONTEXT, VOCAB = 4, 4, 3


class Draw:
    """Random weights of few bits."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def matrix(self, rows: int, columns: int) -> list[list[Fraction]]:
        return [[Fraction(int(n), 4) for n in self.rng.integers(-5, 6, columns)] for _ in range(rows)]

    def head(self, name: str = "one", *, width: int = WIDTH, keys: int = 2, out: int = WIDTH, **more: Any) -> Head:
        return Head(name, self.matrix(keys, width), self.matrix(keys, width), self.matrix(out, width), **more)

    def attention(self, name: str = "attention", **more: Any) -> Attention:
        return Attention((self.head(),), name, **more)

    def linear(self, name: str, rows: int = WIDTH, width: int = WIDTH, activation: Any = IDENTITY) -> Linear:
        return Linear(self.matrix(rows, width), self.matrix(rows, 1), activation, name)


def _made(
    build: Callable[[Draw], tuple[Any, ...]], *, positions: Any = None, width: int = WIDTH, seed: int
) -> Transformer:
    draw = Draw(seed)
    table = Added(draw.matrix(WIDTH, CONTEXT)) if positions is None else positions
    layers = build(draw)
    readout = draw.linear("readout", VOCAB, width)
    return Transformer(draw.matrix(WIDTH, VOCAB), (*layers, readout), CONTEXT, positions=table)


def attending(mask: Mask) -> Transformer:
    """Return a model of one attention layer with this mask."""
    return _made(lambda draw: (draw.attention(mask=mask),), seed=16)


def normed(eps: float) -> Transformer:
    """Return a model of one norm with this number under its root."""
    return _normed(RMSNorm(Fraction(eps)))


def _large(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    return [[8 * value for value in row] for row in matrix]


_TABLE = Table(((True, True, False, False), (True, False, False, True), (False, True, True, False), (True,) * 4))
#: rows of one length: ``s (1, -1, 1, -1)`` with ``s = 3/2`` or ``-3/2``, so that ``s^2 + 4`` is ``(5/2)^2``
_PATTERN = [[Fraction(sign), Fraction(0)] for sign in (1, -1, 1, -1)]


def _normed(norm: Any, bias: Any = None) -> Transformer:
    draw = Draw(7)
    embedding = [[Fraction(3, 2), Fraction(-3, 2), Fraction(3, 2)], [Fraction(1), Fraction(2), Fraction(3)]]
    more = Linear([[Fraction(0)] * 3 + [Fraction(1)]] * WIDTH, None, None, "last")
    layers = (Linear(_PATTERN, bias, None, "pattern"), norm, Residual((more,)))
    return Transformer(embedding, (*layers, draw.linear("readout", VOCAB)), CONTEXT, positions=Unmarked())


def _rotary_by_hand() -> Rotary:
    cosines, sines = (
        [[Fraction(1), Fraction(3, 5), Fraction(0), Fraction(4, 5)]] * 2,
        [[Fraction(0), Fraction(4, 5), Fraction(1), Fraction(-3, 5)]] * 2,
    )
    return Rotary(cosines, sines, [[0, -1], [1, 0]])


def _of_activations(*, exact: bool) -> dict[str, Transformer]:
    """Return a model of each activation that is rational at 1, or of each that is not."""

    def layers(draw: Draw, activation: Activation) -> tuple[Any, ...]:
        return draw.linear("mlp", activation=activation), draw.attention()

    return {
        activation.name: _made(partial(layers, activation=activation), seed=zlib.crc32(activation.name.encode()))
        for activation in ACTIVATIONS
        if (activation.exact(Fraction(1)) is not None) == exact
    }


#: Models of rational weights whose values are rational at hardmax, with what each is about.
RATIONAL: Mapping[str, Transformer] = {
    "added positions": _made(lambda d: (d.attention(),), seed=1),
    "sinusoidal positions": _made(lambda d: (d.attention(),), positions=sinusoidal(WIDTH, CONTEXT), seed=2),
    "no positions": _made(lambda d: (d.attention(),), positions=Unmarked(), seed=3),
    "one-hot positions": _made(lambda d: (Attention((d.head(width=WIDTH + CONTEXT),)),), positions=OneHot(), seed=4),
    "residual": _made(lambda d: (Residual((d.attention(), d.linear("mlp")), name="r"),), seed=5),
    "two residuals": _made(
        lambda d: (Residual((d.attention("a"),), name="r"), Residual((d.attention("b"),), name="s"), d.linear("mlp")),
        seed=6,
    ),
    "sum": _made(lambda d: (Residual((Sum((d.attention(), d.linear("mlp")), name="both"),)),), seed=7),
    "chain": _made(lambda d: (Chain((d.linear("before"), d.attention(), d.linear("mlp"))),), seed=8),
    "gated": _made(
        lambda d: (Gated(d.linear("gate", activation=ABSOLUTE), Chain((d.attention(), d.linear("value")))),), seed=9
    ),
    "activations": _made(
        lambda d: (
            d.linear("abs", activation=ABSOLUTE),
            d.linear("square", activation=SQUARE),
            d.attention(),
            d.linear("clip", activation=ClippedRelu(Fraction(7, 3))),
        ),
        seed=10,
    ),
    "window": _made(lambda d: (d.attention("a", mask=Window(2)), d.attention("b", mask=Window(1))), seed=11),
    "table": _made(lambda d: (d.attention(mask=_TABLE),), seed=12),
    "biases": _made(
        lambda d: (
            Attention(
                (
                    d.head(query_bias=_large(d.matrix(2, 1)), key_bias=d.matrix(2, 1), value_bias=d.matrix(WIDTH, 1)),
                    d.head("two", keys=3, value_bias=d.matrix(WIDTH, 1)),
                )
            ),
        ),
        seed=13,
    ),
    "projection": _made(
        lambda d: (
            Attention((d.head(out=2), d.head("two", out=3)), output=d.matrix(WIDTH, 5), output_bias=d.matrix(WIDTH, 1)),
        ),
        seed=14,
    ),
    "grouped": _made(
        lambda d: (
            Attention(
                (
                    d.head(out=2, key_bias=d.matrix(2, 1)),
                    Head("two", d.matrix(2, WIDTH), shares="one"),
                    d.head("three", out=2),
                    Head("four", d.matrix(2, WIDTH), shares="three"),
                ),
                output=d.matrix(WIDTH, 8),
            ),
        ),
        seed=15,
    ),
    "rotary": _made(lambda d: (Attention((d.head(rotary=_rotary_by_hand()),)),), positions=Unmarked(), seed=16),
    "rotary halves": _made(
        lambda d: (Attention((d.head(keys=4, rotary=rotary(4, CONTEXT)),)),), positions=Unmarked(), seed=17
    ),
    "rotary neighbours": _made(
        lambda d: (Attention((d.head(keys=4, rotary=rotary(4, CONTEXT, interleaved=True)),)),),
        positions=Unmarked(),
        seed=18,
    ),
    # without rotary positions a bias of the keys adds the same to all scores of a query, which changes no weight
    "rotary biases": _made(
        lambda d: (
            Attention(
                (d.head(query_bias=d.matrix(2, 1), key_bias=_large(d.matrix(2, 1)), rotary=_rotary_by_hand()),),
            ),
        ),
        positions=Unmarked(),
        seed=27,
    ),
    "score bias": _made(lambda d: (Attention((d.head(score_bias=_large(d.matrix(CONTEXT, CONTEXT))),)),), seed=19),
    "rms norm": _normed(RMSNorm(Fraction(4), Draw(1).matrix(WIDTH, 1))),
    "rms norm, eps 0": _normed(RMSNorm(0, bias=Draw(2).matrix(WIDTH, 1))),
    "layer norm": _normed(LayerNorm(Fraction(4), Draw(3).matrix(WIDTH, 1), Draw(4).matrix(WIDTH, 1))),
    "layer norm, eps 0": _normed(LayerNorm()),
    "layer norm of a row off 0": _normed(LayerNorm(Fraction(4)), [[Fraction(6)]] * WIDTH),
    "l2 norm": _normed(L2Norm(Fraction(16), Draw(5).matrix(WIDTH, 1))),
    "l2 norm, eps 0": _normed(L2Norm()),
    **_of_activations(exact=True),
}


def _alibi(slope: Fraction) -> list[list[Fraction]]:
    return [[slope * (key - query) for key in range(CONTEXT)] for query in range(CONTEXT)]


#: Models of which some values are irrational.
IRRATIONAL: Mapping[str, Transformer] = {
    **_of_activations(exact=False),
    "layer norm of anything": _made(
        lambda d: (Residual((LayerNorm(1e-5, d.matrix(WIDTH, 1), d.matrix(WIDTH, 1)), d.attention())),), seed=20
    ),
    "layer norm of a row far from 0": _made(
        lambda d: (Linear(d.matrix(WIDTH, WIDTH), [[Fraction(100)]] * WIDTH, None, "far"), LayerNorm(1e-5)), seed=21
    ),
    "rms norm of anything": _made(
        lambda d: (d.attention(), RMSNorm(1e-6, d.matrix(WIDTH, 1)), d.linear("mlp")), seed=22
    ),
    "l2 norm of queries": _made(lambda d: (L2Norm(1e-6), d.attention()), seed=23),
    "alibi after scaling": _made(
        lambda d: (
            Attention(
                (
                    d.head(score_bias=_alibi(Fraction(1, 2)), bias_after_scaling=True),
                    d.head("two", score_bias=_alibi(Fraction(1, 4)), bias_after_scaling=True),
                )
            ),
        ),
        positions=Unmarked(),
        seed=24,
    ),
    "swiglu": _made(
        lambda d: (
            Residual(
                (
                    RMSNorm(1e-6, d.matrix(WIDTH, 1)),
                    Gated(d.linear("gate", 6, activation=SILU), d.linear("value", 6)),
                    d.linear("down", WIDTH, 6),
                )
            ),
        ),
        seed=25,
    ),
}

MODELS = {**RATIONAL, **IRRATIONAL}
