"""Pictures of the page: drawn by the functions that draw files, and put into it as SVG that names no other file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from markupsafe import Markup

from constructions.formats import FORMATS
from constructions.unconditional_generation import UnconditionalGeneration
from constructions.validation import check_integer
from verify.arithmetic import torch_arithmetic
from verify.extras import needed
from verify.prefixes import draw_case
from verify.prefixes.picture import draw_attention

ResultT = TypeVar("ResultT")

#: Seed and index of a drawn layer with enough positions and prefix vectors to look at.
_PREFIX_EXAMPLE = (0, 1498)
#: The most tokens that are named; of more, every second, third, ... is.
_MOST_NAMES = 20
#: Places of SVG that name an element of the same file.
_NAMES = re.compile(r'(\bid="|\bhref="#|url\(#)([^")]+)')


def svg_of(name: str, draw: Callable[[Path], ResultT]) -> tuple[Markup, ResultT]:
    """Return a picture as an element of SVG, and what its function returned.

    Text stays text. The picture's own names get ``name`` before them, as several pictures stand in one page.

    Args:
        name: of the picture, unique on the page.
        draw: draws it into a file.

    Raises:
        InvalidArgument: matplotlib is not installed.

    """
    needed("matplotlib", "picture")
    import matplotlib as mpl  # noqa: PLC0415 # optional: the extra plot

    with tempfile.TemporaryDirectory() as folder, mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        path = Path(folder) / "picture.svg"
        result = draw(path)
        text = path.read_text(encoding="utf-8")
    opening, _, inner = text[text.index("<svg") :].partition(">")
    seen = re.search(r'viewBox="([0-9. ]+)"', opening)
    assert seen is not None, "matplotlib writes one"
    inner = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'(<image [^>]*?) id="[^"]*"', r"\1", inner)  # two that are alike have one name, which nothing uses
    inner = _NAMES.sub(rf"\g<1>{name}-\g<2>", inner)
    # its opening tag has a size in points, which no phone fits
    made = f'<svg class="drawn" viewBox="{seen[1]}" aria-hidden="true" focusable="false">{inner}'
    return Markup(made), result  # noqa: S704 # matplotlib escapes the texts that it is given


def draw_readout(path: Path, *, vocab_size: int = 10) -> None:
    """Draw the readout's logits as functions of the decoded number: the lines of the paper's Figure 4.

    Over ``|x - v/V| < 1/(2V)`` the line of token ``v`` is the highest; there it is drawn thick. The first and the last
    token also win beyond their end of the grid.

    Args:
        path: the picture's file; its ending chooses the format.
        vocab_size: ``V``, the number of lines.

    Raises:
        InvalidArgument: matplotlib is not installed, or not a vocabulary size.

    """
    check_integer("vocab_size", vocab_size, 1)
    needed("matplotlib.backends.backend_agg", "figure")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 # optional: the extra plot
    from matplotlib.figure import Figure  # noqa: PLC0415 # the same

    matrices = UnconditionalGeneration(vocab_size, 1).transformer.lowered.matrices()
    slopes = np.array([float(row[0]) for row in matrices["readout.weight"].to_fractions()])
    offsets = np.array([float(row[0]) for row in matrices["readout.bias"].to_fractions()])
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ends = np.array([0.0, 1.0])
    for token, (slope, offset) in enumerate(zip(slopes, offsets, strict=True)):
        (line,) = axes.plot(ends, slope * ends + offset, linewidth=0.8, alpha=0.6)
        near = np.clip(token / vocab_size + np.array([-0.5, 0.5]) / vocab_size, 0, 1)
        near[1] = 1 if token == vocab_size - 1 else near[1]
        axes.plot(near, slope * near + offset, linewidth=3, color=line.get_color())
        if token % -(-vocab_size // _MOST_NAMES):
            continue
        top = token / vocab_size
        axes.annotate(
            str(token),
            (top, slope * top + offset),
            textcoords="offset points",
            xytext=(0, 6),
            ha="center",
            color=line.get_color(),
        )
    axes.margins(x=0.02, y=0.1)
    axes.set_xlabel("decoded number $x$")
    axes.set_ylabel("logit")
    axes.set_title(f"readout for $V = {vocab_size}$: logit$_v = (2v/V - 1)\\,x + 1/4 - (v/V)^2$", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None} if path.suffix == ".png" else None)


def draw_prefix(path: Path) -> str:
    """Draw a drawn layer's attention before and after a prefix, as in the paper's Figure 1; return the caption."""
    case = draw_case(*_PREFIX_EXAMPLE, fmt=FORMATS["float32"])
    return draw_attention(path, case.layer, case.content, case.prefix, torch_arithmetic("float32", "cpu"))
