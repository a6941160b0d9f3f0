"""Frontiers as tables: for a terminal, and in Markdown for the documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from verify.evidence.verdict import Counterexample
from verify.frontier.kernels import KERNELS
from verify.frontier.record import Frontier

#: The names of sizes as letters.
SIZE_LETTERS = {"context": "N", "response": "N0", "input": "n_X"}

_HEADINGS = (
    "family",
    "format",
    "kernel",
    "products",
    "certified up to",
    "first V without margin",
    "first V wrong",
    "gap",
    "2^p + 1",
)


def frontier_table(frontiers: Sequence[Frontier]) -> Table:
    """Return one row for each format and kernel."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in _rows(frontiers):
        table.add_row(*row)
    return table


def markdown_table(frontiers: Sequence[Frontier]) -> str:
    """Return the same rows in Markdown."""
    lines = [_HEADINGS, tuple("---" for _ in _HEADINGS), *_rows(frontiers)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def explanation(frontier: Frontier) -> list[str]:
    """Return the lines below a table: the undecided sizes, and how to reproduce each failing case."""
    lines = []
    fmt = frontier.setting.get("dtype", "")
    for name, certified in frontier.certified.items():
        if certified.undecided is not None:
            lines.append(f"{fmt}, products {name}: not certified at V = {certified.up_to + 1}: {certified.undecided}")
    for kernel, edge in frontier.falsified.items():
        for what, found in (("no positive margin", edge.no_margin), ("another token", edge.wrong)):
            if found is not None:
                order = f" ({edge.order})" if edge.order and found is edge.no_margin else ""
                lines += [f"{fmt}, {kernel}{order}: {what} at V = {found[0]}", f"  reproduce: {found[1].reproduce}"]
        if edge.refused is not None:
            lines.append(f"{fmt}, {kernel}: refused at V = {edge.checked + 1}: {edge.refused}")
        if not edge.done:
            lines.append(f"{fmt}, {kernel}: the search is not finished")
    if not frontier.falsified:
        lines.append(f"{fmt}: the search is not finished")
    return lines


def kernels(frontier: Frontier) -> list[tuple[str, str]]:
    """Return every kernel that ran, with the rounding of its products; before any ran, the roundings certified."""
    return [(kernel, edge.products) for kernel, edge in frontier.falsified.items()] or [
        ("none", products) for products in frontier.certified
    ]


def family_name(frontier: Frontier) -> str:
    """Return the setting in short: claim, sizes, temperature, options."""
    words = [str(frontier.setting.get("claim", ""))]
    for name, value in frontier.setting.items():
        if name in SIZE_LETTERS:
            words.append(f"{SIZE_LETTERS[name]} = {value}")
        elif name == "temperature":
            words += [] if value == "default" else [str(value)]
        elif name not in {"claim", "dtype", "unit"}:
            words.append(f"{name} {value}")
    return ", ".join(words)


def kernel_titles(words: Sequence[str]) -> list[str]:
    """Return the kernels as people call them; the word of no kernel is left out."""
    return [KERNELS[word].title for word in words if word in KERNELS]


def kernel_name(frontier: Frontier, kernel: str) -> str:
    """Return the name of a kernel, and the unit that it runs on; nothing before any ran."""
    return ": ".join(part for part in (frontier.setting.get("unit"), *kernel_titles([kernel])) if part)


def _rows(frontiers: Sequence[Frontier]) -> Iterator[tuple[str, ...]]:
    for frontier in frontiers:
        for kernel, products in kernels(frontier):
            certified, edge, gap = frontier.certified[products], frontier.falsified.get(kernel), frontier.gap(kernel)
            yield (
                family_name(frontier),
                str(frontier.setting.get("dtype", "")),
                kernel_name(frontier, kernel),
                products,
                span(certified.first, certified.up_to, open_ended=certified.undecided is None),
                case_words(edge.no_margin if edge else None),
                case_words(edge.wrong if edge else None),
                "" if gap is None else f"{100 * gap:.1f} %",
                str(frontier.values),
            )


def span(first: int, up_to: int, *, open_ended: bool) -> str:
    """Return the certified sizes in short: the last, and the first unless that is 1."""
    if up_to < first:
        return "none"
    shown = str(up_to) if first == 1 else f"{up_to} (from {first})"
    return f"at least {shown}" if open_ended else shown


def case_words(found: tuple[int, Counterexample] | None) -> str:
    """Return the vocabulary size and the token of a failing case; nothing where there is none."""
    if found is None:
        return ""
    size, case = found
    return f"{size} (token {case.expected})"
