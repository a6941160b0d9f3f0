"""Claims carry their plan: every step can be gathered, and a new claim needs nothing beside its own definition."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from constructions import ConditionalGeneration, DigitGeneration, InvalidArgument, Norm, RationalSoftmax
from proofs import CLAIMS, Claim, Step, get_claim
from proofs.claims.plan import up_to
from verify.arithmetic import NumpyArithmetic, RationalArithmetic
from verify.certificates import certificate_arithmetic
from verify.evidence.kinds import KINDS
from verify.requests import Request
from verify.suite import steps
from verify.suite.default_plan import largest_enumerated, plan_for
from verify.suite.drawing import constructions_of
from verify.suite.main_job import planned, tasks
from verify.suite.numbers import NUMBERS, Chosen
from verify.suite.steps import STEPS, Gathering, certified, fuzzed, fuzzer_of, swept

FLOAT32 = Chosen(dtypes=("float32",))


def run(claim: Claim, **how: Any) -> list[tuple[str, str, bool | None]]:
    found = [task.run(lambda *_: None) for task in tasks(claim, FLOAT32, examples=5, seed=0, **how)]
    assert {verdict.claim for verdict in found} == {claim.id}
    return [(verdict.method, verdict.arithmetic, verdict.holds) for verdict in found]


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.id)
def test_every_step_of_a_plan_can_be_gathered(claim: Claim) -> None:
    assert claim.plan
    for step in claim.plan:
        assert set(step.sizes) == set(claim.sizes.defaults)
        (numbers,) = NUMBERS[step.numbers](FLOAT32)
        assert STEPS[step.evidence].arithmetic(numbers) is not None
        largest = {name: size if isinstance(size, int) else size[-1] for name, size in step.sizes.items()}
        if claim.construction is not None:
            assert type(claim.build(largest, step.options)) is claim.construction


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.id)
def test_a_plan_gathers_in_every_kind_of_numbers(claim: Claim) -> None:
    gathered = {step.numbers for step in claim.plan or ()}
    wanted = {"rational", "floats"} if claim.construction is None else set(NUMBERS)
    if claim.construction is not None and any(isinstance(layer, Norm) for layer in _layers(claim)):
        wanted = {"floats"}  # the root in a norm is irrational; all sizes are proved over the reals
    assert gathered >= wanted


def _layers(claim: Claim) -> tuple[Any, ...]:
    return tuple(claim.build(claim.symbols_at).transformer.leaves)


def test_a_new_claim_is_its_definition_and_nothing_else() -> None:
    claim = Claim(
        id="tiny",
        title="A map of two tokens",
        statement="The same as Theorem 2.",
        construction=ConditionalGeneration,
        plan=(
            Step("certified", "real", {"vocab_size": 2}),
            Step("exhausted", "rational", {"vocab_size": 2}),
            Step("swept", "floats", {"vocab_size": up_to(3)}),
            Step("fuzzed", "floats", {"vocab_size": up_to(3)}),
        ),
    )
    assert run(claim) == [
        ("certified", "ball", True),
        ("exhausted", "rational", True),
        ("swept", "torch float32", True),
        ("fuzzed", "torch float32", True),
    ]


def test_a_construction_without_a_plan_is_enumerated_where_its_cases_are_few() -> None:
    claim = Claim(id="own:Class", title="", statement="", construction=ConditionalGeneration)
    assert [step.evidence for step in planned(claim, {"vocab": 2})] == ["certified", "exhausted"] * 2
    assert 6**6 * 6 > largest_enumerated("floats") >= 5**5 * 5 > largest_enumerated("rational") >= 4**4 * 4
    evidence = [step.evidence for step in planned(claim, {"vocab_size": 5})]
    assert evidence == ["certified", "fuzzed", "certified", "exhausted"]
    assert run(claim, sizes={"vocab": 6}) == [
        ("certified", "ball", True),
        ("fuzzed", "rational", True),
        ("certified", "rounded float32", True),
        ("fuzzed", "torch float32", True),
    ]
    with pytest.raises(InvalidArgument, match="vocab: expected a value, as own:Class needs vocab"):
        planned(claim, {})
    assert plan_for(ConditionalGeneration(2), {"vocab_size": 2}) == planned(claim, {"vocab": 2})


def test_a_false_construction_is_not_certified_and_is_falsified() -> None:
    claim = replace(
        get_claim("theorem-1"),
        obligations=(),
        plan=(
            Step(
                "certified",
                "real",
                {"vocab_size": 3, "context_size": 3},
                {"temperature": RationalSoftmax(Fraction(18))},
            ),
            Step(
                "exhausted",
                "rational",
                {"vocab_size": 3, "context_size": 3},
                {"temperature": RationalSoftmax(Fraction(18))},
            ),
            Step(
                "exhausted",
                "rational",
                {"vocab_size": 3, "context_size": 3},
                {"temperature": RationalSoftmax(Fraction(19))},
            ),
        ),
    )
    assert [holds for *_, holds in run(claim)] == [None, False, True]


def test_obligations_of_several_digits_are_in_the_claim() -> None:
    claim = get_claim("digits")
    assert claim.construction is DigitGeneration
    assert [obligation.id for obligation in claim.obligations] == [
        f"digits.{name}" for name in ("places", "select", "hat", "split")
    ]
    # two digits are proved, and the plan runs one and three too
    assert "about two digits" in claim.caveat
    assert "temperature" in claim.caveat
    assert any(step.sizes["digits"] == up_to(3) for step in claim.plan or () if step.evidence == "fuzzed")


def test_a_step_that_the_format_cannot_hold_is_left_out() -> None:
    chosen = Chosen(dtypes=("bfloat16",))
    labels = [task.label for task in tasks(get_claim("longer-inputs"), chosen, examples=1, seed=0)]
    assert labels.count("enumeration, rational") == 2
    assert labels.count("enumeration, torch bfloat16") == 2  # not V = 3


def test_a_sweep_goes_as_far_as_the_format_holds_the_weights() -> None:
    claim = get_claim("longer-inputs")
    request = Request(claim, {"vocab_size": up_to(9), "input_size": range(2, 3)}, arithmetic=NumpyArithmetic("float32"))
    gathering = Gathering()
    verdict = swept(request, gathering)
    assert verdict.holds is True
    assert verdict.parameters["vocab_size"] == "1..7"
    assert verdict.reason == "numpy float32 holds the weights up to V = 7 at input_size 2"
    assert gathering.swept == [verdict]
    lifted = swept(replace(request, options={"lift": "mask"}), gathering)
    assert lifted.parameters["vocab_size"] == "1..8"


def test_what_follows_a_sweep_stays_below_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = get_claim("theorem-1")
    blunt = {
        "temperature": RationalSoftmax(Fraction(9))
    }  # enough for (V, N) = (3, 2), whose threshold is 9 - too little for 4
    sizes = {"vocab_size": up_to(6), "context_size": range(2, 3)}
    gathering = Gathering(examples=20)
    stopped = swept(Request(claim, sizes, blunt, NumpyArithmetic("float64")), gathering)
    assert stopped.holds is False
    drawn = fuzzed(Request(claim, sizes, blunt, NumpyArithmetic("float64")), gathering)
    last = int(str(drawn.parameters["vocab_size"]).removeprefix("1.."))
    assert drawn.holds is True
    assert stopped.reason is not None
    assert stopped.reason.startswith(f"holds up to vocab_size {last}, stops at {last + 1}")
    single = {"vocab_size": range(6, 7), "context_size": range(2, 3)}
    bounded = Request(claim, single, blunt, certificate_arithmetic("rounded", "float64"))
    assert certified(bounded, gathering).parameters["vocab_size"] == last
    # one kernel may go further than what is certain of all of them
    asked: list[int] = []

    def shy(construction: Any, *_: Any, **__: Any) -> Any:
        asked.append(construction.vocab_size)
        return replace(stopped, holds=None, counterexample=None)

    monkeypatch.setattr(steps, "certify", shy)
    assert certified(bounded, gathering).holds is None
    assert asked == list(range(last, 0, -1))
    asked.clear()
    assert certified(bounded, Gathering()).holds is None
    assert asked == [6]


def test_the_sizes_of_longer_inputs_are_drawn_as_far_as_they_are_shallow() -> None:
    claim = get_claim("longer-inputs")
    sizes = {"vocab_size": up_to(8), "input_size": up_to(4)}
    _, shown = constructions_of(Request(claim, sizes, arithmetic=RationalArithmetic()))
    assert shown == {"vocab_size": "1..8, 1..5, 1..3", "input_size": "2, 3, 4"}
    _, shown = constructions_of(Request(claim, sizes, arithmetic=NumpyArithmetic("float32")))
    assert shown["vocab_size"].startswith("1..7, ")
    # a format may carry more with another lift, which is then drawn too
    lifted = Request(claim, sizes, {"lift": "mask"}, NumpyArithmetic("float32"))
    assert constructions_of(lifted)[1]["vocab_size"].startswith("1..8, ")
    assert claim.drawn is not None
    assert claim.drawn({"vocab_size": 32, "input_size": 2})
    assert not claim.drawn({"vocab_size": 33, "input_size": 2})
    assert claim.drawn({"vocab_size": 1, "input_size": 60})
    assert not claim.drawn({"vocab_size": 2, "input_size": 10**9})
    # sizes with a first value of their own are drawn as they are asked for
    deep = {"vocab_size": range(2, 3), "input_size": range(7, 8)}
    assert not claim.drawn({"vocab_size": 2, "input_size": 7})
    _, shown = constructions_of(Request(claim, deep, arithmetic=RationalArithmetic()))
    assert shown == {"vocab_size": "2..2", "input_size": "7..7"}


def test_sizes_of_which_none_can_be_drawn_are_refused() -> None:
    claim = replace(get_claim("longer-inputs"), drawn=lambda _: False)
    sizes = {"vocab_size": up_to(3), "input_size": up_to(3)}
    with pytest.raises(InvalidArgument, match="sizes: expected some that can be drawn but there are none up to vocab"):
        constructions_of(Request(claim, sizes, arithmetic=RationalArithmetic()))


def test_single_sizes_are_those_of_the_verdict() -> None:
    claim = get_claim("theorem-2")
    at = Request(claim, {"vocab_size": range(3, 4)}, arithmetic=RationalArithmetic())
    assert fuzzed(at, Gathering(examples=5)).parameters["vocab_size"] == 3
    upto = replace(at, sizes={"vocab_size": up_to(3)})
    assert fuzzed(upto, Gathering(examples=5)).parameters["vocab_size"] == "1..3"


def test_fuzzing_draws_what_the_claim_is_about() -> None:
    assert fuzzer_of(get_claim("attention-bias")) is STEPS["fuzzed layers"]
    assert fuzzer_of(get_claim("theorem-1")) is STEPS["fuzzed"]
    own = Claim(id="own:Class", title="", statement="", construction=ConditionalGeneration)
    assert fuzzer_of(own) is STEPS["fuzzed"]


def test_kinds_of_evidence_are_called_alike() -> None:
    """A step is named after the kind of its verdicts, or by that and what is drawn."""
    assert {name.split()[0] for name in STEPS} <= set(KINDS)


def test_a_request_refuses_ranges_where_one_value_is_needed() -> None:
    request = Request(get_claim("theorem-2"), {"vocab_size": range(2, 5)})
    with pytest.raises(InvalidArgument, match=r"vocab: expected one value but got the range 2\.\.4"):
        _ = request.construction
    assert request.first == {"vocab_size": 2}
    assert request.last == {"vocab_size": 4}
    assert request.with_vocabularies_to(3).sizes["vocab_size"] == range(2, 4)
    assert request.with_vocabularies_to(1).sizes["vocab_size"] == range(1, 2)
    assert request.with_vocabularies_to(9).sizes == request.sizes
