"""A q for each head on the command line, and in the command that reproduces a counterexample."""

from __future__ import annotations

import json
import shlex
from fractions import Fraction
from typing import Any

import pytest

from constructions import PerHeadSoftmax, UnconditionalGeneration
from verify import Verdict
from verify.cli.app import run
from verify.requests import command_for

T1 = ["exhaust", "theorem-1", "--vocab", "3", "--context", "2", "--arithmetic", "rational"]


def _verdict(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int) -> Verdict:
    assert run([*arguments, "--json"]) == status
    document: Any = json.loads(capsys.readouterr().out)
    return Verdict.from_json(document)


def test_each_head_has_its_own_q(capsys: pytest.CaptureFixture[str]) -> None:
    """At q_self = 11 what is left for head "first" is a leak of 1/8: q_first = 7 ties."""
    verdict = _verdict([*T1, "--q", "self=11,first=15/2"], capsys, 0)
    assert verdict.holds is True
    assert verdict.parameters["temperature"] == "q = 15/2 (first), 11 (self)"
    assert _verdict([*T1, "--q", "self=11,first=7"], capsys, 1).margin == 0


def test_a_counterexample_is_reproduced(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = _verdict([*T1, "--q", "self=11,first=7"], capsys, 1)
    assert verdict.counterexample is not None
    words = shlex.split(verdict.counterexample.reproduce)
    assert words[words.index("--q") + 1] == "first=7/1,self=11/1"
    again = _verdict(words[1:], capsys, 1)
    assert again.counterexample == verdict.counterexample


def test_the_words_of_a_construction() -> None:
    temperature = PerHeadSoftmax({"self": 7, "first": Fraction(9, 2)})
    command = command_for("theorem-1", UnconditionalGeneration(3, 2, temperature=temperature))
    assert command == {
        "claim": "theorem-1",
        "--vocab": "3",
        "--context": "2",
        "--q": "first=9/2,self=7/1",
    }


@pytest.mark.parametrize(
    ("q", "mentions"),
    [
        ("self=7", "q: expected a q for each of the heads self, first but got one for self"),
        ("self=7,last=7", "q: expected a q for each of the heads self, first but got one for last, self"),
        ("self=7,self=8,first=9", "q: expected each head once"),
        ("self=0,first=9", "q: expected a positive rational number"),
        ("self=7,first", "q: expected a positive rational number"),
    ],
)
@pytest.mark.parametrize("command", ["exhaust", "fuzz", "check"])
def test_what_is_refused(command: str, q: str, mentions: str, capsys: pytest.CaptureFixture[str]) -> None:
    rank = ["--rank", "0"] if command == "check" else []
    assert run([command, "theorem-1", "--vocab", "3", "--context", "2", *rank, "--q", q]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {mentions}")
    assert len(captured.err.splitlines()) == 1
