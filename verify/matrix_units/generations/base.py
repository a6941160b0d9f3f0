"""A generation of matrix units, and the evidence for its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from verify.matrix_units.blocks import Block
from verify.matrix_units.formats import InputFormat


@dataclass(frozen=True)
class Evidence:
    """Why a block is believed to be the hardware's.

    Attributes:
        kind: ``recorded`` where results of the hardware agree with it, to the last bit; ``code`` where only the code
            of another simulator says so.
        note: the recorded results, or why there are none.

    """

    kind: str
    note: str


@dataclass(frozen=True)
class Description:
    """How a generation adds products of one input format.

    Attributes:
        values: the numbers that the factors can be.
        block: how a step adds.
        evidence: why this is believed.
        apart: the evidence for the results that have their own, by the words for them.

    """

    values: InputFormat
    block: Block
    evidence: Evidence
    apart: Mapping[str, Evidence] = field(default_factory=dict)

    def evidence_of(self, result: str) -> Evidence:
        """Return why the block is believed with that result."""
        return self.apart.get(result, self.evidence)


@dataclass(frozen=True)
class Generation:
    """A generation of matrix units.

    Attributes:
        name: the word for it.
        devices: the maker's name, and some devices that have it.
        formats: its descriptions by the words for their input formats.
        capabilities: the compute capabilities by which CUDA calls its devices.

    """

    name: str
    devices: str
    formats: Mapping[str, Description]
    capabilities: tuple[str, ...] = ()
