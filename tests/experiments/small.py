"""An experiment of a second, with dropout and every kind of adaptation, for tests; also run in processes of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from verify.experiments.adaptations import AllWeights, LowRank, Prefix
from verify.experiments.base import Check, Experiment, Papers, Presets, Results, at_least
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Phase, Preset
from verify.experiments.running import run_experiment

BOTH = ("ascending", "descending")


def small(*, rate: float = 1e-2, steps: int = 40) -> Preset:
    return Preset(
        Sizes(layers=1, heads=2, width=16, length=3, prefix=2),
        (
            Phase("pretrained", None, AllWeights(dropout=True), ("ascending",), steps, rate, BOTH, points=5),
            Phase("prefix", "pretrained", Prefix(2), ("descending",), steps, rate, BOTH, points=5),
            Phase("rank-one", "pretrained", LowRank(1), BOTH, steps, rate, points=5),
        ),
        "All.",
        batch=8,
        questions=64,
        on_the_way=16,
    )


class Small(Experiment):
    name = "small"
    summary = "For tests."
    source = "nowhere"
    paper: ClassVar[Papers] = {}
    presets: ClassVar[Presets] = {"cpu": small()}

    def judge(self, results: Results) -> Iterator[Check]:
        yield at_least("pretrained, ascending, %", results.shares["pretrained"]["ascending"], 0)

    def after(self, run: Run) -> dict[str, Any]:
        return {"seed": run.seed}


def run_small(out: str) -> None:
    """Run it, writing where it is at every step: a kill falls into a file most often."""
    import torch

    torch.set_num_threads(1)
    run_experiment(Small(), small(), Path(out), save_every=0, pictures=False)
