"""Runs in shards on the command line: their options, their messages, and ``runs``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.own import written
from tests.shards.test_ledger import edit
from verify.cli.app import run
from verify.shards.executors import Answer, Processes

EXHAUST = "exhaust theorem-1 --vocab 3 --context 3 --arithmetic rational"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"{EXHAUST} --jobs 0", "jobs: expected an integer >= 1 but got 0 (type int)"),
        (f"{EXHAUST} --jobs -1", "jobs: expected an integer >= 1 but got -1 (type int)"),
        (f"{EXHAUST} --engine fast", "engine: expected one of in-process, processes, dask but got 'fast'"),
        (f"{EXHAUST} --engine dask", "scheduler: expected --scheduler ADDRESS with --engine dask"),
        (f"{EXHAUST} --engine dask --scheduler tcp://a:1 --jobs 2", "jobs: expected no --jobs with --engine dask"),
        (f"{EXHAUST} --scheduler tcp://a:1", "scheduler: expected --engine dask with --scheduler"),
        (f"{EXHAUST} --engine in-process --jobs 2", "jobs: expected 1 with --engine in-process but got 2"),
        (f"{EXHAUST} --jobs 2 --checkpoint file", "checkpoint: expected --ledger FILE in its place"),
        (f"{EXHAUST} --ledger nowhere/ledger", "nowhere/ledger: unable to open database file"),
        ("fuzz theorem-1 --vocab 3 --context 3 --jobs 0", "jobs: expected an integer >= 1 but got 0"),
        ("fuzz attention-bias --examples 0 --jobs 2", "examples: expected an integer >= 1 but got 0 (type int)"),
        ("fuzz attention-bias --seed -1 --ledger file", "seed: expected an integer >= 0 but got -1 (type int)"),
        ("sweep theorem-1 --vocab 3 --context 3 --jobs 0", "jobs: expected an integer >= 1 but got 0"),
        ("runs", "ledger: expected --ledger FILE, the ledger of a run, at least once"),
        ("runs --ledger nowhere", "ledger: expected a ledger but there is no file nowhere"),
    ],
)
def test_bad_input_is_one_line(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_runs_shows_what_is_done_and_refuted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, cut = (tmp_path / name for name in ("right", "wrong", "cut"))
    assert run([*EXHAUST.split(), "--ledger", str(right)]) == 0
    assert run([*EXHAUST.split(), "--ledger", str(wrong), "--q", "18"]) == 1
    assert run([*EXHAUST.split(), "--ledger", str(cut), "--limit", "10"]) == 1
    capsys.readouterr()
    words = [word for path in (right, wrong, cut) for word in ("--ledger", str(path))]
    assert run(["runs", *words]) == 0
    text = capsys.readouterr().out
    assert "in rational: done" in text
    assert "in rational: refuted" in text
    assert "in rational: interrupted" in text
    assert "unit 2 is not shown right" in text
    assert "10 of 27 done (37 %)" in text
    assert run(["runs", "--json", *words]) == 0
    found = json.loads(capsys.readouterr().out)["runs"]
    assert [each["state"] for each in found] == ["done", "refuted", "interrupted"]
    assert [each["failure"] for each in found] == [None, "2", None]
    assert found[0]["verdict"]["holds"] is True
    assert found[2]["verdict"] is None
    edit(right, "UPDATE run SET cursor = 5")
    assert run(["runs", "--ledger", str(right)]) == 2
    assert "was damaged or edited" in capsys.readouterr().err


def test_goes_on_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*EXHAUST.split(), "--ledger", str(tmp_path / "ledger"), "--json"]
    assert run([*words, "--limit", "10"]) == 1
    assert run(words) == 0
    documents = capsys.readouterr().out.replace("}\n{", "}\0{").split("\0")
    first, second = map(json.loads, documents)
    assert (first["cases"], first["resumed"]) == ("10", None)
    assert (second["cases"], second["resumed"]["cases"], second["resumed"]["replayed"]) == ("27", "10", 10)
    other = [word if word != "rational" else "numpy" for word in words]
    assert run(other) == 2
    assert "is of UnconditionalGeneration(vocab_size=3, context_size=3) in rational" in capsys.readouterr().err


@pytest.mark.parametrize("q", [[], ["--q", "9"]])
def test_sweeps_in_shards_as_in_one_piece(q: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*["sweep", "theorem-1", "--vocab", "5", "--context", "3", "--arithmetic", "rational", "--json"], *q]
    status = run(words)
    assert run([*words, "--ledger", str(tmp_path / "ledger")]) == status == bool(q)
    one, other = map(json.loads, capsys.readouterr().out.replace("}\n{", "}\0{").split("\0"))
    assert one | {"seconds": 0} == other | {"seconds": 0}


@pytest.mark.heavy
def test_fuzzes_with_several_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "fuzz",
        "theorem-1",
        "--vocab",
        "4",
        "--context",
        "3",
        "--arithmetic",
        "rational",
        "--examples",
        "40",
        "--json",
        "--seed",
        "3",
    ]
    file = ["--ledger", str(tmp_path / "ledger")]
    assert run([*words, *file]) == 0
    assert run([*words, *file]) == 0
    first, second = map(json.loads, capsys.readouterr().out.replace("}\n{", "}\0{").split("\0"))
    assert first["parameters"]["seeds"] == "3..8"
    assert (first["seed"], first["resumed"]) == (3, None)
    assert second["resumed"]["seeds"] == "6"
    assert second["cases"] == first["cases"]
    assert run([*words, "--q", "9", *file[:1], str(tmp_path / "wrong")]) == 1
    refuted = json.loads(capsys.readouterr().out)
    assert refuted["holds"] is False


@pytest.mark.heavy
def test_a_file_that_changes_while_it_runs_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that is started in the place of a killed one imports the file as it is then."""
    path, wait, changed = written(tmp_path, "changes-while-it-runs"), Processes.wait, list[bool]()

    def watched(self: Processes, seconds: float) -> list[Answer]:
        answers = wait(self, seconds)
        if answers and not changed:
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace("(targets + user_inputs", "(user_inputs + targets"), encoding="utf-8")
            for worker in self._pool:
                worker.process.kill()
                changed.append(True)
        return answers

    monkeypatch.setattr(Processes, "wait", watched)
    words = f"exhaust {path}:Shifted --vocab 300 --arithmetic rational --jobs 1".split()
    assert run(words) == 2
    assert changed
    assert "worker: expected the same run as the driver's but one differs in code" in capsys.readouterr().err
