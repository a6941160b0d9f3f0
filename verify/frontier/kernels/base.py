"""A kernel of a search, and the machine that it runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from constructions.formats import Format
from verify.arithmetic.base import Arithmetic
from verify.certificates.floats.arithmetic import RoundedArithmetic


class Order(NamedTuple):
    """An order of operations that a kernel may run in.

    Attributes:
        name: in words; empty where a kernel has one order.
        arithmetic: what runs.

    """

    name: str
    arithmetic: Arithmetic[Any, Any, Any]


@dataclass(frozen=True)
class Machine:
    """What runs the kernels of a search, in one format.

    Attributes:
        word: the word of its arithmetic, as ``--arithmetic`` takes it.
        dtype: the word of the format.
        fmt: the format of the numbers.
        values: the most evenly spaced values of the format, or of reduced factors.
        common: the word of the certificate that covers all its kernels.
        certificate: returns the bounds of a word.
        setting: what a record says of the machine.
        unit: the generation of a matrix unit, ``none`` where there is none.

    """

    word: str
    dtype: str
    fmt: Format
    values: int
    common: str
    certificate: Callable[[str], RoundedArithmetic]
    setting: Mapping[str, str] = field(default_factory=dict)
    unit: str = "none"


class MachineKind(ABC):
    """A kind of machine: an object, and a line in :mod:`verify.frontier.kernels` that registers it.

    Attributes:
        word: the word of its arithmetic, as ``--arithmetic`` takes it.
        formats: the words of its formats.
        option: the option of the command line that chooses its kernels.

    """

    word: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    option: ClassVar[str]

    @abstractmethod
    def made(self, dtype: str, unit: str | None) -> Machine:
        """Return one of them.

        Args:
            dtype: one of its formats.
            unit: the generation of a matrix unit, ``None`` where none is chosen.

        Raises:
            InvalidArgument: a unit where there is none, or one that does not have the format.

        """


class Kernel(ABC):
    """A kernel: an object, and a line in :mod:`verify.frontier.kernels` that registers it.

    Attributes:
        word: its name in records and on the command line.
        title: its name in tables.
        machine: the word of the kind of machine that it runs on.
        measured: whether it is only measured how it rounds, so that its runs must not rely on a certificate of that.

    """

    word: str
    title: str
    machine: str
    measured: bool = False

    def runs_in(self, machine: Machine) -> bool:
        """Return whether a machine runs it unless told which kernels to run."""
        return self.machine == machine.word

    @abstractmethod
    def products(self, machine: Machine) -> str:
        """Return the word of the certificate that it is compared with."""

    @abstractmethod
    def orders(self, machine: Machine) -> Sequence[Order]:
        """Return the orders that are run at every V, the usual one first.

        Raises:
            InvalidArgument: the format does not have this kernel.

        """
