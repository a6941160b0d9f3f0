"""The structure that the theorems promise, read off the objects."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    Layout,
    LongerInputs,
    LongerResponses,
    UnconditionalGeneration,
)
from constructions.transformer import Attention, Linear

SINGLE_BLOCK: list[tuple[Construction, int, int, dict[str, int]]] = [
    (UnconditionalGeneration(7, 4), 4, 4, {"self": 4, "first": 1}),
    (UnconditionalGeneration(1, 1), 1, 1, {"self": 1, "first": 1}),
    (ConditionalGeneration(7), 7, 2, {"self": 2, "first": 1}),
    (LongerResponses(7, 3), 7, 6, {"back": 3, "user": 1}),
]


@pytest.mark.parametrize(("construction", "embedding_size", "context_size", "key_sizes"), SINGLE_BLOCK)
def test_one_attention_layer_of_two_heads_and_a_three_layer_mlp(
    construction: Construction, embedding_size: int, context_size: int, key_sizes: dict[str, int]
) -> None:
    exact = construction.transformer.lowered
    assert exact.embedding_size == embedding_size
    assert exact.vocab_size == construction.vocab_size
    assert exact.context_size == context_size
    assert [type(layer) for layer in exact.layers] == [Attention, Linear, Linear, Linear]
    attention, *mlp = exact.layers
    assert isinstance(attention, Attention)
    assert {head.name: head.key_size for head in attention.heads} == key_sizes
    for head in attention.heads:  # the position code is concatenated: d_e + N coordinates come in
        assert {part.shape[1] for part in (head.query, head.own_key, head.own_value)} == {embedding_size + context_size}
        assert head.query.shape == head.own_key.shape
        assert head.own_value.shape[0] == embedding_size
    widths, relus = [], []
    for layer in mlp:
        assert isinstance(layer, Linear)
        widths.append(layer.weight.shape)
        relus.append(layer.has_relu)
        assert layer.given_bias.shape == (layer.weight.shape[0], 1)
    assert relus == [True, True, False]
    assert widths == [(embedding_size, embedding_size), (1, embedding_size), (construction.vocab_size, 1)]


def test_the_only_thing_that_tells_tokens_apart_in_theorem_1_is_the_prompt() -> None:
    assert list(UnconditionalGeneration(5, 3).transformer.lowered.embedding.nonzero()) == []


@pytest.mark.parametrize(
    ("construction", "layout", "context_size"),
    [
        (UnconditionalGeneration(5, 3), Layout(1, 0, 3), 3),
        (ConditionalGeneration(5), Layout(1, 1, 1), 2),
        (LongerResponses(5, 3), Layout(3, 1, 3), 6),
        (LongerInputs(2, 3), Layout(1, 3, 1), 4),
    ],
)
def test_the_layout_fills_the_context(construction: Construction, layout: Layout, context_size: int) -> None:
    assert construction.layout == layout
    assert layout.context_size == context_size == construction.transformer.lowered.context_size


@pytest.mark.parametrize("lift", ["add", "mask"])
@pytest.mark.parametrize(("vocab_size", "size"), [(1, 2), (2, 2), (3, 2), (5, 2), (2, 3), (3, 3)])
def test_longer_inputs_are_blocks(vocab_size: int, size: int, lift: Literal["add", "mask"]) -> None:
    """Block ``l < n``: one to select, two for each of its ``V^(n-l)`` digits, one to pack; the last is Theorem 2's."""
    exact = LongerInputs(vocab_size, size, lift).transformer.lowered
    attentions = [layer for layer in exact.layers if isinstance(layer, Attention)]
    linears = [layer for layer in exact.layers if isinstance(layer, Linear)]
    assert len(attentions) == size
    assert len(linears) == sum(2 + 2 * vocab_size ** (size - block) for block in range(1, size)) + 3
    assert [layer.has_relu for layer in linears] == [True] * (len(linears) - 1) + [False]
    for layer in attentions:
        assert {head.name: head.key_size for head in layer.heads} == {"self": size + 1, "look": 1}
    per_block = [
        [layer.name for layer in linears if layer.name.startswith(f"block{block}.")] for block in range(1, size + 1)
    ]
    assert sum(map(len, per_block)) == len(linears)
    assert per_block[-1] == [f"block{size}.{name}" for name in ("select", "sum", "readout")]


