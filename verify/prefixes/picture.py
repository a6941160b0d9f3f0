"""The argument of the paper's Figure 1 as a picture of a user's own layer. Needs the extra ``plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from constructions.validation import check_integer
from proofs.attention import RESCALING
from verify.extras import needed
from verify.prefixes.layer import AttentionLayer
from verify.prefixes.measured import deviations
from verify.prefixes.passes import AnyArithmetic, attend
from verify.prefixes.results import HeadResults, floats

#: The most positions that are numbered; of more, every second, third, ... is.
_MOST_NUMBERS = 12


def draw_attention(
    path: Path, layer: AttentionLayer, content: Any, prefix: Any, arithmetic: AnyArithmetic, *, head: int = 0
) -> str:
    """Draw attention over the content without a prefix, with it, and renormalised; return the caption.

    The first and the last panel show the claim: renormalised, attention over the content is unchanged. The caption
    states the largest deviation, and the bound computed for the layer there.

    Args:
        path: the picture's file; its ending chooses the format.
        layer: the attention layer.
        content: positions x width.
        prefix: prefix x width.
        arithmetic: the number system.
        head: which head.

    Raises:
        InvalidArgument: matplotlib is not installed, no such head, or rows that do not fit.

    """
    check_integer("head", head, 0, len(layer.heads) - 1)
    passes = attend(layer, content, prefix, arithmetic)
    found = list(deviations(RESCALING, passes))[head]
    caption = caption_of(found.left, found.right, found.bound, arithmetic.name)
    draw_results(path, passes.heads[head], caption)
    return caption


def draw_results(path: Path, made: HeadResults, caption: str) -> None:
    """Draw the three panels of one head's results.

    Args:
        path: the picture's file; its ending chooses the format.
        made: the results.
        caption: the line below.

    """
    needed("matplotlib.backends.backend_agg", "picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 # optional: the extra plot
    from matplotlib.figure import Figure  # noqa: PLC0415 # the same

    count, joined, renormalised = made.prefix, floats(made.with_prefix), made.renormalised()
    panels = (
        ("without a prefix\n$A$", floats(made.attention), 0),
        ("with a prefix\n$A^{pt}$", joined, count),
        ("content renormalised\n$A^{pt} / (1 - \\alpha)$", renormalised, 0),
    )
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    columns = [values.shape[1] for _, values, _ in panels]
    # as wide as their columns, but never so narrow that the titles meet
    all_axes = figure.subplots(1, len(panels), width_ratios=[max(width, max(columns) / 2) for width in columns])
    for axes, (title, values, before) in zip(all_axes, panels, strict=True):
        image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        if before:
            axes.axvline(before - 0.5, color="white", linewidth=2)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("key" if not before else f"key ({before} prefix, then content)")
        axes.set_xticks([])
        axes.set_yticks(range(0, len(values), -(-len(values) // _MOST_NUMBERS)))
    all_axes[0].set_ylabel("query")
    figure.colorbar(image, ax=all_axes, shrink=0.8, label="attention")
    figure.supxlabel(caption, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200, metadata={"Software": None} if path.suffix == ".png" else None)


def caption_of(left: Any, right: Any, bound: Any, arithmetic: str) -> str:
    """Return the line below a picture: the largest deviation, and the bound computed there."""
    off = np.abs(left - right)
    if bound is None:
        largest = max(off.reshape(-1).tolist())
        return f"A^pt = (1 - alpha) A: the largest deviation is {largest} in {arithmetic} arithmetic, exactly"
    place = np.unravel_index(int(np.argmax(off)), off.shape)
    return (
        f"A^pt = (1 - alpha) A: the largest deviation is {off[place]:.2e} in {arithmetic}; the computed bound there is"
        f" {bound[place]:.2e}"
    )
