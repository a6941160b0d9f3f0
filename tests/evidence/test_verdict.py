"""Verdicts: what they refuse to say, and their JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from constructions import ConditionalGeneration, InvalidArgument, LongerInputs
from verify import Counterexample, Verdict, check
from verify.evidence.verdict import decimal, verdict_text

CASE = Counterexample(
    construction="ConditionalGeneration(2)",
    rank=2,
    target=[1, 0],
    user_input=[0],
    position=0,
    expected=1,
    produced=0,
    margin=Fraction(-1, 4),
    reproduce="prefixproof check theorem-2 --vocab 2 --rank 2",
)
HELD = Verdict(
    claim="theorem-2",
    parameters={"vocab_size": 2, "mask": "causal"},
    method="exhausted",
    arithmetic="rational",
    device="cpu",
    holds=True,
    cases=8,
    space=8,
    margin=Fraction(1, 4),
    seconds=0.5,
)
FALSIFIED = replace(HELD, holds=False, counterexample=CASE, margin=CASE.margin)
UNKNOWN = replace(HELD, holds=None, cases=0, margin=None, reason="interrupted")
#: More digits than Python prints.
HUGE = 7 * 10**4_999 + 3


def _back(verdict: Verdict) -> Verdict:
    return Verdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False)))


@pytest.mark.parametrize(
    "verdict",
    [
        HELD,
        FALSIFIED,
        UNKNOWN,
        replace(HELD, method="fuzzed", margin=0.1, seed=0, space=None),
        replace(HELD, margin=None, reason="one token"),
        replace(HELD, margin=5e-324),
        replace(HELD, margin=Fraction(1, 3**9_000 + 1)),  # a margin longer than Python prints as an integer
        replace(FALSIFIED, margin=0.0, counterexample=replace(CASE, margin=0.0)),
        replace(FALSIFIED, margin=-math.inf, counterexample=replace(CASE, margin=-math.inf)),
        replace(HELD, method="evaluated", cases=HUGE, space=HUGE + 1),
        replace(FALSIFIED, counterexample=replace(CASE, rank=HUGE)),
    ],
    ids=["held", "falsified", "unknown", "float", "no-margin", "denormal", "long", "tie", "-inf", "huge", "huge-rank"],
)
def test_json_gives_the_verdict_back(verdict: Verdict) -> None:
    assert _back(verdict) == verdict


def test_json_gives_a_nan_margin_back() -> None:
    back = _back(replace(FALSIFIED, margin=math.nan, counterexample=replace(CASE, margin=math.nan)))
    assert isinstance(back.margin, float)
    assert math.isnan(back.margin)
    assert back.counterexample is not None
    assert isinstance(back.counterexample.margin, float)
    assert math.isnan(back.counterexample.margin)


def test_json_holds_no_huge_number_and_no_nan() -> None:
    record = replace(FALSIFIED, cases=HUGE, space=HUGE, margin=math.nan).to_json()
    assert record["cases"] == record["space"] == "7" + "0" * 4_998 + "3"
    assert record["margin"] == "nan"
    assert HELD.to_json()["margin"] == "1/4"
    text = verdict_text(FALSIFIED)
    assert "\n" not in text
    assert Verdict.from_json(json.loads(text)) == FALSIFIED


def test_json_has_exactly_the_fields_that_the_design_fixes() -> None:
    wanted = "claim parameters method arithmetic device holds cases space margin counterexample seed seconds versions"
    assert set(HELD.to_json()) == {*wanted.split(), "reason", "resumed"}


def test_decimal_agrees_with_python_where_python_prints() -> None:
    assert [decimal(value) for value in (0, 9, 10**4_000 + 7)] == ["0", "9", str(10**4_000 + 7)]


@pytest.mark.parametrize("missing", ["claim", "holds", "counterexample", "versions", "reason"])
def test_from_json_refuses_a_missing_key(missing: str) -> None:
    record = HELD.to_json()
    del record[missing]
    with pytest.raises(InvalidArgument, match="exactly the keys"):
        Verdict.from_json(record)


def test_from_json_refuses_an_unknown_key() -> None:
    with pytest.raises(InvalidArgument, match="exactly the keys"):
        Verdict.from_json({**HELD.to_json(), "confidence": 0.99})


@pytest.mark.parametrize("document", [[], "held", None, 3])
def test_from_json_refuses_what_is_not_an_object(document: Any) -> None:
    with pytest.raises(InvalidArgument, match="JSON object"):
        Verdict.from_json(document)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cases", "eight"),
        ("cases", None),
        ("cases", "8.5"),
        ("space", "x"),
        ("margin", "1/x"),
        ("margin", "1/0"),
        ("margin", []),
        ("counterexample", {}),
        ("counterexample", 3),
        ("counterexample", {**FALSIFIED.to_json()["counterexample"], "doubt": 1}),
        ("holds", "yes"),
        ("holds", 1),
    ],
)
def test_from_json_refuses_a_value_that_does_not_parse(key: str, value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Verdict.from_json({**HELD.to_json(), key: value})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "forged",
    [
        {"cases": "0"},
        {"cases": "-8"},
        {"cases": "7"},
        {"space": "9"},
        {"space": None},
        {"margin": "0"},
        {"margin": "nan"},
        {"margin": -0.25},
        {"holds": False},
        {"counterexample": FALSIFIED.to_json()["counterexample"]},
    ],
    ids=str,
)
def test_from_json_refuses_a_claim_without_evidence(forged: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="holds"):
        Verdict.from_json({**HELD.to_json(), **forged})


@pytest.mark.parametrize("cases", [0, -1])
def test_true_needs_a_case(cases: int) -> None:
    with pytest.raises(InvalidArgument, match="without a case"):
        replace(HELD, cases=cases)


@pytest.mark.parametrize(("cases", "space"), [(7, 8), (9, 8), (8, None)])
def test_a_whole_space_needs_every_case_of_it(cases: int, space: int | None) -> None:
    with pytest.raises(InvalidArgument, match=f"expected every case of the space for True but got {cases} of {space}"):
        replace(HELD, cases=cases, space=space)


def test_a_cut_off_run_edited_to_true_is_refused() -> None:
    cut_off = replace(HELD, holds=None, cases=5, reason="cut off after 5 of 8 cases")
    with pytest.raises(InvalidArgument, match="expected every case of the space for True but got 5 of 8"):
        Verdict.from_json({**cut_off.to_json(), "holds": True})


def test_true_refuses_a_counterexample() -> None:
    with pytest.raises(InvalidArgument, match="with a counterexample"):
        replace(HELD, counterexample=CASE)


@pytest.mark.parametrize("margin", [Fraction(0), Fraction(-1, 10**9), 0.0, -0.0, -1e-300, math.nan, -math.inf])
def test_true_needs_a_positive_margin(margin: Fraction | float) -> None:
    with pytest.raises(InvalidArgument, match="positive margin"):
        replace(HELD, margin=margin)


def test_false_needs_a_counterexample() -> None:
    with pytest.raises(InvalidArgument, match="counterexample for False"):
        replace(HELD, holds=False)


def test_a_counterexample_is_one_sentence_with_the_facts() -> None:
    assert CASE.sentence() == (
        "ConditionalGeneration(2): target [1, 0] with user input [0] must give 1 at response position 0,"
        " but 0 was produced (margin -1/4)"
    )
    long = replace(CASE, target=list(range(1_000)), user_input=[], margin=math.nan).sentence()
    assert "user input" not in long
    assert "margin nan" in long
    assert len(long) < 300


def test_a_verdict_names_the_versions_that_did_the_work() -> None:
    versions = check(ConditionalGeneration(2), rank=0, user_input=[1]).versions
    assert {"python", "prefixproof", "numpy", "torch", "sympy", "hypothesis", "python-flint"} == set(versions)


def test_space_is_exact_at_any_size() -> None:
    verdict = check(LongerInputs(7, 2), target=[[6] * 7] * 7, user_input=[0, 6])
    assert verdict.space == 7**49 * 49
    assert _back(verdict).space == 7**49 * 49
