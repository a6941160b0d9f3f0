"""What ``prefixproof`` does before it imports anything slow: the help that is written down is that of the commands."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tests.cli.helps import as_written
from verify.cli import exporting, start, terminal, written_help
from verify.cli.app import app, run
from verify.cli.written_help import WRITTEN
from verify.cli.written_help import written_help as shown
from verify.export import EXPORTS
from verify.export.exporting import SAMPLE

COMMANDS = list(json.loads(WRITTEN.read_text(encoding="utf-8")))

#: What takes more than a few hundredths of a second to import, and all of our own that imports some of it.
SLOW = ("constructions", "proofs", "flint", "hypothesis", "mpmath", "numpy", "rich", "sympy", "torch", "verify.suite")


def test_the_help_that_is_written_down_is_that_of_the_commands() -> None:
    assert WRITTEN.read_text(encoding="utf-8") == as_written(), "python -m tests.docs.rewrite writes it again"
    assert ["", *get_command(app).list_commands(None)] == COMMANDS  # type: ignore[attr-defined] # a group


@pytest.mark.parametrize("width", [20, 60, 80, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_it_looks_the_same_at_every_width(
    command: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    words = [command, "--help"] if command else ["--help"]
    assert run(words) == 0
    assert capsys.readouterr() == (f"{shown(words)}\n", "")


def test_no_word_is_help_too_and_the_version_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--version"]):
        assert run(words) == 0
        assert capsys.readouterr() == (f"{shown(words)}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["show", "theorem-1", "--help"],
        ["nothing", "--help"],
        ["--help", "show"],
        ["--help", "--debug"],
        ["--version", "--help"],
        ["--", "--help"],
        ["", "--help"],
    ],
    ids=" ".join,
)
def test_anything_else_is_for_the_commands(words: list[str]) -> None:
    assert shown(words) is None


@pytest.mark.parametrize("content", [None, "", "{"])
def test_a_file_that_cannot_be_read_is_done_without(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "help.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(written_help, "WRITTEN", path)
    assert shown(["--help"]) is None


@pytest.mark.parametrize("words", [["--help"], ["exhaust", "--help"], ["--version"], []], ids=" ".join)
def test_nothing_slow_is_imported_for_help(words: list[str]) -> None:
    script = f"""
import sys
from verify.cli.start import main
sys.argv = ["prefixproof", *{words!r}]
try:
    main()
finally:
    print(sorted(set(sys.modules) & set({SLOW!r})), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert done.stdout == f"{shown(words)}\n"


def test_the_commands_import_neither_torch_nor_hypothesis() -> None:
    """A refusal, ``show`` and exact arithmetic do without them; they are imported when they are used."""
    script = "import sys, verify.cli.app; print(sorted({'torch', 'hypothesis', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_output_that_fails_is_status_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(terminal, "echo", fail)
    monkeypatch.setattr(terminal, "prepare", lambda: None)
    monkeypatch.setattr(sys, "argv", ["prefixproof", "--help"])
    monkeypatch.setattr(start, "_leave_at_once", signal.default_int_handler)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == terminal.UNEXPECTED
    assert capsys.readouterr() == ("", f"error: standard output: {os.strerror(errno.ENOSPC)}\n")


def test_what_the_command_says_of_exports_is_what_they_say() -> None:
    assert (
        "; ".join(
            f"{form.name}: {form.holds}" + (f" (needs prefixproof[{form.extra}])" if form.extra else "")
            for form in EXPORTS.values()
        )
        == exporting.FORMATS
    )
    assert ", ".join(form.ending for form in EXPORTS.values() if form.ending) == exporting.ENDINGS
    assert exporting.SAMPLE == SAMPLE