CONSTRUCTIONS: list[Construction] = [
    UnconditionalGeneration(3, 2),
    ConditionalGeneration(3),
    LongerResponses(2, 2),
    LongerInputs(2, 2),
    LongerInputs(2, 2, "mask"),
]


@pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)
def test_the_weights_never_see_a_target(construction: Construction) -> None:
    """Nothing that is computed for targets changes a weight, and two targets differ in nothing but the prompt."""
    before = {name: matrix.to_fractions() for name, matrix in construction.transformer.lowered.matrices().items()}
    transformer = construction.transformer
    prompts = [
        construction.virtual_tokens(target).to_fractions()
        for target in construction.targets.unrank_range(0, construction.targets.size)
    ]
    assert construction.transformer is transformer
    assert {name: matrix.to_fractions() for name, matrix in transformer.lowered.matrices().items()} == before
    assert len({repr(prompt) for prompt in prompts}) == construction.targets.size  # all prompts differ
    layout, embedding_size = construction.layout, transformer.lowered.embedding_size
    assert {(len(prompt), len(prompt[0])) for prompt in prompts} == {(layout.virtual, embedding_size)}
    assert all(0 <= number < 1 for prompt in prompts for row in prompt for number in row)


def test_the_virtual_tokens_are_the_papers() -> None:
    assert UnconditionalGeneration(4, 3).virtual_tokens([3, 0, 2]).to_fractions() == [
        [Fraction(3, 4), Fraction(0), Fraction(1, 2)]
    ]
    assert ConditionalGeneration(3).virtual_tokens([2, 0, 1]).to_fractions() == [
        [Fraction(2, 3), Fraction(0), Fraction(1, 3)]
    ]
    assert LongerResponses(2, 2).virtual_tokens([[0, 1], [1, 0]]).to_fractions() == [
        [Fraction(0), Fraction(1, 2)],
        [Fraction(1, 2), Fraction(0)],
    ]
    assert LongerInputs(3, 2).virtual_tokens([[0, 1, 2], [2, 2, 2], [1, 0, 0]]).to_fractions() == [
        [Fraction(5, 27), Fraction(26, 27), Fraction(9, 27)]
    ]


def test_packed_numbers_beyond_int64_are_exact() -> None:
    construction = LongerInputs(17, 2)
    target = construction.targets.unrank(construction.targets.size - 1)
    assert construction.packed_size == 17**17
    assert construction.virtual_tokens(target).to_fractions() == [[Fraction(17**17 - 1, 17**17)] * 17]


@pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)
def test_batches_of_any_shape(construction: Construction) -> None:
    targets = construction.targets.sample(6, seed=1)
    inputs = construction.user_inputs.sample(6, seed=2)
    flat = construction.virtual_tokens(targets).to_fractions()
    grid = construction.virtual_tokens(targets.reshape(2, 3, *construction.targets.shape))
    layout, embedding_size = construction.layout, construction.transformer.lowered.embedding_size
    assert grid.shape == (2, 3, layout.virtual, embedding_size)
    assert grid[1, 2].to_fractions() == flat[5]
    answers = construction.response(targets, inputs)
    assert answers.shape == (6, layout.response)
    shaped = construction.response(targets.reshape(2, 3, *construction.targets.shape), inputs.reshape(2, 3, -1))
    assert shaped.reshape(answers.shape).tolist() == answers.tolist()
    assert [construction.response(*pair).tolist() for pair in zip(targets, inputs, strict=True)] == answers.tolist()


def test_the_promised_responses() -> None:
    assert UnconditionalGeneration(4, 3).response([3, 0, 2]).tolist() == [3, 0, 2]
    assert ConditionalGeneration(3).response([2, 0, 1], [2]).tolist() == [1]
    assert LongerResponses(3, 2).response([[0, 1, 2], [2, 1, 0]], [2]).tolist() == [2, 0]
    table = np.arange(8).reshape(2, 2, 2) % 2
    table[1, 0, 1] = 0
    assert LongerInputs(2, 3).response(table, [1, 0, 1]).tolist() == [0]
    assert LongerInputs(2, 3).response(table, [1, 1, 1]).tolist() == [1]
