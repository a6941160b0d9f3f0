"""Figure 1: a model that sorts in ascending order is tuned for descending order, in full and by a prefix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from verify.experiments.adaptations import AllWeights, Prefix
from verify.experiments.base import TINY, Check, Experiment, Papers, Presets, Results, at_least, below, tiny
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Phase, Preset
from verify.experiments.theory import identities, pattern_reached, pattern_weights

_BOTH = ("ascending", "descending")
_PAPERS = Sizes(layers=1, heads=1, width=96)


def _phases(pretrained: int, tuned: int, prefix: tuple[int, float]) -> tuple[Phase, ...]:
    return (
        Phase("pretrained", None, AllWeights(dropout=True), ("ascending",), pretrained, 5e-4, _BOTH),
        Phase("fine-tuned", "pretrained", AllWeights(), ("descending",), tuned, 5e-4, _BOTH),
        Phase("prefix", "pretrained", Prefix(1), ("descending",), *prefix, _BOTH),
    )


_SMALLER = (
    "The paper's model and data; 1,500, 600 and 600 steps in place of 20,000, 10,000 and 40,000, and the prefix at a"
    " rate of 1e-2 in place of 5e-4."
)


class Sorting(Experiment):
    """The control is full fine-tuning: on the same model and data, it learns what the prefix does not."""

    name = "sorting"
    summary = "A prefix cannot turn ascending sorting into descending sorting; full fine-tuning can."
    source = "Section 4, Figure 1"
    paper: ClassVar[Papers] = {
        "pretrained": {"ascending": 91.4, "descending": 0.0},
        "fine-tuned": {"ascending": 0.0, "descending": 84.9},
        "prefix": {"ascending": 0.1, "descending": 0.0},
    }
    presets: ClassVar[Presets] = {
        "cpu": Preset(_PAPERS, _phases(1500, 600, (600, 1e-2)), _SMALLER),
        "paper": Preset(_PAPERS, _phases(20_000, 10_000, (40_000, 5e-4)), "The paper's."),
        TINY: tiny(replace(_PAPERS, width=16, length=3), _phases(6, 4, (4, 1e-2))),
    }

    def judge(self, results: Results) -> Iterator[Check]:
        """Yield the three shares that the figure is about, the theory's answer, and the identities."""
        shares = results.shares
        yield at_least("pretrained, ascending, %", shares["pretrained"]["ascending"], 85)
        yield at_least("fine-tuned, descending, %", shares["fine-tuned"]["descending"], 90)
        yield below("prefix, descending, %", shares["prefix"]["descending"], 1)
        yield at_least(
            "seeds on which the pattern of the fine-tuned model is proved impossible for any prefix, of each",
            [float(extra["pattern"]["impossible"]) for extra in results.extras],
            1,
        )
        yield at_least(
            "trained prefixes on which the identities hold, and altered patterns are refused, of each",
            [float(extra["identities"]["prefix"]["holds"]) for extra in results.extras],
            1,
        )

    def after(self, run: Run) -> dict[str, Any]:
        """Return the identities on the trained prefix, and whether any prefix reaches the fine-tuned pattern."""
        return {
            "identities": {"prefix": identities(run, "prefix", "descending")},
            "pattern": pattern_reached(run, "pretrained", "fine-tuned", "descending"),
        }

    def draw(self, run: Run, folder: Path) -> list[Path]:
        """Draw the attention of the three models, as Figure 1 has it."""
        from verify.experiments.pictures import draw_attention_panels  # noqa: PLC0415 # optional: the extra plot

        panels = [
            (title, pattern_weights(run, phase, "descending")[0][0], run.phase(phase).adaptation.virtual)
            for title, phase in (
                ("pretrained: ascending", "pretrained"),
                ("prefix-tuned: descending", "prefix"),
                ("fine-tuned: descending", "fine-tuned"),
            )
        ]
        return [draw_attention_panels(folder / "attention.png", panels, run.preset.sizes.length)]
