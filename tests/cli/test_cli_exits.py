"""However a command ends: its status is its own, one line says why, and nothing but a verdict is 0 or 1."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.own import written
from verify.cli import app as cli
from verify.cli import terminal
from verify.cli.app import run

ROOT = Path(__file__).parents[2]
T1 = ["exhaust", "theorem-1", "--vocab", "2", "--context", "2"]


def _raise(error: BaseException) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising


UNEXPECTED = [
    (ZeroDivisionError("by nothing"), "unexpected ZeroDivisionError: by nothing (--debug shows where)"),
    (AssertionError(), "unexpected AssertionError: no message"),
    (MemoryError(), "out of memory; choose smaller sizes"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory; choose smaller sizes"),
    (RuntimeError("CUDA out of memory. Tried to\nallocate 2 GiB"), "out of memory; choose smaller sizes"),
    (RecursionError("maximum depth"), "unexpected RecursionError: maximum depth"),
    (SystemExit(0), "unexpected SystemExit: 0"),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), "standard output: Broken pipe"),
    (OSError(errno.ENOSPC, "No space left on device"), "standard output: No space left on device"),
]


@pytest.mark.parametrize(("error", "said"), UNEXPECTED, ids=lambda part: type(part).__name__)
def test_what_is_not_expected_is_status_3_and_one_line(
    error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("verify.suite.steps.exhaust", _raise(error))
    assert run(T1) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {said}")
    assert told.err.count("\n") == 1
    assert run([*T1, "--json"]) == 3
    told = capsys.readouterr()
    assert json.loads(told.out) == {"error": told.err.removeprefix("error: ").rstrip("\n")}


def test_a_module_of_an_earlier_command_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is raised in a folder from which the first command imported, and has nothing to do with it."""
    monkeypatch.chdir(Path(__file__).parent)
    assert run(["exhaust", "nowhere_at_all:Nothing"]) == 2
    monkeypatch.setattr("verify.suite.steps.exhaust", _raise(ZeroDivisionError("by nothing")))
    assert run(T1) == 3
    assert "unexpected ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["first", "last"])
