"""What is almost right is caught: each wrong variant, with the counterexample that shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
import sympy as sp
import torch

from constructions import (
    Attention,
    ConditionalGeneration,
    Construction,
    Head,
    InvalidArgument,
    Linear,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Softmax,
    Transformer,
    UnconditionalGeneration,
    lower,
)
from constructions.expressions import V, entries
from verify.arithmetic import Arithmetic, NumpyArithmetic, RationalArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import bind, bind_construction, forward, generate
from verify.running.torch_module import to_torch

Decode = Callable[..., np.ndarray[Any, np.dtype[np.int64]]]
EXACT = RationalArithmetic()


@pytest.mark.parametrize("arithmetic", [NumpyArithmetic(), TorchArithmetic("float64")], ids=lambda made: str(made.name))
def test_the_notebooks_temperature_ends_between_20_and_30_tokens(
    decode: Decode, arithmetic: Arithmetic[Any, Any, Any]
) -> None:
    """Its softmax divides T = 50 by the square root of the sequence's length; ``q`` must exceed ``373 (t-1)``.

    At ``t = 20`` it is ``e^11.18``, above ``373 x 19 = 7087``; at ``t = 30`` ``e^9.13 = 9219``, below 10817.
    """
    notebook = Softmax(50, scaled_by="length")
    for length, right in ((20, True), (30, False)):
        construction = UnconditionalGeneration(94, length, temperature=notebook, mask="none")
        target = [93] * length
        made = decode(construction, arithmetic, [target])[0].tolist()
        assert (made == target) is right
        if not right:
            first = next(place for place, token in enumerate(made) if token != 93)
            assert made[first:] == [92] * (length - first)
    # scaled by the key size, as in the paper's text, "self" has the same q at every step and "first" a larger one
    assert decode(UnconditionalGeneration(94, 30), arithmetic, [[93] * 30]).tolist() == [[93] * 30]


@pytest.mark.parametrize(("numerator", "last"), [(999, 92), (1001, 93)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_temperature_just_below_the_threshold(decode: Decode, dtype: str, numerator: int, last: int) -> None:
    q = RationalSoftmax(Fraction(numerator * 9 * 373, 1000))
    construction = UnconditionalGeneration(94, 10, temperature=q)
    assert decode(construction, TorchArithmetic(dtype), [[93] * 10]).tolist() == [[93] * 9 + [last]]


def _generated(transformer: Transformer, construction: Construction, target: Any, user: Any = ()) -> list[int]:
    model = bind(transformer.lowered, EXACT, construction.temperature_for(None), mask=construction.mask)
    prompt = EXACT.prompt(construction.virtual_tokens(target))
    layout = construction.layout
    tokens = np.array(user, dtype=np.int64)
    found: list[int] = generate(model, prompt, layout.virtual, tokens, layout.response).tokens.tolist()
    return found


def _with_layer(construction: Construction, index: int, **changes: Any) -> Transformer:
    transformer = construction.transformer
    layers = list(transformer.layers)
    layers[index] = dataclasses.replace(layers[index], **changes)
    return dataclasses.replace(transformer, layers=tuple(layers))


def test_a_readout_off_by_one() -> None:
    construction = UnconditionalGeneration(5, 3)
    weight = entries(V, 1, lambda v, _: 2 * (v + 1) / V - 1)
    bias = entries(V, 1, lambda v, _: sp.Rational(1, 4) - ((v + 1) / V) ** 2)
    assert _generated(construction.transformer, construction, [4, 0, 2]) == [4, 0, 2]
    assert _generated(_with_layer(construction, -1, weight=weight, bias=bias), construction, [4, 0, 2]) == [3, 0, 1]
    # in the weight alone it adds 2x/V to EVERY logit, which changes nothing; in the bias alone it is as bad
    assert _generated(_with_layer(construction, -1, weight=weight), construction, [4, 0, 2]) == [4, 0, 2]
    assert _generated(_with_layer(construction, -1, bias=bias), construction, [4, 0, 2]) == [3, 0, 1]


def test_the_encoding_off_by_one(decode: Decode) -> None:
    """1-based contents ``(y+1)/V`` in a 0-based readout: every token comes back one too large, the last as itself."""
    construction = UnconditionalGeneration(5, 3)
    ratios = construction.virtual_tokens([4, 0, 2])
    shifted = dataclasses.replace(ratios, numerators=ratios.numerators + 1)
    model = bind_construction(construction, EXACT)
    made = generate(model, EXACT.prompt(shifted), 1, np.zeros(0, dtype=np.int64), 3)
    assert made.tokens.tolist() == [4, 1, 3]


def test_a_transposed_matrix_that_fits_is_caught_by_its_answers() -> None:
    """At V = 2 the comparison for the second digit is square, so that its transpose runs."""
    construction = LongerInputs(2, 2)
    place = next(i for i, layer in enumerate(construction.transformer.layers) if layer.name == "block1.compare2")
    layer = construction.transformer.layers[place]
    assert isinstance(layer, Linear)
    dense = lower(layer.weight, {**construction.transformer.bindings, **layer.bindings}).to_fractions()
    transposed = [list(column) for column in zip(*dense, strict=True)]
    assert len(dense) == len(dense[0])
    assert dense != transposed
    wrong = _with_layer(construction, place, weight=transposed)
    answers = {}
    for target in construction.targets.unrank_range(0, 16):
        for user in construction.user_inputs.unrank_range(0, 4):
            promised = construction.response(target, user).tolist()
            assert _generated(construction.transformer, construction, target, user) == promised
            try:
                answers[construction.targets.rank(target), *user.tolist()] = (
                    _generated(wrong, construction, target, user) == promised
                )
            except InvalidArgument:  # garbage positions: scores that are no integers any more
                answers[construction.targets.rank(target), *user.tolist()] = False
    assert not all(answers.values())


def test_a_transposed_matrix_that_does_not_fit_is_refused_by_name() -> None:
    construction = UnconditionalGeneration(5, 3)
    wrong = _with_layer(construction, 2, weight=sp.OneMatrix(3, 1))
    with pytest.raises(InvalidArgument) as caught:
        _ = wrong.lowered
    assert str(caught.value) == (
        "layers: expected weight of layer sum to be 3 x 3 but it is 3 x 1; its input is 3 wide: what comes from select"
    )


def test_the_transposed_score_looks_the_other_way() -> None:
    """``W_Q`` and ``W_K`` exchanged: the head "back" of longer responses would look ``N_0`` positions ahead."""
    construction = LongerResponses(3, 2)
    attention = construction.transformer.layers[0]
    assert isinstance(attention, Attention)
    back, user = attention.heads
    exchanged = (Head("back", query=back.key, key=back.query, value=back.value), user)
    target = [[0, 1, 2], [2, 2, 0]]
    assert _generated(construction.transformer, construction, target, [1]) == [1, 2]
    assert _generated(_with_layer(construction, 0, heads=exchanged), construction, target, [1]) != [1, 2]


@pytest.mark.parametrize("mask", ["causal", "none"])
def test_a_missing_mask_where_the_mask_matters(mask: Literal["causal", "none"]) -> None:
    """In one pass over all N positions, position 1 has 2 visible keys with the mask and N without it.

    A token V-1 there needs ``q > 4V-3`` or ``q > (N-1)(4V-3)``; all other tokens are 0 and need nothing.
    """
    vocab_size, length = 5, 6
    target = [0, vocab_size - 1, 0, 0, 0, 0]
    q = RationalSoftmax(Fraction(2 * (4 * vocab_size - 3)))
    construction = UnconditionalGeneration(vocab_size, length, temperature=q, mask=mask)
    model = bind_construction(construction, EXACT)
    prompt = EXACT.prompt(construction.virtual_tokens(target))
    rows = EXACT.below(prompt, EXACT.embed(model.embedding, np.array(target[:-1])))
    made = EXACT.argmax(forward(model, rows, length)).tolist()
    if mask == "causal":
        assert made == target
    else:
        assert made[1] < vocab_size - 1
        assert [*made[:1], *made[2:]] == [0] * 5
    # generation step by step sees as many keys either way, and is right
    assert generate(model, prompt, 1, np.zeros(0, dtype=np.int64), 2).tokens.tolist() == [0, vocab_size - 1]


def test_theorem_2_needs_both_of_its_heads() -> None:
    """The leaks cancel between two DIFFERENT heads; at q = 1 all heads are the same, hence q = 10."""
    construction = ConditionalGeneration(3, temperature=RationalSoftmax(Fraction(10)))
    attention = construction.transformer.layers[0]
    assert isinstance(attention, Attention)
    own, first = attention.heads
    target = [0, 2, 1]
    assert [_generated(construction.transformer, construction, target, [x]) for x in range(3)] == [[0], [2], [1]]
    for heads in ((own,), (first,), (own, own), (first, first)):
        renamed = tuple(dataclasses.replace(head, name=f"{place}") for place, head in enumerate(heads))
        wrong = _with_layer(construction, 0, heads=renamed)
        assert [_generated(wrong, construction, target, [x]) for x in range(3)] != [[0], [2], [1]]


def test_a_mutated_buffer_is_caught() -> None:
    module = to_torch(ConditionalGeneration(4))
    prompts = module.prompt([[3, 2, 1, 0]] * 4)
    inputs = np.arange(4)[:, None]
    assert module.generate(prompts, inputs).tolist() == [[3], [2], [1], [0]]
    bias = module.get_buffer("select__bias")
    bias += torch.tensor(0.5)  # less is taken off, so that other coordinates come through
    assert module.generate(prompts, inputs).tolist() != [[3], [2], [1], [0]]
