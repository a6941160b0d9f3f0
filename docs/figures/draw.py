"""The pictures of the README and the site, drawn from the weights themselves. Needs the extra ``plot`` (matplotlib).

``python -m docs.figures.draw FOLDER`` draws them, by default into ``proofs/figures``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.figures.frontier_document import draw as draw_frontier
from verify.report.page.drawing import draw_prefix, draw_readout

#: Where the README and the site look for pictures.
_FOLDER = Path(__file__).parents[2] / "proofs" / "figures"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _FOLDER
    draw_readout(folder / "readout.png")
    draw_prefix(folder / "attention.png")
    draw_frontier(folder / "frontier.png")
