"""The instructions of the device's matrix unit, launched directly, against the exact unit at the formats' edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from verify.device.base import AbsentError, Data, Judgement, Setting, Step, Task
from verify.device.cuda import INSTRUCTIONS, Instruction, Launcher, Nvcc
from verify.device.orders import different
from verify.device.tiles import TILES, drawn_tiles
from verify.device.units import unit_of
from verify.matrix_units import MatrixUnit
from verify.matrix_units.formats import Singles


@final
class Instructions(Step):
    """Tiny sums, subnormal numbers, overflow, zeros, infinities and NaN by ``mma.sync``, with and without ``c``."""

    name = "instructions"
    summary = "mma.sync itself bit by bit: tiny sums, subnormals, overflow, zeros, infinities, NaN"
    beside = "matrix-unit"
    seconds: ClassVar = {"full": 150.0, "tiny": 120.0}
    needs_cuda = True
    #: Tiles of 128 sums of each kind.
    tiles: ClassVar[Mapping[str, int]] = MappingProxyType({"full": 300, "tiny": 8})

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each instruction."""
        import torch  # noqa: PLC0415 # torch takes seconds to import

        major, minor = torch.cuda.get_device_capability(setting.device)
        number = int(setting.device.partition(":")[2] or torch.cuda.current_device())
        launcher = Nvcc(number, 10 * major + minor)
        yield from self.compared(launcher, f"{major}.{minor}", self.tiles[setting.preset])

    def compared(self, launcher: Launcher, capability: str, tiles: int) -> Iterator[Task]:
        """Yield the tasks for a device.

        Args:
            launcher: runs the instructions.
            capability: of the device, which says of what generation its unit is.
            tiles: how many of each kind.

        """
        for instruction in INSTRUCTIONS:
            yield Task(instruction.name, partial(_compared, launcher, instruction, capability, tiles))

    def judge(self, data: Data) -> Judgement:
        """Every sum of every kind must be that of the exact unit."""
        kinds, wrong = data["sums"], data["different"]
        if set(kinds) != set(TILES) or set(wrong) != set(TILES):
            raise ValueError("every kind has its counts")
        for kind, count in kinds.items():
            if type(count) is not int or type(wrong[kind]) is not int or not 0 <= wrong[kind] <= count or count == 0:
                raise ValueError("different sums are some of all")
        total, apart = sum(kinds.values()), sum(wrong.values())
        said = f"{apart:,} of {total:,} sums differ from {data['unit']}"
        if apart:
            counts = ", ".join(f"{kind} {count:,}" for kind, count in wrong.items() if count)
            said = f"{said}: {counts}; first {data['first']}"
        return Judgement(apart == 0, said)


def _compared(launcher: Launcher, instruction: Instruction, capability: str, tiles: int) -> Data:
    unit = _unit(instruction, capability)
    sums, wrong = {}, {}
    first: dict[str, Any] | None = None
    for seed, kind in enumerate(TILES):
        drawn = drawn_tiles(kind, unit, instruction.products, tiles, seed)
        made = launcher.sums(instruction, drawn.a, drawn.b, drawn.c)
        expected = unit.multiply_add(drawn.a[:, :, None], drawn.b[:, None], drawn.c)
        if made.shape != expected.shape:
            raise ValueError(f"{instruction.name} gave sums of shape {made.shape}, not {expected.shape}")
        sums[kind], wrong[kind] = expected.size, different(made, expected)
        if wrong[kind] and first is None:
            first = {"kind": kind, **_first(made, expected)}
    return {"unit": repr(unit), "evidence": unit.evidence.kind, "sums": sums, "different": wrong, "first": first}


def _unit(instruction: Instruction, capability: str) -> MatrixUnit:
    """Return the exact unit of the device; raises :class:`AbsentError` where it has no such instruction."""
    unit = unit_of(capability, instruction.format, instruction.result)
    major, minor = capability.split(".")
    if 10 * int(major) + int(minor) < instruction.since:
        raise AbsentError(f"{instruction.name} came after {unit.generation}")
    return unit


def _first(made: Singles, expected: Singles) -> dict[str, str]:
    """Return the first two numbers that differ, as C writes them."""
    for one, other in zip(made.ravel(), expected.ravel(), strict=True):
        if different(np.array([one]), np.array([other])):
            return {"device": float(one).hex(), "unit": float(other).hex()}
    raise ValueError("nothing differs")
