"""Wrong matrix units, each wrong at an edge: tiny sums, subnormal numbers, zeros, infinities and NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from tests.matrix_units.recorded import SAMPLE as RECORDED
from tests.matrix_units.recorded import Change
from tests.matrix_units.variants import fewer_bits, having, more_bits
from verify.matrix_units.blocks import AlignedBlock, Output
from verify.matrix_units.formats import Decoded, Doubles, Singles
from verify.matrix_units.unit import MatrixUnit

#: Sums at the edges that a device computed.
SAMPLE = RECORDED.with_name("recorded_edges.npz")


def _of(unit: MatrixUnit) -> AlignedBlock:
    assert isinstance(unit.block, AlignedBlock)
    return unit.block


def _with_zero_exponent(unit: MatrixUnit, of: Callable[[Output], int]) -> MatrixUnit:
    outputs = tuple(replace(output, zero_exponent=of(output)) for output in _of(unit).outputs)
    return having(unit, replace(_of(unit), outputs=outputs))


def _zero_exponent(output: Output) -> int:
    assert output.zero_exponent is not None
    return output.zero_exponent


def zero_one_higher(unit: MatrixUnit) -> MatrixUnit:
    return _with_zero_exponent(unit, lambda output: _zero_exponent(output) + 1)


def zero_one_lower(unit: MatrixUnit) -> MatrixUnit:
    return _with_zero_exponent(unit, lambda output: _zero_exponent(output) - 1)


def zero_least_normal(unit: MatrixUnit) -> MatrixUnit:
    """The exponent of zero is that of the smallest normal number, -126 or -14."""
    return _with_zero_exponent(unit, lambda output: output.result.format.min_exponent)


def zero_absent(unit: MatrixUnit) -> MatrixUnit:
    """Zeros bring no exponent: one far below all others."""
    return _with_zero_exponent(unit, lambda _: -(1 << 9))


def _flushed(values: Doubles, least: int) -> Doubles:
    return np.where(np.abs(values) < np.ldexp(1.0, least), 0.0, values)


class _FlushedFactors(AlignedBlock):
    """Takes subnormal factors for zeros."""

    least = 0

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        a, b = (Decoded(_flushed(x.values, self.least), x.exponents) for x in (a, b))
        return super().add(a, b, c, output)


def flushed_factors(unit: MatrixUnit) -> MatrixUnit:
    made = _FlushedFactors(**vars(_of(unit)))
    object.__setattr__(made, "least", unit.values.min_exponent)
    return having(unit, made)


class _FlushedAddend(AlignedBlock):
    """Takes a subnormal ``c`` for zero."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        least = output.result.format.min_exponent
        return super().add(a, b, _flushed(c.astype(np.float64), least).astype(np.float32), output)


class _FlushedResult(AlignedBlock):
    """Returns zero for a subnormal result."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        found = super().add(a, b, c, output)
        return _flushed(found.astype(np.float64), output.result.format.min_exponent).astype(np.float32)


class _NormalisedSubnormals(AlignedBlock):
    """Takes the exponent of a subnormal factor from its leading bit."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        a, b = (
            Decoded(x.values, np.where(x.values == 0, x.exponents, np.frexp(x.values)[1] - 1).astype(np.int32))
            for x in (a, b)
        )
        return super().add(a, b, c, output)


class _Saturating(AlignedBlock):
    """Returns the largest number for finite sums beyond it, as rounding toward zero would."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        found = super().add(a, b, c, output)
        finite = np.isfinite(c) & np.isfinite(a.values * b.values).all(axis=0)
        largest = np.copysign(np.float32(output.result.values.largest), found)
        return np.where(np.isinf(found) & finite, largest, found).astype(np.float32)


class _InfiniteProducts(AlignedBlock):
    """Takes a product beyond the result's numbers for infinite."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        products = a.values * b.values
        beyond = np.abs(products) > output.result.values.largest
        ones = Decoded(np.ones_like(products), np.zeros(products.shape, dtype=np.int32))
        exponents = np.broadcast_to(a.exponents + b.exponents, products.shape)
        infinite = np.where(beyond, np.copysign(np.inf, products), products)
        return super().add(Decoded(infinite, exponents), ones, c, output)


class _ZeroTimesInfinity(AlignedBlock):
    """Takes zero times infinity for zero."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        products = a.values * b.values
        undefined = np.isnan(products) & ~np.isnan(a.values) & ~np.isnan(b.values)
        ones = Decoded(np.ones_like(products), np.zeros(products.shape, dtype=np.int32))
        exponents = np.broadcast_to(a.exponents + b.exponents, products.shape)
        return super().add(Decoded(np.where(undefined, 0.0, products), exponents), ones, c, output)


class _FirstInfinity(AlignedBlock):
    """Returns plus infinity for infinities of both signs."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        found = super().add(a, b, c, output)
        undefined = np.isnan(c) | np.isnan(a.values * b.values).any(axis=0)
        return np.where(np.isnan(found) & ~undefined, np.float32(np.inf), found)


class _IgnoredNan(AlignedBlock):
    """Takes a NaN among the factors for zero, as instructions for the maximum do."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        a, b = (Decoded(np.where(np.isnan(x.values), 0.0, x.values), x.exponents) for x in (a, b))
        return super().add(a, b, c, output)


class _NegativeZero(AlignedBlock):
    """Keeps the sign of a zero that is the sum of negative zeros alone, as IEEE 754 does."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        found = super().add(a, b, c, output)
        products = a.values * b.values
        negative = np.signbit(c) & np.signbit(products).all(axis=0) & (c == 0) & (products == 0).all(axis=0)
        return np.where(negative, -found, found)


class _NegativeUnderflow(AlignedBlock):
    """Returns a negative zero for a negative sum that rounds to zero."""

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        found = super().add(a, b, c, output)
        total = (a.values * b.values).sum(axis=0) + c
        return np.where((found == 0) & (total < 0), -found, found)


def _as(kind: type[AlignedBlock]) -> Change:
    return lambda unit: having(unit, kind(**vars(_of(unit))))


#: Variants at the edges, by name.
EDGES: Mapping[str, Change] = {
    "zero_one_higher": zero_one_higher,
    "zero_one_lower": zero_one_lower,
    "zero_least_normal": zero_least_normal,
    "zero_absent": zero_absent,
    "fewer_bits": fewer_bits,
    "more_bits": more_bits,
    "flushed_factors": flushed_factors,
    "flushed_c": _as(_FlushedAddend),
    "flushed_results": _as(_FlushedResult),
    "normalised_subnormals": _as(_NormalisedSubnormals),
    "saturating": _as(_Saturating),
    "infinite_products": _as(_InfiniteProducts),
    "zero_times_infinity": _as(_ZeroTimesInfinity),
    "first_infinity": _as(_FirstInfinity),
    "ignored_nan": _as(_IgnoredNan),
    "negative_zero": _as(_NegativeZero),
    "negative_underflow": _as(_NegativeUnderflow),
}
