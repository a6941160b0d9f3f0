"""Evidence that was edited anywhere is broken, and evidence of code that has changed since is stale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from constructions.validation import InvalidArgument
from tests.device import bad_steps
from verify.device.base import Setting, Step
from verify.device.checking import BrokenError, check_evidence
from verify.device.evidence import document, folder_for, gather_evidence
from verify.device.sources import changed, code_sha256, digests

STEPS: dict[str, Step] = {step.name: step for step in (bad_steps.Good(), bad_steps.Refuted(), bad_steps.Needs())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evidence")
    gather_evidence(path, Setting("cpu", "tiny"), STEPS.values())
    return path


@pytest.fixture
def evidence(made: Path, tmp_path: Path) -> Path:
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def _edit(path: Path, change: Callable[[Any], None]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(document(values))


def _edit_and_seal(path: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change a record and make its digest again."""
    file = path / f"{name}.json"
    _edit(file, lambda values: change(values[name]))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    def seal(summary: Any) -> None:
        for row in summary["steps"]:
            if row["file"] == file.name:
                row["sha256"] = digest

    _edit(path / "summary.json", seal)


def test_new_evidence_is_current(evidence: Path) -> None:
    found = check_evidence(evidence, STEPS)
    assert found.sentence() == "current"
    assert [row["status"] for row in found.summary["steps"]] == ["done", "failed", "skipped"]


def _row(summary: Any, name: str) -> Any:
    return next(row for row in summary["steps"] if row["step"] == name)


SUMMARIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another status": (lambda summary: _row(summary, "refuted").update(status="done"), "refuted is called done"),
    "another reason": (lambda summary: _row(summary, "good").update(reason="9 held"), "good is called done"),
    "a skipped step done": (lambda summary: _row(summary, "needs").update(status="done"), "needs is called done"),
    "no digest": (lambda summary: _row(summary, "good").update(sha256=None), "expected the files"),
    "done without a file": (
        lambda summary: _row(summary, "good").update(sha256=None, file="needs.json"),
        "expected the files",
    ),
    "another digest": (lambda summary: _row(summary, "good").update(sha256="0" * 64), "good.json is not the file"),
    "a step left out": (lambda summary: summary["steps"].pop(0), "expected the files"),
    "a step twice": (lambda summary: summary["steps"].append(summary["steps"][0]), "a step is there twice"),
    "another format": (lambda summary: summary.update(format=2), "summary.json is no summary"),
    "no sources": (lambda summary: summary.update(sources={}), "it names no sources"),
    "no names of sources": (lambda summary: summary.update(sources=[]), "its sources have no digests"),
    "a source elsewhere": (lambda summary: summary["sources"].update({"../a.py": ""}), "which is no module of ours"),
    "a source at the root": (lambda summary: summary["sources"].update({"/a.py": ""}), "which is no module of ours"),
    "a source that is no code": (
        lambda summary: summary["sources"].update({"verify/py.typed": ""}),
        "its sources name 'verify/py.typed', which is no module of ours",
    ),
    "a source without a name": (lambda summary: summary["sources"].update({"": ""}), "its sources name ''"),
    "a source above": (lambda summary: summary["sources"].update({"verify/../a.py": ""}), "which is no module of ours"),
    "a file elsewhere": (lambda summary: _row(summary, "good").update(file="../good.json"), "the file of good"),
    "an unknown status": (lambda summary: _row(summary, "good").update(status="fine"), "has no step"),
    "an unknown step": (lambda summary: _row(summary, "good").update(step="other"), "good.json has no record of other"),
}


@pytest.mark.parametrize("case", SUMMARIES)
def test_a_summary_that_was_edited_is_broken(evidence: Path, case: str) -> None:
    change, said = SUMMARIES[case]
    _edit(evidence / "summary.json", change)
    with pytest.raises(BrokenError, match=said):
        check_evidence(evidence, STEPS)


RECORDS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "refuted is called held": (
        "refuted",
        lambda record: record["tasks"][0].update(state="held"),
        "refuted is called failed but its record says done",
    ),
    "data that refute": (
        "good",
        lambda record: record["tasks"][0].update(data={"holds": False}),
        "fine is called held, it says True but its data say refuted",
    ),
    "data of nothing": ("good", lambda record: record["tasks"][0].update(data={}), "its data cannot be judged"),
    "a task left out": ("good", lambda record: record["tasks"].pop(), "good is called done but its record says done"),
    "another reason": ("good", lambda record: record["tasks"][0].update(said="all is well"), "but its data say held"),
    "an unknown state": ("good", lambda record: record["tasks"][0].update(state="fine"), "has no record of good"),
    "a record that does not say whether it failed": (
        "good",
        lambda record: record.pop("failed"),
        "has no record of good",
    ),
    "a record that is not finished": (
        "good",
        lambda record: record.update(finished=False),
        "gives no reason why good did not run to its end",
    ),
    "tasks that could not be listed": (
        "good",
        lambda record: record.update(raised="RuntimeError: no more tasks"),
        "gives no reason why good did not run to its end",
    ),
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_that_was_edited_is_broken_even_with_its_digest(evidence: Path, case: str) -> None:
    name, change, said = RECORDS[case]
    _edit_and_seal(evidence, name, change)
    with pytest.raises(BrokenError, match=said):
        check_evidence(evidence, STEPS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"seconds":0',
            '"seconds":NaN,"x":0',
            r"good\.json cannot be read: good\.json: expected JSON, which has no NaN",
        ),
        ('{"good":', '{"good":{},"good":', r"good\.json: expected every key once but got 'good' twice"),
        ('"held"', '"held', r"good\.json cannot be read: "),
    ],
)
def test_a_record_that_is_not_plain_json_is_broken(evidence: Path, old: str, new: str, said: str) -> None:
    file = evidence / "good.json"
    before, after = file.read_bytes(), file.read_text().replace(old, new, 1).encode()
    assert before != after
    file.write_bytes(after)
    summary = evidence / "summary.json"
    old_digest, new_digest = (hashlib.sha256(content).hexdigest() for content in (before, after))
    summary.write_text(summary.read_text().replace(old_digest, new_digest))
    with pytest.raises(BrokenError, match=said):
        check_evidence(evidence, STEPS)


