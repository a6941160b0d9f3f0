"""Transformers of random weights: every arithmetic gives the same logits, step by step, to the last bit.

Weights are small multiples of 1/2 in random blocks, the context has two positions, so hardmax splits at most in halves:
all numbers are dyadic with few bits, and float64 rounds none of them, in whatever order it adds.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from constructions import Attention, Hardmax, Head, Linear, Ratios, Transformer, UnitRow
from verify.arithmetic import Arithmetic, NumpyArithmetic, RationalArithmetic, SymbolicArithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import bind, forward, generate
from verify.running.trace import Trace

EXACT = RationalArithmetic()
OTHERS: list[Arithmetic[Any, Any, Any]] = [
    SymbolicArithmetic(),
    NumpyArithmetic(),
    TorchArithmetic("float64"),
    StructuredTorchArithmetic("float64"),
]
_half = st.integers(-4, 4).map(lambda twice: sp.Rational(twice, 2))


@st.composite
def _parts(draw: st.DrawFn, size: int) -> list[int]:
    """Return ``size`` as a sum of positive sizes."""
    parts: list[int] = []
    while sum(parts) < size:
        parts.append(draw(st.integers(1, size - sum(parts))))
    return parts


@st.composite
def _block(draw: st.DrawFn, rows: int, columns: int) -> Any:
    kinds = ["zero", "constant", "entries", "explicit"]
    kinds += ["identity"] * 3 if rows == columns else []
    kinds += ["row"] if rows == 1 else []
    kind = draw(st.sampled_from(kinds))
    if kind == "zero":
        return sp.ZeroMatrix(rows, columns)
    if kind == "identity":
        return draw(_half) * sp.Identity(rows)
    if kind == "constant":
        return draw(_half) * sp.OneMatrix(rows, columns)
    if kind == "row":
        return UnitRow(columns, draw(st.integers(0, columns - 1)))
    if kind == "entries":
        return sp.FunctionMatrix(rows, columns, "lambda i, j: i - j")
    return sp.Matrix(rows, columns, draw(st.lists(_half, min_size=rows * columns, max_size=rows * columns)))


@st.composite
def _matrix(draw: st.DrawFn, rows: int, columns: int) -> Any:
    if draw(st.booleans()):
        return draw(_block(rows, columns))
    left, top = draw(_parts(columns)), draw(_parts(rows))
    return sp.BlockMatrix([[draw(_block(height, width)) for width in left] for height in top])


@st.composite
def _transformers(draw: st.DrawFn) -> Transformer:
    width = embedding_size = draw(st.integers(1, 3))
    vocab_size = draw(st.integers(1, 4))
    width += 2
    layers: list[Any] = []
    for name in ("a", "b", "c"):
        kind = draw(st.sampled_from(["attention", "linear", "none"]))
        out, keys = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        if kind == "attention":
            heads = tuple(
                Head(head, draw(_matrix(keys, width)), draw(_matrix(keys, width)), draw(_matrix(out, width)))
                for head in ("one", "two")[: draw(st.integers(1, 2))]
            )
            layers.append(Attention(heads, name))
        elif kind == "linear":
            layers.append(Linear(draw(_matrix(out, width)), draw(_matrix(out, 1)), name=name))
        width = width if kind == "none" else out
    layers.append(
        Linear(draw(_matrix(vocab_size, width)), draw(_matrix(vocab_size, 1)), activation=None, name="readout")
    )
    return Transformer(draw(_matrix(embedding_size, vocab_size)), tuple(layers), 2)


def _exact(values: Any) -> list[Any]:
    return [Fraction(str(value)) if isinstance(value, sp.Expr) else Fraction(value) for value in values.reshape(-1)]


@settings(max_examples=40)
@given(_transformers(), st.sampled_from(["causal", "none"]), st.data())
def test_all_arithmetics_agree(transformer: Transformer, mask: Any, data: st.DataObject) -> None:
    exact = transformer.lowered
    numerators = data.draw(st.lists(st.integers(-4, 4), min_size=exact.embedding_size, max_size=exact.embedding_size))
    other = data.draw(st.lists(st.integers(-4, 4), min_size=exact.embedding_size, max_size=exact.embedding_size))
    token = np.array([data.draw(st.integers(0, exact.vocab_size - 1))])
    prompts = Ratios(np.array([[numerators], [other]]), 4)

    def steps(arithmetic: Arithmetic[Any, Any, Any], prompt: Any, tokens: Any) -> tuple[Trace, Any]:
        model = bind(exact, arithmetic, Hardmax(), mask=mask)
        rows, trace = arithmetic.prompt(prompt), Trace()
        forward(model, arithmetic.below(rows, arithmetic.embed(model.embedding, tokens)), 2, trace=trace)
        start = tokens[..., :0]
        return trace, generate(model, rows, 1, start, 2)

    expected = [steps(EXACT, prompts[place], token) for place in range(2)]
    for arithmetic in OTHERS:
        if not arithmetic.batched:
            found = [steps(arithmetic, prompts[place], token) for place in range(2)]
            pairs = [(made.steps, generation.tokens) for made, generation in found]
        else:
            trace, generation = steps(arithmetic, prompts, np.tile(token, (2, 1)))
            # what is the same for the whole batch may be held once
            held = [
                {name: value[min(place, len(value) - 1)] for name, value in trace.steps.items()} for place in (0, 1)
            ]
            tokens = generation.tokens
            pairs = [(held[place], tokens[min(place, len(tokens) - 1)]) for place in (0, 1)]
        for (reference, chosen), (made_steps, tokens) in zip(expected, pairs, strict=True):
            assert list(made_steps) == list(reference.steps)
            for name, value in reference.steps.items():
                assert _exact(made_steps[name]) == _exact(value), (arithmetic.name, type(arithmetic).__name__, name)
            assert tokens.tolist() == chosen.tokens.tolist()
