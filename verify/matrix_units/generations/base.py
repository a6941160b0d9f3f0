"""A generation of matrix units, and what is known of it by which evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verify.matrix_units.blocks import Block
from verify.matrix_units.formats import InputFormat


@dataclass(frozen=True)
class Evidence:
    """Why a block is believed to be the hardware's.

    Attributes:
        kind: ``recorded`` where results of the hardware agree with it; ``code`` where another simulator's code alone
            says so; ``open`` where recorded results differ from it.
        note: what was recorded and what was not, in a sentence.

    """

    kind: str
    note: str


@dataclass(frozen=True)
class Description:
    """What a generation does with one input format.

    Attributes:
        values: the numbers that the factors can be.
        block: how a step adds.
        evidence: why this is believed.

    """

    values: InputFormat
    block: Block
    evidence: Evidence


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
