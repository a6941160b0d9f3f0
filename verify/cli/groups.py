"""Options that several commands share, as one parameter of a command: a group, in whose place its options stand."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, get_type_hints

import typer
from typer.core import TyperCommand

from verify.requests.own import is_own


@dataclass(frozen=True)
class Group:
    """A group of options: a dataclass whose fields are options, annotated as typer takes them, or groups again."""

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """Return the options, as parameters of the command."""
        hints, found = get_type_hints(cls, include_extras=True), []
        for item in fields(cls):
            default = inspect.Parameter.empty if item.default is MISSING else item.default
            found += _expanded(item.name, hints[item.name], default)
        return found

    @classmethod
    def made(cls, values: dict[str, Any]) -> Self:
        """Return the group of the given values, which are taken out of ``values``."""
        hints = get_type_hints(cls, include_extras=True)
        return cls(**{item.name: _taken(item.name, hints[item.name], values) for item in fields(cls)})


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Group)


def _expanded(name: str, hint: Any, default: Any) -> list[inspect.Parameter]:
    if _is_group(hint):
        found: list[inspect.Parameter] = hint.parameters()
        return found
    # by keyword, so that one with a default may stand before one without
    return [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)]


def _taken(name: str, hint: Any, values: dict[str, Any]) -> Any:
    return hint.made(values) if _is_group(hint) else values.pop(name)


def expanded(function: Callable[..., int]) -> Callable[..., int]:
    """Return a command with the options of its groups in the place of each group, as typer reads it."""
    signature = inspect.signature(function, eval_str=True)
    parameters = [
        parameter
        for item in signature.parameters.values()
        for parameter in _expanded(item.name, item.annotation, item.default)
    ]

    @functools.wraps(function)
    def run(**values: Any) -> int:
        return function(**{name: _taken(name, item.annotation, values) for name, item in signature.parameters.items()})

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # what inspect reads first
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


class _Command(TyperCommand):
    """A command that takes the sizes of a construction of the user's own as options too: ``--shift 3``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write ``--NAME B`` as ``--size NAME=B`` where NAME is no option and the claim is the user's own."""
        known = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        if "--size" in known and any(is_own(word) and re.search(r":[^\W\d]\w*$", word) for word in args):
            args = _own_sizes(args, known)
        return super().parse_args(ctx, args)


def _own_sizes(words: list[str], known: set[str]) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(words):
        word, _, value = words[place].partition("=")
        if words[place] == "--":
            return found + words[place:]
        apart = not value and place + 1 < len(words)
        value = words[place + 1] if apart else value
        if word.startswith("--") and word not in known and re.fullmatch(r"(-?\d+\.\.)?-?\d+", value):
            found += ["--size", f"{word[2:].replace('-', '_')}={value}"]
            place += 2 if apart else 1
        else:
            found.append(words[place])
            place += 1
    return found


#: The meaning of the exit statuses beside 0 and 1.
OTHER_EXITS = "2 bad input, 3 anything unexpected, 130 interrupted."


def register(app: typer.Typer, *commands: Callable[..., int], exits: str = "0 holds, 1 falsified or not shown") -> None:
    """Add commands to an app, their groups expanded.

    Args:
        app: the app.
        commands: functions that return the exit status.
        exits: the meaning of the statuses 0 and 1 of these commands.

    """
    for command in commands:
        app.command(cls=_Command, epilog=f"Exit status: {exits}, {OTHER_EXITS}")(expanded(command))
