"""Evidence of a device that was written before: whether its files are as its summary says, and its sources as now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from constructions.validation import InvalidArgument
from verify.device.base import Step
from verify.device.evidence import FORMAT, SUMMARY, status_of
from verify.device.process import one_line, state_of
from verify.device.running import record_error
from verify.device.sources import PACKAGES, ROOT, changed
from verify.files.atomic import read_text
from verify.files.strict import read_strict

_STATUSES = ("done", "failed", "skipped")
_JUDGED = ("held", "refuted", "noted")


class BrokenError(Exception):
    """Evidence whose files contradict its summary, or their own data."""


@dataclass(frozen=True)
class Checked:
    """Evidence that agrees with its files.

    Attributes:
        summary: as it was written.
        changed: the sources whose code has changed since.

    """

    summary: Mapping[str, Any]
    changed: tuple[str, ...]

    def sentence(self) -> str:
        """Return ``current``, or how stale it is."""
        count = len(self.changed)
        return f"stale: {count} file{'' if count == 1 else 's'} changed since" if count else "current"


def check_evidence(path: Path, steps: Mapping[str, Step], root: Path = ROOT) -> Checked:
    """Check evidence: its digests, its statuses and, if no source has changed, every judgement.

    Args:
        path: the folder.
        steps: those that are known.
        root: the folder of the sources.

    Raises:
        InvalidArgument: no folder of such evidence.
        BrokenError: a file is missing, damaged, edited or unknown to the summary, or does not follow from its data.

    """
    if not (path / SUMMARY).is_file():
        raise InvalidArgument(f"check: expected a folder of evidence, with {SUMMARY}, but got {str(path)!r} (type str)")
    summary = _document(path / SUMMARY, _text(path / SUMMARY))
    rows = _rows(summary)
    named = {SUMMARY, *(row["file"] for row in rows if row["sha256"] is not None)}
    there = {file.name for file in path.iterdir()}
    if there != named:
        _broken(f"expected the files {', '.join(sorted(named))} but there are {', '.join(sorted(there))}")
    sources = _sources(summary)
    if not sources and len(named) > 1:
        _broken("it names no sources")
    found = Checked(summary, tuple(changed(sources, root)))
    for row in rows:
        if row["sha256"] is None:
            if row["status"] == "done":
                _broken(f"{row['step']} is called done but has no file")
            continue
        _check_row(path, row, None if found.changed else steps.get(row["step"]), judged=not found.changed)
    return found


def _rows(summary: Any) -> list[dict[str, Any]]:
    if not isinstance(summary, dict) or summary.get("format") != FORMAT or not isinstance(summary.get("steps"), list):
        _broken(f"{SUMMARY} is no summary of format {FORMAT}")
    rows: list[dict[str, Any]] = summary["steps"]
    for row in rows:
        words = ("step", "file", "status", "reason")
        fits = isinstance(row, dict) and all(isinstance(row.get(word), str) for word in words)
        if not fits or row["status"] not in _STATUSES or not isinstance(row.get("sha256"), (str, type(None))):
            _broken(f"{SUMMARY} has no step {one_line(str(row))[:80]!r}")
        if Path(row["file"]).name != row["file"] or row["file"] == SUMMARY:
            _broken(f"the file of {row['step']} is {row['file']!r}")
    if len({row["step"] for row in rows}) < len(rows):
        _broken("a step is there twice")
    return rows


def _sources(summary: Mapping[str, Any]) -> Mapping[str, str]:
    sources = summary.get("sources")
    if not isinstance(sources, dict) or not all(isinstance(digest, str) for digest in sources.values()):
        _broken("its sources have no digests")
    for file in sources:
        place = PurePosixPath(file)
        if place.parts[:1] not in {(package,) for package in PACKAGES} or ".." in place.parts or place.suffix != ".py":
            _broken(f"its sources name {file!r}, which is no module of ours")
    return sources


def _check_row(path: Path, row: Mapping[str, Any], step: Step | None, *, judged: bool) -> None:
    """Compare a line of the summary with its record."""
    name = row["step"]
    text = _text(path / row["file"])
    if hashlib.sha256(text.encode()).hexdigest() != row["sha256"]:
        _broken(f"{row['file']} is not the file that {SUMMARY} was written with")
    held = _document(path / row["file"], text)
    found = held.get(name) if isinstance(held, dict) else None
    record: dict[str, Any] = found if isinstance(found, dict) else {}
    wrong = record_error({**record, "modules": []}, name)
    if wrong is not None or not isinstance(record.get("failed", 0), (str, type(None))):
        _broken(f"{row['file']} has no record of {name}: {wrong}")
    if record["failed"] is None and (record["raised"] is not None or not record["finished"]):
        _broken(f"{row['file']} gives no reason why {name} did not run to its end")
    if status_of(record) != (row["status"], row["reason"]):
        _broken(f"{name} is called {row['status']} but its record says {status_of(record)[0]}")
    if not judged:
        return
    if step is None:
        _broken(f"there is no step {name}, and its sources are as they were")
    for task in record["tasks"]:
        if task["state"] in _JUDGED:
            _check_task(step, task)


def _check_task(step: Step, task: Mapping[str, Any]) -> None:
    try:
        judgement = step.judge(task["data"])
        now = state_of(judgement), one_line(judgement.sentence)
    except Exception as error:  # noqa: BLE001 # data of another kind may raise any error
        _broken(f"{step.name}: {task['name']}: its data cannot be judged: {type(error).__name__}: {error}")
    if now != (task["state"], task["said"]):
        _broken(f"{step.name}: {task['name']} is called {task['state']}, {task['said']} but its data say {now[0]}")


def _text(path: Path) -> str:
    try:
        return read_text(path, "check")
    except (InvalidArgument, OSError) as error:
        _broken(f"{path.name} cannot be read: {error}")


def _document(path: Path, text: str) -> Any:
    try:
        return read_strict(text, path.name)
    except InvalidArgument as error:
        _broken(f"{path.name} cannot be read: {error}")


def _broken(why: str) -> NoReturn:
    raise BrokenError(one_line(why))
