"""The command ``completions`` on constructions, and without the libraries that a model needs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from verify.cli.app import run


def test_both_counts_are_told_with_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completions", "theorem-1", "--vocab", "4", "--context", "3", "--arithmetic", "rational"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "hard prompts (tokens): 4, different behaviours: 1"
    assert said[1] == "soft prompts (virtual tokens): 64, different behaviours: 64"
    assert said[3].startswith("theorem-1: completions  V = 4, N = 3, hard 1 of 4, soft 64 of 64, q = 27 (default)")
    assert "exhausted: 68 of 68 cases" in said[3]
    assert said[3].endswith("holds")


def test_a_format_that_is_too_small_is_falsified_and_counted_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    # above 1/2 bfloat16 is spaced by 1/256: two tokens of 300 have the same virtual token, on any machine
    assert run(["completions", "theorem-1", "--vocab", "300", "--context", "1", "--dtype", "bfloat16"]) == 1
    first, second, *table = capsys.readouterr().out.splitlines()
    assert first.startswith("hard prompts (tokens): 300, different behaviours: 1")
    found = re.match(r"soft prompts \(virtual tokens\): 300, different behaviours: ([0-9]+)", second)
    assert found is not None
    assert 1 < int(found[1]) < 300
    assert any("FALSIFIED" in line for line in table)


def test_the_document_has_both_counts_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completions", "theorem-2", "--vocab", "3", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["hard"] == {"prompts": "3", "behaviours": "3", "tied": "0", "not_finite": "0"}
    assert record["soft"] == {"prompts": "27", "behaviours": "27", "tied": "0", "not_finite": "0"}
    assert record["verdict"]["claim"] == "theorem-2: completions"
    assert record["verdict"]["cases"] == "90"


def test_a_temperature_that_is_too_low_is_status_1_with_a_counterexample(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["completions", "theorem-1", "--vocab", "2", "--context", "2", "--q", "5", "--arithmetic", "rational"]
    assert run(words) == 1
    said = capsys.readouterr().out
    assert "FALSIFIED" in said
    assert "reproduce: prefixproof check theorem-1 --vocab 2 --context 2 --q 5/1 --rank 1 --arithmetic rational" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["theorem-1", "--vocab", "4"], "context: expected a value"),
        (["attention-bias"], "claim: expected one of"),
        (["theorem-1", "--vocab", "94", "--context", "20"], "sizes: expected those whose behaviours memory holds"),
        (
            ["theorem-1", "--vocab", "4", "--context", "3", "--length", "3"],
            "length: expected --model DIR with --length",
        ),
        (["theorem-1", "--vocab", "4", "--context", "3", "--train", "3"], "train: expected --model DIR with --train"),
    ],
)
def test_bad_input_is_status_2_and_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completions", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_model_without_its_libraries_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert run(["completions", "--model", str(tmp_path)]) == 2
    expected = "error: model: expected transformers; install it with: pip install 'prefixproof[huggingface]'\n"
    assert capsys.readouterr().err == expected
