"""The criteria for a q of each head and for embeddings, in exact arithmetic just below, AT and just above equality."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructions import (
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    PerHeadSoftmax,
    RationalSoftmax,
    UnconditionalGeneration,
)
from constructions.head_thresholds import (
    conditional_generation_difference,
    conditional_generation_holds,
    head_leak,
    unconditional_generation_error,
    unconditional_generation_holds,
)
from constructions.thresholds import (
    embedding_threshold,
    hardest_embedding,
    token_threshold,
    unconditional_generation_threshold,
)
from verify.arithmetic import RationalArithmetic
from verify.running.cases import Outcome, Runner

Mask = Literal["causal", "none"]
MASKS: tuple[Mask, ...] = ("causal", "none")
WITH_AND_WITHOUT_MASK = pytest.mark.parametrize("mask", MASKS)
NUDGE = Fraction(1, 10**9)
F = Fraction


def run(construction: Construction, targets: Any = None) -> Outcome:
    """Return the outcome of every (given) target with every user input."""
    targets = construction.targets.unrank_range(0, construction.targets.size) if targets is None else targets
    inputs = construction.user_inputs.unrank_range(0, construction.user_inputs.size)
    pairs = [(target, user) for target in targets for user in inputs]
    all_targets, all_inputs = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    return Runner(construction, RationalArithmetic()).run(all_targets, all_inputs)


def is_right(construction: Construction, targets: Any = None) -> bool:
    """Say whether every target has a positive margin for every user input; a tie is not right."""
    return not run(construction, targets).failures().any()


# one token at one position -------------------------------------------------------------------------------------------


@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize("vocab_size", [2, 3])
def test_a_token_at_its_threshold(vocab_size: int, mask: Mask) -> None:
    """With and without a mask the last of t positions sees t keys."""
    for token, visible in itertools.product(range(vocab_size), (2, 3)):
        threshold = token_threshold(vocab_size, token, visible)
        assert threshold == (0 if token == 0 else (visible - 1) * (2 * (vocab_size + token) - 1))

        def margin(q: Fraction, token: int = token, visible: int = visible) -> tuple[Fraction, int]:
            construction = UnconditionalGeneration(vocab_size, visible, temperature=RationalSoftmax(q), mask=mask)
            outcome = run(construction, [[*[0] * (visible - 1), token]])
            return outcome.margins[0, -1], int(outcome.produced[0, -1])

        if token == 0:
            assert margin(NUDGE)[0] > 0
            continue
        assert margin(F(threshold)) == (F(0), token - 1)  # the two tie and the first wins
        assert margin(threshold + NUDGE)[0] > 0
        below, produced = margin(threshold - NUDGE)
        assert below < 0
        assert produced == token - 1


def test_the_hardest_token_sets_the_threshold() -> None:
    for V, N in itertools.product(range(2, 6), range(1, 6)):
        hardest = max(token_threshold(V, token, t) for token in range(V) for t in range(1, N + 1))
        assert hardest == unconditional_generation_threshold(V, N)


# embeddings ----------------------------------------------------------------------------------------------------------

RANGES = [(F(0), F(0)), (F(-1), F(1)), (F(-1, 3), F(0)), (F(-5, 2), F(7)), (F(0), F(1)), (F(0), F(4)), (F(-1, 4), F(6))]


@pytest.mark.parametrize(("lowest", "highest"), RANGES)
@pytest.mark.parametrize(("vocab_size", "length", "mask"), [(2, 2, "none"), (3, 3, "causal")])
def test_the_hardest_embedding_fails_at_and_below_the_threshold(
    vocab_size: int, length: int, lowest: Fraction, highest: Fraction, mask: Mask
) -> None:
    threshold = embedding_threshold(vocab_size, length, lowest=lowest, highest=highest)
    embedding, target = hardest_embedding(vocab_size, length, lowest=lowest, highest=highest)
    assert {entry for row in embedding for entry in row} <= {lowest, highest}

    def margin(q: Fraction) -> Any:
        construction = UnconditionalGeneration(
            vocab_size, length, embedding=embedding, temperature=RationalSoftmax(q), mask=mask
        )
        return run(construction, [target]).margins[0, -1]

    assert margin(threshold - NUDGE) < 0
    assert margin(threshold) == 0
    assert margin(threshold + NUDGE) > 0


@pytest.mark.parametrize(("lowest", "highest"), [(F(-1), F(1)), (F(-1, 4), F(6))])
def test_no_embedding_fails_above_the_threshold(lowest: Fraction, highest: Fraction) -> None:
    """All 16 embeddings of the two extreme entries with all targets at V = N = 2, and the middle one."""
    q = RationalSoftmax(embedding_threshold(2, 2, lowest=lowest, highest=highest) + NUDGE)
    middle = ((lowest + highest) / 2,) * 4
    for entries in {*itertools.product({lowest, highest}, repeat=4), middle}:
        assert is_right(UnconditionalGeneration(2, 2, embedding=(entries[:2], entries[2:]), temperature=q))


@settings(max_examples=15)
@given(st.data(), st.integers(2, 4), st.integers(2, 4), st.sampled_from(RANGES))
def test_no_drawn_embedding_fails_above_the_threshold(
    data: st.DataObject, vocab_size: int, length: int, bounds: tuple[Fraction, Fraction]
) -> None:
    lowest, highest = bounds
    threshold = embedding_threshold(vocab_size, length, lowest=lowest, highest=highest)
    entries = st.one_of(st.sampled_from(bounds), st.fractions(lowest, highest, max_denominator=7))
    rows = st.lists(st.lists(entries, min_size=vocab_size, max_size=vocab_size), min_size=length, max_size=length)
    tokens = st.one_of(st.sampled_from((0, vocab_size - 1)), st.integers(0, vocab_size - 1))
    target = data.draw(st.lists(tokens, min_size=length, max_size=length))
    q = RationalSoftmax(threshold + data.draw(st.sampled_from((NUDGE, F(1), threshold))))
    construction = UnconditionalGeneration(
        vocab_size, length, embedding=data.draw(rows), temperature=q, mask=data.draw(st.sampled_from(MASKS))
    )
    assert is_right(construction, [target])


def test_the_threshold_of_an_embedding_is_the_derived_one() -> None:
    def threshold(vocab_size: int, length: int, lowest: Fraction | int, highest: Fraction | int) -> Fraction:
        return embedding_threshold(vocab_size, length, lowest=F(lowest), highest=F(highest))

    assert threshold(94, 20, -1, 1) == 19 * (6 * 94 - 3)
    assert threshold(3, 4, F(-1, 2), F(1, 2)) == 3 * (4 * 3 - 3 + 3)
    # entries that are not negative change nothing up to 3 - 1/V, and something beyond it
    assert threshold(3, 4, 0, 3 - F(1, 3)) == threshold(3, 4, 0, 0) == unconditional_generation_threshold(3, 4)
    assert threshold(3, 4, 0, 3 - F(1, 3) + NUDGE) > threshold(3, 4, 0, 0)
    assert threshold(1, 9, -5, 5) == threshold(9, 1, -5, 5) == 0


# Theorem 1, a q for each head ----------------------------------------------------------------------------------------


def q_first_at_equality(vocab_size: int, length: int, q_self: Fraction, magnitude: Fraction) -> Fraction:
    """Return the q of head "first" at which ``l_self + l_first ((V-1)/V + M) = 1/(2V)``."""
    left = F(1, 2 * vocab_size) - F(length - 1) / (q_self + length - 1)
    leak = left / (F(vocab_size - 1, vocab_size) + magnitude)
    return (length - 1) * (1 / leak - 1)


@pytest.mark.parametrize(("sharper", "magnitude"), [(F(1, 5), F(0)), (F(10**4), F(0)), (F(3), F(2, 3))])
@pytest.mark.parametrize(("vocab_size", "length", "mask"), [(3, 2, "none"), (2, 3, "causal")])
def test_theorem_1_at_the_criterion_of_its_heads(
    vocab_size: int, length: int, sharper: Fraction, magnitude: Fraction, mask: Mask
) -> None:
    q_self = (length - 1) * (2 * vocab_size - 1) + sharper  # any more than what head "self" alone needs
    equal = q_first_at_equality(vocab_size, length, q_self, magnitude)
    for q_first, holds in ((equal - NUDGE, False), (equal, False), (equal + NUDGE, True)):
        found = unconditional_generation_holds(vocab_size, length, q_self=q_self, q_first=q_first, magnitude=magnitude)
        assert found is holds
        construction = UnconditionalGeneration(
            vocab_size,
            length,
            embedding=((-magnitude,) * vocab_size,) * length,
            temperature=PerHeadSoftmax({"self": q_self, "first": q_first}),
            mask=mask,
        )
        assert is_right(construction) is holds
        worst = run(construction, [[0] * (length - 1) + [vocab_size - 1]])
        assert (worst.margins[0, -1] == 0) is (q_first == equal)


@settings(max_examples=20)
@given(st.sampled_from(MASKS), st.data())
def test_theorem_1_is_right_iff_the_criterion_says_so(mask: Mask, data: st.DataObject) -> None:
    """Any q of each head, both below 1 included: where the criterion fails, all targets are not right."""
    V, N = data.draw(st.sampled_from([(2, 2), (3, 2), (2, 3), (1, 3), (4, 1)]))
    qs = st.one_of(st.fractions(F(1, 50), 60, max_denominator=50), st.sampled_from([F(1, 10**6), F(10**6)]))
    q_self, q_first = data.draw(qs), data.draw(qs)
    temperature = PerHeadSoftmax({"self": q_self, "first": q_first})
    holds = unconditional_generation_holds(V, N, q_self=q_self, q_first=q_first)
    assert is_right(UnconditionalGeneration(V, N, temperature=temperature, mask=mask)) is holds


def test_a_single_position_has_no_leaks() -> None:
    assert unconditional_generation_holds(9, 1, q_self=F(1, 100), q_first=F(1, 100), magnitude=F(50))
    assert unconditional_generation_holds(1, 9, q_self=F(1, 100), q_first=F(1, 100), magnitude=F(50))


@given(
    st.integers(2, 50),
    st.integers(2, 50),
    st.fractions(0, 9, max_denominator=9),
    st.sampled_from([-NUDGE, F(0), NUDGE]),
)
def test_one_q_for_both_heads_is_a_special_case(
    vocab_size: int, length: int, magnitude: Fraction, nudge: Fraction
) -> None:
    q = embedding_threshold(vocab_size, length, lowest=-magnitude, highest=magnitude) + nudge
    holds = unconditional_generation_holds(vocab_size, length, q_self=q, q_first=q, magnitude=magnitude)
    assert holds is (nudge > 0)


def test_the_error_is_the_derived_one() -> None:
    error = unconditional_generation_error(5, 3, 4, q_self=F(7), q_first=F(2), magnitude=F(1, 2))
    assert error == F(3, 10) + F(3, 5) * (F(3, 5) + F(1, 2))
    assert head_leak(F(7), 1) == 0


# Theorem 2, a q for each head ----------------------------------------------------------------------------------------


def q_self_of(difference: Fraction, q_first: Fraction) -> Fraction:
    return 1 / (difference + 1 / (1 + q_first)) - 1


@WITH_AND_WITHOUT_MASK
@pytest.mark.parametrize("vocab_size", [2, 5])
def test_theorem_2_at_the_criterion_of_its_heads(vocab_size: int, mask: Mask) -> None:
    V = vocab_size
    upper, lower = F(1, 2 * (V - 1)), F(-1, 2 * V)
    for d, q_first, holds in (
        (upper - NUDGE, F(9), True),
        (upper, F(9), False),
        (upper + NUDGE, F(9), False),
        (lower + NUDGE, F(1, 9), True),
        (lower, F(1, 9), False),
        (lower - NUDGE, F(1, 9), False),
        (F(0), F(1, 9), True),
    ):
        q_self = q_self_of(d, q_first)
        assert conditional_generation_difference(q_self=q_self, q_first=q_first) == d
        assert conditional_generation_holds(V, q_self=q_self, q_first=q_first) is holds
        temperature = PerHeadSoftmax({"self": q_self, "first": q_first})
        maps = None if V == 2 else [[1] + [0] * (V - 1), [0] + [V - 1] * (V - 1), [V - 1] * V]  # None: all of them
        outcome = run(ConditionalGeneration(V, temperature=temperature, mask=mask), maps)
        assert (not outcome.failures().any()) is holds
        assert (outcome.margins.min() == 0) is (d in {upper, lower})


@settings(max_examples=20)
@given(st.sampled_from([1, 2, 3]), st.fractions(F(1, 99), 99), st.fractions(F(1, 99), 99))
def test_theorem_2_is_right_iff_the_criterion_says_so(vocab_size: int, q_self: Fraction, q_first: Fraction) -> None:
    temperature = PerHeadSoftmax({"self": q_self, "first": q_first})
    holds = conditional_generation_holds(vocab_size, q_self=q_self, q_first=q_first)
    assert is_right(ConditionalGeneration(vocab_size, temperature=temperature)) is holds


def test_theorem_2_scaled_by_its_keys_fails_in_between_for_large_vocabularies() -> None:
    """The keys have the sizes 2 and 1, so that ``T/sqrt(k)`` differs: right at T = 1/10 and at 10, wrong at 3/2."""

    def holds(vocab_size: int, q_self: Fraction, q_first: Fraction) -> bool:
        return conditional_generation_holds(vocab_size, q_self=q_self, q_first=q_first)

    # rationals close to exp(T/sqrt(2)) and exp(T); the criterion has room to spare at each of them
    small, middle, large = (F("1.0733"), F("1.1052")), (F("2.8884"), F("4.4817")), (F("1177.7"), F("22026.5"))
    assert holds(10, *small)
    assert holds(10, *large)
    assert not holds(10, *middle)
    wrong = ConditionalGeneration(10, temperature=PerHeadSoftmax({"self": middle[0], "first": middle[1]}))
    assert not is_right(wrong, [[1] + [0] * 9])


# what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: token_threshold(3, 3, 2), "token: expected an integer <= 2 but got 3 (type int)"),
        (lambda: token_threshold(3, 1, 0), "visible: expected an integer >= 1 but got 0 (type int)"),
        (
            lambda: embedding_threshold(3, 3, lowest=F(1), highest=F(2)),
            "lowest: expected a rational number <= 0 but got Fraction(1, 1) (type Fraction)",
        ),
        (
            lambda: embedding_threshold(3, 3, lowest=F(-1), highest=F(-1, 2)),
            "highest: expected a rational number >= 0 but got Fraction(-1, 2) (type Fraction)",
        ),
        (
            lambda: embedding_threshold(3, 3, lowest=float("nan"), highest=F(0)),  # type: ignore[arg-type] # the point
            "lowest: expected a rational number <= 0 but got nan (type float)",
        ),
        (
            lambda: hardest_embedding(1, 3, lowest=F(0), highest=F(0)),
            "vocab_size: expected an integer >= 2 but got 1 (type int)",
        ),
        (
            lambda: hardest_embedding(3, 1, lowest=F(0), highest=F(0)),
            "context_size: expected an integer >= 2 but got 1 (type int)",
        ),
        (lambda: head_leak(F(0), 2), "q: expected a positive rational number, such as 7 or 3/2 but got Fraction(0, 1)"),
        (
            lambda: unconditional_generation_error(3, 1, 2, q_self=F(1), q_first=F(1), magnitude=F(-1)),
            "magnitude: expected a rational number >= 0 but got Fraction(-1, 1) (type Fraction)",
        ),
        (
            lambda: conditional_generation_holds(0, q_self=F(1), q_first=F(1)),
            "vocab_size: expected an integer >= 1 but got 0 (type int)",
        ),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value).startswith(message)
