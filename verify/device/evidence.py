"""The folder of evidence: the record of every step, and a summary that says what was done, what not, and why."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from constructions.validation import InvalidArgument
from verify.device.base import Setting, Step, name_of
from verify.device.running import in_process
from verify.device.sources import digests
from verify.evidence.verdict import library_versions
from verify.files.atomic import check_folder, write_atomically

#: The file that says what the others are.
SUMMARY = "summary.json"
#: The layout of the files.
FORMAT = 1

#: Seconds that all steps together may take: ten minutes, less half a minute in which the command starts and ends.
SECONDS = 570.0


def status_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return the status of a step, ``done``, ``failed`` or ``skipped``, and the reason or the counts.

    ``done`` means that it ran to its end, that every task was done, and that all promises hold.

    Args:
        record: of :func:`~verify.device.running.in_process`.

    """
    if record["skipped"] is not None:
        return "skipped", record["skipped"]
    states = Counter(task["state"] for task in record["tasks"])
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no task"
    bad = [task for task in record["tasks"] if task["state"] in {"refuted", "raised", "not done"}]
    reasons = [record["failed"]] if record["failed"] is not None else []
    reasons += [f"{bad[0]['state']}: {bad[0]['name']}: {bad[0]['said']}"] if bad else []
    if not reasons and not set(states) & {"held", "noted"}:
        reasons.append("nothing was done")
    if reasons:
        return "failed", f"{counts}; {'; '.join(reasons)}"
    return "done", counts


def folder_for(out: str, setting: Setting) -> Path:
    """Return the folder that is written, ready to be written to.

    Args:
        out: its path; ``{device}`` in it stands for the name of the device, such as ``nvidia-h100-80gb-hbm3``.
        setting: names the device.

    Raises:
        InvalidArgument: no folder, one that holds anything but such evidence, or one that cannot be written to.

    """
    word = re.sub(r"[^a-z0-9]+", "-", name_of(setting).lower()).strip("-")
    path = Path(out.replace("{device}", word))
    check_folder(path, "out")
    held = {file.name for file in path.iterdir()} if path.exists() else set()
    if held and SUMMARY not in held:
        raise InvalidArgument(f"out: expected a new folder or one with evidence of a device but {path} has other files")
    known = {SUMMARY, *_files(path)} if held else set()
    if held - known:
        raise InvalidArgument(f"out: expected no other files in {path} but there is {min(held - known)}")
    return path


def _files(path: Path) -> list[str]:
    """Return the files of the steps that a summary names; none where it is no summary."""
    try:
        steps = json.loads((path / SUMMARY).read_text(encoding="utf-8"))["steps"]
        return [str(step["file"]) for step in steps]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def gather_evidence(
    path: Path,
    setting: Setting,
    steps: Iterable[Step],
    *,
    seconds: float = SECONDS,
    report: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Run steps and write their records; return the summary.

    The summary is written before the first step and after every one, so a run that is cut off leaves its results.

    Args:
        path: the folder; evidence in it is replaced.
        setting: where and how much.
        steps: those to run.
        seconds: for all of them; a step does not begin when no time is left.
        report: called after every step with its line of the summary.

    """
    chosen, started = list(steps), time.monotonic()
    for file in [SUMMARY, *_files(path)]:
        (path / file).unlink(missing_ok=True)
    sources: dict[str, str] = {}
    kept: dict[str, dict[str, Any]] = {}
    rows = {step.name: _row(step, "skipped", "not done: the run was ended before it") for step in chosen}
    summary: dict[str, Any] = {
        "format": FORMAT,
        "device": setting.device,
        "name": name_of(setting),
        "preset": setting.preset,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": dict(library_versions()),
    }

    def write() -> dict[str, Any]:
        made = summary | {"steps": list(rows.values()), "sources": sources}
        write_atomically(path / SUMMARY, document(made))
        return made

    write()
    for step in chosen:
        left = seconds - (time.monotonic() - started)
        if left <= 0:
            rows[step.name] = _row(step, "skipped", f"not done: no time was left of {seconds:.0f} s")
        else:
            record = in_process(step, setting, min(left, step.seconds[setting.preset]))
            status, reason = status_of(record)
            sources.update(digests(record.pop("modules")))
            kept.setdefault(step.file, {})[step.name] = record
            text = document(kept[step.file])
            write_atomically(path / step.file, text)
            rows[step.name] = _row(step, status, reason) | {"seconds": record["seconds"]}
            for name in kept[step.file]:  # those that share the file
                rows[name]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        write()
        report(rows[step.name])
    return write()


def _row(step: Step, status: str, reason: str) -> dict[str, Any]:
    row = {"step": step.name, "file": step.file, "status": status, "reason": reason}
    return row | {"seconds": 0.0, "sha256": None}


def document(values: Any) -> str:
    """Return JSON values as text, each task on a line of its own, which keeps files small and differences readable."""
    return (
        json.dumps(values, ensure_ascii=True, allow_nan=False, indent=None, separators=(",", ":")).replace(
            '{"name":', '\n{"name":'
        )
        + "\n"
    )


def complete(summary: Mapping[str, Any]) -> bool:
    """Return whether every step was done, and there is one."""
    return bool(summary["steps"]) and all(row["status"] == "done" for row in summary["steps"])
