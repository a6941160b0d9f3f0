"""The thresholds of ``q``, in exact arithmetic just below, AT and just above each of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import (
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
)
from constructions.thresholds import (
    conditional_generation_threshold,
    longer_inputs_sufficient_q,
    longer_responses_threshold,
    unconditional_generation_threshold,
)
from verify.arithmetic import RationalArithmetic
from verify.running.model import bind_construction, exact_logits, generate

Decode = Callable[..., np.ndarray[Any, np.dtype[np.int64]]]
Mask = Literal["causal", "none"]
EXACT = RationalArithmetic()
MASKS: tuple[Mask, ...] = ("causal", "none")
WITH_AND_WITHOUT_MASK = pytest.mark.parametrize("mask", MASKS)
NUDGE = Fraction(1, 10**9)


def _logits(construction: Construction, target: Any, user: Any = ()) -> Any:
    model = bind_construction(construction, EXACT)
    prompt = EXACT.prompt(construction.virtual_tokens(target))
    tokens = np.array(user, dtype=np.int64)
    made = generate(model, prompt, construction.layout.virtual, tokens, construction.layout.response)
    return made.tokens.tolist(), exact_logits(EXACT, made)


def _is_right(decode: Decode, construction: Construction, targets: Any = None) -> bool:
    """Say whether every (given) target is decoded for every user input."""
    targets = construction.targets.unrank_range(0, construction.targets.size) if targets is None else targets
    inputs = construction.user_inputs.unrank_range(0, construction.user_inputs.size)
    pairs = [(target, user) for target in targets for user in inputs]
    all_targets, all_inputs = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    made = decode(construction, EXACT, all_targets, all_inputs)
    return np.array_equal(made, construction.response(all_targets, all_inputs))


@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize(("vocab_size", "length"), [(2, 2), (2, 5), (3, 3), (10, 4), (94, 6)])
def test_theorem_1_at_its_threshold(vocab_size: int, length: int, mask: Mask) -> None:
    V, N = vocab_size, length
    threshold = unconditional_generation_threshold(V, N)
    assert threshold == (N - 1) * (4 * V - 3)
    worst = [V - 1] * N

    def run(q: Fraction) -> Any:
        return _logits(UnconditionalGeneration(V, N, temperature=RationalSoftmax(q), mask=mask), worst)

    below, _ = run(threshold - NUDGE)
    assert below[-1] == V - 2
    tied, logits = run(Fraction(threshold))
    assert logits[-1, V - 1] - logits[-1, V - 2] == 0  # the two largest tie, and the first wins
    assert tied == [*worst[:-1], V - 2]
    above, logits = run(threshold + NUDGE)
    assert above == worst
    assert logits[-1, V - 1] > logits[-1, V - 2]


@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize(("vocab_size", "length"), [(2, 4), (3, 3), (5, 2), (1, 3), (4, 1)])
def test_theorem_1_above_its_threshold_for_every_target(
    decode: Decode,
    vocab_size: int,
    length: int,
    mask: Mask,
) -> None:
    q = unconditional_generation_threshold(vocab_size, length) + NUDGE
    assert _is_right(decode, UnconditionalGeneration(vocab_size, length, temperature=RationalSoftmax(q), mask=mask))


@given(st.data(), st.integers(2, 12), st.integers(2, 6))
def test_theorem_1_position_by_position(decode: Decode, data: st.DataObject, vocab_size: int, length: int) -> None:
    """A token ``y`` with ``t`` visible keys is right iff ``y = 0`` or ``q > (t-1)(2(V+y)-1)``."""
    target = data.draw(st.lists(st.integers(0, vocab_size - 1), min_size=length, max_size=length))
    limits = [place * (2 * (vocab_size + token) - 1) for place, token in enumerate(target)]
    limit = data.draw(st.sampled_from([*limits, 1]))
    q = max(NUDGE, limit + data.draw(st.sampled_from([Fraction(0), NUDGE, -NUDGE, Fraction(3)])))
    construction = UnconditionalGeneration(vocab_size, length, temperature=RationalSoftmax(q))
    made = decode(construction, EXACT, [target])[0]
    right = [token == 0 or q > bound for token, bound in zip(target, limits, strict=True)]
    assert (made == target).tolist() == right


@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize("q", [Fraction(1, 1000), Fraction(1), Fraction(10**6)])
@pytest.mark.parametrize("vocab_size", [1, 2, 3])
def test_theorem_2_needs_no_temperature(decode: Decode, vocab_size: int, q: Fraction, mask: Mask) -> None:
    assert conditional_generation_threshold(vocab_size) == 0
    assert _is_right(decode, ConditionalGeneration(vocab_size, temperature=RationalSoftmax(q), mask=mask))


@pytest.mark.parametrize("q", [Fraction(1, 1000), Fraction(7)])
def test_theorem_2_reads_exactly_the_same_at_every_temperature(q: Fraction) -> None:
    target = [3, 0, 4, 1, 2]
    for token in range(5):
        _, logits = _logits(ConditionalGeneration(5, temperature=RationalSoftmax(q)), target, [token])
        _, at_one = _logits(ConditionalGeneration(5, temperature=RationalSoftmax(Fraction(1))), target, [token])
        assert logits.tolist() == at_one.tolist()


@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize(("vocab_size", "size"), [(2, 2), (2, 4), (3, 3), (10, 2)])
def test_longer_responses_at_their_threshold(vocab_size: int, size: int, mask: Mask) -> None:
    V = vocab_size
    threshold = longer_responses_threshold(V, size)
    assert threshold == (4 * V - 3) * (2 * size - 2) - 1
    # user token 1; the last step reads (V-1)/V there, and nothing else has any part in that coordinate
    target = np.zeros((size, V), dtype=np.int64)
    target[-1, 1] = V - 1

    def run(q: Fraction) -> Any:
        return _logits(LongerResponses(V, size, temperature=RationalSoftmax(q), mask=mask), target, [1])

    right = [0] * (size - 1) + [V - 1]
    below, _ = run(threshold - NUDGE)
    assert below[-1] == V - 2
    tied, logits = run(Fraction(threshold))
    assert logits[-1, V - 1] - logits[-1, V - 2] == 0
    assert tied[-1] == V - 2
    above, _ = run(threshold + NUDGE)
    assert above == right


@pytest.mark.share(3)
@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize(
    ("vocab_size", "size", "sample"), [(2, 2, None), (2, 3, None), (3, 2, 60), (3, 1, None), (1, 3, None)]
)
def test_longer_responses_above_their_threshold(
    decode: Decode,
    *,
    vocab_size: int,
    size: int,
    sample: int | None,
    mask: Mask,
) -> None:
    q = longer_responses_threshold(vocab_size, size) + NUDGE
    construction = LongerResponses(vocab_size, size, temperature=RationalSoftmax(q), mask=mask)
    targets = None if sample is None else construction.targets.sample(sample, seed=0)
    assert _is_right(decode, construction, targets)


@pytest.mark.share(6)
@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize("lift", ["add", "mask"])
@pytest.mark.parametrize(
    ("vocab_size", "size", "sample"), [(2, 2, None), (3, 2, 12), (2, 3, 8), (1, 2, None), (1, 4, None)]
)
def test_longer_inputs_at_the_sufficient_q(
    decode: Decode,
    *,
    vocab_size: int,
    size: int,
    sample: int | None,
    lift: Literal["add", "mask"],
    mask: Mask,
) -> None:
    q = longer_inputs_sufficient_q(vocab_size, size, causal=mask == "causal", lift=lift)
    construction = LongerInputs(vocab_size, size, lift, temperature=RationalSoftmax(q), mask=mask)
    targets = None if sample is None else construction.targets.sample(sample, seed=0)
    assert _is_right(decode, construction, targets)


def test_longer_inputs_need_some_temperature(decode: Decode) -> None:
    assert not _is_right(decode, LongerInputs(2, 2, temperature=RationalSoftmax(Fraction(10))))


def test_the_sufficient_q_is_the_derived_one() -> None:
    def q(vocab_size: int, size: int, *, causal: bool = True, lift: str = "add") -> Fraction:
        return longer_inputs_sufficient_q(vocab_size, size, causal=causal, lift=lift)

    assert q(2, 2) == 2 * 7 + 1  # the last block
    assert q(2, 3) == 2 * (8 * 2**2 - 1)  # block 2: t-1 = 2 others, base V^V
    assert q(2, 3, causal=False) == 3 * (8 * 2**4 - 1)  # block 1 no longer cancels
    assert q(2, 2, lift="mask") == 1 * (16 * 2**2 - 1)  # block 1 has twice the spread
    assert q(3, 2, causal=False, lift="mask") == 2 * (16 * 3**3 - 1)


def test_sizes_without_a_threshold() -> None:
    assert unconditional_generation_threshold(1, 9) == 0
    assert unconditional_generation_threshold(9, 1) == 0
    assert longer_responses_threshold(1, 9) == 0
    assert longer_responses_threshold(9, 1) == 0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: unconditional_generation_threshold(0, 2), "vocab_size"),
        (lambda: unconditional_generation_threshold(2, 0), "context_size"),
        (lambda: conditional_generation_threshold(0), "vocab_size"),
        (lambda: longer_responses_threshold(2, 0), "response_size"),
        (lambda: longer_responses_threshold(0, 2), "vocab_size"),
        (lambda: longer_inputs_sufficient_q(0, 2, causal=True, lift="add"), "vocab_size"),
    ],
)
def test_what_is_refused(call: Any, name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == f"{name}: expected an integer >= 1 but got 0 (type int)"