def test_a_folder_in_the_place_of_a_record_is_broken(evidence: Path) -> None:
    (evidence / "good.json").unlink()
    (evidence / "good.json").mkdir()
    with pytest.raises(BrokenError, match=r"good\.json cannot be read: check: expected a regular file"):
        check_evidence(evidence, STEPS)


def test_a_record_that_was_edited_alone_is_not_the_file_of_the_summary(evidence: Path) -> None:
    _edit(evidence / "good.json", lambda values: values["good"].update(seconds=0.0))
    with pytest.raises(BrokenError, match=r"good\.json is not the file"):
        check_evidence(evidence, STEPS)


def test_a_folder_has_the_files_of_the_summary_alone(evidence: Path) -> None:
    (evidence / "more.json").write_text("{}")
    with pytest.raises(BrokenError, match="expected the files"):
        check_evidence(evidence, STEPS)
    (evidence / "more.json").unlink()
    (evidence / "good.json").unlink()
    with pytest.raises(BrokenError, match="expected the files"):
        check_evidence(evidence, STEPS)


def test_a_folder_without_evidence_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"check: expected a folder of evidence, with summary\.json"):
        check_evidence(tmp_path, STEPS)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', "[" * 100_000])
def test_a_file_that_holds_no_summary_is_broken(evidence: Path, text: str) -> None:
    (evidence / "summary.json").write_text(text)
    with pytest.raises(BrokenError):
        check_evidence(evidence, STEPS)


def test_other_sources_make_it_stale_and_a_judgement_may_then_be_another(evidence: Path) -> None:
    def older(summary: Any) -> None:
        for file in list(summary["sources"])[:2]:
            summary["sources"][file] = "0" * 64

    _edit(evidence / "summary.json", older)
    _edit_and_seal(evidence, "good", lambda record: record["tasks"][0].update(data={}))
    found = check_evidence(evidence, STEPS)
    assert found.sentence() == "stale: 2 files changed since"
    # the summary must still agree with its files
    _edit_and_seal(evidence, "refuted", lambda record: record["tasks"][0].update(state="held"))
    with pytest.raises(BrokenError):
        check_evidence(evidence, STEPS)


SOURCE = '''"""A module."""

x = "# no comment"  # a comment


def f():
    """Say what."""
    return 1
'''


@pytest.mark.parametrize(
    "same",
    [
        SOURCE.replace("A module.", "Another module.\n\nOf two lines."),
        SOURCE.replace("# a comment", "# another one"),
        SOURCE.replace("Say what.", "Say more."),
        SOURCE.replace("\n\n\n", "\n\n\n\n"),
        SOURCE.replace('    """Say what."""\n', ""),
    ],
)
def test_comments_and_docstrings_do_not_change_the_digest(same: str) -> None:
    assert code_sha256(same) == code_sha256(SOURCE)


@pytest.mark.parametrize(
    "other",
    [
        SOURCE.replace("return 1", "return 2"),
        SOURCE.replace("# no comment", "# no Comment"),
        SOURCE.replace("    return 1", '    return """Say what."""'),
        SOURCE.replace("def f", "def g"),
        SOURCE + "y = 1\n",
    ],
)
def test_code_changes_the_digest(other: str) -> None:
    assert code_sha256(other) != code_sha256(SOURCE)


def test_changed_and_missing_sources_are_named(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(f"x = {name!r}\n")
    held = digests(["a.py", "b.py", "c.py"], tmp_path)
    assert changed(held, tmp_path) == []
    (tmp_path / "a.py").write_text("x = 2\n")
    (tmp_path / "c.py").unlink()
    assert changed(held, tmp_path) == ["a.py", "c.py"]


@pytest.mark.parametrize("files", [["notes.txt"], ["good.json"], ["summary.json", "notes.txt"]])
def test_a_folder_with_other_files_is_not_written_to(files: list[str], tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).write_text("mine")
    with pytest.raises(InvalidArgument, match="out: expected"):
        folder_for(str(tmp_path), Setting("cpu", "tiny"))
