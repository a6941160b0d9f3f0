"""``prefixproof conformance``: its table, its one JSON document, and its exit status."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_backends import _SOURCE
from verify import Verdict
from verify.cli.app import run

T1 = ["conformance", "theorem-1", "--vocab", "3", "--context", "2"]


@pytest.fixture(autouse=True)
def _path_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def _json(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int) -> Any:
    assert run([*arguments, "--json"]) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def _error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_the_default_runs_what_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*T1]) == 0
    out = capsys.readouterr().out
    for name in ("torch", "numpy", "structured", "sdpa-math", "sdpa-flash"):
        (line,) = [line for line in out.splitlines() if line.split()[1:2] == [name]]
        assert "9 of 9" in line
        assert "equal" in line
        assert line.rstrip().endswith("holds")
    assert "theorem-1, V = 3, N = 2" in out
    assert "exhausted: 9 of 9 cases" in out
    assert "allowed, rounded float32: assumed: IEEE rounding" in out


def test_the_document_has_a_row_for_each_claim_backend_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["conformance", "theorem-1,theorem-2", "--vocab", "3", "--context", "2", "--cases", "5", "--seed", "7"]
    document = _json([*words, "--backend", "torch,numpy", "--dtype", "float64,float16"], capsys, 0)
    assert (document["passed"], document["ran"]) == (True, 8)
    assert [(row["claim"], row["dtype"], row["backend"]) for row in document["rows"]] == [
        (claim, dtype, backend)
        for claim in ("theorem-1", "theorem-2")
        for dtype in ("float64", "float16")
        for backend in ("torch", "numpy")
    ]
    for row in document["rows"]:
        tokens, logits = Verdict.from_json(row["tokens"]), Verdict.from_json(row["logits"])
        assert (tokens.holds, tokens.method, tokens.cases, tokens.seed) == (True, "fuzzed", 5, 7)
        assert logits.holds
        assert logits.parameters["logits"].startswith(f"within the bounds of rounded {row['dtype']}")
        assert row["deviation"]["outside"] == 0
        assert row["deviation"]["largest"] <= row["deviation"]["allowance"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (["--backend", "sdpa-cudnn"], 1),  # nothing ran
        (["--backend", "torch,sdpa-cudnn"], 1),  # it was asked for by its name
        (["--backend", "sdpa"], 0),  # a group: what is here of it
        (["--backend", "numpy", "--dtype", "bfloat16,float32"], 1),  # numpy was asked for in both
        (["--backend", "numpy", "--bitwise"], 0),
    ],
)
def test_what_is_not_here_never_counts_as_a_pass(
    more: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*T1, *more]) == status
    out = capsys.readouterr().out
    assert ("not run" in out) is (more[-1] != "--bitwise")


def test_a_false_claim_is_falsified_with_its_case(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*T1, "--temperature", "1", "--backend", "torch"]
    assert run(words) == 1
    out = capsys.readouterr().out
    assert "FALSIFIED" in out
    (line,) = [line for line in out.splitlines() if "reproduce: prefixproof check" in line]
    assert run(shlex.split(line.partition("prefixproof ")[2])) == 1
    assert "FALSIFIED" in capsys.readouterr().out


def test_a_kernel_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cli_kernels.py"
    off = "\ndef {}off(virtual, tokens):\n    return {}(virtual, tokens) + 0.25\n"
    path.write_text(_SOURCE + off.format("", "logits") + off.format("one_", "one"), "utf-8")
    assert run([*T1, "--backend", f"{path}:logits"]) == 0
    assert run([*T1, "--backend", f"numpy,{path}:logits"]) == 0
    assert run([*T1, "--backend", f"{path}:tokens", "--gives", "tokens"]) == 0
    assert "it gives tokens alone" in capsys.readouterr().out
    assert run([*T1, "--backend", f"{path}:one", "--one-by-one"]) == 0
    assert run([*T1, "--backend", f"{path}:made", "--dtype", "float64"]) == 1
    capsys.readouterr()
    document = _json([*T1, "--backend", f"{path}:off"], capsys, 1)
    (row,) = document["rows"]
    assert (row["right"], row["cases"], row["passed"]) == (9, 9, False)
    assert row["tokens"]["holds"] is True
    assert row["logits"]["holds"] is False
    words = shlex.split(row["logits"]["counterexample"]["reproduce"])
    assert words[:3] == ["prefixproof", "conformance", "theorem-1"]
    assert run(words[1:]) == 1
    capsys.readouterr()
    document = _json([*T1, "--backend", f"{path}:one_off", "--one-by-one"], capsys, 1)
    words = shlex.split(document["rows"][0]["logits"]["counterexample"]["reproduce"])
    assert words[5:] == [*T1[4:], "--backend", f"{path}:one_off", "--one-by-one", *words[-4:]]
    assert _json(words[1:], capsys, 1)["rows"][0]["logits"]["holds"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backend", "tensorflow"], "backend: expected one of all, torch, numpy"),
        (["--backend", "torch,torch"], "backend: expected each one once"),
        (["--backend", "none.py:run"], "backend: expected path/to/file.py:NAME but there is no file none.py"),
        (["--dtype", "float8"], "dtype: expected one of float64, float32, bfloat16, float16 but got 'float8'"),
        (["--dtype", "float32,float32"], "dtype: expected each one once"),
        (["--cases", "0"], "cases: expected an integer >= 1 but got 0"),
        (["--seed", "-1"], "seed: expected an integer >= 0 but got -1"),
        (["--gives", "words"], "gives: expected one of logits, tokens but got 'words'"),
        (["--gives", "tokens"], "gives: expected a --backend of yours with --gives and --one-by-one"),
        (["--one-by-one"], "gives: expected a --backend of yours with --gives and --one-by-one"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in _error([*T1, *words], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["theorem-9"], "claim: expected one of theorem-1, theorem-2"),
        (["attention-bias"], "claim: expected one of theorem-1, theorem-2"),
        (["theorem-1,theorem-1", "--vocab", "3", "--context", "2"], "claim: expected each one once"),
        (["theorem-1,theorem-2", "--vocab", "3"], "context: expected a value, as theorem-1 needs vocab, context"),
        (["theorem-1,theorem-2", "--vocab", "3", "--context", "2", "--response", "2"], "expected a size of theorem-1"),
        (["theorem-1,theorem-2", "--size", "vocab=3"], "size: expected one claim with --size"),
        (["theorem-2", "--vocab", "3", "--context", "2"], "context: expected one of the sizes of theorem-2"),
    ],
)
def test_bad_claims_are_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in _error(["conformance", *words], capsys)
