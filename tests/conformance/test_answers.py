"""Known answers: which cases, their exact logits, and bounds that hold every kernel and nothing far from it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import (
    Argmax,
    Argmin,
    ConditionalGeneration,
    Domain,
    HandBuilt,
    Hardmax,
    InvalidArgument,
    Linear,
    LongerInputs,
    LongerResponses,
    Number,
    RationalSoftmax,
    Softmax,
    Transformer,
    UnconditionalGeneration,
    get_format,
    specify,
)
from tests.evidence.hand_built import InductionHead, TwoDigitAdder
from verify import RationalArithmetic, Runner, get_arithmetic
from verify.conformance import KnownAnswers, case_of, known_answers
from verify.conformance.answers import count_of
from verify.conformance.bounds import Bounds
from verify.evidence.kinds import EXHAUSTED, FUZZED

HEAVY, OTHERS = pytest.mark.heavy, ("float64", "float16")


class Smallest(HandBuilt):
    """Read at both positions, by the smallest logit, without virtual tokens."""

    specification = specify(Domain.of(3, 2), lambda x: x, read=(0, 1), decoding=Argmin())
    transformer = Transformer(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        (Linear([[-1, 0, 0, 0, 0], [0, -1, 0, 0, 0], [0, 0, -1, 0, 0]], activation=None, name="readout"),),
        2,
    )


CONSTRUCTIONS = [
    UnconditionalGeneration(6, 5),
    ConditionalGeneration(7),
    LongerResponses(4, 3),
    LongerInputs(2, 2),
    UnconditionalGeneration(4, 4, mask="none"),
    UnconditionalGeneration(4, 4, temperature=Softmax(60, "length")),
    UnconditionalGeneration(4, 4, temperature=Hardmax()),
    InductionHead(3, 4),
    TwoDigitAdder(),
    Smallest(),
]


@pytest.mark.share(5)
@pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", *(pytest.param(name, marks=HEAVY) for name in OTHERS)])
def test_the_bounds_hold_what_kernels_give(construction: Any, dtype: str) -> None:
    answers = known_answers(construction, dtype, cases=12)
    assert answers.allowed is not None
    assert answers.exact is not None
    kinds = ["torch", "structured"] + (["numpy"] if dtype != "bfloat16" else [])
    for kind in kinds:
        outcome = Runner(construction, get_arithmetic(kind, dtype=dtype)).run(answers.targets, answers.inputs)
        assert outcome.logits is not None
        right = ~(outcome.produced != answers.promised).any(axis=1)
        inside = (outcome.logits >= answers.allowed.low) & (outcome.logits <= answers.allowed.high)
        assert inside[right].all()
        assert right.any()


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_bounds_hold_little_else(dtype: str) -> None:
    """They are a few roundings wide, of logits whose terms are below 1."""
    for construction in (UnconditionalGeneration(6, 5), ConditionalGeneration(7)):
        answers = known_answers(construction, dtype, cases=10)
        assert answers.allowed is not None
        unit = float(answers.fmt.unit_roundoff)
        assert (answers.allowed.high - answers.allowed.low).max() < 16 * unit


@pytest.mark.parametrize(
    "construction", [UnconditionalGeneration(3, 3), ConditionalGeneration(4), LongerResponses(2, 2)]
)
def test_the_exact_logits_are_those_of_exact_arithmetic(construction: Any) -> None:
    exact = type(construction)(
        **{name: getattr(construction, name) for name in construction.__match_args__},
        temperature=RationalSoftmax(Fraction(200)),
    )
    answers = known_answers(exact, "float64", cases=20)
    outcome = Runner(exact, RationalArithmetic()).run(answers.targets, answers.inputs)
    assert outcome.logits is not None
    assert answers.exact is not None
    for low, high, logit in zip(answers.exact.low.flat, answers.exact.high.flat, outcome.logits.flat, strict=True):
        assert Fraction(low) <= logit <= Fraction(high)
        # outward to float64 on both sides; about 0 balls of 128 bits have the radius of terms that are below 1
        assert high - low <= 2 * np.spacing(max(abs(low), abs(high))) + 2.0**-120


def test_the_first_cases_are_the_ends_of_the_alphabet_and_all_are_distinct() -> None:
    answers = known_answers(UnconditionalGeneration(4, 3), cases=60, seed=1)
    assert answers.kind is FUZZED
    assert answers.targets[:3].tolist() == [[0, 0, 0], [3, 3, 3], [0, 3, 0]]
    assert len({tuple(target) for target in answers.targets.tolist()}) == 60
    again = known_answers(UnconditionalGeneration(4, 3), cases=60, seed=1)
    assert (again.targets == answers.targets).all()
    other = known_answers(UnconditionalGeneration(4, 3), cases=60, seed=2)
    assert not (other.targets == answers.targets).all()


def test_few_cases_are_all_of_them() -> None:
    construction = ConditionalGeneration(2)
    assert known_answers(construction, cases=8).kind is EXHAUSTED
    assert len(known_answers(construction, cases=1000)) == 8
    assert len(known_answers(construction, cases=7)) == 7
    assert known_answers(construction, cases=7).kind is FUZZED
    assert [count_of(construction, cases) for cases in (1, 8, 9)] == [1, 8, 8]


def test_user_inputs_are_no_copies_of_targets() -> None:
    answers = known_answers(ConditionalGeneration(50), cases=100)
    assert (answers.targets[:, 0] == answers.inputs[:, 0]).mean() < 0.5
    assert len(np.unique(answers.inputs)) > 25


def test_a_promise_without_weights_has_no_logits() -> None:
    answers = known_answers(specify(Domain.of(3, 2), lambda x: x[:, -1:]))
    assert (answers.exact, answers.allowed, answers.prompts) == (None, None, None)
    assert answers.promised.tolist() == answers.inputs[:, -1:].tolist()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"cases": 0}, "cases: expected an integer >= 1 but got 0"),
        ({"cases": True}, "cases: expected an integer >= 1 but got True"),
        ({"seed": -1}, "seed: expected an integer >= 0 but got -1"),
        ({"dtype": "float8"}, "dtype: expected one of float64, float32, bfloat16, float16 but got 'float8'"),
    ],
)
def test_bad_input_is_refused(how: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        known_answers(UnconditionalGeneration(3, 2), **how)


@pytest.mark.parametrize("decoding", [Argmax(), Argmin(), Number("1/4")], ids=str)
def test_bounds_decide_an_answer_that_every_logit_within_them_gives(decoding: Any) -> None:
    """At the edge a tie is possible, or a number as far as the tolerance; a step inside it is not."""
    low, high = np.array([[[0.5, -1.0]]]), np.array([[[0.75, 0.5]]])
    end, inward, promised = high[..., 1:], -np.inf, np.array([[0]])
    if decoding == Argmin():
        low, high = -high, -low
        end, inward = low[..., 1:], np.inf
    if not decoding.gives_tokens:
        low, high = low[..., :1], high[..., :1]
        end, promised = high, np.array([[Fraction(1, 2)]])
    specification = specify(Domain.of(2, 1), lambda x: x, decoding=decoding)
    tokens = np.array([[0]])
    made = KnownAnswers(
        specification, get_format("float64"), tokens, tokens, promised, None, Bounds(low, high), "no certificate"
    )
    assert made.decided is not None
    assert not made.decided.any()
    end[:] = np.nextafter(end, inward)
    assert made.decided.all()
    end[:] = np.nan
    assert not made.decided.any()
    assert replace(made, allowed=None).decided is None


def test_a_format_that_cannot_hold_the_weights_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="dtype: expected a format that carries"):
        known_answers(LongerInputs(9, 2), "float32", cases=3)


def test_a_case_checks_tokens_and_logits() -> None:
    answers = known_answers(UnconditionalGeneration(3, 2), cases=9)
    case = case_of(answers, 7)
    assert case.exact is not None
    assert answers.allowed is not None
    assert case.allowance is not None
    case.check_tokens(np.array([2, 1]))
    for position in range(2):
        case.check_logits(answers.allowed.low[7, position], position)
        case.check_logits(answers.allowed.high[7, position], position)
    for found, said in (
        ([2, 2], r"target \[2, 1\] must give 1 at response position 1, but 2 was produced"),
        ([2.0, 1.0], "must give 2 tokens"),
        ([2], "must give 2 tokens"),
    ):
        with pytest.raises(AssertionError, match=said):
            case.check_tokens(found)
    right = answers.allowed.high[7, 1]
    for logits, said in (
        ([0.5, 0.0, 0.0], "must give 1 at response position 1, but 0 was produced"),
        ([0.0, 0.0, -1.0], "must give 1 at response position 1, but 0 ties with it"),
        ([0.0, np.nan, 0.0], "and a logit is not finite"),
        (
            np.array([right[0], np.nextafter(np.float32(right[1]), np.float32(1)), right[2]]),
            r"must give logit 1 at response position 1 in \[",
        ),
        (right[:2], "must give 3 logits at response position 1, but 2 came"),
    ):
        with pytest.raises(AssertionError, match=said):
            case.check_logits(logits, 1)
