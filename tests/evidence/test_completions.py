"""Behaviours of tokens against those of virtual tokens: counted as brute force counts them, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
)
from constructions.unconditional_generation import UnconditionalGeneration as Theorem1
from verify import CallableBackend, RationalArithmetic, bind_construction, count_completions, generate, get_arithmetic


def _constant_tokens(vocab: int, context: int) -> Theorem1:
    """Return Theorem 1's transformer with the embedding in which token x is the virtual token of x, x, ..."""
    return UnconditionalGeneration(vocab, context, embedding=[[Fraction(x, vocab) for x in range(vocab)]] * context)


CONSTRUCTIONS = [
    (UnconditionalGeneration(4, 3), 1, 64),  # E = 0: every token is the same prompt
    (_constant_tokens(4, 3), 4, 64),
    (_constant_tokens(2, 4), 2, 16),
    (ConditionalGeneration(3), 3, 27),
    (LongerResponses(2, 2), 4, 16),
    (LongerInputs(2, 2), 2, 16),
]


def _brute_force(construction: Construction, prompts: Any) -> int:
    """Count behaviours of prompts, each a function of the arithmetic and model, without batches, in rationals."""
    arithmetic = RationalArithmetic()
    model = bind_construction(construction, arithmetic)
    layout, users = construction.layout, construction.user_inputs
    found = set()
    for prompt in prompts(arithmetic, model):
        found.add(
            tuple(
                tuple(generate(model, prompt, layout.virtual, users.unrank(rank), layout.response).tokens.tolist())
                for rank in range(users.size)
            )
        )
    return len(found)


@pytest.mark.share(2)
@pytest.mark.parametrize(("construction", "hard", "soft"), CONSTRUCTIONS, ids=lambda value: repr(value)[:40])
def test_both_counts_are_those_of_brute_force(construction: Construction, hard: int, soft: int) -> None:
    made = count_completions(construction, RationalArithmetic())
    layout, tokens = construction.layout, range(construction.vocab_size)
    hard_prompts = list(product(tokens, repeat=layout.virtual))
    assert (
        _brute_force(
            construction,
            # the model's own embedding of tokens, not virtual tokens of the same numbers
            lambda ar, model: (ar.embed(model.embedding, np.array(tokens)) for tokens in hard_prompts),
        )
        == hard
    )
    assert (
        _brute_force(
            construction,
            lambda ar, _: (
                ar.prompt(construction.virtual_tokens(construction.targets.unrank(rank)))
                for rank in range(construction.targets.size)
            ),
        )
        == soft
    )
    assert (made.hard.prompts, made.hard.behaviours) == (len(hard_prompts), hard)
    assert (made.soft.prompts, made.soft.behaviours) == (construction.targets.size, soft)
    verdict = made.verdict
    users = construction.user_inputs.size
    assert (verdict.holds, verdict.cases) == (True, (len(hard_prompts) + soft) * users)
    assert verdict.space == verdict.cases
    assert (verdict.parameters["hard"], verdict.parameters["soft"]) == (
        f"{hard} of {len(hard_prompts)}",
        f"{soft} of {soft}",
    )


