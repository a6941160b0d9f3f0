"""Figure 4: the readout's logits, drawn from the weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from markupsafe import Markup

from constructions.unconditional_generation import UnconditionalGeneration
from verify.evidence.verdict import margin_to_json
from verify.report.page.drawing import draw_readout, svg_of
from verify.report.page.sections.base import Section

#: The paper's own number of lines.
VOCABULARY = 10


def lines_json() -> list[dict[str, Any]]:
    """Return the readout's lines as JSON values: for each token the slope and the offset, exactly."""
    matrices = UnconditionalGeneration(VOCABULARY, 1).transformer.lowered.matrices()
    rows = zip(matrices["readout.weight"].to_fractions(), matrices["readout.bias"].to_fractions(), strict=True)
    return [
        {"token": token, "slope": margin_to_json(slope[0]), "offset": margin_to_json(offset[0])}
        for token, (slope, offset) in enumerate(rows)
    ]


@cache
def _picture() -> Markup:
    return svg_of("readout", lambda path: draw_readout(path, vocab_size=VOCABULARY))[0]


class Readout(Section):
    """The picture, and the same as a table."""

    name = "figure-4"
    title = "The readout, drawn from the weights"

    def values(self) -> Mapping[str, Any]:
        """Return the picture and the lines."""
        name = f"constructions.UnconditionalGeneration({VOCABULARY}, 1)"
        return {
            "picture": _picture(),
            "lines": self.material.library.made(name, lines_json),
        }
