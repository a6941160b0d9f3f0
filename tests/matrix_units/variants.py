"""Wrong matrix units, each wrong in one thing, that recorded sums or the simulator must reject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tests.matrix_units.recorded import Change
from verify.matrix_units.blocks import AlignedBlock, Block, Output
from verify.matrix_units.formats import Decoded, Singles
from verify.matrix_units.generations import GENERATIONS
from verify.matrix_units.unit import MatrixUnit


def having(unit: MatrixUnit, block: Block) -> MatrixUnit:
    """Return the unit with another block."""
    made = MatrixUnit(unit.generation, unit.format, unit.result)
    made.description = replace(made.description, block=block)
    made.output = block.output(unit.result)
    return made


def _of(unit: MatrixUnit) -> AlignedBlock:
    assert isinstance(unit.block, AlignedBlock)
    return unit.block


def fewer_bits(unit: MatrixUnit) -> MatrixUnit:
    return having(unit, replace(_of(unit), fraction_bits=_of(unit).fraction_bits - 1))


def more_bits(unit: MatrixUnit) -> MatrixUnit:
    return having(unit, replace(_of(unit), fraction_bits=_of(unit).fraction_bits + 1))


def half_blocks(unit: MatrixUnit) -> MatrixUnit:
    return having(unit, replace(_of(unit), products=_of(unit).products // 2))


def double_blocks(unit: MatrixUnit) -> MatrixUnit:
    return having(unit, replace(_of(unit), products=_of(unit).products * 2))


def other_rounding(unit: MatrixUnit) -> MatrixUnit:
    outputs = tuple(replace(output, to_nearest=not output.to_nearest) for output in _of(unit).outputs)
    return having(unit, replace(_of(unit), outputs=outputs))


def fully_exact(unit: MatrixUnit) -> MatrixUnit:
    """Nothing cut that matters, and one rounding to nearest."""
    return other_rounding(having(unit, replace(_of(unit), fraction_bits=40)))


def next_generation(unit: MatrixUnit) -> MatrixUnit:
    """The next other block that a tensor core has for the format; after the last generation comes the first."""
    blocks = [found.formats[unit.format].block for found in GENERATIONS.values() if unit.format in found.formats]
    blocks = [block for block in blocks if isinstance(block, AlignedBlock)]
    own = blocks.index(_of(unit))
    return having(unit, next(block for block in blocks[own:] + blocks[:own] if block != blocks[own]))


def kept_whole(unit: MatrixUnit) -> MatrixUnit:
    """No cut of a float32 result to 13 fraction bits."""
    outputs = tuple(replace(output, precision=output.result.format.precision) for output in _of(unit).outputs)
    return having(unit, replace(_of(unit), outputs=outputs))


class _Last(AlignedBlock):
    """Leaves ``c`` out of the block and adds it afterwards."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        total: Singles = super().add(a, b, np.zeros_like(c), output) + c
        return total if output.result.name == "fp32" else total.astype(np.float16).astype(np.float32)


class _Normalised(AlignedBlock):
    """Aligns at the products' own exponents instead of the sums of those of their factors."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        products = a.values * b.values
        exponents = np.where(products == 0, a.exponents + b.exponents, np.frexp(products)[1] - 1).astype(np.int32)
        ones = Decoded(np.ones_like(products), np.zeros_like(exponents))
        return super().add(Decoded(products, exponents), ones, c, output)


def c_last(unit: MatrixUnit) -> MatrixUnit:
    return having(unit, _Last(**vars(_of(unit))))


def normalised(unit: MatrixUnit) -> MatrixUnit:
    return having(unit, _Normalised(**vars(_of(unit))))


#: Variants that recorded sums tell apart.
VARIANTS: Mapping[str, Change] = {
    change.__name__: change
    for change in (
        fewer_bits,
        more_bits,
        half_blocks,
        double_blocks,
        other_rounding,
        fully_exact,
        next_generation,
        kept_whole,
        c_last,
        normalised,
    )
}