@pytest.mark.share(2)
@pytest.mark.parametrize("kind", ["numpy", "torch", "structured"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_count_the_same(kind: str, dtype: str) -> None:
    for construction, hard, soft in CONSTRUCTIONS:
        made = count_completions(construction, get_arithmetic(kind, dtype=dtype))
        assert (made.hard.behaviours, made.soft.behaviours, made.verdict.holds) == (hard, soft, True)


@pytest.mark.parametrize("construction", [case[0] for case in CONSTRUCTIONS], ids=lambda value: repr(value)[:40])
def test_a_token_as_a_prompt_is_the_token_bit_for_bit(construction: Construction) -> None:
    from verify.evidence.completions import _columns, _prompts

    for arithmetic in (RationalArithmetic(), get_arithmetic("torch", dtype="float32"), get_arithmetic("numpy")):
        model = bind_construction(construction, arithmetic)
        for tokens in product(range(construction.vocab_size), repeat=construction.layout.virtual):
            as_tokens = arithmetic.embed(model.embedding, np.array(tokens))
            as_virtual = arithmetic.prompt(_prompts(_columns(construction), np.array(tokens)))
            assert np.array_equal(arithmetic.numbers(as_tokens), arithmetic.numbers(as_virtual))


def test_too_soft_an_attention_is_a_counterexample_and_the_count_goes_on() -> None:
    made = count_completions(
        UnconditionalGeneration(2, 2, temperature=RationalSoftmax(Fraction(5))), RationalArithmetic()
    )
    assert made.verdict.holds is False
    assert made.verdict.counterexample is not None
    assert made.verdict.counterexample.target == [0, 1]
    assert made.verdict.counterexample.reproduce.startswith("verify.check(")
    assert made.soft.prompts == 4
    assert made.soft.behaviours < 5
    assert made.soft.tied > 0
    assert made.verdict.cases < (made.verdict.space or 0)


def _answered(prompts: Any, so_far: Any) -> Any:
    """Return the logits of the next token of the promise, as a kernel that reads the virtual token would."""
    return np.eye(3)[np.rint(np.asarray(prompts)[:, 0, so_far.shape[1]] * 3).astype(int)]


def test_a_backend_that_answers_a_token_otherwise_alone_shows_nothing() -> None:
    def counted(turned_from: int) -> tuple[int, Any]:
        calls = []

        def kernel(prompts: Any, so_far: Any) -> Any:
            calls.append(len(prompts))
            logits = _answered(prompts, so_far)
            return logits[:, ::-1] if len(calls) > turned_from else logits

        made = count_completions(_constant_tokens(3, 2), CallableBackend(kernel))
        return len(calls), made.verdict

    calls, verdict = counted(turned_from=10**9)
    assert verdict.holds is True
    _, verdict = counted(turned_from=calls - 6)  # at the end the three tokens are asked again, two steps each
    assert verdict.holds is None
    assert verdict.reason == "the tokens [0] as the prompt gave [0, 0] in a batch, and give [2, 2] alone"


def test_not_finite_logits_of_a_hard_prompt_show_nothing() -> None:
    calls = []

    def kernel(prompts: Any, so_far: Any) -> Any:
        calls.append(len(prompts))
        logits = _answered(prompts, so_far)
        if len(calls) == 3:  # after both steps of the virtual tokens
            logits[0, 0] = np.nan
        return logits

    made = count_completions(_constant_tokens(3, 2), CallableBackend(kernel))
    assert made.hard.not_finite == 1
    assert made.verdict.holds is None
    assert made.verdict.reason == "cases of hard prompts with a logit that is not finite: 1"


def test_what_has_no_virtual_token_or_no_tokens_is_refused() -> None:
    for wrong in (object(), "theorem-1"):
        with pytest.raises(InvalidArgument, match="construction: expected one with virtual tokens"):
            count_completions(wrong, RationalArithmetic())  # type: ignore[arg-type] # what is refused


def test_more_behaviours_than_memory_are_refused_before_the_first_case() -> None:
    with pytest.raises(InvalidArgument, match="sizes: expected those whose behaviours memory holds"):
        count_completions(UnconditionalGeneration(94, 20), RationalArithmetic())


def test_the_record_has_both_counts_and_the_verdict() -> None:
    record = count_completions(UnconditionalGeneration(2, 2), RationalArithmetic()).to_json()
    assert record["hard"] == {"prompts": "2", "behaviours": "1", "tied": "0", "not_finite": "0"}
    assert record["soft"] == {"prompts": "4", "behaviours": "4", "tied": "0", "not_finite": "0"}
    assert record["verdict"]["claim"] == "UnconditionalGeneration: completions"
