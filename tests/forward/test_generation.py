"""Greedy generation: keys and values kept, or everything computed again; one pass or step by step."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    Linear,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Ratios,
    Transformer,
    UnconditionalGeneration,
)
from verify.arithmetic import Arithmetic, NumpyArithmetic, RationalArithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import Cache, bind, bind_construction, exact_logits, forward, generate

EXACT = RationalArithmetic()

CONSTRUCTIONS: list[Construction] = [
    UnconditionalGeneration(4, 5),
    UnconditionalGeneration(4, 5, temperature=RationalSoftmax(Fraction(20))),  # too blunt: wrong tokens are fed back
    ConditionalGeneration(4),
    LongerResponses(4, 4),
    LongerResponses(4, 4, temperature=RationalSoftmax(Fraction(5))),
    LongerInputs(2, 3),
    LongerInputs(2, 2, "mask"),
]
NO_ROUNDING = [NumpyArithmetic(), TorchArithmetic("float64"), StructuredTorchArithmetic("float64")]


def _prepared(construction: Construction, arithmetic: Arithmetic[Any, Any, Any]) -> tuple[Any, Any, Any]:
    model = bind_construction(construction, arithmetic)
    pick: Any = slice(0, 3) if arithmetic.batched else 0
    target = construction.targets.sample(3, seed=7)[pick]
    user = construction.user_inputs.sample(3, seed=8)[pick]
    return model, arithmetic.prompt(construction.virtual_tokens(target)), user


def _recomputed(model: Any, prompt: Any, virtual: int, user: Any, steps: int) -> tuple[list[Any], list[Any]]:
    """Return the tokens and last logits of a loop that runs every position again at every step, with no cache."""
    arithmetic, tokens, logits = model.arithmetic, user, []
    for _ in range(steps):
        length = tokens.shape[-1]
        rows = arithmetic.below(prompt, arithmetic.embed(model.embedding, tokens)) if length else prompt
        last = arithmetic.last(forward(model, rows, virtual + length))
        logits.append(arithmetic.numbers(last).tolist())
        tokens = np.concatenate([tokens, arithmetic.argmax(last)], axis=-1)
    return tokens[..., user.shape[-1] :].tolist(), logits


@pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)
def test_the_cache_changes_nothing_in_exact_arithmetic(construction: Construction) -> None:
    model, prompt, user = _prepared(construction, EXACT)
    layout = construction.layout
    made = generate(model, prompt, layout.virtual, user, layout.response)
    tokens, logits = _recomputed(model, prompt, layout.virtual, user, layout.response)
    assert made.tokens.tolist() == tokens
    assert exact_logits(EXACT, made).tolist() == [row for step in logits for row in step]


@pytest.mark.parametrize("arithmetic", NO_ROUNDING, ids=lambda made: type(made).__name__)
@pytest.mark.parametrize("construction", [made for made in CONSTRUCTIONS if made.temperature is None], ids=repr)
def test_the_cache_changes_nothing_where_nothing_rounds(
    construction: Construction, arithmetic: Arithmetic[Any, Any, Any]
) -> None:
    hard = dataclasses.replace(construction, temperature=Hardmax())  # and V is a power of two
    model, prompt, user = _prepared(hard, arithmetic)
    layout = hard.layout
    made = generate(model, prompt, layout.virtual, user, layout.response)
    tokens, logits = _recomputed(model, prompt, layout.virtual, user, layout.response)
    assert made.tokens.tolist() == tokens
    assert [arithmetic.numbers(step).tolist() for step in made.logits] == logits


@pytest.mark.parametrize("arithmetic", [EXACT, NumpyArithmetic()], ids=lambda made: type(made).__name__)
@pytest.mark.parametrize("construction", [made for made in CONSTRUCTIONS if made.temperature is None], ids=repr)
def test_without_a_mask_every_step_sees_all_positions(
    construction: Construction, arithmetic: Arithmetic[Any, Any, Any]
) -> None:
    # numpy's sums may come in another order over more rows; at V = 4, a power of two, and with attention that absorbs
    # what leaks, they are exact in every order
    open_to_all = dataclasses.replace(construction, mask="none")
    model, prompt, user = _prepared(open_to_all, arithmetic)
    layout = open_to_all.layout
    made = generate(model, prompt, layout.virtual, user, layout.response)
    tokens, logits = _recomputed(model, prompt, layout.virtual, user, layout.response)
    assert made.tokens.tolist() == tokens
    assert [arithmetic.numbers(step).tolist() for step in made.logits] == logits


def test_without_a_mask_earlier_positions_do_change() -> None:
    """Which is why nothing is kept then: the logits of a position differ once another one follows it."""
    for mask, changes in (("causal", False), ("none", True)):
        construction = UnconditionalGeneration(4, 3, temperature=RationalSoftmax(Fraction(7)), mask=mask)  # type: ignore[arg-type] # a literal
        model, prompt, _ = _prepared(construction, EXACT)
        alone = EXACT.numbers(forward(model, prompt, 1))[0].tolist()
        rows = EXACT.below(prompt, EXACT.embed(model.embedding, np.array([2])))
        followed = EXACT.numbers(forward(model, rows, 2))[0].tolist()
        assert (alone != followed) == changes


def test_positions_in_several_goes() -> None:
    construction = LongerResponses(3, 3)
    model, prompt, user = _prepared(construction, EXACT)
    tokens = np.array([*user, 1, 2])
    whole = forward(model, EXACT.below(prompt, EXACT.embed(model.embedding, tokens)), 6)
    cache: Cache[Any] = Cache()
    parts = [forward(model, prompt, 3, cache=cache)]
    parts.append(forward(model, EXACT.embed(model.embedding, tokens[:1]), 1, cache=cache))
    parts.append(forward(model, EXACT.embed(model.embedding, tokens[1:]), 2, cache=cache))
    assert cache.length == 6
    assert [row for part in parts for row in EXACT.numbers(part).tolist()] == EXACT.numbers(whole).tolist()
    with pytest.raises(InvalidArgument) as caught:
        forward(model, EXACT.embed(model.embedding, tokens[:1]), 1, cache=cache)
    assert str(caught.value) == "sequence: expected at most 6 positions, the context size, but got 7"


def test_fewer_or_more_steps() -> None:
    construction = UnconditionalGeneration(4, 5)
    model, prompt, user = _prepared(construction, EXACT)
    full = generate(model, prompt, 1, user, 5)
    assert generate(model, prompt, 1, user, 2).tokens.tolist() == full.tokens[:2].tolist()
    assert len(full.logits) == 5
    with pytest.raises(InvalidArgument) as caught:
        generate(model, prompt, 1, user, 6)
    assert str(caught.value) == "sequence: expected at most 5 positions, the context size, but got 6"
    with pytest.raises(InvalidArgument) as caught:
        generate(model, prompt, 1, user, 0)
    assert str(caught.value) == "steps: expected an integer >= 1 but got 0 (type int)"


@pytest.mark.parametrize(
    "arithmetic",
    [EXACT, NumpyArithmetic(), TorchArithmetic("float64")],
    ids=lambda made: type(made).__name__,
)
def test_the_first_of_equal_logits_wins(arithmetic: Arithmetic[Any, Any, Any]) -> None:
    construction = UnconditionalGeneration(4, 1)
    model = bind_construction(construction, arithmetic)
    zeros = arithmetic.prompt(construction.virtual_tokens([0] if arithmetic is EXACT else [[0]]))
    # x = 0 gives 1/4 - (v/V)^2; x = 1/8, half a step, ties tokens 0 and 1
    logits = arithmetic.numbers(forward(model, zeros, 1)).reshape(-1).tolist()
    assert logits == [0.25, 0.1875, 0.0, -0.3125]
    half = construction.virtual_tokens([1] if arithmetic is EXACT else [[1]])
    tied = arithmetic.prompt(dataclasses.replace(half, denominator=8))
    rows = forward(model, tied, 1)
    first, second, *_ = arithmetic.numbers(rows).reshape(-1).tolist()
    assert first == second
    assert arithmetic.argmax(rows).reshape(-1).tolist() == [0]


@pytest.mark.parametrize("arithmetic", NO_ROUNDING, ids=lambda made: type(made).__name__)
def test_a_model_that_ignores_its_prompt_answers_every_sequence_of_the_batch(
    arithmetic: Arithmetic[Any, Any, Any],
) -> None:
    transformer = Transformer([[1, 1]], (Linear([[0, 0], [0, 0]], [[1], [2]], activation=None, name="readout"),), 1)
    model = bind(transformer.lowered, arithmetic, Hardmax(), mask="causal")
    prompts = arithmetic.prompt(Ratios(np.array([[[1]], [[2]], [[3]]]), 4))
    made = generate(model, prompts, 1, np.zeros((3, 0), dtype=np.int64), 1)
    assert made.tokens.tolist() == [[1], [1], [1]]
