"""The command ``completions`` on a model in a folder: its table, its JSON, its files and its exit status."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")

import torch  # noqa: E402 # after the libraries that may not be there

from tests.docs.pages import ROOT  # noqa: E402
from verify.cli.app import run  # noqa: E402

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a small model with random weights."""
    torch.manual_seed(1)
    none = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = transformers.GPT2Config(
        vocab_size=50, n_embd=32, n_layer=1, n_head=2, n_positions=16, initializer_range=0.3, **none
    )
    made = tmp_path_factory.mktemp("models") / "gpt2"
    transformers.GPT2LMHeadModel(config).save_pretrained(made)
    return made


def json_of(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    status = run(["completions", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_the_table_and_the_document_have_the_same_counts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(folder), "--length", "3", "--train", "20", "--steps", "60", "--output", str(tmp_path)]
    status, made = json_of(capsys, *words)
    assert status == 0
    hard, soft = made["counts"]
    assert (made["class"], made["arithmetic"], made["device"]) == ("GPT2LMHeadModel", "torch float32", "cpu")
    assert (hard["kind"], hard["prompts"], hard["length"], hard["batch"]) == ("single tokens", 50, 3, 50)
    assert (soft["kind"], soft["prompts"]) == ("trained virtual tokens", 20)
    assert soft["settings"]["steps"] == 60
    lines = (tmp_path / "tokens.jsonl").read_text(encoding="utf-8").splitlines()
    assert len({str(json.loads(line)["completion"]) for line in lines[1:-1]}) == hard["unique"]
    lines = (tmp_path / "trained.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["reached"] for line in lines[1:-1]) == soft["reached"]

    assert run(["completions", *words]) == 0
    heading, first, second, *remarks = capsys.readouterr().out.splitlines()
    assert heading.split("  ")[0] == "prompts"
    assert first.split() == ["single", "tokens", "50", str(hard["unique"]), "0", "0", "of", "50", "50"]
    counts = [str(soft["unique"]), str(soft["reached"]), "0", "0", "of", "20", "20"]
    assert second.split() == ["trained", "virtual", "tokens", "20", *counts]
    assert remarks == [
        "single tokens: went on from 50 results in a file",
        "trained virtual tokens: went on from 20 results in a file",
    ]


def test_a_training_that_stopped_is_status_1(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--length", "2", "--tokens", "0", "--train", "3", "--rate", "1e37", "--steps", "4"]
    assert run(["completions", "--model", str(folder), *words, "--output", str(tmp_path)]) == 1
    assert "trained virtual tokens: 3 stopped, as their loss was not finite; lower --rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "claim: expected either a CLAIM or --model DIR"),
        (["theorem-1", "--model", "DIR"], "claim: expected either a CLAIM or --model DIR"),
        (["--model", "nowhere"], "model: expected a folder with config.json but got 'nowhere'"),
        (["--model", "DIR", "--vocab", "4"], "model: expected no options of a construction with --model"),
        (["--model", "DIR", "--q", "4"], "model: expected no options of a construction with --model"),
        (["--model", "DIR", "--mask", "none"], "model: expected no options of a construction with --model"),
        (["--model", "DIR", "--arithmetic", "rational"], "model: expected no options of a construction with --model"),
        (["--model", "DIR", "--length", "0"], "length: expected an integer >= 1 but got 0 (type int)"),
        (["--model", "DIR", "--length", "17"], "length: expected at most 16 tokens"),
        (["--model", "DIR", "--batch", "0"], "batch: expected an integer >= 1 but got 0 (type int)"),
        (["--model", "DIR", "--tokens", "51"], "tokens: expected an integer <= 50 but got 51 (type int)"),
        (["--model", "DIR", "--steps", "3"], "steps: expected --train K with --steps"),
        (["--model", "DIR", "--train", "3"], "output: expected --output DIR with --train"),
        (["--model", "DIR", "--train", "0", "--output", "new"], "targets: expected an integer >= 1 but got 0"),
        (["--model", "DIR", "--train", "1", "--rate", "0", "--output", "new"], "rate: expected a finite number > 0"),
        (["--model", "DIR", "--train", "1", "--seed", "-1", "--output", "new"], "seed: expected an integer >= 0"),
        (["--model", "DIR", "--tokens", "0", "--train", "1", "--rate", "1e38", "--output", "new"], "rate: expected a"),
        (["--model", "DIR", "--device", "nowhere"], "device: expected"),
        (["--model", "DIR", "--dtype", "int8"], "dtype: expected one of"),
        (["--model", "DIR", "--output", "DIR/config.json"], "output: expected a folder but"),
    ],
)
def test_bad_input_is_status_2_and_one_line(
    words: list[str],
    message: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["completions", *(word.replace("DIR", str(folder)) for word in words)]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_what_the_page_shows_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").symlink_to(folder)
    text = (ROOT / "docs" / "how-to" / "completions.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```text\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    commands = [line[2:] for line in blocks[0].splitlines() if line.startswith("$ ")]
    assert len(commands) == 1
    for command in commands:
        assert run(shlex.split(command)[1:]) == 0
    exec(compile(blocks[1].replace('"counts"', '"others"'), "page", "exec"), {})


@pytest.mark.heavy
def test_a_process_that_is_killed_is_gone_on_with(folder: Path, tmp_path: Path) -> None:
    words = ["completions", "--model", str(folder), "--length", "6", "--tokens", "0", "--output", str(tmp_path)]
    words += ["--train", "100", "--steps", "100", "--batch", "10", "--json"]
    command = [sys.executable, "-m", "verify.cli.start", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "trained.jsonl").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = len((tmp_path / "trained.jsonl").read_text(encoding="utf-8").splitlines()) - 2
    assert 0 < done < 100
    again = subprocess.run(command, capture_output=True, check=True, text=True)
    soft = json.loads(again.stdout)["counts"][1]
    assert soft["taken_over"] == done
    assert soft["prompts"] == 100
