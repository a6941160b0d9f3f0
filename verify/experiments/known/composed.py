"""Section 5.2: a prefix combines skills of the pretraining into a new task, and does not teach a new skill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from verify.experiments.adaptations import Prefix
from verify.experiments.base import TINY, Check, Experiment, Papers, Presets, Results, at_least, below, tiny
from verify.experiments.histogram import HISTOGRAM
from verify.experiments.known.four_tasks import TASKS, phases_of_four
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Phase, Preset
from verify.experiments.theory import identities

_COMPOSED = "ascending-add-one"
#: The paper's new skill, and the one whose name the paper gives it.
_NEW = (HISTOGRAM, "double-histogram")


def _phases(
    virtual: int, *, pretrained: tuple[int, float], prefix: tuple[int, float], new: tuple[int, float]
) -> tuple[Phase, ...]:
    return (
        *phases_of_four(virtual, pretrained=pretrained, prefix=prefix),
        *(Phase(f"prefix-{task}", "pretrained", Prefix(virtual), (task,), *new) for task in (_COMPOSED, *_NEW)),
    )


class Composed(Experiment):
    """The control is the four tasks of the pretraining, which prefixes of the same size elicit in the same model.

    That a model of this size can learn the paper's new skill at all is shown by ``equal-parameters``, which pretrains
    the same model in the same way; nothing shows that it can learn the double histogram. A prefix that is trained at a
    higher rate learns some of the new skill there, so that the share here is no limit of prefixes.
    """

    name = "composed"
    summary = "Prefixes of a deeper model learn a composition of pretrained skills, and no new skill."
    source = "Section 5.2"
    paper: ClassVar[Papers] = {
        **{f"prefix-{task}": {task: share} for task, share in zip(TASKS, (99.7, 99.6, 100.0, 99.97), strict=True)},
        f"prefix-{_COMPOSED}": {_COMPOSED: 71.59},
        f"prefix-{HISTOGRAM}": {HISTOGRAM: 0.62},
    }
    presets: ClassVar[Presets] = {
        "cpu": Preset(
            Sizes(layers=4, heads=4, width=64, length=7, prefix=10),
            _phases(10, pretrained=(4000, 1e-3), prefix=(300, 5e-3), new=(1000, 5e-3)),
            "Questions of 7 digits in place of 10, width 64 in place of 256; 4,000 steps of pretraining in place of"
            " 40,000, at twice the rate; 300 steps for a prefix of a pretrained task in place of 20,000 and 1,000 for"
            " one of a new task in place of 500,000, at a rate of 5e-3 in place of 5e-5.",
        ),
        "paper": Preset(
            Sizes(layers=4, heads=4, width=256, prefix=10),
            _phases(10, pretrained=(40_000, 5e-4), prefix=(20_000, 5e-5), new=(500_000, 5e-5)),
            "The paper's.",
        ),
        TINY: tiny(
            Sizes(layers=2, heads=2, width=16, length=3, prefix=2),
            _phases(2, pretrained=(6, 1e-3), prefix=(3, 1e-2), new=(3, 1e-2)),
        ),
    }

    def judge(self, results: Results) -> Iterator[Check]:
        """Yield each prefix on its own task, the composition beside the new skill, and the theory."""
        shares = results.shares
        for task in TASKS:
            yield at_least(f"prefix for {task}, {task}, %", shares[f"prefix-{task}"][task], 60)
        yield at_least(f"prefix for {_COMPOSED}, {_COMPOSED}, %", shares[f"prefix-{_COMPOSED}"][_COMPOSED], 30)
        for task in _NEW:
            yield below(f"prefix for {task}, {task}, %", shares[f"prefix-{task}"][task], 5)
        prefixes = len(TASKS) + 1 + len(_NEW)
        yield at_least(
            f"trained prefixes on which the identities hold, and altered patterns are refused, of {prefixes}",
            [float(sum(found["holds"] for found in extra["identities"].values())) for extra in results.extras],
            prefixes,
        )
        yield at_least(
            "the second layer's channel, against the largest bound of the first layer's identity, times",
            [extra["channel"]["second"] / extra["channel"]["first_bound"] for extra in results.extras],
            1000,
        )

    def after(self, run: Run) -> dict[str, Any]:
        """Return the identities on every trained prefix, and the second layer's channel for the composed task.

        The channel is how far a prefix moves the second layer's attention off the proportions that it has on its rows
        without the prefix: what the first layer's bias does to the second. In the first layer it is 0 within rounding.
        """
        found = {phase.name: identities(run, phase.name, phase.tasks[0]) for phase in run.preset.phases[1:]}
        first, second = found[f"prefix-{_COMPOSED}"]["layers"][:2]
        channel = {
            "task": _COMPOSED,
            "first": first["own_rows"]["rescaling"],
            "first_bound": first["rescaling"]["bound"],
            "second": second["own_rows"]["rescaling"],
        }
        return {"identities": found, "channel": channel}
