"""A step of the evidence of a device: named tasks that give data, and a judgement of the data that needs no device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

#: How much is done: ``full`` uses a device for minutes, ``tiny`` does the same in seconds on a processor.
PRESETS = ("full", "tiny")

#: The reason for a step that wants CUDA and runs elsewhere.
NO_CUDA = "no CUDA device"

#: JSON values by name.
Data = Mapping[str, Any]


class AbsentError(Exception):
    """The device, or torch on it, does not have this at all, such as a kernel for a format; the message says so."""


class NotDoneError(Exception):
    """This could not be done here, for example because a library is missing; the message says why."""


@dataclass(frozen=True)
class Setting:
    """Where steps run, and how much they do.

    Attributes:
        device: as torch names it.
        preset: one of :data:`PRESETS`.

    """

    device: str
    preset: str

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU that torch reaches by CUDA."""
        return self.device.partition(":")[0] == "cuda"


@dataclass(frozen=True)
class Task:
    """One piece of a step.

    Attributes:
        name: unlike that of any other task of the step.
        run: returns JSON values, which the step's ``judge`` takes; raises :class:`AbsentError` or
            :class:`NotDoneError`.

    """

    name: str
    run: Callable[[], Data]


@dataclass(frozen=True)
class Judgement:
    """What data say.

    Attributes:
        holds: whether the promise of the step holds; ``None`` for a finding, about which nothing is promised.
        sentence: the data in a line.

    """

    holds: bool | None
    sentence: str


class Step(ABC):
    """One step: a class without arguments, in a file of its own, with a line in ``verify.device.steps.STEPS``.

    Each step runs in a process of its own, so that it survives whatever happens to another.

    Attributes:
        name: as ``--step`` takes it.
        summary: what it shows, in a few words.
        seconds: by preset, after how long it is given up; the tasks that are done by then count.
        needs_cuda: whether it has nothing to do elsewhere.
        beside: the step whose file keeps its record too, which holds the number of files down.

    """

    name: ClassVar[str]
    summary: ClassVar[str]
    seconds: ClassVar[Mapping[str, float]]
    needs_cuda: ClassVar[bool] = False
    beside: ClassVar[str | None] = None

    @property
    def file(self) -> str:
        """The file that keeps its record."""
        return f"{self.beside or self.name}.json"

    @abstractmethod
    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield the tasks; each runs before the next one is asked for."""

    @abstractmethod
    def judge(self, data: Data) -> Judgement:
        """Return what the data of a task say; raise any error where they are not of such a task.

        A check of the evidence calls this too, without the device: the judgement must follow from the data alone.
        """


def name_of(setting: Setting) -> str:
    """Return the name of the device for people, such as ``NVIDIA H100 80GB HBM3``."""
    import torch  # noqa: PLC0415 # torch takes seconds to import

    return str(torch.cuda.get_device_name(setting.device)) if setting.cuda else setting.device
