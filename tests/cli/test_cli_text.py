"""``generate`` and ``answer``: the user's own text and maps."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verify import Verdict
from verify.cli.app import run
from verify.files.maps import parse_map


def _json(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> Any:
    assert run([*arguments, "--json"]) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)  # fails unless it is exactly one document


@pytest.mark.parametrize(
    "text",
    [
        "I love transformers!",
        "a",
        "aaaa",
        " ",
        "two\nlines\tand a tab",
        "naïve façade",  # composed
        "e\u0301 is e and a combining acute",
        "日本語のテキスト",
        "🙂👩\u200d👩\u200d👧🏽",  # joiners and a skin tone are code points of their own
        "\u05d0\u202e\u0000\ufeff",
        "[bold]no markup[/bold]",
    ],
)
@pytest.mark.parametrize("arithmetic", ["torch", "rational"])
def test_any_text_is_generated(text: str, arithmetic: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(["generate", text, "--arithmetic", arithmetic], capsys)
    assert document["generated"] == document["text"] == text
    assert document["vocabulary"] == "".join(sorted(set(text)))
    verdict = Verdict.from_json(document["verdict"])
    assert (verdict.claim, verdict.method, verdict.holds) == ("theorem-1", "evaluated", True)
    # ONE virtual token, whose numbers are the tokens over V: exact, and readable without the package
    (numbers,) = document["virtual_tokens"]
    size = len(document["vocabulary"])
    assert [document["vocabulary"][int(Fraction(number) * size)] for number in numbers] == list(text)


def test_the_text_is_printed_with_its_virtual_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "abba"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[:2] == [
        "virtual token (4 numbers): 0/2, 1/2, 1/2, 0/2",
        "generated: abba",
    ]
    assert "holds" in captured.out
    assert captured.err == ""


def test_a_vocabulary_of_one_s_own_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(["generate", "cab", "--vocab", "zcba"], capsys)
    assert document["vocabulary"] == "zcba"
    assert document["virtual_tokens"] == [["1/4", "3/4", "2/4"]]


def test_a_temperature_that_is_too_blunt_is_falsified(capsys: pytest.CaptureFixture[str]) -> None:
    # q = 2 at V = 3, N = 3: the last token of all needs q > 2 (2 (3 + 2) - 1) = 18
    document = _json(["generate", "abc", "--q", "2", "--arithmetic", "rational"], capsys, status=1)
    assert document["generated"] != "abc"
    assert document["verdict"]["holds"] is False
    assert run(["generate", "abc", "--q", "2"]) == 1
    out = capsys.readouterr().out
    assert "FALSIFIED" in out
    assert "reproduce: prefixproof check theorem-1" in out
    assert _json(["generate", "abc", "--q", "19", "--arithmetic", "rational"], capsys)["generated"] == "abc"


def _write(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return str(path)


FOOD = {"dog": "bone", "cat": "fish", "bone": "dog", "fish": "cat", "🙂": "cat"}


@pytest.mark.parametrize("token", list(FOOD))
@pytest.mark.parametrize("arithmetic", ["torch", "rational"])
def test_a_token_is_answered_by_the_map(
    token: str, arithmetic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = _json(
        ["answer", token, "--map", _write(tmp_path / "map.json", FOOD), "--arithmetic", arithmetic], capsys
    )
    assert document["answer"] == FOOD[token]
    assert document["token"] == token
    assert document["vocabulary"] == list(FOOD)
    verdict = Verdict.from_json(document["verdict"])
    assert (verdict.claim, verdict.holds) == ("theorem-2", True)
    (numbers,) = document["virtual_tokens"]
    assert [document["vocabulary"][int(Fraction(number) * 5)] for number in numbers] == list(FOOD.values())


def test_answers_that_are_lists_are_longer_responses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = {"a": ["b", "b", "a"], "b": ["a", "c", "c"], "c": ["c", "a", "b"]}
    path = _write(tmp_path / "map.json", table)
    for token, answer in table.items():
        document = _json(["answer", token, "--map", path], capsys)
        assert document["answer"] == answer
        assert Verdict.from_json(document["verdict"]).claim == "longer-responses"
        assert np.array(document["virtual_tokens"]).shape == (3, 3)


@pytest.mark.parametrize(
    ("document", "token", "answer"),
    [
        ([2, 0, 1], "0", 2),
        ([0], "0", 0),
        ([[1, 1], [0, 1]], "1", [0, 1]),
        ({"vocabulary": ["x", "y", "z"], "map": {"z": "x", "y": "y", "x": "z"}}, "z", "x"),
    ],
    ids=str,
)
def test_every_form_of_a_map_file(
    document: Any, token: str, answer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _json(["answer", token, "--map", _write(tmp_path / "map.json", document)], capsys)
    assert found["answer"] == answer


def test_the_order_of_the_keys_is_not_the_map() -> None:
    first = parse_map({"vocabulary": ["a", "b", "c"], "map": {"a": "b", "b": "c", "c": "a"}})
    second = parse_map({"vocabulary": ["a", "b", "c"], "map": {"c": "a", "b": "c", "a": "b"}})
    assert first.target.tolist() == second.target.tolist() == [1, 2, 0]


def test_the_answer_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["answer", "dog", "--map", _write(tmp_path / "map.json", FOOD)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "virtual token 0 (5 numbers): 2/5, 3/5, 0/5, 1/5, 1/5"
    assert out.splitlines()[1] == 'answer: "bone"'
