"""Generations of matrix units: a new one is its own file, and an entry here."""

from __future__ import annotations

from constructions.registry import Registry
from verify.matrix_units.generations.ada import ADA
from verify.matrix_units.generations.ampere import AMPERE
from verify.matrix_units.generations.base import Generation
from verify.matrix_units.generations.blackwell import BLACKWELL
from verify.matrix_units.generations.cdna1 import CDNA1
from verify.matrix_units.generations.cdna2 import CDNA2
from verify.matrix_units.generations.cdna3 import CDNA3
from verify.matrix_units.generations.hopper import HOPPER
from verify.matrix_units.generations.turing import TURING
from verify.matrix_units.generations.volta import VOLTA

#: Generations by the words for them.
GENERATIONS: Registry[Generation] = Registry(
    "generation",
    (VOLTA, TURING, AMPERE, ADA, HOPPER, BLACKWELL, CDNA1, CDNA2, CDNA3),
    name=lambda generation: generation.name,
)


def generation_of(capability: str) -> Generation | None:
    """Return the generation of a device by its compute capability; ``None`` for one that is not known here.

    Example:
        >>> generation_of("9.0").name
        'hopper'

    """
    return next((found for found in GENERATIONS.values() if capability in found.capabilities), None)
