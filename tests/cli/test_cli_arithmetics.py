"""Every command that runs cases takes every arithmetic: ``structured`` and ``engine`` among them."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from verify.cli.app import run

T1 = ["theorem-1", "--vocab", "3", "--context", "2"]
NAMES = {"structured": "torch float32 structured", "engine": "engine float32"}


def _json(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int) -> Any:
    assert run([*arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(
    "arguments",
    [
        ["exhaust", *T1],
        ["check", *T1, "--rank", "5"],
        ["fuzz", *T1, "--examples", "10"],
        ["pairs", *T1],
    ],
    ids=lambda words: words[0],
)
def test_commands_that_run_cases(arguments: list[str], kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json([*arguments, "--arithmetic", kind], capsys, 0)
    assert found["arithmetic"] == NAMES[kind]
    assert found["holds"] is True


def test_a_counterexample_of_the_engine_is_shown_by_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [*T1, "--temperature", "0.5", "--arithmetic", "engine", "--dtype", "float64"]
    found = _json(["exhaust", *wrong], capsys, 1)["counterexample"]
    line = shlex.split(found["reproduce"])
    assert line[line.index("--arithmetic") + 1] == "engine"
    again = _json(line[line.index("check") :], capsys, 1)["counterexample"]
    assert (again["margin"], again["rank"]) == (found["margin"], found["rank"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--dtype", "bfloat16"], "dtype: expected float64 or float32 in the engine but got 'bfloat16'"),
        (["--device", "cuda"], "device: expected one of cpu but got 'cuda'"),
        (["--tf32"], "tf32: expected torch in float32, whose products it reduces, but got engine float32"),
    ],
)
def test_what_the_engine_lacks_is_refused_in_one_line(
    more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["exhaust", *T1, "--arithmetic", "engine", *more]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
