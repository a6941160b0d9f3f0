"""What a row and the lines below it say: the temperature it holds at, ties, one margin."""

from __future__ import annotations

import json

import pytest

from constructions import RationalSoftmax, UnconditionalGeneration
from verify import RationalArithmetic, Verdict, check
from verify.cli.app import run
from verify.evidence.verdict import Counterexample

T1 = ["theorem-1", "--vocab", "3", "--context", "3"]


def _row(words: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    assert run(words) == status
    return capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["exhaust", *T1, "--q", "19", "--arithmetic", "rational"], "V = 3, N = 3, q = 19 "),
        (["exhaust", *T1, "--q", "self=25,first=30", "--arithmetic", "rational"], "q = 30 (first), 25 (self) "),
        (["exhaust", *T1, "--temperature", "50"], "V = 3, N = 3, T = 50 "),
        (["exhaust", *T1, "--temperature", "50", "--scaled-by", "length"], "T = 50, over sqrt(length) "),
        (["exhaust", *T1, "--temperature", "inf"], "V = 3, N = 3, hardmax "),
        (["exhaust", *T1, "--arithmetic", "rational"], "V = 3, N = 3, q = 19 (default) "),
        (["check", *T1, "--rank", "3", "--q", "40"], "q = 40 "),
        (["certify", *T1, "--temperature", "inf"], "hardmax "),
        (["certify", *T1, "--arithmetic", "ball", "--q", "19"], "q = 19 "),
        (["fuzz", *T1, "--examples", "10", "--temperature", "60", "--mask", "none"], "mask none, T = 60 "),
        (["fuzz", *T1, "--examples", "10"], "V <= 3, N <= 3, default temperature "),
        (["counterexample", "theorem-2", "--size", "vocab=1..2", "--q", "5"], "V <= 2, q = 5 "),
    ],
    ids=str,
)
def test_a_row_that_passes_shows_the_temperature_it_holds_at(
    words: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = _row(words, capsys)
    assert row.rstrip().endswith("holds")
    assert shown in row


def test_a_tie_says_tie_and_between_which_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    """At q = 18 the tokens V-1 and V-2 tie, and the lower one is produced."""
    assert run(["exhaust", *T1, "--q", "18", "--arithmetic", "rational"]) == 1
    told = capsys.readouterr().out
    assert "must give 2 at response position 2, but 1 ties with it, and was produced, as it comes first" in told


def _case(produced: int = 2, margin: float = -1.0) -> str:
    return Counterexample(
        construction="C()",
        rank=0,
        target=[0],
        user_input=[],
        position=3,
        expected=1,
        produced=produced,
        margin=margin,
        reproduce="",
    ).sentence()


def test_the_words_of_a_counterexample() -> None:
    assert _case() == "C(): target [0] must give 1 at response position 3, but 2 was produced (margin -1)"
    assert "but 2 ties with it, and was produced, as it comes first (margin 0)" in _case(margin=0.0)
    assert "but 1 ties with a later token, and wins by the order of tokens alone (margin 0)" in _case(
        produced=1, margin=0.0
    )
    assert "but 2 was produced, and a logit is not finite (margin nan)" in _case(margin=float("nan"))


def test_a_tie_that_the_order_of_tokens_decides_is_no_success() -> None:
    verdict = check(
        UnconditionalGeneration(3, 3, temperature=RationalSoftmax(18)),  # type: ignore[arg-type]
        target=[0, 0, 2],
        arithmetic=RationalArithmetic(),
    )
    assert verdict.holds is False
    assert verdict.margin == 0


def test_a_certificate_that_is_not_shown_states_one_margin(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["certify", "theorem-1", "--vocab", "94", "--context", "2", "--dtype", "bfloat16"]
    assert run([*words, "--json"]) == 1
    verdict = Verdict.from_json(json.loads(capsys.readouterr().out))
    assert verdict.holds is None
    assert verdict.margin is not None
    assert verdict.margin <= 0
    assert run(words) == 1
    told = capsys.readouterr().out
    assert "not decided: token " in told
    assert "margin is at least" not in told
    assert told.count(f"{verdict.margin:.2e}") == 1
