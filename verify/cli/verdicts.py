"""How commands end: their verdicts on the terminal, as a table or as JSON, and the exit status."""

from __future__ import annotations

from rich.markup import escape

from verify.cli.terminal import console, print_json
from verify.evidence.verdict import Verdict
from verify.report.tables import assumptions, explanation, verdict_table
from verify.suite.whole import verdicts_json


def exit_status(verdicts: list[Verdict]) -> int:
    """Return 0 when there is a verdict and all of them hold, 1 otherwise."""
    return 0 if verdicts and all(verdict.holds is True for verdict in verdicts) else 1


def finished(verdict: Verdict, *, as_json: bool) -> int:
    """Print a verdict, and return the exit status."""
    show_verdicts([verdict], as_json=as_json)
    return exit_status([verdict])


def show_verdicts(verdicts: list[Verdict], *, as_json: bool, many: bool = False, statement: str | None = None) -> None:
    """Print verdicts: as JSON, one document, or as a table with explanations below it.

    Args:
        verdicts: at least one.
        as_json: whether to print JSON.
        many: whether the JSON is a list of verdicts even if there is one.
        statement: the claim in words, above the table.

    """
    if as_json:
        print_json(verdicts_json(verdicts) if many else verdicts[0].to_json())
        return
    screen = console()
    if statement is not None:
        screen.print(escape(statement), soft_wrap=True)
    screen.print(verdict_table(verdicts))
    for verdict in verdicts:
        for line in explanation(verdict):
            screen.print(escape(line), soft_wrap=True)
    for line in assumptions(verdicts):
        screen.print(escape(line), soft_wrap=True)
