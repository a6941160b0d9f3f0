"""The help of every command, written down in ``help.json``: it is shown before anything slow is imported.

The options of commands come from the registered claims, arithmetics and formats. To import these takes a second.
``python -m tests.docs.rewrite`` writes the file again, and a test compares it with what the commands say of themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

#: For every command, and for all of them under the empty name, how its help is written: methods of a formatter.
WRITTEN = Path(__file__).with_name("help.json")

#: Columns beyond every line, so that nothing is shortened or folded where it is noted.
_UNBOUNDED = 1_000_000
#: Columns of a list of commands beside their names and their words, as typer counts them.
_MARGINS = 6
_COMMANDS = "Commands"

_Formatter: Any = typer.Context.formatter_class

#: A method of a formatter, and its arguments.
Call = list[Any]


class _Notes(_Formatter):  # type: ignore[misc] # typer's module of formatters is its own
    """A formatter that notes what it is told to write, for a terminal of any width."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(width=_UNBOUNDED)
        self.calls: list[Call] = []

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        self.calls.append(["write_usage", prog, args])

    def write_paragraph(self) -> None:
        self.calls.append(["write_paragraph"])

    def write_heading(self, heading: str) -> None:
        self.calls.append(["write_heading", heading])

    def write_text(self, text: str) -> None:
        self.calls.append(["write_text", text])

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        self.calls.append(["write_dl", [list(row) for row in rows]])

    def indent(self) -> None:
        self.calls.append(["indent"])

    def dedent(self) -> None:
        self.calls.append(["dedent"])


def noted(command: Any) -> dict[str, list[Call]]:
    """Return how the help of a command and of all commands in it is written.

    Args:
        command: typer's group of commands.

    """
    found = {}
    with command.make_context("prefixproof", [], resilient_parsing=True) as context:
        for name in ("", *command.list_commands(context)):
            asked = command if not name else command.get_command(context, name)
            inner = context if not name else asked.make_context(name, [], parent=context, resilient_parsing=True)
            notes = _Notes()
            asked.format_help(inner, notes)
            found[name] = notes.calls
    return found


def written_help(arguments: list[str]) -> str | None:
    """Return what is printed where arguments ask for help or for the version alone; ``None`` where they do not.

    Example:
        >>> print(written_help(["show", "--help"]).splitlines()[0])
        Usage: prefixproof show [OPTIONS] {CLAIM}
        >>> written_help(["show", "theorem-1"]) is None
        True

    """
    if arguments == ["--version"]:
        return f"prefixproof {version('prefixproof')}"
    *before, last = arguments or ["--help"]
    if last != "--help" or len(before) > 1 or "" in before:
        return None
    try:
        held = json.loads(WRITTEN.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the commands themselves say it, if later
        return None
    return _written(held, before[0] if before else "")


def _written(held: Mapping[str, list[Call]], name: str) -> str | None:
    if name not in held:
        return None
    formatter = _Formatter()
    heading = ""
    for method, *given in held[name]:
        if method == "write_heading":
            heading = given[0]
        if method == "write_dl":
            rows = [(name, words) for name, words in given[0]]
            formatter.write_dl(_shortened(rows, formatter.width) if heading == _COMMANDS else rows)
        else:
            getattr(formatter, method)(*given)
    text: str = formatter.getvalue().rstrip("\n")
    return text


def _shortened(rows: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """Return commands with as much of their words as stands in a line, as typer shortens them."""
    room = width - _MARGINS - max(len(name) for name, _ in rows)
    return [(name, TyperCommand(name, help=words).get_short_help_str(room)) for name, words in rows]
