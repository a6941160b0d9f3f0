"""Verdicts as a table for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from rich.table import Table
from rich.text import Text

from verify.evidence.kinds import kind_of
from verify.evidence.verdict import Margin, Verdict
from verify.numbers import LONGEST_NUMBER
from verify.numbers import number as number
from verify.requests.words import field_options

#: The number of drawn targets in a certificate's assumptions.
_DRAWN = re.compile(r"[0-9,]+(?= targets drawn)")


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Return one row for each verdict: claim, parameters, arithmetic, evidence, smallest margin, time, verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("claim", "parameters", "arithmetic", "evidence", "margin", "time", ""):
        table.add_column(heading, no_wrap=heading not in {"parameters", "evidence"}, overflow="fold")
    for verdict in verdicts:
        table.add_row(
            verdict.claim,
            parameters(verdict),
            verdict.arithmetic + ("" if verdict.device == "cpu" else f" on {verdict.device}"),
            evidence(verdict),
            "" if verdict.margin is None else margin(verdict.margin),
            f"{verdict.seconds:.1f} s",
            outcome(verdict),
        )
    return table


#: Options of a construction that are not shown, as they are the paper's.
_OF_THE_PAPER = {("mask", "causal"), ("lift", "add"), ("encoding", "paper"), ("readout", "paper")}


def parameters(verdict: Verdict) -> str:
    """Return the parameters in short, the temperature last: ``V = 4, N = 8, q = 19``."""
    letters = {name: option.letter for name, option in field_options().items() if option.size and option.letter}
    shown, temperature = [], list[str]()
    for name, value in verdict.parameters.items():
        if name in letters:
            shown.append(_range(letters[name], str(value)))
        elif name == "sizes":
            shown.append(f"{value} sizes")
        elif name == "embedding" and not str(value).startswith("any"):  # a matrix is too long for a table
            shown.append("E given")
        elif name == "temperature":
            temperature = _temperature(str(value))
        elif (name, value) not in _OF_THE_PAPER and name != "prover":
            shown.append(f"{name} {value}")
    return ", ".join([*shown, *temperature])


def _temperature(text: str) -> list[str]:
    """Return a temperature in short: the square root of the key size under ``T`` is the paper's, and is left out."""
    return ["default temperature" if text == "default of each size" else text.replace(", over sqrt(k)", "")]


def _range(letter: str, value: str) -> str:
    if value.startswith("1.."):
        return f"{letter} <= {value.replace('1..', '')}"
    return f"{letter} = {value}"


def evidence(verdict: Verdict) -> str:
    """Return the kind of evidence with its count."""
    return kind_of(verdict.method).sentence(verdict)


def outcome(verdict: Verdict) -> Text:
    """Return the verdict in a word."""
    words = {True: ("holds", "green"), False: ("FALSIFIED", "bold red"), None: ("not shown", "bold yellow")}
    word, style = words[verdict.holds]
    return Text(word, style=style)


def explanation(verdict: Verdict) -> list[str]:
    """Return the lines below a table that a reader needs: reason, counterexample, how to reproduce it."""
    lines = []
    elsewhere = kind_of(verdict.method).shares_assumptions and verdict.holds  # many share the same, see assumptions()
    if verdict.reason and not elsewhere:
        lines.append(f"{verdict.claim}, {verdict.arithmetic}: {verdict.reason}")
    if verdict.resumed:
        told = dict(verdict.resumed)
        saved, replayed = told.pop("saved"), told.pop("replayed")
        ((units, count),) = told.items()
        again = f"{replayed} of them" if units == "cases" else f"{replayed} of their cases"
        lines.append(
            f"{verdict.claim}, {verdict.arithmetic}: went on from {count} {units} of {saved}; {again} were run again"
        )
    if verdict.assumptions and not elsewhere:
        lines.append(f"{verdict.claim}, {verdict.arithmetic}: {verdict.assumptions}")
    if verdict.case:
        lines += [verdict.case.sentence(), f"  reproduce: {verdict.case.reproduce}"]
    return lines


def assumptions(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the assumptions of a table's certificates, each once; of counts that differ, the smallest."""
    shared = (verdict for verdict in verdicts if kind_of(verdict.method).shares_assumptions)
    held = [verdict for verdict in shared if verdict.holds and verdict.reason]
    counts: dict[str, list[str]] = {}
    for verdict in held:
        line = f"{verdict.method}, {verdict.arithmetic.split()[0]}: {verdict.reason}"
        counts.setdefault(_DRAWN.sub("#", line), []).extend(_DRAWN.findall(line))
    lines = []
    for line, given in counts.items():
        least = min(given, key=lambda text: int(text.replace(",", "")), default="")
        lines.append(line.replace("#", least if len(set(given)) == 1 else f"at least {least}"))
    return lines


def margin(value: Margin) -> str:
    """Return a margin: exact as a fraction where that is short, otherwise in three digits."""
    if isinstance(value, Fraction):
        text = str(value)
        return text if len(text) <= LONGEST_NUMBER else f"~{float(value):.2e}"
    return f"{value:.2e}"
