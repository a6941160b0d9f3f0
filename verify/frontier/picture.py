"""The picture of the frontier: a bar of certified sizes for each format and coding, on a logarithmic axis from 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructions.validation import InvalidArgument
from verify.extras import needed
from verify.frontier.record import Frontier
from verify.frontier.rows import Result, Row, groups, labels, usual_claim

#: Inches: a page of 850 pixels at 100 dots an inch, as wide as GitHub shows it; a line; the gap between columns.
_WIDTH, _LINE, _GAP = 8.5, 0.23, 0.16
#: Inches: above and below the lines, for title and legend, and for the axis; the narrowest axis.
_ABOVE, _BELOW, _NARROWEST = 1.25, 0.8, 3.0
#: The most numbers that fit below the axis at its narrowest.
_MOST_TICKS = 9

_GREEN, _RED, _FAINT = "#2e7d32", "#c62828", "#555555"
_FAILS: dict[str, Any] = {"marker": "x", "markersize": 6, "color": _RED, "markeredgewidth": 2}
_UNDECIDED: dict[str, Any] = {"color": _RED, "linewidth": 1.2, "linestyle": ":"}
_UNSEEN: dict[str, Any] = {"color": "#9e9e9e", "linewidth": 1}
_LIMIT: dict[str, Any] = {"color": "black", "linewidth": 1.2}


@dataclass(frozen=True)
class _Line:
    """A line of the picture: a format's name, or a row of one.

    Attributes:
        coding: how tokens are written and read, or the format's name.
        row: the row that is drawn; ``None`` beside a format's name.

    """

    coding: str
    row: Row | None = None


def draw_frontiers(path: Path, frontiers: Sequence[Frontier], *, note: str = "") -> None:
    """Draw a bar for each format and coding: the certified sizes in green, the first failure as a cross.

    Kernels, claims and lifts with the same numbers share a bar; the numbers stand beside it.

    Args:
        path: the picture's file; its ending chooses the format.
        frontiers: at least one.
        note: a line below the picture, such as the versions that were measured.

    Raises:
        InvalidArgument: matplotlib is not installed, or nothing to draw.

    """
    if not frontiers:
        raise InvalidArgument("frontiers: expected at least one to draw")
    needed("matplotlib.backends.backend_agg", "figure")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 # optional: the extra plot
    from matplotlib.figure import Figure  # noqa: PLC0415 # the same

    usual = usual_claim(frontiers)
    grouped = groups(frontiers)
    lines: list[_Line] = []
    for dtype, rows in grouped:
        lines.append(_Line(dtype))
        lines += [_Line(text, row) for text, row in zip(labels(rows, usual), rows, strict=True)]
    figure = Figure(figsize=(_WIDTH, _ABOVE + _LINE * len(lines) + _BELOW))
    FigureCanvasAgg(figure)
    axes = _columns(figure, lines)
    results = [row.result for _, rows in grouped for row in rows]
    octaves = _octaves(results)
    _scale(axes, len(lines), octaves)
    for place, line in enumerate(lines):
        if line.row is not None:
            _draw_result(axes, place, line.row.result)
    place = 0
    for _, rows in grouped:
        _draw_limit(axes, place, len(rows), rows[0].result.values, 2**octaves)
        place += 1 + len(rows)
    others = any(row.claims != (usual,) for _, rows in grouped for row in rows)
    claim = f"{usual}, unless a row names another claim" if others else usual
    below = "; ".join(part for part in (claim, note) if part)
    _title_and_legend(figure, axes, results, below)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200, metadata={"Software": None} if path.suffix == ".png" else None)


def _columns(figure: Any, lines: Sequence[_Line]) -> Any:
    """Write the columns beside the bars, widen the figure where they need it, and return the axes between them."""
    height = figure.get_figheight()
    renderer = figure.canvas.get_renderer()

    def column(cells: Sequence[str], heading: str, align: str) -> tuple[list[Any], float]:
        texts = [figure.text(0, 0, heading, fontsize=8, color=_FAINT, ha=align, va="bottom", linespacing=1.1)]
        texts[0].set_y(1 - (_ABOVE - 0.05) / height)
        for place, cell in enumerate(cells):
            bold = lines[place].row is None
            text = figure.text(0, 0, cell, fontsize=9, ha=align, va="center", weight="bold" if bold else "normal")
            text.set_y(1 - (_ABOVE + _LINE * (place + 0.5)) / height)
            texts.append(text)
        return texts, max(text.get_window_extent(renderer).width for text in texts) / figure.dpi

    codings = [line.coding if line.coding != before else "" for line, before in _with_previous(lines)]
    results = [line.row.result if line.row else None for line in lines]
    left, right = [column(codings, "encoding, readout", "left")], []
    if any(line.row and line.row.kernel for line in lines):
        left.append(
            column([line.row.kernel if line.row else "" for line in lines], "kernel, where\nit matters", "left")
        )
    right.append(column([_certified(found) if found else "" for found in results], "certified\nup to V =", "right"))
    right.append(column([_failing(found) if found else "" for found in results], "fails first\nat V =", "right"))
    beside = sum(width + _GAP for _, width in left) + sum(width + _GAP for _, width in right) + 2 * _GAP
    whole = max(_WIDTH, beside + _NARROWEST)
    figure.set_figwidth(whole)
    at = _GAP
    for texts, width in left:
        for text in texts:
            text.set_x(at / whole)
        at += width + _GAP
    start, at = at, whole - _GAP
    for texts, width in reversed(right):
        for text in texts:
            text.set_x(at / whole)
        at -= width + _GAP
    frame = (start / whole, _BELOW / height, (at - start) / whole, _LINE * len(lines) / height)
    return figure.add_axes(frame)


def _with_previous(lines: Sequence[_Line]) -> list[tuple[_Line, str]]:
    return list(zip(lines, ["", *(line.coding for line in lines[:-1])], strict=True))


def _certified(result: Result) -> str:
    if result.up_to < result.first:
        return "none"
    span = str(result.up_to) if result.first == 1 else f"{result.first} to {result.up_to}"
    return f"at least {span}" if result.open_ended else span


def _failing(result: Result) -> str:
    return "not found" if result.fails is None else str(result.fails)


def _octaves(results: Sequence[Result]) -> int:
    """Return the axis' end as a power of two, beyond all measurements and beyond the smallest of the limits."""
    measured = [max(found.up_to, found.first, found.fails or 1) for found in results]
    return max(*measured, min(found.values for found in results), 1).bit_length()


