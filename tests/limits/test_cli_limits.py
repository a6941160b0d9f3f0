"""The commands ``attention``, ``reach`` and ``counterexample``, and what they refuse."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from constructions.counterexamples import REFUTED
from verify import Verdict
from verify.cli.app import run
from verify.suite.coq_record import CoqRecord, CoqTheorem

HEAD = {"query": [[1, 0], [0, 1]], "key": [[1, 0], [0, 1]], "value": [[1, 0], [0, "1/2"]]}
LAYER: dict[str, Any] = {
    "heads": [HEAD],
    "q": "3/2",
    "content": [[1, 0], [0, 1], [1, 1]],
    "prefix": [[2, 1]],
    "next_head": {"query": [[1, 0]], "key": [[0, 1]], "value": [[1, 0]]},
}
NAN, INF = float("nan"), float("inf")


def written(folder: Path, **changes: Any) -> str:
    record = {name: part for name, part in {**LAYER, **changes}.items() if part is not None}
    path = folder / "layer.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("arithmetic", ["rational", "numpy", "torch"])
def test_attention_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], arithmetic: str) -> None:
    assert run(["attention", written(tmp_path), "--arithmetic", arithmetic, "--json"]) == 0
    verdicts = [Verdict.from_json(record) for record in json.loads(capsys.readouterr().out)["verdicts"]]
    assert [verdict.claim for verdict in verdicts] == [
        "attention-rescaling",
        "attention-bias",
        "second-layer-attention",
    ]
    assert all(verdict.holds is True and verdict.method == "evaluated" for verdict in verdicts)


def test_attention_without_a_next_head_leaves_its_claim_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, next_head=None)
    assert run(["attention", path]) == 0
    assert "second-layer" not in capsys.readouterr().out
    assert run(["attention", path, "--claim", "second-layer-attention"]) == 2


def test_a_drawn_layer_is_reproduced(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attention", "--claim", "attention-bias", "--drawn", "0:7", "--dtype", "float64"]) == 0
    assert "attention-bias" in capsys.readouterr().out


def test_the_picture_states_deviation_and_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arithmetic, words in (("torch", "the computed bound there is"), ("rational", "largest deviation is 0 in")):
        picture = tmp_path / f"{arithmetic}.png"
        path = written(tmp_path)
        assert run(["attention", path, "--picture", str(picture), "--arithmetic", arithmetic]) == 0
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert words in " ".join(capsys.readouterr().out.split())
    assert run(["attention", written(tmp_path), "--picture", str(tmp_path / "x.png"), "--head", "1"]) == 2


def test_reach(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reach", written(tmp_path, outputs=[[1, 0], [0, 1], [1, 1]]), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["reachable"], answer["certificate"]["kind"]) == (False, "NoCommonValue")
    # q^2 : q odds for (2, 1), as scores with itself are 2 and 1
    assert run(["reach", written(tmp_path, content=[[1, 0]], outputs=[["8/5", "3/10"]])]) == 0
    assert "reachable (prefix vectors: 1)" in capsys.readouterr().out
    assert run(["reach", written(tmp_path, outputs=[[1, 0], [0, 1], [1, 1]]), "--prefix-size", "2"]) == 1
    assert "unknown (prefix vectors: 2)" in capsys.readouterr().out
    assert run(["reach", written(tmp_path, content=[[1, 0], [0, 1]], pattern=[[[1, 0], [1, 1]]]), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["certificate"]["kind"] == "ChangedRatio"


@pytest.mark.share(3)
@pytest.mark.parametrize("claim", REFUTED)
def test_a_refuted_claim_is_shown_by_its_own_command(claim: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["counterexample", claim, "--json"]) == 1
    verdict = Verdict.from_json(json.loads(capsys.readouterr().out))
    assert verdict.holds is False
    assert verdict.case is not None
    assert verdict.case.reproduce == f"prefixproof counterexample {claim}"


def test_the_found_case_is_reproduced_by_the_command_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--size", "vocab=1..3", "--size", "context=1..3"]
    assert run(["counterexample", "theorem-1", *sizes, "--arithmetic", "rational", "--q", "9", "--json"]) == 1
    verdict = Verdict.from_json(json.loads(capsys.readouterr().out))
    assert verdict.case is not None
    words = shlex.split(verdict.case.reproduce)
    assert words[:3] == ["prefixproof", "check", "theorem-1"]
    assert run([*words[1:], "--json"]) == 1
    again = Verdict.from_json(json.loads(capsys.readouterr().out))
    assert again.case == verdict.case


def test_the_finder_takes_a_class_of_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    name = "constructions.conditional_generation:ConditionalGeneration"
    assert run(["counterexample", name, "--size", "vocab_size=1..3", "--arithmetic", "rational", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == str(1 + 4 * 2 + 27 * 3)


@pytest.mark.share(1)
@pytest.mark.parametrize("claim", ["attention-rescaling", "attention-bias", "second-layer-attention"])
def test_the_main_job_covers_the_layer_claims(
    claim: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = ("attention-rescaling", "attention-bias")
    record = CoqRecord("8.16.1", tuple(CoqTheorem("a_theorem", (), about, "reals") for about in claims))
    monkeypatch.setattr("verify.cli.verifying.read_record", lambda: (record, None))
    assert run(["verify", claim, "--examples", "20", "--json"]) == 0
    verdicts = [Verdict.from_json(record) for record in json.loads(capsys.readouterr().out)["verdicts"]]
    kinds = [(verdict.method, verdict.arithmetic) for verdict in verdicts]
    proved = 1 if claim == "second-layer-attention" else 2  # by sympy, and by Coq where it has a theorem
    fuzzed = [("fuzzed", name) for name in ("rational", "torch float64", "torch float32")]
    assert kinds == [("proved", "real")] * proved + fuzzed
    assert run(["fuzz", claim, "--examples", "5", "--arithmetic", "rational"]) == 0
    assert run(["show", claim]) == 0
    assert "section" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": []}, "heads: expected an array of at least one head"),
        ({"heads": [{**HEAD, "value": None}]}, "value: expected a matrix of finite numbers"),
        ({"heads": [{**HEAD, "bias": [[1]]}]}, "heads: expected each to be an object with query, key and value"),
        ({"heads": [{**HEAD, "key": [[1, 0]]}]}, "head: expected query and key of one shape"),
        ({"heads": [{**HEAD, "query": [[NAN, 0], [0, 1]]}]}, "query: expected finite numbers but got nan"),
        ({"heads": [{**HEAD, "value": [[INF, 0], [0, 1]]}]}, "value: expected finite numbers but got inf"),
        ({"content": [[1, 0], [0]]}, "content: expected a matrix of finite numbers"),
        ({"content": [[1, 0, 0]]}, "content: expected rows of width 2 but got 3"),
        ({"prefix": []}, "prefix: expected at least one row but got none"),
        ({"prefix": None}, "prefix: expected a value in the file"),
        ({"prefix": [[1, 0, 0]]}, "prefix: expected rows of width 2 but got 3"),
        ({"prefix": [["1/0", 0]]}, "prefix: expected finite numbers but got '1/0'"),
        ({"mask": [[1, 0, 0], [0, 0, 0], [1, 1, 1]]}, "mask: expected every position to see some content but row 1"),
        ({"mask": [[1]]}, "mask: expected one for 3 positions but got one for 1"),
        ({"mask": [[1, 0], [1]]}, "mask: expected causal, none or a square array"),
        ({"q": "0"}, "q: expected a positive rational number"),
        ({"q": None}, "temperature: expected either q or temperature in the file"),
        ({"temperature": 2}, "temperature: expected either q or temperature in the file"),
        ({"q": None, "temperature": INF}, "temperature: expected a finite number > 0"),
        ({"extra": 1}, "layer: expected a JSON object with content, heads"),
    ],
)
def test_a_bad_layer_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    assert run(["attention", written(tmp_path, **changes)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert message in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "outputs: expected either outputs or pattern in the file"),
        ({"outputs": [[1, 0]]}, "outputs: expected one for each of 3 positions but got 1"),
        ({"outputs": [[1, NAN]]}, "outputs: expected finite numbers but got nan"),
        ({"outputs": [[1, INF]]}, "outputs: expected finite numbers but got inf"),
        ({"outputs": [[1], [1], [1]]}, "outputs: expected rows of width 2 but got 1"),
        ({"outputs": [[1, 0]] * 3, "prefix_size": 0}, "prefix_size: expected an integer >= 1 but got 0"),
        ({"outputs": [[1, 0]] * 3, "q": "1"}, "q: expected another one than 1"),
        ({"outputs": [[1, 0]] * 3, "q": None, "temperature": 1}, "temperature: expected an exact q"),
        ({"pattern": [[[1, 0], [1, 1]]]}, "pattern: expected rows of width 3 but got 2"),
    ],
)
def test_a_bad_question_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    assert run(["reach", written(tmp_path, **changes)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["attention"], "layer: expected either a FILE or --drawn"),
        (["attention", "--drawn", "1"], "drawn: expected SEED:INDEX"),
        (["attention", "nowhere.json"], "nowhere.json: No such file"),
        (["attention", "--drawn", "0:0", "--claim", "theorem-1"], "claim: expected one of attention-rescaling"),
        (["counterexample", "nonsense"], "claim: expected one of theorem-1"),
        (
            ["counterexample", "theorem-1", "--size", "vocab=1..2"],
            "context: expected a value, as theorem-1 needs vocab, context",
        ),
        (["counterexample", "theorem-1", "--size", "vocab=3..2"], "vocab: expected an integer >= 3 but got 2"),
        (["counterexample", "theorem-1", "--size", "vocab"], "size: expected NAME=B or NAME=A..B"),
        (
            ["counterexample", "theorem-1", "--size", "width=1..2"],
            "width: expected one of the sizes of theorem-1 (vocab, context)",
        ),
        (["counterexample", "nowhere:Nothing"], "claim: expected module:Class that can be imported"),
        (["counterexample", "verify.cli.app:run"], "claim: expected a Construction of verify.cli.app, which has none"),
        (["counterexample", "float-digits-are-safe", "--q", "2"], "size: expected no sizes and no temperature"),
        (["fuzz", "attention-bias", "--vocab", "3"], "claim: expected no sizes and no temperature for attention-bias"),
        (["exhaust", "attention-bias"], "claim: expected one of theorem-1"),
    ],
)
def test_bad_words_are_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
