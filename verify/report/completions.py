"""Counts of completions as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.completions import Completions
    from verify.huggingface.completions import Counted


def completions_sentence(made: Completions) -> str:
    """Return both counts of a construction in one sentence."""
    parts = []
    for name, count in (("prompts of tokens", made.hard), ("of virtual tokens", made.soft)):
        behaviours = f"{number(count.behaviours)} behaviour{'' if count.behaviours == 1 else 's'}"
        ties = f" ({number(count.tied)} cases by a tie)" if count.tied else ""
        parts.append(f"{number(count.prompts)} {name} select {behaviours}{ties}")
    return "; ".join(parts)


def counts_table(counts: Sequence[Counted]) -> Table:
    """Return one row for each kind of prompts: how many ran, how many completions differ, how many are in doubt."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("prompts", "tried", "unique completions", "targets reached", "ties", "otherwise alone", "at once"):
        table.add_column(heading, justify="left" if heading == "prompts" else "right")
    for count in counts:
        table.add_row(
            count.kind,
            number(count.prompts),
            number(count.unique),
            "" if count.reached is None else number(count.reached),
            number(count.tied),
            f"{number(len(count.alone.differ))} of {number(count.alone.prompts)}",
            number(count.batch),
        )
    return table
