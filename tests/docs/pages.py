"""The Markdown pages as tests: their Python runs, their commands run, and what they print is what the page shows.

- A block of ``python`` runs, all of a page in one namespace; with ``>>>`` prompts its outputs are compared. One whose
  first line is a comment with a file's name is also written to that file.
- In a block of ``console`` each line after ``$`` is a command, and the lines after it are its output. ``cat FILE``
  writes the file that it shows; ``echo $?`` shows the exit status of the command before; ``sed`` runs as it is.
- Other blocks (``sh``, ``text``, ``json``, ...) are only looked at by the reader.

A page that begins with a comment ``slow: ...`` is left to ``make docs``; one that begins with ``extra: NAME``
needs the libraries of an extra, and is left to the tests of extras.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

from verify.cli.app import run
from verify.extras import EXTRAS

ROOT = Path(__file__).parent.parent.parent
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_EXTRA = re.compile(r"<!-- extra: ([\w-]+)")
_FILE = re.compile(r"# ([\w-]+\.\w+)\n")
_SECONDS = re.compile(r"\b\d[\d,]*\.\d s\b")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*")
_MEASURED = re.compile(r"-?\b\d\.\d+e[+-]\d+\b")


def languages(page: Path) -> list[str]:
    """Return the languages of a page's fenced blocks, in order."""
    return [found[1] for found in _FENCE.finditer(page.read_text(encoding="utf-8"))]


def runs(page: Path) -> bool:
    """Say whether anything on a page runs."""
    return bool({"python", "console"} & set(languages(page)))


def is_slow(page: Path) -> bool:
    """Say whether a page is left to `make docs`."""
    return page.read_text(encoding="utf-8").startswith("<!-- slow:")


def extra_of(page: Path) -> str | None:
    """Return the extra whose libraries a page needs, ``None`` where it needs none."""
    found = _EXTRA.match(page.read_text(encoding="utf-8"))
    return None if found is None else found[1]


def libraries_of(extra: str) -> list[str]:
    """Return the libraries that an extra installs."""
    found = [library for library, known in EXTRAS.items() if known == extra]
    assert found, f"there is no extra {extra}"
    return found


def rerun(page: Path) -> str:
    """Run a page in the current folder, which must be one to write into, and return the page with its outputs now.

    An output that differs only in what :func:`alike` forgives stays as the page has it.
    """
    names: dict[str, Any] = {"__name__": "page"}
    status = 0

    def now(found: re.Match[str]) -> str:
        nonlocal status
        language, text = found[1], found[2]
        if language == "python":
            text = _python(text, names)
        elif language == "console":
            text, status = _console(text, status)
        return f"```{language}\n{text}```"

    return _FENCE.sub(now, page.read_text(encoding="utf-8"))


def _python(text: str, names: dict[str, Any]) -> str:
    named = _FILE.match(text)
    if named:
        Path(named[1]).write_text(text, encoding="utf-8")
    if ">>> " in text:
        return examples_now(text, names)
    exec(compile(text, "page", "exec", dont_inherit=True), names)
    return text


class _Recorder(doctest.DocTestRunner):
    """Keeps what examples print that is not what is shown."""

    def __init__(self) -> None:
        super().__init__(optionflags=doctest.ELLIPSIS)
        self.printed: list[tuple[doctest.Example, str]] = []

    def report_failure(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        self.printed.append((example, got))

    def report_unexpected_exception(
        self, out: Any, test: doctest.DocTest, example: doctest.Example, exc_info: Any
    ) -> None:
        raise exc_info[1]


def examples_now(text: str, names: dict[str, Any]) -> str:
    """Run examples with ``>>>`` prompts in a namespace, and return them with their outputs now."""
    test = doctest.DocTestParser().get_doctest(text, names, "page", "page", 0)
    recorder = _Recorder()
    recorder.run(test, clear_globs=False)
    names.update(test.globs)  # a doctest runs in a copy
    lines = text.splitlines(keepends=True)
    for example, got in reversed(recorder.printed):
        start = example.lineno + example.source.count("\n")
        margin = " " * example.indent
        lines[start : start + example.want.count("\n")] = [margin + line for line in got.splitlines(keepends=True)]
    return "".join(lines)


def _console(text: str, status: int) -> tuple[str, int]:
    made = ""
    for command, shown in commands(text):
        # lines of progress depend on how busy the machine is; no page shows any
        quiet = mock.patch("verify.report.progress._to_stderr")
        with quiet, contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            status = _run_command(command, shown, status)
        printed = "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
        made += f"$ {command}\n{shown if alike(shown, printed) else printed}"
    return made, status


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output that is shown under it."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0], "a console block starts with a command"
    for part in parts[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def _run_command(command: str, shown: str, status: int) -> int:
    """Run a command of a page in this process, and return its exit status; ``status`` is that of the one before."""
    words = shlex.split(command)
    if command == "echo $?":
        print(status)  # noqa: T201 # as the shell does
        return 0
    if words[0] == "cat":
        Path(words[1]).write_text(shown, encoding="utf-8")
        print(shown, end="")  # noqa: T201 # as the shell does
        return 0
    if words[0] == "sed":
        return subprocess.run(command, shell=True, check=True).returncode
    assert words[0] == "prefixproof", f"expected prefixproof, cat, sed or echo $? but got {command}"
    return run(words[1:])


def alike(shown: str, printed: str) -> bool:
    """Say whether two outputs are the same apart from times, dates, widths and the last digit of measurements.

    A number such as 1.23e-04 is measured: it depends on the kernels of the processor, and another one may round it the
    other way.
    """
    expected, got = shown.strip().splitlines(), printed.strip().splitlines()
    return len(expected) == len(got) and all(_same(*lines) for lines in zip(expected, got, strict=True))


def _same(shown: str, printed: str) -> bool:
    first, second = (" ".join(_DATE.sub("DATE", _SECONDS.sub("TIME", line)).split()) for line in (shown, printed))
    if _MEASURED.sub("NUMBER", first) != _MEASURED.sub("NUMBER", second):
        return False
    pairs = zip(_MEASURED.findall(first), _MEASURED.findall(second), strict=True)
    return all(_close(*pair) for pair in pairs)


def _close(shown: str, printed: str) -> bool:
    """Say whether two measurements differ by one unit of the last digit that is shown, at most."""
    mantissa, exponent = shown.split("e")
    last_digit = Decimal(1).scaleb(int(exponent) - len(mantissa.partition(".")[2]))
    return abs(Decimal(shown) - Decimal(printed)) <= last_digit