def _scale(axes: Any, count: int, octaves: int) -> None:
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xscale("log", base=2)
    axes.set_xlim(1, 2**octaves)
    step = -(-octaves // (_MOST_TICKS - 1))
    ticks = range(0, octaves + 1, step)
    plain = 2**octaves < 10**5  # five digits just fill the room of a tick
    axes.set_xticks([2**tick for tick in ticks], [str(2**tick) if plain else f"$2^{{{tick}}}$" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=9)
    axes.set_xlabel("vocabulary size V (logarithmic)", fontsize=9)
    axes.grid(visible=True, axis="x", linewidth=0.4, color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_result(axes: Any, place: int, result: Result) -> None:
    if result.first > 1:
        axes.plot([1, result.first], [place, place], **_UNSEEN)
    if result.up_to >= result.first:
        axes.barh(place, result.up_to - result.first, left=result.first, height=0.62, color=_GREEN)
    if result.open_ended:
        axes.plot(result.up_to, place, ">", markersize=9, color=_GREEN)
    if result.fails is not None:
        axes.plot([max(result.up_to, 1), result.fails], [place, place], **_UNDECIDED)
        axes.plot(result.fails, place, **_FAILS)


def _draw_limit(axes: Any, place: int, rows: int, values: int, end: int) -> None:
    """Mark the format's own limit, ``values``, in the lines of a format; an arrow where it is beyond the axis."""
    power = (values - 1).bit_length() - 1
    text = f"$2^{{{power}}} + 1$" if values - 1 == 1 << power else str(values)
    if values > end:
        axes.text(end, place, f"{text} $\\rightarrow$", fontsize=9, ha="right", va="center")
        return
    axes.plot([values, values], [place - 0.4, place + rows + 0.4], **_LIMIT)
    axes.text(values, place, f"{text} ", fontsize=9, ha="right", va="center")


def _title_and_legend(figure: Any, axes: Any, results: Sequence[Result], below: str) -> None:
    height = figure.get_figheight()
    title = "Up to which vocabulary size V do all targets come out right?"
    figure.text(0.5, 1 - 0.08 / height, title, fontsize=12, ha="center", va="top")
    styles: list[tuple[str, dict[str, Any]]] = [
        ("certified for all targets at once", {"marker": "s", "linestyle": "", "markersize": 9, "color": _GREEN}),
        ("the first V that fails on the kernel", {"linestyle": "", **_FAILS}),
        ("$2^p + 1$: what the format itself holds", _LIMIT),
    ]
    if any(found.fails is not None and found.fails > found.up_to + 1 for found in results):
        styles.append(("neither certified nor failing", _UNDECIDED))
    if any(found.first > 1 for found in results):
        styles.append(("not looked at", _UNSEEN))
    figure.legend(
        handles=[axes.plot([], [], label=label, **style)[0] for label, style in styles],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.3 / height),
        ncols=3,
        fontsize=9,
        frameon=False,
    )
    figure.text(0.5, 0.06 / height, below, fontsize=8, color=_FAINT, ha="center", va="bottom")
