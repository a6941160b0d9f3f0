"""The measured frontier on matrix units as a table; units with equal numbers share a row."""

from __future__ import annotations

from collections.abc import Sequence

from verify.frontier.kernels.of_units import ANY_REDUCTION, CHAIN, FULL_REDUCTION
from verify.frontier.record import Falsified, Frontier
from verify.frontier.report import case_words, family_name, span

_HEADINGS = (
    *("family", "format", "units", "certified, parts in float32", "one chain fails at", "another order fails at"),
    *("certified, parts rounded too", "rounded parts fail at", "gap"),
)


def unit_table(frontiers: Sequence[Frontier]) -> str:
    """Return the rows in Markdown.

    Args:
        frontiers: on matrix units.

    """
    units: dict[tuple[str, ...], list[str]] = {}
    for part in frontiers:
        units.setdefault(_cells(part), []).append(str(part.setting["unit"]))
    rows = [(family, dtype, ", ".join(names), *rest) for (family, dtype, *rest), names in units.items()]
    families = list(dict.fromkeys(row[0] for row in rows))
    rows.sort(key=lambda row: (row[1], families.index(row[0])))
    lines = [_HEADINGS, tuple("---" for _ in _HEADINGS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(part: Frontier) -> tuple[str, ...]:
    """Return all cells but that of the units."""
    chain = part.falsified[CHAIN.word]
    by_reduction = {
        reduction: [edge for word, edge in part.falsified.items() if word != CHAIN.word and edge.products == reduction]
        for reduction in (FULL_REDUCTION, ANY_REDUCTION)
    }
    return (
        family_name(part),
        str(part.setting["dtype"]),
        _certified(part, FULL_REDUCTION),
        case_words(chain.no_margin),
        _earliest(by_reduction[FULL_REDUCTION]),
        _certified(part, ANY_REDUCTION),
        _earliest(by_reduction[ANY_REDUCTION]),
        _gap(part),
    )


def _gap(part: Frontier) -> str:
    """Return the larger of the certificates' gaps, each to the earliest failure in the orders compared with it."""
    gaps: dict[str, list[float]] = {}
    for word, edge in part.falsified.items():
        gap = part.gap(word)
        if gap is not None:
            gaps.setdefault(edge.products, []).append(gap)
    return f"{100 * max(min(found) for found in gaps.values()):.1f} %" if gaps else ""


def _certified(part: Frontier, reduction: str) -> str:
    found = part.certified.get(reduction)
    return "" if found is None else span(found.first, found.up_to, open_ended=found.undecided is None)


def _earliest(edges: Sequence[Falsified]) -> str:
    """Return the smallest V that fails in any of some orders, with its token and the first such order."""
    failing = [(edge.no_margin[0], place) for place, edge in enumerate(edges) if edge.no_margin is not None]
    if not failing:
        return "not found" if edges else ""
    edge = edges[min(failing)[1]]
    return f"{case_words(edge.no_margin)}, {edge.order}"
