"""The picture of the frontier: certified edge, falsified edge and physical limit, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from constructions.validation import InvalidArgument
from verify.frontier.record import Certified, Falsified, Frontier
from verify.frontier.report import KERNEL_NAMES, family_name, kernels


def draw_frontiers(path: Path, frontiers: Sequence[Frontier], *, note: str = "") -> None:
    """Draw a row for each frontier: what is certified as a bar, what fails as a cross, the format's own end as a line.

    Args:
        path: the picture's file; its ending chooses the format.
        frontiers: at least one.
        note: what was measured when, below the picture.

    Raises:
        InvalidArgument: matplotlib is not installed, or nothing to draw.

    """
    if not frontiers:
        raise InvalidArgument("frontiers: expected at least one to draw")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 # optional: the extra plot
        from matplotlib.figure import Figure  # noqa: PLC0415 # the same
    except ImportError:
        raise InvalidArgument("figure: expected matplotlib; install it with: pip install 'prefixproof[plot]'") from None
    rows = [(part, kernel, products) for part in frontiers for kernel, products in kernels(part)]
    figure = Figure(figsize=(9.5, 1.6 + 0.27 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    labels = []
    for place, (frontier, kernel, products) in enumerate(rows):
        _draw_row(axes, place, frontier.certified[products], frontier.falsified.get(kernel), frontier.values)
        labels.append(f"{frontier.setting.get('dtype', '')}: {family_name(frontier)}; {KERNEL_NAMES[kernel]}")
    axes.set_yticks(range(len(rows)), labels, fontsize=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("vocabulary size V" + (f"\n{note}" if note else ""), fontsize=8)
    axes.grid(visible=True, axis="x", linewidth=0.3)
    handles = _legend(axes)
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None} if path.suffix == ".png" else None)


def _draw_row(axes: Any, place: int, certified: Certified, edge: Falsified | None, values: int) -> None:
    if certified.up_to >= certified.first:
        axes.barh(place, certified.up_to - certified.first, left=certified.first, height=0.6, color="tab:green")
    if edge is not None and edge.no_margin is not None:
        axes.plot(edge.no_margin[0], place, "|", markersize=9, color="tab:orange", markeredgewidth=2)
    if edge is not None and edge.wrong is not None:
        axes.plot(edge.wrong[0], place, "x", markersize=6, color="tab:red")
    axes.plot(values, place, "D", markersize=4, color="black", fillstyle="none")


def _legend(axes: Any) -> list[Any]:
    tied = {"markersize": 9, "color": "tab:orange", "markeredgewidth": 2}
    (tie,) = axes.plot([], [], "|", label="first V without a margin", **tied)
    (wrong,) = axes.plot([], [], "x", color="tab:red", label="first V with a wrong token")
    (end,) = axes.plot([], [], "D", color="black", fillstyle="none", label="$2^p + 1$ evenly spaced values")
    (bar,) = axes.plot([], [], "s", color="tab:green", label="every V certified")
    return [bar, tie, wrong, end]
