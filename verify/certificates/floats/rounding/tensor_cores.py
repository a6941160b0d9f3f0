"""TF32: factors of float32 products are rounded to 11 bits, and tensor cores truncate what they add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from constructions.formats import FORMATS, Format
from constructions.validation import InvalidArgument
from verify.certificates.floats.boxes import fits
from verify.certificates.floats.directed import matrix_product, power_of_two
from verify.certificates.floats.rounding.base import AskedGrid, Rounding, _Array, smallest_of

#: TF32's significand: products of float32 numbers whose factors a GPU first rounds to 11 bits.
TF32_PRECISION = 11
_TF32 = Format("tf32", TF32_PRECISION, FORMATS["float32"].max_exponent)
#: What rounding a factor to TF32, to either neighbour, changes it by: relative to it, and at most this below its normal
#: range, where its numbers are as far apart.
TF32_UNIT = 2.0 ** (1 - TF32_PRECISION)
TF32_SMALLEST = 2.0 ** (_TF32.min_exponent - TF32_PRECISION + 1)


@final
@dataclass(frozen=True)
class TensorCores(Rounding):
    """Products in the order of another kind, whose factors may be rounded to TF32 and whose sums may be truncated.

    A block adds some products and a partial sum, each cut off at a unit of the largest, and truncates the result. With
    ``m`` products that is at most ``m + 1`` errors of ``2^-23`` relative to all terms, so at most ``2n`` in a sum of
    ``n`` products, the last operation included. Below the normal range each product loses less than the smallest
    number, a single one too. Two terms that are held may lose what is below a unit of the larger one, though the
    format holds their sum.

    Attributes:
        order: the kind whose order it is.

    """

    order: Rounding

    word = "tf32"
    summary = "factors rounded to TF32, sums truncated"
    rounds_factors = True
    relative = False
    keeps_held_pairs = False
    absorbs = False
    #: Rounding to TF32 carries larger ones to infinity.
    largest_factor: ClassVar[float] = float(_TF32.largest)

    def __post_init__(self) -> None:
        if self.fmt.name != "float32":
            raise InvalidArgument(f"tf32: expected float32, whose products it reduces, but got {self.fmt.name}")

    @property
    def any_order(self) -> bool:
        """As the order says: factors are rounded one by one, and sums truncated in whichever order."""
        return self.order.any_order

    def sentence(self) -> str:
        """Return what is assumed."""
        return f"{self.order.sentence()}, factors rounded to TF32 and their sums rounded or truncated"

    @property
    def unit(self) -> float:
        """Twice the unit roundoff: what truncation changes a number by at most."""
        return 2 * float(self.fmt.unit_roundoff)

    @property
    def underflow(self) -> float:
        """All of the smallest number, which truncation may cut off."""
        return float(smallest_of(self.fmt))

    @property
    def single_underflow(self) -> float:
        """All of the smallest number: truncation goes past the nearest number, even in a single product."""
        return self.underflow

    @property
    def last_unit(self) -> float:
        """Three units: the spread of :meth:`before_rounding`, and the rounding itself."""
        return 3 * self.unit

    def partial_roundings(self, count: _Array) -> _Array:
        """Return ``2n``, the last operation included."""
        return np.asarray(2 * count)

    def before_rounding(self, low: _Array, high: _Array) -> tuple[_Array, _Array]:
        """Return bounds that leave room for a truncated last operation, which rounding to nearest does not cover."""
        spread = 2 * low.dtype.type(self.unit)
        return low - spread * np.abs(low), high + spread * np.abs(high)

    def rounds_products(self, bias: _Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return what the order says."""
        return self.order.rounds_products(bias)

    def single_products(self, kept: Sequence[_Array], rounded: Sequence[_Array]) -> Sequence[_Array]:
        """Return what the order says."""
        return self.order.single_products(kept, rounded)

    def product_loss(self, left: Any, right: Any, wide_unit: Any) -> _Array:
        """Return ``dx |y| + (|x| + dx) dy`` for the largest magnitudes of two factors."""
        most = [np.maximum(np.abs(factor[0]), np.abs(factor[1])) for factor in (left, right)]
        lost = [self.lost(part, factor[2]) for part, factor in zip(most, (left, right), strict=True)]
        return np.asarray((lost[0] * most[1] + (most[0] + lost[0]) * lost[1]) * (1 + 8 * wide_unit))

    def matrix_loss(
        self, size: _Array, grid: AskedGrid, values: _Array, value_grid: np.ndarray[Any, Any], wide_unit: Any
    ) -> _Array:
        """Return ``|w| dx + (|x| + dx) dw``, summed."""
        lost, heavy = self.lost(size, grid()), np.abs(values).T
        part = matrix_product(lost, heavy) + matrix_product(size + lost, self.lost(heavy, value_grid.T))
        # each of the two sums, and what it sums, was rounded at most so often
        return np.asarray(part * (1 + 2 * (size.shape[-1] + 4) * wide_unit))

    def logit_loss(self, size: _Array, heavy: _Array, wide_unit: Any, grids: tuple[Any, Any] | None = None) -> _Array:
        """Return the same of factors on no grid; a factor of 0 stays 0."""
        lost, changed = (part * TF32_UNIT + TF32_SMALLEST for part in (size, heavy))
        products = np.where((size == 0) | (heavy == 0), 0, lost * heavy + (size + lost) * changed)
        return np.asarray(products.sum(axis=1) * (1 + (size.shape[1] + 4) * wide_unit))

    @staticmethod
    def lost(size: _Array, grid: np.ndarray[Any, Any]) -> _Array:
        """Return what rounding numbers of at most these magnitudes, on a grid, to TF32 changes them by at most."""
        kept = fits(size, grid, TF32_PRECISION) & (power_of_two(grid, size.dtype) >= TF32_SMALLEST)
        return np.asarray(np.where(kept | (size == 0), 0, size * TF32_UNIT + TF32_SMALLEST))
