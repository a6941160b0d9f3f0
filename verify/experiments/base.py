"""An experiment of the paper: its trainings, the numbers that the paper has, and what must come out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from constructions.validation import InvalidArgument, check_choice
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Phase, Preset

#: Shares of right answers in percent, by the phase and the task, one for each seed.
Shares = Mapping[str, Mapping[str, Sequence[float]]]
#: The paper's, and how much an experiment does by the name of a preset.
Papers = Mapping[str, Mapping[str, float]]
Presets = Mapping[str, Preset]
#: The preset that takes seconds. It shows only that an experiment runs, and is not judged.
TINY = "tiny"


def tiny(sizes: Sizes, phases: tuple[Phase, ...], more: tuple[tuple[str, int], ...] = ()) -> Preset:
    """Return a preset :data:`TINY`."""
    return Preset(sizes, phases, "Tiny; only to see that it runs.", batch=8, questions=32, on_the_way=16, more=more)


@dataclass(frozen=True)
class Check:
    """One thing that must come out, on every seed.

    Attributes:
        what: in words, with the wanted number.
        found: the number of the seed on which it is furthest from holding; ``None`` where one is not finite.
        holds: whether it does on every seed.

    """

    what: str
    found: float | None
    holds: bool

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def at_least(what: str, found: Sequence[float], wanted: float) -> Check:
    """Return whether every number is at least ``wanted``; of no number nothing holds."""
    return _check(f"{what}: at least {wanted:g}", found, min, [number >= wanted for number in found])


def below(what: str, found: Sequence[float], wanted: float) -> Check:
    """Return whether every number is below ``wanted``; of no number nothing holds."""
    return _check(f"{what}: below {wanted:g}", found, max, [number < wanted for number in found])


def _check(what: str, found: Sequence[float], worst: Callable[..., float], right: Sequence[bool]) -> Check:
    numbers = [number for number in found if math.isfinite(number)]
    return Check(what, worst(numbers) if len(numbers) == len(found) > 0 else None, bool(right) and all(right))


@dataclass(frozen=True)
class Results:
    """What came out.

    Attributes:
        shares: of right answers.
        extras: what :meth:`Experiment.after` returned, one for each seed.
        questions: on which each share at the end of a phase was measured.

    """

    shares: Shares
    extras: Sequence[Mapping[str, Any]]
    questions: int


class Experiment(ABC):
    """One experiment: a class without arguments, in a file of its own, with a line in ``EXPERIMENTS``.

    Attributes:
        name: as the command line takes it.
        summary: what it shows, in a line.
        source: where the paper has it.
        paper: the paper's shares in percent, by the phase and the task.
        presets: how much it does, by name; each experiment has ``tiny``, which is not judged.
        absent: why a preset cannot be run here, by its name.

    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    paper: ClassVar[Papers]
    presets: ClassVar[Presets]
    absent: ClassVar[Mapping[str, str]] = {}

    def preset(self, name: str) -> Preset:
        """Return a preset by its name.

        Raises:
            InvalidArgument: there is none, or it cannot be run here.

        """
        check_choice("preset", name, (*self.presets, *self.absent))
        if name in self.absent:
            raise InvalidArgument(f"preset: expected one that can run here but {self.name} {name}: {self.absent[name]}")
        return self.presets[name]

    @abstractmethod
    def judge(self, results: Results) -> Iterator[Check]:
        """Yield the expectations, each with whether it was met."""

    def after(self, run: Run) -> dict[str, Any]:
        """Return what is measured on the trained models of a seed: JSON values, the same for the same weights."""
        del run
        return {}

    def draw(self, run: Run, folder: Path) -> list[Path]:
        """Draw pictures of the trained models of a seed into a folder; return their files."""
        del run, folder
        return []
