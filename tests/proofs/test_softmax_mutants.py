"""The obligations about a q for each head, any embedding and longer inputs fail on what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest
import sympy as sp

from constructions import Attention, Transformer
from constructions.expressions import BLOCK, V
from proofs import ObligationError, ObligationFailed, longer_inputs_softmax, theorem_1_heads, theorem_2_heads
from tests.proofs.mutations import (
    HALF_SLOPE,
    OFF_BY_ONE,
    Mutation,
    at,
    block,
    doubled,
    doubled_blocks,
    embedding,
    head,
    linear,
    ones,
    swapped,
    transposed,
    zeros,
)
from tests.proofs.test_mutants import ELSEWHERE, KIND, OBLIGATIONS


def swapped_heads(transformer: Transformer) -> Transformer:
    """Return the transformer whose heads have each other's names: each gets the other's q."""
    attention = transformer.layers[0]
    assert isinstance(attention, Attention)
    own, first = attention.heads
    renamed = (replace(first, name=own.name), replace(own, name=first.name))
    return replace(transformer, layers=(replace(attention, heads=renamed), *transformer.layers[1:]))


FIRST, LAST = (KIND.format(kind) for kind in ("first", "last"))
SELECT = [linear("select", bias=doubled), linear("select", bias=zeros), linear("select", weight=doubled)]
MUTANTS: dict[str, list[Mutation]] = {
    "theorem-1.head-leaks": [
        swapped_heads,
        head("attention", "self", "query", doubled_blocks),
        head("attention", "first", "key", block(0, 1, at(1))),
        head("attention", "first", "value", swapped),
        head("attention", "first", "value", block(0, 0, doubled)),
        head("attention", "first", "value", block(0, 0, zeros)),
        head("attention", "self", "value", transposed),
    ],
    "theorem-1.head-threshold": [
        *SELECT,
        linear("select", activation=None),
        linear("readout", bias=OFF_BY_ONE),
        swapped_heads,
        head("attention", "first", "value", block(0, 0, doubled)),
    ],
    "theorem-1.embedding-threshold": [
        linear("select", bias=doubled),
        linear("select", activation=None),
        linear("readout", bias=OFF_BY_ONE),
        head("attention", "self", "value", block(0, 1, doubled)),
        head("attention", "self", "key", block(0, 1, ones)),
    ],
    "theorem-2.head-leaks": [
        swapped_heads,
        embedding(2 * sp.Identity(V)),
        embedding(sp.ZeroMatrix(V, V)),
        head("attention", "first", "key", block(0, 1, at(1))),
        head("attention", "self", "key", block(0, 1, ones)),
        head("attention", "first", "value", block(0, 0, doubled)),
    ],
    "theorem-2.head-threshold": [
        *SELECT,
        linear("select", activation=None),
        linear("readout", bias=OFF_BY_ONE),
        linear("readout", weight=HALF_SLOPE),
        swapped_heads,
        embedding(2 * sp.Identity(V)),
    ],
    "longer-inputs.softmax-first-block": [
        embedding(2 * sp.Identity(V)),
        embedding(sp.Identity(V) - sp.OneMatrix(V, V)),
        head(FIRST, "look", "key", block(0, 1, at(BLOCK))),
        head(FIRST, "self", "key", block(0, 1, ones)),
        head(FIRST, "look", "value", block(0, 0, doubled)),
    ],
    "longer-inputs.softmax-last-block": [
        linear("block3.select", bias=doubled),
        linear("block3.select", activation=None),
        linear("block3.readout", bias=OFF_BY_ONE),
        head(LAST, "look", "key", block(0, 2, at(0))),
        head(LAST, "look", "value", block(0, 0, zeros)),
        head(LAST, "self", "value", swapped),
        head(LAST, "self", "value", block(0, 1, doubled)),
    ],
}


def cases() -> Iterator[Any]:
    for obligation, mutations in MUTANTS.items():
        for number, mutation in enumerate(mutations):
            yield pytest.param(obligation, mutation, id=f"{obligation}-{number}")


def test_every_obligation_has_a_mutant() -> None:
    assert {obligation for obligation, mutations in MUTANTS.items() if mutations} == ELSEWHERE


@pytest.mark.heavy
@pytest.mark.parametrize(("obligation", "mutation"), list(cases()))
def test_an_obligation_fails_on_a_mutant(obligation: str, mutation: Mutation) -> None:
    subject = OBLIGATIONS[obligation].subject()
    with pytest.raises(ObligationError) as raised:
        OBLIGATIONS[obligation].discharge(mutation(subject))
    start = "false: " if isinstance(raised.value, ObligationFailed) else "undecided: "
    assert str(raised.value).startswith(start)


def test_any_embedding_is_meant() -> None:
    """Theorem 1 leaves E free, so another E is no mutant."""
    obligation = OBLIGATIONS["theorem-1.head-leaks"]
    subject = obligation.subject()
    assert obligation.discharge(embedding(sp.OneMatrix(*subject.embedding.shape))(subject)).holds


def more(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *sizes, **given: function(*sizes, **given) + Fraction(1, 10**6)


def never(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *sizes, **given: False


def always(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *sizes, **given: True


@pytest.mark.parametrize(
    ("module", "obligation", "function", "change"),
    [
        (theorem_1_heads, "theorem-1.head-threshold", "unconditional_generation_error", more),
        (theorem_1_heads, "theorem-1.head-threshold", "unconditional_generation_holds", never),
        (theorem_1_heads, "theorem-1.head-threshold", "unconditional_generation_holds", always),
        (theorem_1_heads, "theorem-1.head-threshold", "embedding_threshold", more),
        (theorem_1_heads, "theorem-1.embedding-threshold", "embedding_threshold", more),
        (theorem_2_heads, "theorem-2.head-threshold", "conditional_generation_difference", more),
        (theorem_2_heads, "theorem-2.head-threshold", "conditional_generation_holds", never),
        (theorem_2_heads, "theorem-2.head-threshold", "conditional_generation_holds", always),
        (longer_inputs_softmax, "longer-inputs.softmax-last-block", "two_inputs_threshold", more),
        (longer_inputs_softmax, "longer-inputs.softmax-last-block", "longer_inputs_sufficient_q", never),
    ],
)
def test_a_function_that_is_not_what_is_proved_is_caught(
    module: ModuleType, obligation: str, function: str, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, function, change(getattr(module, function)))
    with pytest.raises(ObligationFailed, match=f"false: {function} is "):
        OBLIGATIONS[obligation].discharge()
