"""Mutants of the bounds of sums on matrix units."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_units = of("matrix units", "verify.certificates.floats.rounding.matrix_unit")
_outputs = of("losses of blocks", "verify.matrix_units.blocks.base")
_aligned = of("losses of blocks", "verify.matrix_units.blocks.aligned")
_kernel = of("beside matrix units", "verify.certificates.floats.kernel")
_softmax = of("beside matrix units", "verify.certificates.floats.softmax")

UNITS: tuple[Mutant, ...] = (
    _aligned(
        "F is one more",
        "cut = Fraction(1, 2**self.fraction_bits)",
        "cut = Fraction(1, 2 ** (self.fraction_bits + 1))",
        "units, raised",
    ),
    _aligned(
        "c is not charged",
        "self.products * cut, min(",
        "(self.products - 1) * cut, min(",
        "units, raised",
    ),
    _outputs(
        "truncation is charged as rounding to nearest",
        "* (1 if self.to_nearest else 2)",
        "* 1",
        "units, cut",
    ),
    _outputs(
        "subnormal sums are of one bit more",
        "self.result.format.min_exponent - self.precision + 1",
        "self.result.format.min_exponent - self.precision - 8",
        "units, subnormal",
    ),
    _units(
        "one block less",
        "more = np.maximum(count - 1, 0) * self.node",
        "more = np.maximum(count - 2, 0) * self.node",
        "units, cut",
    ),
    _units(
        "as many blocks as the products fill",
        "more = np.maximum(count - 1, 0) * self.node",
        "more = np.ceil(count / 8) * self.node",
        "units, cut",
    ),
    _units(
        "the last rounding is left out",
        "return self.unit if self._narrow else 0.0",
        "return 0.0",
        "units, margins",
    ),
    _units(
        "reductions are not charged",
        "np.maximum(count - 2, 0) * unit",
        "0 * count",
        "units, reduced",
    ),
    _units(
        "products that are parts do not round",
        "return 0.0 if self.full_reduction else self.unit",
        "return 0.0",
        "units, reduced",
    ),
    _units(
        "reduced sums are exact as in float32",
        "exact = fits_unit if kept else clean",
        "exact = fits_unit if True else clean",
        "units, reduced",
    ),
    _units(
        "sums fit with a bit more",
        "return min(each.exact_bits for each in self._losses)",
        "return min(each.exact_bits for each in self._losses) + 1",
        "units, full",
    ),
    _units(
        "subnormal factors raise nothing",
        "found = found + self._raised * raised",
        "pass",
        "units, raised",
    ),
    _units(
        "nothing is flushed",
        "if not any(each.flushes for each in self._losses):",
        "if True:",
        "units, subnormal",
    ),
    _units(
        "nothing is lost below the normal range",
        "below = np.where(held, 0, terms.count * self._below)",
        "below = 0 * terms.count",
        "units, subnormal",
    ),
    _units(
        "small addends vanish from the bound",
        "(3 * rest + drift) * (1 + 8 * wide) + slack, np.inf)",
        "0 * rest, np.inf)",
        "units, tied",
    ),
    _units(
        "a product is never rounded beside a bias",
        "return kept if self.full_reduction and self._narrow else [*kept, *rounded]",
        "return kept",
        "units, ties",
    ),
    _units(
        "two numbers add up exactly",
        "exact = (grid >= self._least_grid) & fits(size, grid, self.bits)",
        "exact = size >= 0",
        "units, ties",
    ),
    _kernel(
        "heads are added on the unit",
        "return self if self.matrix_unit == NO_UNIT else Kernel(self.fmt)",
        "return self",
        "units, around",
    ),
    _softmax(
        "weights are not rounded",
        "low, high = round_array(weights.low, self.fmt), round_array(weights.high, self.fmt)",
        "low, high = weights.low, weights.high",
        "units, around",
    ),
)
