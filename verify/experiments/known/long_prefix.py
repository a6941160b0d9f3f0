"""Appendix B: how the attention on a prefix moves with its length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from verify.experiments.adaptations import AllWeights, Prefix
from verify.experiments.base import TINY, Check, Experiment, Papers, Presets, Results, at_least, tiny
from verify.experiments.known.four_tasks import TASKS
from verify.experiments.loop import Run
from verify.experiments.models import Sizes, read_by
from verify.experiments.phases import Phase, Preset
from verify.experiments.tasks import TASKS as ALL
from verify.experiments.theory import identities

_TASK = "ascending-add-one"
#: Held-out questions over which the spread is taken.
_QUESTIONS = 100


def _phases(lengths: tuple[int, ...], *, pretrained: tuple[int, float], prefix: tuple[int, float]) -> tuple[Phase, ...]:
    return (
        Phase("pretrained", None, AllWeights(dropout=True), TASKS, *pretrained),
        *(Phase(f"prefix-of-{length}", "pretrained", Prefix(length), (_TASK,), *prefix) for length in lengths),
    )


class LongPrefix(Experiment):
    """For each length: the attention on the whole prefix, and how far each virtual token's share of it goes.

    The spread is that of the paper: the 99th percentile minus the first, over positions of held-out questions and
    answers. A prefix of one has the whole share, which cannot move.
    """

    name = "long-prefix"
    summary = "How the attention on a prefix, and its spread over the virtual tokens, moves with the prefix's length."
    source = "Appendix B"
    paper: ClassVar[Papers] = {}
    presets: ClassVar[Presets] = {
        "cpu": Preset(
            Sizes(layers=2, heads=4, width=64, length=6, prefix=32),
            _phases((1, 2, 4, 8, 16, 32), pretrained=(2000, 1e-3), prefix=(300, 1e-2)),
            "GPT-2 of 2 layers and width 64, pretrained here on four tasks of digits, in place of 12 layers and width"
            " 768 with the public weights; the composed task in place of a data set of emotions.",
        ),
        TINY: tiny(
            Sizes(layers=1, heads=2, width=16, length=3, prefix=4),
            _phases((1, 4), pretrained=(6, 1e-3), prefix=(3, 1e-2)),
        ),
    }
    absent: ClassVar[dict[str, str]] = {
        "paper": "needs the public weights of GPT-2 and the data set of emotions, which are not here"
    }

    def judge(self, results: Results) -> Iterator[Check]:
        """Yield that the identities hold on each trained prefix; of the spread nothing is claimed."""
        yield at_least(
            "trained prefixes on which the identities hold, and altered patterns are refused, of 6",
            [float(sum(found["holds"] for found in extra["identities"].values())) for extra in results.extras],
            6,
        )

    def after(self, run: Run) -> dict[str, Any]:
        """Return the spread for each length, and the identities."""
        names = [phase.name for phase in run.preset.phases[1:]]
        return {
            "identities": {name: identities(run, name, _TASK) for name in names},
            "spread": [_spread(run, name) for name in names],
        }

    def draw(self, run: Run, folder: Path) -> list[Path]:
        """Draw both numbers against the length."""
        from verify.experiments.pictures import draw_spread  # noqa: PLC0415 # optional: the extra plot

        found = [_spread(run, phase.name) for phase in run.preset.phases[1:]]
        lengths = [one["length"] for one in found]
        words = {
            "strength": "mean attention on the whole prefix",
            "strength_spread": "its spread over positions",
            "share_spread": "spread of a virtual token's share of it",
        }
        lines = {said: (lengths, [one[name] for one in found]) for name, said in words.items()}
        return [draw_spread(folder / "spread.png", lines, ("virtual tokens", "attention (spread: p99 - p1)"))]


def _spread(run: Run, name: str) -> dict[str, Any]:
    """Return the attention on a trained prefix over held-out questions: its mean, and the spreads."""
    model, adaptation, sizes = run.finished(name), run.phase(name).adaptation, run.preset.sizes
    questions = run.questions(_QUESTIONS)
    read = torch.from_numpy(read_by(questions, ALL[_TASK].answer(questions))).to(run.device)
    positions = torch.arange(read.shape[1], device=run.device) + (sizes.prefix - adaptation.virtual)
    with torch.no_grad():
        made = model(input_ids=read, position_ids=positions.expand(len(read), -1), output_attentions=True)
    # layers x questions x heads x positions x virtual tokens
    on_prefix = np.stack([layer[..., : adaptation.virtual].cpu().double().numpy() for layer in made.attentions])
    strength = on_prefix.sum(axis=-1)
    share = np.divide(on_prefix, strength[..., None], out=np.zeros_like(on_prefix), where=strength[..., None] > 0)
    return {
        "length": adaptation.virtual,
        "strength": float(strength.mean()),
        "strength_spread": _range(strength).mean().item(),
        "share_spread": _range(share).mean().item(),
    }


def _range(values: Any) -> Any:
    """Return the 99th percentile minus the first over questions and positions, for each layer, head and token."""
    low, high = np.percentile(values, (1, 99), axis=(1, 3))
    return high - low
