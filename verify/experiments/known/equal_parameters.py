"""Section 5.3: a prefix and a matrix of rank one of as many numbers, on a task that is new to the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from verify.experiments.adaptations import AllWeights, LowRank, Prefix
from verify.experiments.base import TINY, Check, Experiment, Papers, Presets, Results, at_least, tiny
from verify.experiments.histogram import HISTOGRAM
from verify.experiments.known.four_tasks import TASKS
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Phase, Preset
from verify.experiments.theory import identities

#: Virtual tokens of which each layer has a key and a value of the model's width: as many numbers as rank one has. (The
#: paper's prefix of 12 has one row of the width in each layer, which the layer makes a key and a value of.)
_VIRTUAL = 6
#: The prefix whose rate times its steps is that of the paper's, and one at the best of the rates that were tried.
_PREFIX, _FASTER = "prefix", "prefix-faster"
#: Every other training on the new task is compared with this one.
_RANK_ONE = "rank-one"


def _phases(
    *, pretrained: tuple[int, float], low_rank: tuple[int, float], prefixes: dict[str, tuple[int, float]]
) -> tuple[Phase, ...]:
    return (
        Phase("pretrained", None, AllWeights(dropout=True), TASKS, *pretrained),
        Phase(_RANK_ONE, "pretrained", LowRank(1), (HISTOGRAM,), *low_rank),
        *(Phase(name, "pretrained", Prefix(_VIRTUAL), (HISTOGRAM,), *prefix) for name, prefix in prefixes.items()),
    )


class EqualParameters(Experiment):
    """The control is rank one itself, with as many numbers, on the same model and data.

    In ``cpu`` each prefix gets as many steps as rank one. One has a rate that makes rate times steps the paper's. The
    other has the best of the rates that were tried, as rank one has; it was added when that rate had turned out to be
    better. Rank one must have 20 times the share of each; it has less than that of the second.
    """

    name = "equal-parameters"
    summary = "Whether a matrix of rank one learns a new task that a prefix of as many parameters does not learn."
    source = "Section 5.3"
    paper: ClassVar[Papers] = {_PREFIX: {HISTOGRAM: 0.31}, _RANK_ONE: {HISTOGRAM: 92.38}}
    presets: ClassVar[Presets] = {
        "cpu": Preset(
            Sizes(layers=4, heads=4, width=64, length=7, prefix=10),
            _phases(
                pretrained=(4000, 1e-3), low_rank=(2500, 1e-2), prefixes={_PREFIX: (2500, 2e-3), _FASTER: (2500, 5e-2)}
            ),
            "Questions of 7 digits in place of 10, width 64 in place of 256, so 3,072 parameters in place of 12,288;"
            " 4,000 steps of pretraining in place of 40,000, at twice the rate; 2,500 for rank one in place of 10,000,"
            " at twice the rate; 2,500 for a prefix in place of 100,000, at 40 times the rate, and at 1,000 times.",
        ),
        "paper": Preset(
            Sizes(layers=4, heads=4, width=256, prefix=_VIRTUAL),
            _phases(pretrained=(40_000, 5e-4), low_rank=(10_000, 5e-3), prefixes={_PREFIX: (100_000, 5e-5)}),
            "The paper's, but that a prefix has a key and a value in each layer, of 6 virtual tokens in place of 12.",
        ),
        TINY: tiny(
            Sizes(layers=4, heads=2, width=16, length=3, prefix=_VIRTUAL),
            _phases(pretrained=(6, 1e-3), low_rank=(4, 1e-2), prefixes={_PREFIX: (4, 1e-2), _FASTER: (4, 1e-1)}),
        ),
    }

    def judge(self, results: Results) -> Iterator[Check]:
        """Yield how many times each prefix's share rank one has, and the identities."""
        prefixes = [phase for phase, tasks in results.shares.items() if HISTOGRAM in tasks and phase != _RANK_ONE]
        one = results.shares[_RANK_ONE][HISTOGRAM]
        # a prefix that is never right counts as right on one question
        least = 100 / results.questions
        for phase in prefixes:
            found = zip(one, results.shares[phase][HISTOGRAM], strict=True)
            yield at_least(f"{HISTOGRAM}, rank one against {phase}, times", [a / max(b, least) for a, b in found], 20)
        yield at_least(f"rank one, {HISTOGRAM}, %", one, 20)
        yield at_least(
            f"trained prefixes on which the identities hold, and altered patterns are refused, of {len(prefixes)}",
            [float(sum(found["holds"] for found in extra["identities"].values())) for extra in results.extras],
            len(prefixes),
        )

    def after(self, run: Run) -> dict[str, Any]:
        """Return the identities on every trained prefix."""
        prefixes = [phase.name for phase in run.preset.phases if phase.adaptation.virtual]
        return {"identities": {name: identities(run, name, HISTOGRAM) for name in prefixes}}
