"""The kernels of a search, and the machines that they run on: a new one is its own file, and a line here."""

from __future__ import annotations

from constructions.registry import Registry
from verify.frontier.kernels.base import Kernel as Kernel
from verify.frontier.kernels.base import Machine as Machine
from verify.frontier.kernels.base import MachineKind as MachineKind
from verify.frontier.kernels.of_torch import TF32 as TF32
from verify.frontier.kernels.of_torch import Torch, TorchKernel
from verify.frontier.kernels.of_units import CHAIN, FACTORED, PARTS, REDUCED, Units

#: Machines by the words of their arithmetics.
MACHINES: Registry[MachineKind] = Registry("arithmetic", (Torch(), Units()), name=lambda kind: kind.word)

#: Kernels by their words.
KERNELS: Registry[Kernel] = Registry(
    "kernel",
    (
        TorchKernel("linear", "F.linear", measured=True),
        TorchKernel("separate", "x @ W.T, + b"),
        TorchKernel("fma", "FMA (emulated)"),
        CHAIN,
        PARTS,
        REDUCED,
        FACTORED,
    ),
    name=lambda kernel: kernel.word,
)


def kernels_on(kind: str) -> tuple[str, ...]:
    """Return the words of the kernels of a kind of machine."""
    return tuple(word for word, kernel in KERNELS.items() if kernel.machine == kind)


def kernels_of(machine: Machine) -> tuple[str, ...]:
    """Return the words of the kernels that a machine runs unless told which."""
    return tuple(word for word, kernel in KERNELS.items() if kernel.runs_in(machine))
