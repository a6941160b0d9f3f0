"""Random trees of layers in rational arithmetic: every intermediate is that of the plain pass on Fractions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructions import Hardmax, Transformer
from constructions.activations import ABSOLUTE, IDENTITY, RELU, SQUARE, ClippedRelu
from constructions.layers import (
    Added,
    Attention,
    Chain,
    Gated,
    Head,
    Linear,
    OneHot,
    Residual,
    Sum,
    Table,
    Unmarked,
    Window,
)
from tests.forward.plain import Rationals
from tests.forward.test_layer_trees import pairs, plain, traced
from tests.forward.trees import CONTEXT, VOCAB, WIDTH, Draw, _rotary_by_hand
from verify.arithmetic import RationalArithmetic

_ACTIVATIONS = st.sampled_from([RELU, IDENTITY, ABSOLUTE, SQUARE, ClippedRelu(1), ClippedRelu(3)])  # type: ignore[arg-type] # integers
_SIZES = st.integers(1, 5)
#: every query sees at least one key
_ROWS = st.lists(st.booleans(), min_size=CONTEXT, max_size=CONTEXT).filter(any).map(tuple)
_MASKS = st.none() | st.integers(1, CONTEXT).map(Window) | st.tuples(*[_ROWS] * CONTEXT).map(Table)


class _Tree:
    """Layers with weights and names of their own."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.weights = Draw(draw(st.integers(0, 2**32 - 1)))
        self.names: Iterator[int] = count()

    def name(self, kind: str) -> str:
        return f"l{next(self.names)}{kind}"

    def bias(self, rows: int) -> Any:
        return self.weights.matrix(rows, 1) if self.draw(st.booleans()) else None

    def layer(self, depth: int, width: int, out: int) -> Any:
        kinds = [self.linear, self.attention]
        kinds += [self.chain, self.sum, self.gated] if depth else []
        kinds += [self.residual] * 2 if depth and width == out else []
        return self.draw(st.sampled_from(kinds))(depth - 1, width, out)

    def linear(self, depth: int, width: int, out: int) -> Linear:
        return Linear(self.weights.matrix(out, width), self.bias(out), self.draw(_ACTIVATIONS), self.name("linear"))

    def head(self, width: int, keys: int, out: int, shares: str | None) -> Head:
        draw, matrix = self.draw, self.weights.matrix
        more: dict[str, Any] = {"query_bias": self.bias(keys)}
        more |= {"score_bias": matrix(CONTEXT, CONTEXT)} if draw(st.booleans()) else {}
        more |= {"rotary": _rotary_by_hand()} if keys == 2 and draw(st.booleans()) else {}
        if shares is not None:
            return Head(self.name("head"), matrix(keys, width), shares=shares, **more)
        more |= {"key_bias": self.bias(keys), "value_bias": self.bias(out)}
        return Head(self.name("head"), matrix(keys, width), matrix(keys, width), matrix(out, width), **more)

    def attention(self, depth: int, width: int, out: int) -> Attention:
        draw, heads, sizes = self.draw, list[Head](), list[tuple[int, int]]()
        projected = draw(st.booleans())
        for _ in range(draw(st.integers(1, 3))):
            place = draw(st.none() | st.integers(0, len(heads) - 1)) if heads else None
            size = (draw(st.integers(1, 3)), draw(_SIZES) if projected else out) if place is None else sizes[place]
            # a head that shares another's keys may be shared itself: its keys are those
            heads.append(self.head(width, *size, None if place is None else heads[place].name))
            sizes.append(size)
        more: dict[str, Any] = {"mask": draw(_MASKS)}
        if projected:
            more |= {"output": self.weights.matrix(out, sum(size[1] for size in sizes)), "output_bias": self.bias(out)}
        return Attention(tuple(heads), self.name("attention"), **more)

    def chain(self, depth: int, width: int, out: int) -> Chain:
        middle = self.draw(_SIZES)
        return Chain((self.layer(depth, width, middle), self.layer(depth, middle, out)), self.name("chain"))

    def sum(self, depth: int, width: int, out: int) -> Sum:
        branches = self.draw(st.integers(1, 3))
        return Sum(tuple(self.layer(depth, width, out) for _ in range(branches)), self.name("sum"))

    def gated(self, depth: int, width: int, out: int) -> Gated:
        return Gated(self.layer(depth, width, out), self.layer(depth, width, out), self.name("gated"))

    def residual(self, depth: int, width: int, out: int) -> Residual:
        middle = self.draw(_SIZES)
        layers = (self.layer(depth, width, middle), self.layer(depth, middle, out))
        return Residual(layers, name=self.name("residual"))


@st.composite
def transformers(draw: st.DrawFn, depth: int) -> Transformer:
    tree = _Tree(draw)
    positions = draw(st.sampled_from([Unmarked(), OneHot(), Added(tree.weights.matrix(WIDTH, CONTEXT))]))
    width = WIDTH + CONTEXT * isinstance(positions, OneHot)
    layer = tree.layer(depth, width, WIDTH)
    readout = Linear(tree.weights.matrix(VOCAB, WIDTH), tree.bias(VOCAB), None, "readout")
    return Transformer(tree.weights.matrix(WIDTH, VOCAB), (layer, readout), CONTEXT, positions=positions)


def _agrees(transformer: Transformer, mask: str) -> None:
    mine = traced(RationalArithmetic(), transformer, Hardmax(), mask)
    for place, own, other in pairs(mine, plain(transformer, Rationals(), Hardmax(), mask)):
        assert own == other, place


@settings(max_examples=100)
@given(transformer=transformers(depth=2), mask=st.sampled_from(["causal", "none"]))
def test_random_trees_are_exact(transformer: Transformer, mask: str) -> None:
    _agrees(transformer, mask)


@pytest.mark.parametrize(
    "count", [pytest.param(300, marks=pytest.mark.heavy), pytest.param(3000, marks=pytest.mark.long)]
)
def test_many_deeper_random_trees_are_exact(count: int) -> None:
    settings(max_examples=count)(
        given(transformer=transformers(depth=3), mask=st.sampled_from(["causal", "none"]))(_agrees)
    )()
