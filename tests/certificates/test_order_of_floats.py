"""The place of a float in the order of its format: neighbours differ by one, and 0 is between the subnormal numbers."""

from __future__ import annotations

import numpy as np
import pytest

from constructions import FORMATS, Format
from verify.certificates.floats.directed import from_ordinal, ordinal

FORMAT = pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)


@FORMAT
def test_a_place_gives_the_float_back(fmt: Format) -> None:
    smallest = 2.0 ** (fmt.min_exponent - fmt.precision + 1)
    numbers = [0.0, smallest, 3 * smallest, 2.0**fmt.min_exponent, 0.5, 1.0, 1.5, float(fmt.largest)]
    values = np.array([*numbers, *(-number for number in numbers)])
    assert (from_ordinal(ordinal(values, fmt), fmt) == values).all()
    assert ordinal(np.array([0.0]), fmt).tolist() == [0]  # once taken for 1/2, so that other floats were tried instead


@FORMAT
@pytest.mark.parametrize("around", ["zero", "the first normal number", "one"])
def test_neighbours_are_one_place_apart(fmt: Format, around: str) -> None:
    centre = {"zero": 0.0, "the first normal number": 2.0**fmt.min_exponent, "one": 1.0}[around]
    places = ordinal(np.array([centre]), fmt) + np.arange(-3, 4)
    values = from_ordinal(places, fmt)
    assert (ordinal(values, fmt) == places).all()
    if fmt.name == "bfloat16":  # numpy has no bfloat16: its neighbours are 2^16 float32 apart
        held = values.astype(np.float32)
        bits = np.abs(held).view(np.uint32).astype(np.int64) * np.where(np.signbit(held), -1, 1)
        assert (np.diff(bits) == 1 << 16).all()
    else:
        held = values.astype(fmt.name)
        assert (held.astype(np.float64) == values).all()
        assert (np.nextafter(held[:-1], held.dtype.type(np.inf)) == held[1:]).all()
