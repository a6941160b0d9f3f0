"""Counts of completions as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from verify.huggingface.completions.counting import Counted
from verify.numbers import number


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