def test_debug_shows_the_traceback(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("verify.suite.steps.exhaust", _raise(ZeroDivisionError("by nothing")))
    assert run(["--debug", *T1] if place == "first" else [*T1, "--debug"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("error: unexpected ZeroDivisionError")
    assert run(["exhaust", "theorem-1", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interruption_is_status_130_and_one_line(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("verify.suite.steps.exhaust", _raise(error))
    assert run([*T1, "--json"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")
    path = tmp_path / "run.json"
    assert run([*T1, "--checkpoint", str(path)]) == 130
    line = "interrupted\n" if isinstance(error, typer.Abort) else f"interrupted; the same command goes on from {path}\n"
    assert capsys.readouterr() == ("", line)


class _Failing:
    """A standard output that fails when it is written to, or when it is flushed."""

    encoding = "utf-8"

    def __init__(self, method: str, number: int) -> None:
        self._method, self._error = method, OSError(number, os.strerror(number))

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError

    def write(self, text: str) -> int:
        if self._method == "write":
            raise self._error
        return len(text)

    def flush(self) -> None:
        if self._method == "flush":
            raise self._error


@pytest.mark.parametrize("method", ["write", "flush"])
@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
@pytest.mark.parametrize(
    "words", [T1, [*T1, "--json"], ["show", "theorem-2"], ["--help"], ["show", "--help"], ["--version"]], ids=" ".join
)
def test_a_standard_output_that_fails_is_status_3(
    method: str, number: int, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", _Failing(method, number))
        assert terminal.finish(run(words)) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"error: standard output: {os.strerror(number)}\n"


def test_a_standard_output_that_is_closed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert terminal.finish(run(T1)) == 3
    assert capsys.readouterr().err == "error: standard output: expected it open but it is closed\n"


def _shell(script: str, *words: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **how.pop("env", {})}
    command = [sys.executable, "-c", f"{script}\nfrom verify.cli.start import main\nmain()", *words]
    return subprocess.run(command, env=environment, check=False, timeout=120, **how)


CANNOT_INTERRUPT = pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="this process ignores SIGINT, and so do its children"
)


@CANNOT_INTERRUPT
def test_an_interruption_while_it_starts_is_one_line() -> None:
    """Half of the time of a short command is imports; Ctrl-C in one of them must not be a traceback."""
    script = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "sympy":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""
    ended = _shell(script, *T1, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"interrupted\n")


@CANNOT_INTERRUPT
def test_an_interruption_of_a_run_says_how_to_go_on(tmp_path: Path) -> None:
    written(tmp_path)
    words = ["exhaust", "own_shifted:Interrupted", "--vocab", "20", "--arithmetic", "rational"]
    ended = _shell("", *words, "--checkpoint", "run.json", capture_output=True, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (130, b"")
    assert ended.stderr == b"interrupted; the same command goes on from run.json\n"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_a_real_pipe_that_is_closed() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = _shell("", "show", "theorem-2", stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (3, b"error: standard output: Broken pipe\n")


def test_a_character_that_the_terminal_does_not_have_is_escaped() -> None:
    environment = {"PYTHONIOENCODING": "ascii"}
    ended = _shell("", "generate", "ä🙂", "--arithmetic", "rational", capture_output=True, env=environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"generated: \\xe4\\U0001f642\n" in ended.stdout


def test_a_document_is_ascii_where_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii(_Failing):
        encoding = "ascii"
        text = ""

        def write(self, text: str) -> int:
            self.text += text
            return len(text.encode("ascii"))

    stream = Ascii("", 0)
    monkeypatch.setattr(sys, "stdout", stream)
    assert run(["generate", "ä🙂", "--arithmetic", "rational", "--json"]) == 0
    assert json.loads(stream.text)["generated"] == "ä🙂"


# files ---------------------------------------------------------------------------------------------------------------


def _refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(words) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    return told.err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--in-batch", "9..5"],
            "expected A..B of at most 1398101 cases, A <= B <= 80, but got '9..5' (type str)",
        ),
        (["--in-batch", "0..9", "--trace"], "expected neither a trace nor a comparison of batches with it"),
        (["--in-batch", "0..9", "--batch"], "expected neither a trace nor a comparison of batches with it"),
    ],
)
def test_a_batch_that_cannot_be_run_is_refused_in_one_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    case = ["check", "theorem-2", "--vocab", "3", "--rank", "1", "--user", "1"]
    assert _refused([*case, *words], capsys) == f"in_batch: {line}"


def _never(*_: object, **__: object) -> None:
    raise AssertionError("the work must not start")


@pytest.mark.parametrize("kind", ["/dev/full", "/dev/zero", "/dev/null", "folder", "pipe", "huge", "below a file"])
def test_a_checkpoint_that_is_none_is_refused_before_the_work(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("verify.suite.steps.exhaust", _never)
    monkeypatch.setattr("verify.frontier.find_frontier", _never)
    path = Path(kind) if kind.startswith("/dev") else tmp_path / "run.json"
    said = f"checkpoint: expected a regular file but {path} is a device"
    if kind == "folder":
        path.mkdir()
        said = f"checkpoint: expected a regular file but {path} is a folder"
    elif kind == "pipe":
        os.mkfifo(path)
        said = f"checkpoint: expected a regular file but {path} is a pipe"
    elif kind == "huge":
        path.touch()
        os.truncate(path, 2**32)
        said = f"checkpoint: expected a file of at most 33,554,432 bytes but {path} has 4,294,967,296"
    elif kind == "below a file":
        path.touch()
        path = path / "run.json"
        said = f"checkpoint: expected a place that can be written but {path}: "
    if not path.exists() and kind.startswith("/dev"):
        pytest.skip(f"there is no {kind} here")
    assert _refused([*T1, "--checkpoint", str(path)], capsys).startswith(said)
    words = ["frontier", "theorem-1", "--context", "2", "--dtype", "bfloat16", "--checkpoint", str(path)]
    assert _refused(words, capsys).startswith(said)


@pytest.mark.parametrize("words", [["answer", "a", "--map"], ["attention"], ["reach"]], ids=lambda words: words[0])
def test_a_file_that_cannot_be_read_is_refused_at_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.json"
    path.touch()
    os.truncate(path, 2**25 + 1)
    assert f"expected a file of at most 33,554,432 bytes but {path} has 33,554,433" in _refused(
        [*words, str(path)], capsys
    )
    path.unlink()
    os.mkfifo(path)  # that nobody writes to
    assert f"expected JSON in {path}" in _refused([*words, str(path)], capsys)
    assert f"expected a regular file but {tmp_path} is a folder" in _refused([*words, str(tmp_path)], capsys)
    if Path("/dev/zero").exists():
        assert "expected a regular file but /dev/zero is a device" in _refused([*words, "/dev/zero"], capsys)
    assert "No such file" in _refused([*words, str(tmp_path / "missing.json")], capsys)
    path.unlink()
    path.write_text("[" * 100_000, encoding="utf-8")
    assert f"expected JSON in {path} but it cannot be read" in _refused([*words, str(path)], capsys)


def test_a_file_as_long_as_one_may_be_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "map.json"
    text = '{"a": "a"}'
    path.write_text(text + " " * (2**25 - len(text)), encoding="utf-8")
    assert run(["answer", "a", "--map", str(path), "--arithmetic", "rational"]) == 0
    assert 'answer: "a"' in capsys.readouterr().out


@pytest.mark.parametrize("form", ["object", "array"])
def test_a_map_of_too_many_tokens_is_refused_in_linear_time(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking each token up in a list of all of them took minutes at this size."""
    path, tokens = tmp_path / "map.json", range(50_000)
    document = list(tokens) if form == "array" else {f"t{token}": "t0" for token in tokens}
    path.write_text(json.dumps(document), encoding="utf-8")
    said = "sizes: expected weights of at most 134217728 entries each but one is 50000 x 50002"
    assert said in _refused(["answer", "0", "--map", str(path)], capsys)


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("verify.cli.verifying.tasks", _never)
    path = tmp_path / "file"
    path.touch()
    assert _refused(["verify", "--report", str(path)], capsys) == f"report: expected a folder but {path} is not one"
    below = path / "folder"
    assert _refused(["verify", "--report", str(below)], capsys).startswith(
        f"report: expected a place that can be written but {below}: "
    )


PICTURES = [["attention", "--drawn", "0:0"], ["frontier", "theorem-1", "--context", "2", "--limit", "1"]]


@pytest.mark.parametrize("words", PICTURES, ids=lambda words: words[0])
def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("verify.frontier.find_frontier", _never)
    monkeypatch.setattr("verify.cli.limits.check_layer", _never)
    for name in ("picture.xyz", "picture", "picture.pgf", "picture."):
        said = _refused([*words, "--picture", str(tmp_path / name)], capsys)
        assert said.startswith("picture: expected a name that ends in .")
        assert ".png" in said
        assert name in said
    (tmp_path / "folder.png").mkdir()
    said = _refused([*words, "--picture", str(tmp_path / "folder.png")], capsys)
    assert said == f"picture: expected a regular file but {tmp_path / 'folder.png'} is a folder"
    (tmp_path / "file").touch()
    said = _refused([*words, "--picture", str(tmp_path / "file" / "a.png")], capsys)
    assert said.startswith(f"picture: expected a place that can be written but {tmp_path / 'file' / 'a.png'}: ")
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    said = _refused([*words, "--picture", str(tmp_path / "a.png")], capsys)
    assert said == "picture: expected matplotlib; install it with: pip install 'prefixproof[plot]'"


# what is said of it --------------------------------------------------------------------------------------------------


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"prefixproof {version('prefixproof')}\n", "")


COMMANDS = [
    info.name or info.callback.__name__.replace("_", "-")  # type: ignore[union-attr] # all have a callback; typer names the others so
    for info in cli.app.registered_commands
]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_help_says_what_the_status_means(command: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"] if command is None else [command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert re.search(r"Exit status: 0 .*2 bad input, 3 anything unexpected, 130 interrupted\.", shown)
    if command == "frontier":
        assert "0 both edges of every kernel are found, 1 one is missing" in shown
    if command == "counterexample":
        assert "0 no case of the range fails, 1 one fails" in shown


def test_the_installed_command_starts_before_the_imports() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'prefixproof = "verify.cli.start:main"' in project
