"""Random constructions of every shape, with weights small and huge, for the exact engine to be held against."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import (
    Added,
    Argmax,
    Argmin,
    Attention,
    Gated,
    Hardmax,
    Head,
    Layout,
    Linear,
    OneHot,
    RationalSoftmax,
    Residual,
    Transformer,
    Unmarked,
    Window,
)
from constructions.activations import ABSOLUTE, IDENTITY, RELU, SQUARE, ClippedRelu
from tests.exact_engine.given import Given

#: Numbers near which products and sums leave the machine's integers.
_EDGES = (2**31 - 1, 2**31, 2**61, 2**62 - 1, 2**62, 2**63 - 1, 2**63, 2**64, 2**100)
_PRIMES = (2, 3, 5, 7, 4294967291, 2305843009213693951)


class Drawn:
    """Draws the parts of a model."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.softmax = draw.random() < 0.3
        #: how often a weight is huge, or a fraction of a huge denominator
        self.wild = draw.choice([0.0, 0.0, 0.05, 0.3])

    def number(self, *, whole: bool = False) -> Fraction:
        if self.draw.random() < 0.4:
            return Fraction(0)
        top = self.draw.randint(-4, 4)
        if self.draw.random() < self.wild:
            top = self.draw.choice([1, -1]) * (self.draw.choice(_EDGES) + self.draw.randint(-1, 1))
        return Fraction(top, 1 if whole else self.draw.choice(_PRIMES if self.wild else _PRIMES[:3]))

    def matrix(self, rows: int, columns: int, *, whole: bool = False) -> Any:
        return [[self.number(whole=whole) for _ in range(columns)] for _ in range(rows)]

    def small(self, rows: int, columns: int) -> Any:
        return [[self.draw.randint(-2, 2) for _ in range(columns)] for _ in range(rows)]

    def activation(self) -> Any:
        return self.draw.choice([RELU, RELU, IDENTITY, ABSOLUTE, SQUARE, ClippedRelu(Fraction(7, 3))])

    def linear(self, name: str, rows: int, width: int, activation: Any) -> Linear:
        bias = None if self.draw.random() < 0.3 else self.matrix(rows, 1)
        return Linear(self.matrix(rows, width), bias, activation, name)

    def attention(self, name: str, width: int, out: int, codes: int) -> Attention:
        heads = []
        for place in range(self.draw.randint(1, 2)):
            size = self.draw.randint(1, 2)
            if self.softmax:  # whole scores: of the position codes, and of whole embeddings below them
                query = self.small(size, width) if codes else [[0] * width for _ in range(size)]
                key = self.small(size, width)
            else:
                query, key = self.matrix(size, width), self.matrix(size, width)
            bias = self.matrix(out, 1) if self.draw.random() < 0.3 else None
            heads.append(Head(f"{name}{place}", query, key, self.matrix(out, width), value_bias=bias))
        mask = Window(self.draw.randint(1, 2)) if self.draw.random() < 0.2 else None
        return Attention(tuple(heads), name, mask=mask)


def drawn_construction(draw: random.Random) -> Given:
    """Return a construction of at most a few dozen cases; its promise is still all zeros."""
    parts = Drawn(draw)
    vocab, virtual, user = draw.randint(1, 3), draw.randint(0, 2), draw.randint(0, 2)
    user = max(user, 1 - virtual)
    read = user > 0 and draw.random() < 0.2
    response = user if read else draw.randint(1, 3)
    layout = Layout(virtual, user, response, tuple(range(user))) if read else Layout(virtual, user, response)
    context, size = layout.context_size, draw.randint(1, 3)
    positions: Any = draw.choice(["one-hot", "added", "none"])
    width = size + context if positions == "one-hot" else size
    codes = context if positions == "one-hot" else 0
    table = {"one-hot": OneHot(), "added": Added(parts.matrix(size, context)), "none": Unmarked()}[positions]
    layers: list[Any] = []
    for place in range(draw.randint(1, 3)):
        kind = draw.choice(["attention", "linear", "residual", "gated"])
        out = draw.randint(1, 3)
        if kind == "attention" and (not parts.softmax or not layers):
            layers.append(parts.attention(f"a{place}", width, out, codes))
        elif kind == "residual":
            layers.append(Residual((parts.linear(f"r{place}", width, width, parts.activation()),), name=f"s{place}"))
            out = width
        elif kind == "gated":
            gate, value = (parts.linear(f"{word}{place}", out, width, parts.activation()) for word in "gv")
            layers.append(Gated(gate=gate, value=value, name=f"p{place}"))
        else:
            layers.append(parts.linear(f"l{place}", out, width, parts.activation()))
        width = out
        codes = 0
    outputs = draw.randint(1, vocab) if draw.random() < 0.3 else vocab
    layers.append(parts.linear("readout", outputs, width, IDENTITY))
    embedding = parts.small(size, vocab) if parts.softmax else parts.matrix(size, vocab)
    letters, entries = draw.randint(1, 3), draw.randint(0, 2)
    numbers = [
        int(parts.number(whole=True) if not parts.softmax else draw.randint(-2, 2))
        for _ in range(letters**entries * virtual * size)
    ]
    numerators: Any = np.array(numbers, dtype=object).reshape(letters**entries, virtual, size)
    if all(-(2**63) <= number < 2**63 for number in numbers) and draw.random() < 0.8:
        numerators = numerators.astype(np.int64)
        if all(-128 <= number < 128 for number in numbers):
            numerators = numerators.astype(draw.choice([np.int8, np.int64, np.int16]))
        elif draw.random() < 0.3:  # numpy's integers as objects, which wrap around
            held = [np.int64(number) for number in numbers]
            numerators = np.empty(len(held), dtype=object)
            numerators[:] = held
            numerators = numerators.reshape(letters**entries, virtual, size)
    return Given(
        vocab,
        weights=Transformer(embedding, tuple(layers), context, positions=table, output_vocab_size=outputs),
        laid_out=layout,
        letters=letters,
        entries=entries,
        numerators=numerators,
        denominator=1 if parts.softmax else draw.choice([1, 3, 2**62, 2**63 + 1]),
        outputs=outputs,
        reads_as=draw.choice([Argmax(), Argmax(), Argmin()]),
        temperature=RationalSoftmax(Fraction(draw.randint(1, 9), draw.randint(1, 4))) if parts.softmax else Hardmax(),
        mask=draw.choice(["causal", "causal", "none"]),
    )
