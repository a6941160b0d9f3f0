"""The exact unit that stands for a device's own."""

from __future__ import annotations

from verify.device.base import AbsentError
from verify.matrix_units import MatrixUnit
from verify.matrix_units.generations import generation_of


def unit_of(capability: str, form: str, result: str = "fp32") -> MatrixUnit:
    """Return the exact unit of a device.

    Args:
        capability: the compute capability of the device, such as ``9.0``.
        form: the format of the factors, as :class:`~verify.MatrixUnit` names it.
        result: the format of ``c`` and of the sums.

    Raises:
        AbsentError: no unit is known for the device, or none for the format.

    """
    generation = generation_of(capability)
    if generation is None or form not in generation.formats:
        name = f"compute capability {capability}" if generation is None else generation.name
        raise AbsentError(f"no unit for {form} is known of {name}")
    return MatrixUnit(generation.name, form, result)
