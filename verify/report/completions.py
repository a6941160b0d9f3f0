"""Counts of behaviours in words for people."""

from __future__ import annotations

from verify.evidence.completions import Completions
from verify.numbers import number


def completions_sentence(made: Completions) -> str:
    """Return both counts of a construction in one sentence."""
    parts = []
    for name, count in (("prompts of tokens", made.hard), ("of virtual tokens", made.soft)):
        behaviours = f"{number(count.behaviours)} behaviour{'' if count.behaviours == 1 else 's'}"
        ties = f" ({number(count.tied)} cases by a tie)" if count.tied else ""
        parts.append(f"{number(count.prompts)} {name} select {behaviours}{ties}")
    return "; ".join(parts)
