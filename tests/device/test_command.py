"""The command ``gpu-evidence``: what it refuses, and the whole of it on a processor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from constructions import UnconditionalGeneration
from tests.device import bad_steps
from verify.certificates import certify
from verify.cli.app import run
from verify.device.formats import FORMATS, FloatFormat
from verify.device.steps import STEPS

REFUSED = [
    ([], "out: expected a folder to write, or --check with one to read"),
    (["--out", "x", "--check", "y"], "check: expected no --out, as nothing is written"),
    (["--check", "y", "--step", "exp"], "check: expected no --step and no --seconds, as no step runs"),
    (["--check", "y", "--seconds", "5"], "check: expected no --step and no --seconds, as no step runs"),
    (["--out", "x", "--device", "gpu"], "device: expected a device of this machine (cpu"),
    (["--out", "x", "--device", "cpu", "--preset", "huge"], "preset: expected one of full, tiny but got 'huge'"),
    (["--out", "x", "--device", "cpu", "--step", "exp,fly"], "step: expected one of device, verify"),
    (["--out", "x", "--device", "cpu", "--step", "exp,exp"], "step: expected each one once"),
    (["--out", "x", "--device", "cpu", "--seconds", "0"], "seconds: expected a positive number but got 0.0"),
    (["--out", "mine", "--device", "cpu"], "out: expected a new folder or one with evidence of a device"),
    (["--check", "mine"], "check: expected a folder of evidence, with summary.json, but got 'mine' (type str)"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=lambda part: None if isinstance(part, str) else " ".join(part))
def test_bad_input_is_refused_in_a_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("notes")
    assert run(["gpu-evidence", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {said}")
    assert captured.err.count("\n") == 1


def test_a_step_writes_its_part_and_the_check_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "evidence"
    words = ["gpu-evidence", "--out", str(out), "--device", "cpu", "--preset", "tiny", "--step"]
    with STEPS.having(bad_steps.Good()), STEPS.having(bad_steps.Refuted()):
        assert run([*words, "refuted"]) == 1
        assert capsys.readouterr().out.startswith("refuted: failed (0.")
        assert run([*words, "good", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads((out / "summary.json").read_text())
        assert run(["gpu-evidence", "--check", str(out)]) == 0
        assert capsys.readouterr().out == "current\n"
        (out / "good.json").write_text("{}")
        assert run(["gpu-evidence", "--check", str(out), "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["state"] == "broken"


@pytest.mark.extras  # throughput is measured beside Hugging Face's generate; without it that step is not done
@pytest.mark.heavy
def test_everything_runs_to_its_end_on_a_processor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "evidence"
    assert run(["gpu-evidence", "--out", str(out), "--device", "cpu", "--preset", "tiny"]) == 1
    said = capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    statuses = {row["step"]: row["status"] for row in summary["steps"]}
    skipped = dict.fromkeys(("graphs", "instructions", "matrix-unit"), "skipped")
    assert statuses == dict.fromkeys(STEPS, "done") | skipped, said
    assert {row["reason"] for row in summary["steps"] if row["status"] == "skipped"} == {"not done: no CUDA device"}
    assert len(list(out.iterdir())) <= 8
    assert run(["gpu-evidence", "--check", str(out)]) == 0


def test_the_folder_has_few_files() -> None:
    assert len({"summary.json", *(step.file for step in STEPS.values())}) == 8


@pytest.mark.parametrize("preset", ["full", "tiny"])
def test_every_step_has_an_end(preset: str) -> None:
    assert all(0 < step.seconds[preset] < 570 for step in STEPS.values())


@pytest.mark.heavy
@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if not fmt.wide], ids=lambda fmt: fmt.name)
def test_the_sizes_of_a_format_are_certified_whatever_the_kernel(fmt: FloatFormat) -> None:
    verdict = certify(UnconditionalGeneration(fmt.vocab_size, 20), fmt.certifies())
    assert verdict.holds is True, verdict.reason
