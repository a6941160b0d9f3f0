"""The main job on several processes: the same verdicts, whatever process gathers them, and none that is lost."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from constructions import InvalidArgument, UnconditionalGeneration
from proofs import get_claim
from verify import RationalArithmetic, Verdict, exhaust
from verify.cli.app import run
from verify.cores import free_cores
from verify.suite import side_by_side
from verify.suite.main_job import Task, tasks
from verify.suite.numbers import Chosen
from verify.suite.side_by_side import SideBySide, chosen_jobs, one_thread

CLAIM = get_claim("theorem-1")
HERE = os.getpid()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process gathers everything")


def _verdict(label: str) -> Verdict:
    verdict = exhaust(UnconditionalGeneration(1, 1), RationalArithmetic(), claim=label)
    assert verdict.holds
    return verdict


def _task(label: str, series: int, before: Any = lambda: None) -> Task:
    def gather(_: Any) -> Verdict:
        before()
        return _verdict(label)

    return Task(CLAIM, label, gather, series)


def _count_frozen(_: Any) -> Verdict:
    return replace(_verdict("frozen"), parameters={"frozen": gc.get_freeze_count()})


def _claims(todo: list[Task], jobs: int = 2) -> list[str]:
    with SideBySide(todo, jobs) as running:
        found = dict(running.verdicts())
    return [found[place].claim for place in range(len(todo))]


@pytest.mark.parametrize("before", [False, True])
def test_the_processes_leave_what_was_imported_out_of_their_searches_for_garbage(*, before: bool) -> None:
    gc.unfreeze()
    try:
        if before:
            gc.freeze()
        todo = [replace(_task("", series), run=_count_frozen) for series in (0, 1)]
        with SideBySide(todo, 2) as running:
            found = dict(running.verdicts())
        assert all(verdict.parameters["frozen"] > len(sys.modules) for verdict in found.values())
        assert (gc.get_freeze_count() > 0) is before
    finally:
        gc.freeze()  # as the tests' own set-up leaves it


# how many -------------------------------------------------------------------------------------------------------------


def test_as_many_as_there_are_cores_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_cores() == len(os.sched_getaffinity(0))
    assert (chosen_jobs(None, "cpu"), chosen_jobs(3, "cpu")) == (free_cores(), 3)
    assert (chosen_jobs(None, "cuda"), chosen_jobs(1, "cuda")) == (1, 1)
    with pytest.raises(InvalidArgument, match=r"^jobs: expected 1 with --device cuda but got 2$"):
        chosen_jobs(2, "cuda")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert chosen_jobs(None, "cpu") == 1
    with pytest.raises(InvalidArgument, match=r"^jobs: expected 1 on darwin but got 2$"):
        chosen_jobs(2, "cpu")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert free_cores() == os.cpu_count()


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_no_jobs_are_refused_in_one_line(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "theorem-2", "--jobs", jobs]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "jobs" in told.err


# the same -------------------------------------------------------------------------------------------------------------


def _document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert run(["verify", *words, "--examples", "3", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    del document["made"]  # a time, as seconds are
    for verdict in document["verdicts"]:
        del verdict["seconds"]
    return document


def test_the_verdicts_are_the_same_in_one_process_and_in_several(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("attention-bias", "attention-rescaling", "--dtype", "bfloat16")
    alone = _document(capsys, *words, "--jobs", "1", "--report", str(tmp_path / "1"))
    for jobs in ("2", "3"):
        assert _document(capsys, *words, "--jobs", jobs, "--report", str(tmp_path / jobs)) == alone
        names = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("1", jobs)]
        assert names[0] == names[1]
        assert len(names[0]) == len(alone["verdicts"])


def test_each_process_computes_with_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_tasks_of_some_numbers_are_one_series() -> None:
    """What a sweep finds is used by the certificate after it; the others are free to run anywhere."""
    found = list(tasks(CLAIM, Chosen(("float64", "float32")), examples=1, seed=0))
    kinds: dict[int, set[str]] = {task.series: set() for task in found}
    for task in found:
        kinds[task.series].add(task.label.rpartition(", ")[2])
    assert list(kinds.values()) == [
        {"proof obligations"},
        {"ball"},
        {"rational"},
        {"torch float64", "rounded float64"},
        {"torch float32", "rounded float32"},
    ]


def test_a_series_runs_in_one_process_and_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def note(label: str) -> None:
        with log.open("a") as stream:
            stream.write(f"{label} {os.getpid()}\n")

    todo = [
        _task(f"{series} {step}", series, partial(note, f"{series} {step}")) for step in range(3) for series in range(4)
    ]
    assert _claims(todo) == [task.label for task in todo]
    lines = [line.split() for line in log.read_text().splitlines()]
    for series in range(4):
        mine = [line for line in lines if line[0] == str(series)]
        assert [step for _, step, _ in mine] == ["0", "1", "2"]
        assert len({process for *_, process in mine}) == 1
    assert str(HERE) not in {process for *_, process in lines}


# what goes wrong ------------------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_loses_no_verdict() -> None:
    def die() -> None:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)

    todo = [_task("first", 0), _task("second", 1, die), _task("third", 2), _task("fourth", 1)]
    assert _claims(todo) == ["first", "second", "third", "fourth"]


def test_a_verdict_that_cannot_be_sent_is_made_here() -> None:
    def gather(_: Any) -> Verdict:
        verdict = _verdict("here" if os.getpid() == HERE else "there")
        object.__setattr__(verdict, "parameters", {"no pickle": lambda: None})
        return verdict

    assert _claims([_task("first", 0), Task(CLAIM, "second", gather, 1)]) == ["first", "here"]


def test_the_first_error_is_raised_here_with_its_traceback() -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    todo = [_task("first", 0), _task("second", 1, lambda: fail(2)), _task("third", 2, lambda: fail(3))]
    with SideBySide(todo, 2) as running:
        found: list[tuple[int, Verdict]] = []
        with pytest.raises(ValueError, match="2") as raised:
            found += running.verdicts()
        assert any(frame.name == "fail" for frame in raised.traceback)
    assert not side_by_side._held


SLEEPING = """
import os, sys, time
from contextlib import nullcontext
from pathlib import Path
from proofs import get_claim
from verify.cli.terminal import prepare
from verify.suite import side_by_side
from verify.suite.main_job import Task
side_by_side.one_thread = nullcontext  # which would import torch
prepare()
def sleep(_):
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(600)
todo = [Task(get_claim("theorem-1"), "sleeps", sleep, series) for series in range(2)]
with side_by_side.SideBySide(todo, 2) as running:
    list(running.verdicts())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_processes_end_with_the_one_that_started_them(number: signal.Signals, tmp_path: Path) -> None:
    if number is signal.SIGINT and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("this process ignores SIGINT, and so do its children")
    started = subprocess.Popen([sys.executable, "-c", SLEEPING, str(tmp_path)], stderr=subprocess.PIPE)
    _until(lambda: len(list(tmp_path.iterdir())) == 2)
    processes = [int(path.name) for path in tmp_path.iterdir()]
    assert all(_runs(process) for process in processes)
    started.send_signal(number)
    _, told = started.communicate(timeout=60)
    assert told == (b"interrupted\n" if number is signal.SIGINT else b"")
    _until(lambda: not any(_runs(process) for process in processes))


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not state.startswith("Z")


def _until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
