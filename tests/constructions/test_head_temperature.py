"""A temperature for each head: how it is given, what it does in every arithmetic, what is refused."""

from __future__ import annotations

import pickle
from copy import deepcopy
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    PerHeadSoftmax,
    RationalSoftmax,
    UnconditionalGeneration,
)
from constructions.head_thresholds import unconditional_generation_holds
from constructions.temperature import as_temperature, head_temperature, parse_head_q
from verify import get_arithmetic
from verify.arithmetic import RationalArithmetic
from verify.running.cases import Runner, parameters_of, show_temperature

F = Fraction
BOTH = PerHeadSoftmax({"self": F(7), "first": F(9, 2)})
CONSTRUCTIONS: list[tuple[Construction, tuple[str, str]]] = [
    (UnconditionalGeneration(3, 3), ("self", "first")),
    (ConditionalGeneration(3), ("self", "first")),
    (LongerResponses(2, 2), ("back", "user")),
    (LongerInputs(2, 2), ("self", "look")),
]


def test_the_order_in_which_heads_are_given_does_not_matter() -> None:
    again = PerHeadSoftmax({"first": F(9, 2), "self": F(7)})
    assert again == BOTH
    assert hash(again) == hash(BOTH)
    assert PerHeadSoftmax((("self", F(7)), ("first", F(9, 2)))) == BOTH
    assert PerHeadSoftmax({"self": F(7), "first": F(5)}) != BOTH
    assert BOTH.q == (("first", F(9, 2)), ("self", F(7)))


def test_it_is_rebuilt_by_its_repr_copied_and_pickled() -> None:
    assert repr(BOTH) == "PerHeadSoftmax({'first': Fraction(9, 2), 'self': Fraction(7, 1)})"
    assert eval(repr(BOTH), {"PerHeadSoftmax": PerHeadSoftmax, "Fraction": Fraction}) == BOTH
    assert deepcopy(BOTH) == pickle.loads(pickle.dumps(BOTH)) == BOTH


def test_each_head_gets_its_own() -> None:
    assert BOTH.for_head("self") == RationalSoftmax(F(7))
    assert head_temperature(BOTH, "first") == RationalSoftmax(F(9, 2))
    assert head_temperature(Hardmax(), "first") == Hardmax()
    assert as_temperature(BOTH) is BOTH
    assert PerHeadSoftmax({"self": 2, "first": F(1, 3)}).for_head("first") == RationalSoftmax(F(1, 3))


def test_it_is_part_of_what_a_construction_is() -> None:
    construction = UnconditionalGeneration(3, 3, temperature=BOTH)
    assert {construction} == {UnconditionalGeneration(3, 3, temperature=PerHeadSoftmax(BOTH.q))}
    assert repr(construction) == f"UnconditionalGeneration(vocab_size=3, context_size=3, temperature={BOTH!r})"
    assert parameters_of(construction, RationalArithmetic())["temperature"] == "q = 9/2 (first), 7 (self)"
    assert show_temperature(BOTH) == "q = 9/2 (first), 7 (self)"


@pytest.mark.parametrize(("construction", "heads"), CONSTRUCTIONS, ids=str)
@pytest.mark.parametrize("kind", ["rational", "torch"])
def test_the_same_q_in_every_head_is_one_q(construction: Construction, heads: tuple[str, str], kind: str) -> None:
    """Bit for bit, in every arithmetic: the same kernels run on the same numbers in the same batch."""
    temperature = construction.temperature_for(None)
    assert isinstance(temperature, RationalSoftmax)
    targets = construction.targets.sample(5, seed=1)
    inputs = construction.user_inputs.sample(5, seed=2)
    outcomes = [
        Runner(type(construction)(**sizes(construction), temperature=given), get_arithmetic(kind)).run(targets, inputs)
        for given in (temperature, PerHeadSoftmax(dict.fromkeys(heads, temperature.q)))
    ]
    assert np.array_equal(outcomes[0].margins, outcomes[1].margins)


def sizes(construction: Construction) -> dict[str, Any]:
    return {name: value for name, value in vars(construction).items() if name.endswith("_size")}


