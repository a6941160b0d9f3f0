"""The trainings of an experiment, one after another, each of which starts from drawn weights or from another's end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from verify.experiments.adaptations import Adaptation
from verify.experiments.models import Sizes


@dataclass(frozen=True)
class Phase:
    """One training.

    Attributes:
        name: as results say it; its files are named after it.
        start: the phase from whose weights it starts; ``None`` for drawn weights.
        adaptation: what it changes.
        tasks: that it is trained for; each sequence is of one of them, drawn.
        steps: of AdamW.
        rate: its learning rate.
        measured: the tasks that it is measured on; those that it is trained for by default.
        points: how many times it is measured on its way, at about the same distance.

    """

    name: str
    start: str | None
    adaptation: Adaptation
    tasks: tuple[str, ...]
    steps: int
    rate: float
    measured: tuple[str, ...] = ()
    points: int = 20

    @property
    def all_tasks(self) -> tuple[str, ...]:
        """The tasks that it is measured on."""
        return self.measured or self.tasks

    @property
    def every(self) -> int:
        """Steps from one measurement to the next."""
        return max(1, self.steps // self.points)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "name": self.name,
            "start": self.start,
            "adaptation": self.adaptation.to_json(),
            "tasks": list(self.tasks),
            "measured": list(self.all_tasks),
            "steps": self.steps,
            "rate": self.rate,
            "points": self.points,
        }


@dataclass(frozen=True)
class Preset:
    """How much an experiment does.

    Attributes:
        sizes: of the model.
        phases: one after another.
        smaller: in words, how it differs from the paper's.
        batch: sequences of a step.
        questions: held out ones on which each phase is measured at its end.
        on_the_way: those of them on which it is measured before.
        more: numbers that the experiment itself reads.

    """

    sizes: Sizes
    phases: tuple[Phase, ...]
    smaller: str
    batch: int = 64
    questions: int = 3200
    on_the_way: int = 640
    more: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "sizes": asdict(self.sizes),
            "phases": [phase.to_json() for phase in self.phases],
            "batch": self.batch,
            "questions": self.questions,
            "on_the_way": self.on_the_way,
            "more": dict(self.more),
        }
