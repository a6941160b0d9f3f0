"""Section 5.3: a prefix and a matrix of rank one of as many numbers, on a task that is new to the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from verify.experiments.adaptations import AllWeights, LowRank, Prefix
from verify.experiments.base import TINY, Check, Experiment, Papers, Presets, Results, at_least, tiny
from verify.experiments.known.four_tasks import TASKS
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Phase, Preset
from verify.experiments.theory import identities

_NEW = "double-histogram"
#: Virtual tokens of which each layer has a key and a value of the model's width: as many numbers as rank one has. (The
#: paper's prefix of 12 has one row of the width in each layer, which the layer makes a key and a value of.)
_VIRTUAL = 6


def _phases(
    *, pretrained: tuple[int, float], prefix: tuple[int, float], low_rank: tuple[int, float]
) -> tuple[Phase, ...]:
    return (
        Phase("pretrained", None, AllWeights(dropout=True), TASKS, *pretrained),
        Phase("rank-one", "pretrained", LowRank(1), (_NEW,), *low_rank),
        Phase("prefix", "pretrained", Prefix(_VIRTUAL), (_NEW,), *prefix),
    )


class EqualParameters(Experiment):
    """The control is rank one itself, with as many numbers, on the same model and data.

    So far this shows nothing: at the size of ``cpu`` rank one had learned next to nothing when its training was stopped
    after about 1,600 of 4,000 steps, and ``paper`` was not run. No result is committed.
    """

    name = "equal-parameters"
    summary = "Whether a matrix of rank one learns a new task that a prefix of as many parameters does not learn."
    source = "Section 5.3"
    paper: ClassVar[Papers] = {"prefix": {_NEW: 0.31}, "rank-one": {_NEW: 92.38}}
    presets: ClassVar[Presets] = {
        "cpu": Preset(
            Sizes(layers=4, heads=4, width=64, length=7, prefix=10),
            _phases(pretrained=(4000, 1e-3), low_rank=(4000, 1e-2), prefix=(1000, 5e-3)),
            "Questions of 7 digits in place of 10, width 64 in place of 256, so 3,072 parameters in place of 12,288;"
            " 4,000 steps of pretraining in place of 40,000, at twice the rate; 4,000 for rank one in place of 10,000,"
            " at twice the rate; 1,000 for the prefix in place of 100,000, at a hundred times the rate.",
        ),
        "paper": Preset(
            Sizes(layers=4, heads=4, width=256, prefix=_VIRTUAL),
            _phases(pretrained=(40_000, 5e-4), prefix=(100_000, 5e-5), low_rank=(10_000, 5e-3)),
            "The paper's, but that a prefix has a key and a value in each layer, of 6 virtual tokens in place of 12.",
        ),
        TINY: tiny(
            Sizes(layers=4, heads=2, width=16, length=3, prefix=_VIRTUAL),
            _phases(pretrained=(6, 1e-3), prefix=(4, 1e-2), low_rank=(4, 1e-2)),
        ),
    }

    def judge(self, results: Results) -> Iterator[Check]:
        """Yield how many times the prefix's share rank one has, and the identities."""
        found = zip(results.shares["rank-one"][_NEW], results.shares["prefix"][_NEW], strict=True)
        # a prefix that is never right counts as right on one question
        least = 100 / results.questions
        yield at_least(f"{_NEW}, rank one against the prefix, times", [a / max(b, least) for a, b in found], 20)
        yield at_least(f"rank one, {_NEW}, %", results.shares["rank-one"][_NEW], 20)
        yield at_least(
            "trained prefixes on which the identities hold, and altered patterns are refused, of each",
            [float(extra["identities"]["prefix"]["holds"]) for extra in results.extras],
            1,
        )

    def after(self, run: Run) -> dict[str, Any]:
        """Return the identities on the trained prefix."""
        return {"identities": {"prefix": identities(run, "prefix", _NEW)}}