@pytest.mark.share(4)
@pytest.mark.parametrize(("kind", "dtype"), [("numpy", "float64"), ("torch", "float64"), ("torch", "float32")])
@pytest.mark.parametrize(("q_self", "q_first"), [(F(60), F(30)), (F(15), F(10**6)), (F(10**6), F(15)), (F(2), F(90))])
def test_floats_have_the_margins_of_the_exact_one(kind: str, dtype: str, q_self: Fraction, q_first: Fraction) -> None:
    """Not near a tie, so that they agree on what holds too: swapped, the two q give another margin."""
    temperature = PerHeadSoftmax({"self": q_self, "first": q_first})
    construction = UnconditionalGeneration(2, 3, temperature=temperature)
    targets = construction.targets.unrank_range(0, 8)
    inputs = np.zeros((8, 0), dtype=np.int64)
    exact = Runner(construction, RationalArithmetic()).run(targets, inputs)
    floats = Runner(construction, get_arithmetic(kind, dtype=dtype)).run(targets, inputs)
    assert np.array_equal(floats.failures(), exact.failures())
    assert (not exact.failures().any()) is unconditional_generation_holds(2, 3, q_self=q_self, q_first=q_first)
    swapped = UnconditionalGeneration(2, 3, temperature=PerHeadSoftmax({"self": q_first, "first": q_self}))
    assert not np.array_equal(Runner(swapped, RationalArithmetic()).run(targets, inputs).margins, exact.margins)


def test_the_structured_arithmetic_takes_it_too() -> None:
    from verify import StructuredTorchArithmetic

    construction = UnconditionalGeneration(2, 3, temperature=PerHeadSoftmax({"self": F(15), "first": F(10**6)}))
    targets = construction.targets.unrank_range(0, 8)
    inputs = np.zeros((8, 0), dtype=np.int64)
    outcomes = [Runner(construction, made).run(targets, inputs) for made in (StructuredTorchArithmetic("float64"),)]
    assert not outcomes[0].failures().any()


def refusal(temperature: Any, construction: Construction, kind: str = "rational") -> str:
    with pytest.raises(InvalidArgument) as caught:
        Runner(type(construction)(**sizes(construction), temperature=temperature), get_arithmetic(kind))
    return str(caught.value)


def test_other_heads_than_the_model_has_are_refused_when_it_is_bound() -> None:
    theorem_1 = UnconditionalGeneration(2, 2)
    expected = "q: expected a q for each of the heads self, first but got one for"
    assert refusal(PerHeadSoftmax({"self": 7}), theorem_1) == f"{expected} self"
    assert refusal(PerHeadSoftmax({"self": 7, "last": 7}), theorem_1) == f"{expected} last, self"
    assert refusal(PerHeadSoftmax({"self": 7, "first": 7, "x": 1}), theorem_1) == f"{expected} first, self, x"
    assert refusal(PerHeadSoftmax({"self": 7}), theorem_1, "torch") == f"{expected} self"
    assert refusal(BOTH, LongerResponses(2, 2)).startswith("q: expected a q for each of the heads back, user but got")


def test_symbols_are_the_same_in_every_head() -> None:
    assert refusal(BOTH, UnconditionalGeneration(2, 2), "symbolic").startswith(
        "q: expected one for all heads in symbolic arithmetic, which has one symbol for it, but got PerHeadSoftmax("
    )


PAIRS = "q: expected a q for each head by its name, such as {'self': 7, 'first': Fraction(9, 2)}, but got"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, f"{PAIRS} {{}} (type dict)"),
        (7, f"{PAIRS} 7 (type int)"),
        ({1: 7}, f"{PAIRS} {{1: 7}} (type dict)"),
        ({"": 7}, f"{PAIRS} {{'': 7}} (type dict)"),
        (("self", 7), f"{PAIRS} ('self', 7) (type tuple)"),
        ({"self": 0}, "q of head self: expected a positive rational number, such as 7 or 3/2 but got 0 (type int)"),
        (
            {"self": float("nan")},
            "q of head self: expected a positive rational number, such as 7 or 3/2 but got nan (type float)",
        ),
        ((("self", 7), ("self", 8)), "q: expected each head once but got (('self', 7), ('self', 8)) (type tuple)"),
    ],
)
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        PerHeadSoftmax(given)
    assert str(caught.value) == message


def test_q_of_each_head_as_text() -> None:
    assert parse_head_q("self=7,first=9/2") == BOTH
    assert parse_head_q(" first=9/2, self=7") == BOTH
    assert parse_head_q("9/2") == RationalSoftmax(F(9, 2))


@pytest.mark.parametrize(
    "text", ["self=7,first", "self=7,self=8", "=7", "self=", "self=0", "self=x", "self=7,", "a=b=3"]
)
def test_q_of_each_head_as_text_that_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^q( of head self)?: expected "):
        parse_head_q(text)
