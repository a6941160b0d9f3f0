"""Layers that say that their rows are the same in a longer pass: every prefix of random inputs, in exact arithmetic."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructions import Hardmax, RationalSoftmax, Transformer, layers
from constructions.layers import Added, Attention, Softmax1Attention, Unmarked, Window
from constructions.layers.weighted import Weighted
from tests.forward.test_random_trees import transformers
from tests.forward.trees import CONTEXT, RATIONAL, VOCAB, WIDTH, Draw, _made
from tests.redteam.test_lengths import Moody, later
from verify import RationalArithmetic
from verify.running.model import Cache, Model, bind, forward

EXACT = RationalArithmetic()


def _softmax1() -> Transformer:
    def built(draw: Draw) -> tuple[Any, ...]:
        return (Softmax1Attention((draw.head(), draw.head("two"))),)

    return _made(built, seed=30)


MODELS = {**RATIONAL, "softmax1": _softmax1()}


def _parts(weighted: Weighted[Any]) -> Iterator[Weighted[Any]]:
    yield weighted
    for part in weighted.own_parts:
        yield from _parts(part)


def _kinds(transformer: Transformer) -> set[type]:
    return {type(part) for whole in (transformer.positions, *transformer.layers) for part in _parts(whole)}


def _ours(kind: type = Weighted) -> set[type]:
    for module in pkgutil.iter_modules(layers.__path__):
        importlib.import_module(f"{layers.__name__}.{module.name}")
    found: set[type] = {kind} if kind.__module__.startswith(layers.__name__) else set()
    subclasses: list[type] = kind.__subclasses__()
    return found.union(*map(_ours, subclasses))


def _differs(model: Model[Any, Any, Any, Any], tokens: list[int]) -> str | None:
    """Return which pass over the first positions has other rows than one over all of them."""

    def embedded(start: int, stop: int) -> Any:
        return EXACT.embed(model.embedding, np.array(tokens[start:stop]))

    def numbers(rows: Any) -> list[Any]:
        return EXACT.numbers(rows).tolist()  # type: ignore[no-any-return] # lists

    count = len(tokens)
    whole = numbers(forward(model, embedded(0, count), count))
    for length in range(1, count + 1):
        if numbers(forward(model, embedded(0, length), length)) != whole[:length]:
            return f"the first {length}"
        if numbers(forward(model, embedded(0, length), length, last_only=True)) != whole[length - 1 : length]:
            return f"the last of {length}"
        cache: Cache[Any] = Cache()
        kept = numbers(forward(model, embedded(0, length), length, cache=cache))
        for at in range(length, count):
            kept += numbers(forward(model, embedded(at, at + 1), 1, cache=cache))
        if kept != whole:
            return f"one by one behind {length}"
    return None


@pytest.mark.parametrize("name", MODELS)
def test_a_prefix_has_the_same_rows(name: str) -> None:
    model = bind(MODELS[name].lowered, EXACT, Hardmax(), mask="causal")
    assert model.transformer.runs_by_position
    for seed in range(2 * model.causal):
        assert _differs(model, np.random.default_rng(seed).integers(0, VOCAB, CONTEXT).tolist()) is None


class _Whole(Draw):
    """Integers: scores that are no integers have irrational weights."""

    def matrix(self, rows: int, columns: int) -> list[list[Fraction]]:
        return [[Fraction(round(value)) for value in row] for row in super().matrix(rows, columns)]


@pytest.mark.parametrize("kind", [Attention, Softmax1Attention])
@pytest.mark.parametrize("seed", range(5))
def test_a_prefix_has_the_same_rows_at_softmax(kind: Any, seed: int) -> None:
    draw = _Whole(seed)
    attention = kind((draw.head(), draw.head("two")), mask=Window(1 + seed % 3))
    readout = draw.linear("readout", VOCAB)
    table = Added(draw.matrix(WIDTH, CONTEXT))
    made = Transformer(draw.matrix(WIDTH, VOCAB), (attention, readout), CONTEXT, positions=table)
    model = bind(made.lowered, EXACT, RationalSoftmax(Fraction(3, 2)), mask="causal")
    assert _differs(model, [0, 1, 2, 1]) is None


@settings(max_examples=60)
@given(
    transformer=transformers(depth=2), tokens=st.lists(st.integers(0, VOCAB - 1), min_size=CONTEXT, max_size=CONTEXT)
)
def test_a_prefix_of_a_random_tree_has_the_same_rows(transformer: Transformer, tokens: list[int]) -> None:
    model = bind(transformer.lowered, EXACT, Hardmax(), mask="causal")
    assert model.transformer.runs_by_position
    if model.causal:
        assert _differs(model, tokens) is None


def test_every_class_that_says_so_is_in_a_model() -> None:
    saying = {kind for kind in _ours() if vars(kind).get("by_position")}
    assert saying == set().union(*map(_kinds, MODELS.values()))
    abstract = {"Weighted", "Layer", "Positions", "Norm"}
    assert {kind.__name__ for kind in _ours() - saying} == abstract


def test_the_check_sees_a_layer_that_depends_on_the_length() -> None:
    made = _made(lambda draw: (Moody(later), draw.linear("mlp")), positions=Unmarked(), seed=32)
    model = bind(made.lowered, EXACT, Hardmax(), mask="causal")
    assert not model.transformer.runs_by_position
    assert _differs(model, [0, 1, 2, 1]) == "one by one behind 1"
