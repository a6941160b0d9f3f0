"""Figures 2 and 3: a model of four tasks that is not told which; one virtual token each tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from verify.experiments.adaptations import AllWeights, Prefix
from verify.experiments.base import TINY, Check, Experiment, Papers, Presets, Results, at_least, below, tiny
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Phase, Preset
from verify.experiments.theory import attention_outputs, identities, pattern_weights, plane

#: What the model is pretrained on, with no label that says which.
TASKS = ("ascending", "descending", "add-one", "add-two")
#: Held-out questions whose activations are drawn.
_POINTS = 100


def phases_of_four(virtual: int, *, pretrained: tuple[int, float], prefix: tuple[int, float]) -> tuple[Phase, ...]:
    """Return the pretraining on four tasks, and a prefix for each of them; steps and rates."""
    return (
        Phase("pretrained", None, AllWeights(dropout=True), TASKS, *pretrained),
        *(Phase(f"prefix-{task}", "pretrained", Prefix(virtual), (task,), *prefix, TASKS) for task in TASKS),
    )


class FourTasks(Experiment):
    """Each prefix has the model do one of the tasks that it was pretrained on, and no other."""

    name = "four-tasks"
    summary = "A single virtual token elicits any one of the tasks of the pretraining, and suppresses the others."
    source = "Section 5.1, Figures 2 and 3"
    paper: ClassVar[Papers] = {
        "pretrained": dict(zip(TASKS, (31.4, 19.2, 30.0, 15.6), strict=True)),
        **{f"prefix-{task}": {task: share} for task, share in zip(TASKS, (94.1, 83.7, 99.6, 99.8), strict=True)},
    }
    presets: ClassVar[Presets] = {
        "cpu": Preset(
            Sizes(layers=1, heads=4, width=128, length=6, first_norm=False),
            phases_of_four(1, pretrained=(5000, 1e-3), prefix=(1500, 5e-3)),
            "Questions of 6 digits in place of 10, width 128 in place of 256; 5,000 steps of pretraining in place of"
            " 20,000, at twice the rate; 1,500 steps for each prefix in place of 30,000, at a rate of 5e-3 in place of"
            " 5e-5.",
        ),
        "paper": Preset(
            Sizes(layers=1, heads=4, width=256, first_norm=False),
            phases_of_four(1, pretrained=(20_000, 5e-4), prefix=(30_000, 5e-5)),
            "The paper's.",
        ),
        TINY: tiny(
            Sizes(layers=1, heads=2, width=16, length=3, first_norm=False),
            phases_of_four(1, pretrained=(6, 1e-3), prefix=(4, 5e-3)),
        ),
    }

    def judge(self, results: Results) -> Iterator[Check]:
        """Yield each prefix on its own task and on the others, the bare model on each, and the identities."""
        shares = results.shares
        for task in TASKS:
            yield below(f"no prefix, {task}, %", shares["pretrained"][task], 60)
        for task in TASKS:
            own = shares[f"prefix-{task}"]
            yield at_least(f"prefix for {task}, {task}, %", own[task], 60)
            yield below(f"prefix for {task}, any other task, %", [x for t in TASKS if t != task for x in own[t]], 5)
        yield at_least(
            "trained prefixes on which the identities hold, and altered patterns are refused, of 4",
            [float(sum(found["holds"] for found in extra["identities"].values())) for extra in results.extras],
            len(TASKS),
        )

    def after(self, run: Run) -> dict[str, Any]:
        """Return the identities on every trained prefix."""
        return {"identities": {f"prefix-{task}": identities(run, f"prefix-{task}", task) for task in TASKS}}

    def draw(self, run: Run, folder: Path) -> list[Path]:
        """Draw the heads by task (Figure 2), and what each prefix adds to the activations (Figure 3)."""
        from verify.experiments.pictures import draw_arrows, draw_grid  # noqa: PLC0415 # optional: the extra plot

        heads = run.preset.sizes.heads
        rows = ["no prefix", *TASKS]
        grid = [list(pattern_weights(run, "pretrained", TASKS[0])[0])]
        grid += [list(pattern_weights(run, f"prefix-{task}", task)[0]) for task in TASKS]
        columns = [f"head {head}" for head in range(heads)]
        found = {
            name: attention_outputs(run, name, _POINTS) for name in ("pretrained", *(f"prefix-{t}" for t in TASKS))
        }
        flat = plane(np.concatenate(list(found.values())))
        points = dict(zip(found, np.split(flat, len(found)), strict=True))
        bare = points.pop("pretrained")
        return [
            draw_grid(folder / "heads.png", grid, rows, columns),
            draw_arrows(
                folder / "activations.png",
                bare,
                {name.removeprefix("prefix-"): moved for name, moved in points.items()},
                axes_are="principal direction",
                title="Output of the attention layer where the answer begins: each prefix adds a bias",
            ),
        ]
