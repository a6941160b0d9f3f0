"""Which of several verdicts is the strongest evidence."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from verify.evidence.verdict import Method, Refutation, Verdict
from verify.suite.strongest import arithmetic_family, strongest, strongest_json, strongest_table


def _verdict(
    method: Method, arithmetic: str = "torch float32", *, holds: bool | None = True, cases: int = 5
) -> Verdict:
    return Verdict(
        claim="theorem-1",
        parameters={"vocab_size": 3},
        method=method,
        arithmetic=arithmetic,
        device="cpu",
        holds=holds,
        cases=cases,
        space=cases,
        seed=0 if method == "fuzzed" else None,
        reason=None if holds else "the reason",
        refutation=Refutation("it", "here", "1", "2", None, "a command") if holds is False else None,
    )


@pytest.mark.parametrize(
    ("arithmetic", "family"),
    [
        ("real", "real"),
        ("ball", "real"),
        ("rational", "rational"),
        ("torch float32", "float32"),
        ("numpy float64", "float64"),
        ("rounded bfloat16", "bfloat16"),
        ("rounded float32 with TF32", "float32 with TF32"),
        ("torch float32 with TF32", "float32 with TF32"),
    ],
)
def test_numbers_are_told_apart_from_what_computed_them(arithmetic: str, family: str) -> None:
    assert arithmetic_family(_verdict("fuzzed", arithmetic)) == family


def test_the_order_is_proof_certificate_enumeration_and_then_cases() -> None:
    methods: list[Method] = ["evaluated", "fuzzed", "swept", "exhausted", "certified", "proved"]
    for weaker, stronger in pairwise(methods):
        for order in ([weaker, stronger], [stronger, weaker]):
            # more cases do not make up for a weaker method
            verdicts = [_verdict(method, cases=10**9 if method == weaker else 1) for method in order]
            held, falsified = strongest(verdicts)["theorem-1"]["float32"]
            assert held is not None
            assert held.method == stronger
            assert falsified is None


def test_of_one_method_more_cases_are_stronger() -> None:
    held, _ = strongest([_verdict("fuzzed", cases=3), _verdict("fuzzed", cases=7), _verdict("fuzzed", cases=5)])[
        "theorem-1"
    ]["float32"]
    assert held is not None
    assert held.cases == 7


def test_what_is_not_shown_is_no_evidence_and_what_is_falsified_is_told() -> None:
    unknown, refuted = _verdict("certified", holds=None), _verdict("swept", holds=False)
    assert strongest([unknown])["theorem-1"]["float32"] == (None, None)
    assert strongest_json([unknown]) == {"theorem-1": {"float32": None}}
    held, falsified = strongest([_verdict("fuzzed"), refuted])["theorem-1"]["float32"]
    assert held is not None
    assert held.method == "fuzzed"
    assert falsified is refuted
    cells = [str(cell) for column in strongest_table([refuted, unknown]).columns for cell in column.cells]
    assert "nothing shown" in cells
    assert any("FALSIFIED: the reason" in cell for cell in cells)


def test_another_device_is_the_same_kind_of_numbers() -> None:
    elsewhere = replace(_verdict("exhausted"), device="cuda")
    held, _ = strongest([_verdict("fuzzed"), elsewhere])["theorem-1"]["float32"]
    assert held is elsewhere
