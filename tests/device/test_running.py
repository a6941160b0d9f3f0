"""Each step survives the failures of the others, and the summary gives the outcome of each with a reason."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.device import bad_steps
from verify.device.base import Setting, Step
from verify.device.evidence import complete, folder_for, gather_evidence, status_of
from verify.device.process import run_step
from verify.device.running import in_process, record_error

TINY = Setting("cpu", "tiny")


def _in_this_process(step: Step, tmp_path: Path) -> tuple[str, str]:
    path = tmp_path / "record.json"
    run_step(step, TINY, path)
    return status_of({**json.loads(path.read_text()), "failed": None})


def _in_a_process(step: Step) -> tuple[str, str]:
    return status_of(in_process(step, TINY, step.seconds["tiny"]))


IN_THIS = [
    (bad_steps.Good(), "done", "1 absent, 1 held, 1 noted"),
    (bad_steps.Refuted(), "failed", "1 held, 1 refuted; refuted: wrong: it says False"),
    (bad_steps.Raises(), "failed", "2 held, 1 raised; raised: broken: ZeroDivisionError: by nothing"),
    (bad_steps.Nonsense(), "failed", "5 raised; raised: no number: ValueError: Out of range float values"),
    (bad_steps.Needs(), "skipped", "not done: no CUDA device"),
    (bad_steps.NotHere(), "failed", "1 not done; not done: library: transformers is not installed"),
    (bad_steps.Nothing(), "failed", "no task; nothing was done"),
    (bad_steps.OnlyAbsent(), "failed", "1 absent; nothing was done"),
]


@pytest.mark.parametrize(("step", "status", "reason"), IN_THIS, ids=lambda part: getattr(part, "name", None))
def test_a_step_says_what_it_did(step: Step, status: str, reason: str, tmp_path: Path) -> None:
    found = _in_this_process(step, tmp_path)
    assert found[0] == status
    assert found[1].startswith(reason)


IN_PROCESS = [
    (bad_steps.RaisesBetween(), "1 held; its tasks could not be listed: RuntimeError: no more tasks"),
    (bad_steps.Dies(), "1 held; its process was ended by signal 9: a fault of the device"),
    (bad_steps.Ends(), "1 held; its record is not finished"),
    (bad_steps.Scribbles(), "no task; it left no record of a step: modules are not names"),
    (bad_steps.Twice(), "no task; it left no record of a step: two tasks have one name"),
]


@pytest.mark.parametrize(("step", "reason"), IN_PROCESS, ids=lambda part: getattr(part, "name", None))
def test_a_process_that_goes_wrong_is_reported(step: Step, reason: str) -> None:
    status, said = _in_a_process(step)
    assert status == "failed"
    if isinstance(step, bad_steps.Scribbles):  # any missing key may be named first
        reason = "no task; it left no record of a step"
    assert said.startswith(reason)


def test_a_step_that_hangs_is_ended_and_what_it_did_counts() -> None:
    started = time.monotonic()
    status, said = _in_a_process(bad_steps.Hangs())
    assert time.monotonic() - started < 60
    assert (status, said) == ("failed", "1 held; ended after 2 s")


def test_steps_go_on_after_bad_ones_and_every_record_is_written(tmp_path: Path) -> None:
    steps = [bad_steps.Needs(), bad_steps.Dies(), bad_steps.Good()]
    reported: list[str] = []
    out = folder_for(str(tmp_path / "{device}"), TINY)
    assert out.name == "cpu"
    summary = gather_evidence(out, TINY, steps, report=lambda row: reported.append(row["step"]))
    assert reported == ["needs", "dies", "good"]
    assert [row["status"] for row in summary["steps"]] == ["skipped", "failed", "done"]
    assert not complete(summary)
    assert json.loads((out / "summary.json").read_text()) == summary
    assert {file.name for file in out.iterdir()} == {"summary.json", "needs.json", "dies.json", "good.json"}
    assert "verify/device/base.py" in summary["sources"]
    # again, into the same folder: files of steps that do not run are gone
    assert complete(gather_evidence(folder_for(str(out), TINY), TINY, [bad_steps.Good()]))
    assert {file.name for file in out.iterdir()} == {"summary.json", "good.json"}


def test_no_step_begins_when_there_is_no_time_left(tmp_path: Path) -> None:
    summary = gather_evidence(tmp_path, TINY, [bad_steps.Good()], seconds=1e-9)
    (row,) = summary["steps"]
    assert (row["status"], row["sha256"]) == ("skipped", None)
    assert row["reason"] == "not done: no time was left of 0 s"


def test_nothing_asked_for_is_not_complete() -> None:
    assert not complete({"steps": []})


def _record() -> dict[str, Any]:
    task = {"name": "one", "state": "held", "said": "", "seconds": 0.0, "data": {}}
    empty = {"step": "good", "finished": True, "skipped": None, "raised": None, "modules": []}
    return {**empty, "tasks": [task]}


def test_nothing_but_the_record_of_a_step_is_taken_for_one() -> None:
    assert record_error(_record(), "good") is None
    assert record_error(_record(), "other") is not None
    others: list[Any] = [[], None, 3, "x"]
    for wrong in others:
        assert record_error(wrong, "good") is not None
    for key in ("finished", "skipped", "raised", "modules", "tasks"):
        assert record_error({**_record(), key: 3}, "good") is not None
    for key, value in (("state", "fine"), ("name", 1), ("seconds", "long"), ("said", None)):
        (task,) = _record()["tasks"]
        assert record_error({**_record(), "tasks": [{**task, key: value}]}, "good") is not None
    assert record_error({**_record(), "tasks": [{}]}, "good") is not None
