"""Counts of behaviours in words for people."""

from __future__ import annotations

from verify.evidence.completions import Completions
from verify.numbers import number


def completions_lines(made: Completions) -> list[str]:
    """Return both counts of a construction, one line each."""
    lines = []
    for name, count in (("hard prompts (tokens)", made.hard), ("soft prompts (virtual tokens)", made.soft)):
        ties = f", cases decided by a tie: {number(count.tied)}" if count.tied else ""
        lines.append(f"{name}: {number(count.prompts)}, different behaviours: {number(count.behaviours)}{ties}")
    return lines
