"""Matrix units against the independent simulator: nothing may differ but what the simulator is known to lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.matrix_units.patterns import Sums, drawn
from tests.matrix_units.simulator import INSTRUCTIONS, simulated
from tests.matrix_units.variants import VARIANTS, having
from verify.matrix_units import GENERATIONS
from verify.matrix_units.blocks import AlignedBlock
from verify.matrix_units.formats import RESULTS, Singles
from verify.matrix_units.unit import MatrixUnit

pytest.importorskip("mmasim", reason="the simulator mmasim is not installed")

UNITS = [(name, form, result) for name, found in INSTRUCTIONS.items() for form, result in found]
#: Sums of a call: their terms in float64, in the simulator a dozen copies of them, stay below a gigabyte.
_AT_ONCE = 50_000


def _sums(unit: MatrixUnit, rows: int, seed: int) -> Sums:
    """Return sums of two blocks, without those that the simulator gets wrong.

    Its CDNA 3 model in fp8 takes an infinite or undefined accumulator for a number with exponent -1 and drops it next
    to large products. That follows from its code, and no device can be meant by it.
    """
    half = unit.block.products
    found = drawn(unit, 2 * half, rows, seed)
    if unit.generation == "cdna3" and unit.format.startswith("fp8"):
        first = unit.multiply_add(found.a[:, :half], found.b[:, :half], found.c)
        kept = np.isfinite(found.c) & np.isfinite(first)
        found = Sums(*(part[kept] for part in found))
    return found


def _different(unit: MatrixUnit, sums: Sums, theirs: Singles | None = None) -> int:
    """Return how many sums differ from those of the simulator, which are computed where they are not given."""
    mine = unit.multiply_add(*sums)
    theirs = simulated(unit, sums) if theirs is None else theirs
    same = (mine.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(mine) & np.isnan(theirs))
    return int((~same).sum())


def test_the_simulator_is_asked_of_every_unit() -> None:
    every = {
        (name, form, output.result.name)
        for name, found in GENERATIONS.items()
        for form, description in found.formats.items()
        for output in description.block.outputs
    }
    assert set(UNITS) == every


@pytest.mark.parametrize(("generation", "form", "result"), UNITS)
def test_a_unit_is_the_simulator_s(generation: str, form: str, result: str) -> None:
    unit = MatrixUnit(generation, form, result)
    assert _different(unit, _sums(unit, 1400, seed=1)) == 0


@pytest.mark.parametrize(
    "count", [pytest.param(10**4, marks=pytest.mark.heavy), pytest.param(10**6, marks=pytest.mark.long)]
)
@pytest.mark.parametrize(("generation", "form", "result"), UNITS)
def test_a_unit_is_the_simulator_s_on_many_sums(generation: str, form: str, result: str, count: int) -> None:
    unit = MatrixUnit(generation, form, result)
    sums = different = seed = 0
    while sums < count:
        seed += 1
        found = _sums(unit, _AT_ONCE, seed)
        sums += len(found.c)
        different += _different(unit, found)
    print({"unit": unit, "sums": sums, "different": different})  # noqa: T201
    assert different == 0


_ALIGNED = [unit for unit in UNITS if isinstance(GENERATIONS[unit[0]].formats[unit[1]].block, AlignedBlock)]


@pytest.mark.share(8)
@pytest.mark.parametrize(("generation", "form", "result"), _ALIGNED)
def test_the_simulator_rejects_wrong_variants(generation: str, form: str, result: str) -> None:
    """Every variant; the cut to 13 bits is one only where there is one."""
    unit = MatrixUnit(generation, form, result)
    sums = _sums(unit, 4200, seed=2)
    theirs = simulated(unit, sums)
    for name, change in VARIANTS.items():
        if name != "kept_whole" or unit.output.precision < RESULTS[result].format.precision:
            assert _different(change(unit), sums, theirs) > 0, name


def _near_zero(unit: MatrixUnit, rows: int) -> Sums:
    """Return sums with ``c = 0`` of a product on the edge of two results and one about the cut of the smallest terms.

    On the edge: a multiple of the last place where the result is cut, an odd multiple of its half where it is rounded
    to nearest. Whether the small one is cut then decides.
    """
    assert unit.output.zero_exponent is not None
    assert unit.block.fraction_bits is not None
    rng = np.random.default_rng(4)
    form = unit.output.result.format
    edge = form.min_exponent - form.precision + (0 if unit.output.to_nearest else 1)
    cut = unit.output.zero_exponent - unit.block.fraction_bits
    a = np.zeros((rows, unit.block.products), dtype=np.float32)
    b = np.zeros_like(a)
    for column, exponent in ((0, np.full(rows, edge)), (1, cut + rng.integers(-3, 3, rows))):
        sign = rng.choice([-1.0, 1.0], rows)
        odd = 1 + 2 * rng.integers(0, 2, rows)
        a[:, column], b[:, column] = np.ldexp(sign * odd, exponent // 2), np.ldexp(1.0, exponent - exponent // 2)
    held = unit.values.holds(a).all(axis=1) & unit.values.holds(b).all(axis=1)
    return Sums(a[held], b[held], np.zeros(int(held.sum()), dtype=np.float32))


@pytest.mark.parametrize(("generation", "form", "result"), _ALIGNED)
def test_the_simulator_rejects_another_exponent_of_zero(generation: str, form: str, result: str) -> None:
    """That of the smallest normal number, and the ones beside the right one, where products are as small as the cut."""
    unit = MatrixUnit(generation, form, result)
    assert isinstance(unit.block, AlignedBlock)
    zero = unit.output.zero_exponent
    assert zero is not None
    sums = _near_zero(unit, 400)
    assert _different(unit, sums) == 0
    places = 2 * (unit.values.min_exponent - unit.values.precision + 1)  # every product is a multiple of 2^places
    for other in (zero - 1, zero + 1, unit.output.result.format.min_exponent):
        outputs = (replace(unit.output, zero_exponent=other),)
        changed = having(unit, replace(unit.block, outputs=outputs))
        told = places < max(other, zero) - unit.block.fraction_bits
        assert (_different(changed, sums) > 0) is told, other
