"""The pictures of the experiments. They need the extra ``plot``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from verify.extras import needed
from verify.prefixes.layer import Numbers

#: Colours that people with any colour vision tell apart (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_INCHES = 3.4
_ARROW: Mapping[str, Any] = {
    "angles": "xy",
    "scale_units": "xy",
    "scale": 1,
    "width": 0.008,
    "edgecolor": "black",
    "linewidth": 0.8,
}


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    needed("matplotlib.backends.backend_agg", "pictures")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 # optional: the extra plot
    from matplotlib.figure import Figure  # noqa: PLC0415 # the same

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _saved(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path


def draw_attention_panels(path: Path, panels: Sequence[tuple[str, Numbers, int]], length: int) -> Path:
    """Draw attention patterns beside each other, as Figure 1 of the paper has them.

    Args:
        path: the picture's file.
        panels: the title, the weights (positions x keys), and how many of the keys are a prefix.
        length: of the question; a line separates it from the answer.

    """
    figure, axes = _figure(1, len(panels), _INCHES * len(panels), _INCHES + 0.4)
    for axis, (title, weights, virtual) in zip(axes[0], panels, strict=True):
        image = axis.imshow(weights, vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
        axis.axhline(length - 1.5, color="white", linewidth=0.8, linestyle=":")
        axis.axvline(length - 0.5 + virtual, color="white", linewidth=0.8, linestyle=":")
        if virtual:
            axis.axvline(virtual - 0.5, color="white", linewidth=1.6)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(f"key ({virtual} of the prefix first)" if virtual else "key", fontsize=9)
        axis.set_xticks(range(0, weights.shape[1], 5))
        axis.set_yticks(range(0, len(weights), 5))
    axes[0][0].set_ylabel("query (the answer from the dotted line)", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.8, label="attention", pad=0.01)
    return _saved(figure, path)


def draw_course(path: Path, result: Mapping[str, Any]) -> list[Path]:
    """Draw how the shares of right answers went, phase by phase: the mean over seeds, and all between the extremes."""
    phases = [phase for phase in result["course"] if result["course"][phase]["steps"]]
    columns = min(4, len(phases))
    rows = -(-len(phases) // columns)
    figure, axes = _figure(rows, columns, _INCHES * columns, 2.7 * rows + 0.6)
    tasks = list(dict.fromkeys(task for phase in phases for task in result["course"][phase]["tasks"]))
    for axis, phase in zip(axes.flat, phases, strict=False):
        course = result["course"][phase]
        for task, ways in course["tasks"].items():
            shares, colour = np.array(ways), COLOURS[tasks.index(task) % len(COLOURS)]
            axis.plot(course["steps"], shares.mean(axis=0), color=colour, label=task, linewidth=1.5)
            axis.fill_between(course["steps"], shares.min(axis=0), shares.max(axis=0), color=colour, alpha=0.2)
        axis.set_title(phase, fontsize=10)
        axis.set_ylim(-3, 103)
        axis.set_xlabel("step", fontsize=9)
        axis.grid(visible=True, alpha=0.3)
    for axis in axes.flat[len(phases) :]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel("right answers, %", fontsize=9)
    lines: dict[str, Any] = {}
    for axis in axes.flat:
        lines |= {line.get_label(): line for line in axis.get_lines()}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=len(lines), fontsize=9)
    seeds = len(result["seeds"])
    spread = f"mean and range over {seeds} seeds" if seeds > 1 else "one seed"
    figure.suptitle(f"{result['experiment']}: held-out questions answered without an error ({spread})", fontsize=10)
    return [_saved(figure, path)]


def draw_grid(path: Path, grid: Sequence[Sequence[Numbers]], rows: Sequence[str], columns: Sequence[str]) -> Path:
    """Draw attention patterns as a grid, such as Figure 2: a row for each task, a column for each head.

    Args:
        path: the picture's file.
        grid: the weights, positions x keys each.
        rows: what each row is of.
        columns: what each column is of.

    """
    figure, axes = _figure(len(rows), len(columns), 2.1 * len(columns) + 0.9, 2.1 * len(rows) + 0.3)
    for line, (title, patterns) in enumerate(zip(rows, grid, strict=True)):
        for place, weights in enumerate(patterns):
            axis = axes[line][place]
            image = axis.imshow(weights, vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if not line:
                axis.set_title(columns[place], fontsize=10)
        axes[line][0].set_ylabel(title, fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.6, label="attention")
    return _saved(figure, path)


def draw_arrows(path: Path, bare: Numbers, moved: Mapping[str, Numbers], *, axes_are: str, title: str) -> Path:
    """Draw points in the plane without a prefix, and where each prefix moves them, as Figure 3 has it.

    Args:
        path: the picture's file.
        bare: points x 2.
        moved: the same points with each prefix, by its name.
        axes_are: of the plane, in words.
        title: above the picture.

    """
    figure, axes = _figure(1, 1, 6.4, 5.0)
    axis = axes[0][0]
    axis.scatter(bare[:, 0], bare[:, 1], s=9, color="#555555", label="no prefix", zorder=3)
    for (name, points), colour in zip(moved.items(), COLOURS, strict=False):
        axis.scatter(points[:, 0], points[:, 1], s=9, color=colour, label=f"prefix for {name}", zorder=2)
        start, end = bare.mean(axis=0), points.mean(axis=0)
        axis.quiver(*start, *(end - start), facecolor=colour, zorder=4, **_ARROW)
    axis.set_xlabel(f"first {axes_are}", fontsize=9)
    axis.set_ylabel(f"second {axes_are}", fontsize=9)
    axis.set_title(title, fontsize=10)
    axis.grid(visible=True, alpha=0.3)
    axis.legend(fontsize=8)
    return _saved(figure, path)


def draw_spread(
    path: Path, lines: Mapping[str, tuple[Sequence[int], Sequence[float]]], labels: tuple[str, str]
) -> Path:
    """Draw one line for each thing that is measured against a length.

    Args:
        path: the picture's file.
        lines: lengths and numbers, by what they are.
        labels: of both axes.

    """
    figure, axes = _figure(1, 1, 6.4, 4.2)
    axis = axes[0][0]
    for (name, (lengths, values)), colour in zip(lines.items(), COLOURS, strict=False):
        axis.plot(lengths, values, marker="o", color=colour, label=name)
    axis.set_xscale("log", base=2)
    axis.set_xticks(sorted({length for lengths, _ in lines.values() for length in lengths}))
    axis.get_xaxis().set_major_formatter("{x:.0f}")
    axis.minorticks_off()
    axis.set_xlabel(labels[0], fontsize=9)
    axis.set_ylabel(labels[1], fontsize=9)
    axis.grid(visible=True, alpha=0.3)
    axis.legend(fontsize=8)
    return _saved(figure, path)
