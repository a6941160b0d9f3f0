"""Steps one after the other, each in a process of its own that is ended when it takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verify.device.base import Setting, Step
from verify.device.process import STATES, one_line
from verify.device.sources import ROOT

#: Characters that a reason quotes of the end of a process's output.
_QUOTED = 300

_KEYS: Mapping[str, Any] = {"name": str, "state": str, "said": str, "seconds": (int, float)}


def in_process(step: Step, setting: Setting, seconds: float) -> dict[str, Any]:
    """Run a step in a new process, and return its record with ``failed``: why it did not run to its end, or ``None``.

    Args:
        step: of a class that its module has by its name.
        setting: where it runs.
        seconds: after how long it is ended; what was done until then counts.

    """
    started = time.perf_counter()
    kind = type(step)
    with tempfile.TemporaryDirectory(prefix="prefixproof.") as folder:
        path, printed = Path(folder) / "record.json", Path(folder) / "printed.txt"
        words = [f"{kind.__module__}:{kind.__qualname__}", setting.device, setting.preset, str(path)]
        ended = _ended([sys.executable, "-m", "verify.device.process", *words], printed, seconds)
        record, broken = _read(path, step)
        said = _last(printed)
    if ended is not None and said:
        ended = f"{ended}: {said}"
    raised = record["raised"]
    failed = ended or broken or (None if raised is None else f"its tasks could not be listed: {raised}")
    return record | {"failed": failed, "seconds": round(time.perf_counter() - started, 3)}


def _ended(command: list[str], printed: Path, seconds: float) -> str | None:
    """Run a command; return how it ended, or ``None`` if it ended well."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with printed.open("wb") as stream:  # not a pipe, which a process of the process could keep open
        process = subprocess.Popen(  # noqa: S603 # our own module
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"ended after {seconds:.0f} s"
        finally:
            process.kill()
            process.wait()
    if status < 0:
        return f"its process was ended by signal {-status}"
    return f"its process ended with status {status}" if status else None


def _last(printed: Path) -> str:
    text = printed.read_text(encoding="utf-8", errors="replace").strip()
    return " ".join(text[-_QUOTED:].split())


def _read(path: Path, step: Step) -> tuple[dict[str, Any], str | None]:
    """Return the record that a step's process left, and what is wrong with it."""
    nothing: dict[str, Any] = {"step": step.name, "skipped": None, "raised": None, "tasks": [], "modules": []}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return nothing, f"it left no record: {type(error).__name__}"
    wrong = record_error(record, step.name)
    if wrong is not None:
        return nothing, f"it left no record of a step: {one_line(wrong)}"
    return record, None if record["finished"] else "its record is not finished"


def record_error(record: Any, name: str) -> str | None:
    """Say why something is no record of a step; ``None`` where it is one."""
    if not isinstance(record, Mapping) or record.get("step") != name:
        return f"expected the record of {name} but got {str(record)[:40]!r}"
    for key, kinds in (("skipped", (str, type(None))), ("raised", (str, type(None))), ("finished", (bool,))):
        if not isinstance(record.get(key), kinds):
            return f"{key} is {record.get(key)!r}"
    tasks, modules = record.get("tasks"), record.get("modules")
    if not isinstance(modules, list) or not all(isinstance(module, str) for module in modules):
        return "modules are not names"
    if not isinstance(tasks, list):
        return "tasks are no list"
    for task in tasks:
        fits = isinstance(task, Mapping) and all(isinstance(task.get(key), kind) for key, kind in _KEYS.items())
        if not fits or task["state"] not in STATES or "data" not in task:
            return f"no task is {str(task)[:80]!r}"
    names = [task["name"] for task in tasks]
    return "two tasks have one name" if len(set(names)) < len(names) else None
