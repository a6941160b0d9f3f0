"""``verify``, ``fuzz``, ``exhaust``, ``check``: exit status, JSON, reports, and commands that reproduce."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofs import CLAIMS, get_claim
from verify import Verdict
from verify.cli.app import run

T1 = ["theorem-1", "--vocab", "3", "--context", "3"]


def _json(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int) -> Any:
    assert run([*arguments, "--json"]) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def _verdict(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int) -> Verdict:
    return Verdict.from_json(_json(arguments, capsys, status))


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (T1, 27),
        ([*T1, "--arithmetic", "rational"], 27),
        ([*T1, "--arithmetic", "numpy", "--dtype", "float64", "--mask", "none"], 27),
        (["theorem-2", "--vocab", "3", "--temperature", "0.001"], 81),  # right at every temperature
        (["longer-responses", "--vocab", "2", "--response", "2", "--temperature", "inf"], 32),
        (["longer-inputs", "--vocab", "2", "--input", "2", "--lift", "mask"], 64),
        (["theorem-1", "--vocab", "5", "--context", "2", "--readout", "banded", "--band", "2"], 25),
        (["theorem-1", "--vocab", "5", "--context", "2", "--encoding", "integer", "--lift", "mask"], 25),
        (["theorem-2", "--vocab", "3", "--encoding", "dyadic", "--readout", "split"], 81),
        (["longer-responses", "--vocab", "2", "--response", "2", "--encoding", "integer", "--readout", "hat"], 32),
        (["theorem-1", "--vocab", "1", "--context", "4"], 1),
    ],
    ids=str,
)
def test_exhaust_holds(arguments: list[str], cases: int, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = _verdict(["exhaust", *arguments], capsys, 0)
    assert (verdict.holds, verdict.claim, verdict.cases, verdict.space) == (True, arguments[0], cases, cases)
    assert run(["exhaust", *arguments]) == 0
    out = capsys.readouterr().out
    assert arguments[0] in out
    assert "holds" in out


def test_what_is_cut_off_ends_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "run.json"
    arguments = ["exhaust", *T1, "--limit", "20", "--checkpoint", str(checkpoint)]
    first = _verdict(arguments, capsys, 1)
    assert first.holds is None
    assert first.reason == "cut off after 20 of 27 cases"
    second = _verdict(arguments, capsys, 0)
    assert (second.holds, second.cases) == (True, 27)
    assert not checkpoint.exists()
    assert run(["exhaust", *T1, "--limit", "5"]) == 1
    out = capsys.readouterr().out
    assert "not shown" in out
    assert "cut off after 5 of 27 cases" in out


WRONG = [
    ["exhaust", *T1, "--q", "18", "--arithmetic", "rational"],
    ["exhaust", *T1, "--temperature", "1.5"],
    ["exhaust", *T1, "--temperature", "2", "--scaled-by", "length", "--dtype", "float64"],
    ["exhaust", *T1, "--temperature", "1.5", "--arithmetic", "numpy", "--mask", "none"],
    ["exhaust", "longer-inputs", "--vocab", "2", "--input", "2", "--q", "15", "--mask", "none"],
    ["fuzz", *T1, "--q", "3/2", "--arithmetic", "rational", "--examples", "30"],
    ["fuzz", "longer-responses", "--vocab", "2", "--response", "2", "--temperature", "0.5", "--examples", "10"],
    ["check", *T1, "--rank", "2", "--q", "18", "--arithmetic", "rational"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_is_falsified_ends_with_status_1_and_is_reproduced(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = _verdict(arguments, capsys, 1)
    case = verdict.counterexample
    assert verdict.holds is False
    assert case is not None
    program, *again = shlex.split(case.reproduce)
    assert program == "prefixproof"
    assert again[:2] == ["check", verdict.claim]
    reproduced = _verdict(again, capsys, 1)
    assert reproduced.counterexample == case
    assert run(arguments) == 1
    out = capsys.readouterr().out
    assert "FALSIFIED" in out
    assert case.sentence() in out
    assert f"reproduce: {case.reproduce}" in out


def test_fuzz_counts_distinct_cases_and_repeats_them(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fuzz", "theorem-2", "--vocab", "9", "--examples", "40", "--seed", "5", "--arithmetic", "rational"]
    first, again = (_verdict(arguments, capsys, 0) for _ in range(2))
    assert first.holds is True
    assert 0 < first.cases <= 40
    assert (first.cases, first.margin, first.seed) == (again.cases, again.margin, 5)
    assert first.parameters["vocab_size"] == "1..9"


def test_check_shows_every_intermediate(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "theorem-2", "--vocab", "2", "--rank", "2", "--user", "0", "--arithmetic", "rational"]
    document = _json([*arguments, "--trace"], capsys, 0)
    steps = document.pop("trace")
    assert Verdict.from_json(document).holds is True
    assert {"input", "attention.self.weights", "attention.first.output", "select", "sum", "readout"} <= set(steps)
    assert run([*arguments, "--trace"]) == 0
    out = capsys.readouterr().out
    assert "readout[1]" in out or "readout[0]" in out


def _capped(monkeypatch: pytest.MonkeyPatch, claim: str, certified: int, *, fuzzed: int, proved: bool = True) -> None:
    """Let the main job certify and fuzz smaller vocabularies of a claim than its plan says, and prove it or not."""
    steps = []
    for step in get_claim(claim).plan or ():
        sizes = {**step.sizes}
        if step.evidence == "certified":
            sizes["vocab_size"] = certified
        elif step.evidence == "fuzzed":
            sizes["vocab_size"] = range(1, fuzzed + 1)
        steps.append(replace(step, sizes=sizes))
    changed = replace(get_claim(claim), plan=tuple(steps))
    if not proved:
        changed = replace(changed, obligations=())
    monkeypatch.setattr("verify.cli.verifying.claim_of", lambda _: changed)


def test_verify_gathers_every_kind_of_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _capped(monkeypatch, "theorem-2", 5, fuzzed=40)  # seconds at the sizes of the main job
    report = tmp_path / "evidence"
    arguments = [
        "verify",
        "theorem-2",
        "--dtype",
        "float32",
        "--examples",
        "10",
        "--jobs",
        "1",
        "--report",
        str(report),
    ]
    document = _json(arguments, capsys, 0)
    verdicts = [Verdict.from_json(record) for record in document["verdicts"]]
    assert set(document) == {"verdicts", "strongest", "made", "sources"}
    assert {verdict.method for verdict in verdicts} == {"proved", "certified", "exhausted", "swept", "fuzzed"}
    assert {verdict.arithmetic for verdict in verdicts} == {
        "real",
        "ball",
        "rational",
        "torch float32",
        "rounded float32",
    }
    best = {numbers: found["method"] for numbers, found in document["strongest"]["theorem-2"].items()}
    assert best == {"real": "proved", "rational": "exhausted", "float32": "certified"}
    assert all(verdict.holds is True and verdict.claim == "theorem-2" for verdict in verdicts)
    # one file for each verdict, in order, and nothing half-written beside them
    files = sorted(report.iterdir())
    assert len(files) == len(verdicts)
    assert all(file.suffix == ".json" and not file.name.startswith(".") for file in files)
    assert [Verdict.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files] == verdicts


def test_verify_says_where_a_format_stops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # bfloat16 carries these sizes: fuzzing has nothing to shrink, which takes long at the largest ones
    _capped(monkeypatch, "theorem-2", 5, fuzzed=12, proved=False)
    arguments = ["verify", "theorem-2", "--dtype", "bfloat16", "--examples", "5", "--jobs", "1"]
    document = _json(arguments, capsys, 1)
    swept = [Verdict.from_json(record) for record in document["verdicts"] if record["method"] == "swept"]
    assert len(swept) == 1
    assert swept[0].holds is False
    assert swept[0].counterexample is not None
    stop = len(swept[0].counterexample.target)
    assert swept[0].reason is not None
    assert swept[0].reason.startswith(f"holds up to vocab_size {stop - 1}, stops at {stop}")
    _, *again = shlex.split(swept[0].counterexample.reproduce)
    assert _verdict(again, capsys, 1).counterexample == swept[0].counterexample


@pytest.mark.parametrize("claim", [name for name, claim in CLAIMS.items() if claim.construction is not None])
def test_show_prints_every_claim(claim: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", claim]) == 0
    out = capsys.readouterr().out
    assert CLAIMS[claim].statement in out
    assert "W_Q" in out
    assert run(["show", claim, "--latex"]) == 0
    latex = capsys.readouterr().out
    assert "W_Q" in latex
    assert latex.count("{") == latex.count("}")
    document = _json(["show", claim], capsys, 0)
    assert (document["claim"], document["statement"], document["source"]) == (
        claim,
        CLAIMS[claim].statement,
        CLAIMS[claim].source,
    )
    assert document["weights_latex"].startswith("\\begin{aligned}")
    assert "weights" not in document


def test_show_prints_numbers_at_given_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["show", "theorem-1", "--vocab", "3", "--context", "2"]
    document = _json(sizes, capsys, 0)
    assert document["parameters"] == {"vocab_size": 3, "context_size": 2}
    assert document["weights"]["attention.self.query"] == [["0", "0", "1", "0"], ["0", "0", "0", "1"]]
    assert document["weights"]["readout.weight"] == [["-1"], ["-1/3"], ["1/3"]]
    assert document["weights"]["readout.bias"] == [["1/4"], ["5/36"], ["-7/36"]]
    assert run(sizes) == 0
    out = capsys.readouterr().out
    assert "UnconditionalGeneration(vocab_size=3, context_size=2)" in out
    assert "readout.bias (3 x 1)\n[   1/4 ]\n[  5/36 ]\n[ -7/36 ]\n" in out
    assert run([*sizes, "--latex"]) == 0
    assert r"\begin{bmatrix}-1 \\ - \frac{1}{3} \\ \frac{1}{3}\end{bmatrix}" in capsys.readouterr().out


def _shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from verify.cli.app import main; main()", *arguments]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=root, encoding="utf-8")


@pytest.mark.heavy
def test_the_real_entry_point_returns_the_status() -> None:
    """That of bad input; test_cli_exits.py has those of success, of a closed pipe and of an interruption."""
    refused = _shell("generate", "~", "--vocab", "abc")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: text: expected only characters of the vocabulary")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["exhaust", "--help"]], ids=str)
def test_help_goes_to_standard_output(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.strip().startswith("Usage: prefixproof")
