"""Sums of products on matrix units: any assignment to blocks, any chain or tree of blocks.

``docs/mathematics/matrix-units-bounds.md`` derives every bound here. The numbers of a unit come from the object that
computes as it does, see :mod:`verify.matrix_units`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from constructions.formats import Format
from constructions.validation import InvalidArgument, check_choice
from verify.certificates.floats.boxes import fits
from verify.certificates.floats.directed import grid_of, largest_of, matrix_product
from verify.certificates.floats.rounding.base import AskedGrid, Rounding, _Array
from verify.certificates.floats.rounding.tensor_cores import TF32_UNIT, TensorCores
from verify.matrix_units import GENERATIONS
from verify.matrix_units.blocks import Losses
from verify.matrix_units.formats import FP32_RESULT
from verify.matrix_units.generations.base import Description
from verify.matrix_units.products import RETURNED

if TYPE_CHECKING:
    from verify.certificates.floats.sums import Terms

#: The word of no unit, and of all that have a format.
NO_UNIT, ANY_UNIT = "none", "any"
#: The format of a unit's factors for each format of numbers: float32 numbers become factors of TF32.
FACTOR_FORMATS: Mapping[str, str] = {result.format.name: word for word, result in RETURNED.items()}


def format_of(dtype: str) -> str:
    """Return the format of numbers for a word of a unit's factors; any other word as it is.

    Args:
        dtype: such as ``bf16``.

    Example:
        >>> format_of("bf16"), format_of("bfloat16")
        ('bfloat16', 'bfloat16')

    """
    return {factors: numbers for numbers, factors in FACTOR_FORMATS.items()}.get(dtype, dtype)


def generations_of(fmt: Format, unit: str) -> tuple[str, ...]:
    """Return the generations that a word stands for.

    Args:
        fmt: of the numbers.
        unit: a generation, or ``any`` for all that have the format.

    Raises:
        InvalidArgument: an unknown generation, or one that does not multiply numbers of the format.

    """
    check_choice("unit", unit, (NO_UNIT, ANY_UNIT, *GENERATIONS))
    if fmt.name not in FACTOR_FORMATS:
        raise InvalidArgument(f"dtype: expected {', '.join(FACTOR_FORMATS)} with a unit, but got {fmt.name!r}")
    having = tuple(name for name, found in GENERATIONS.items() if FACTOR_FORMATS[fmt.name] in found.formats)
    if unit == ANY_UNIT:
        return having
    check_choice(f"unit for {fmt.name}", unit, (ANY_UNIT, *having))
    return (unit,)


@final
@dataclass(frozen=True)
class MatrixUnits(Rounding):
    """Sums in the blocks of a unit, of whichever generation, that are accumulated in float32.

    Attributes:
        generations: what runs is one of them.
        full_reduction: whether partial sums stay in float32 until the last rounding.

    """

    generations: tuple[str, ...]
    full_reduction: bool = False

    word = "unit"
    summary = "blocks of a matrix unit"
    any_order = True
    keeps_held_pairs = False
    absorbs = False
    relative = False
    #: Rounding to TF32 carries larger ones to infinity; no format of 16 bits has as large ones.
    largest_factor: ClassVar[float] = TensorCores.largest_factor

    def sentence(self) -> str:
        """Return what is assumed."""
        factors, narrow = FACTOR_FORMATS[self.fmt.name], self.fmt.name
        by_code = [name for name in self.generations if self._description(name).evidence.kind == "code"]
        known = f" ({', '.join(by_code)}: known from code alone)" if by_code else ""
        read = "" if self._narrow else ", float32 numbers cut or rounded to it or, without a unit, as they are"
        held = (
            "rounded once"
            if self.full_reduction or not self._narrow
            else f"rounded to {narrow} between parts or not, as torch allows by default, and at the end"
        )
        scores = f"; scores rounded to {narrow} before softmax" if self._narrow else ""
        flushed = [name for name, each in zip(self.generations, self._losses, strict=True) if each.flushes]
        return (
            f"products of matrices on {' or '.join(self.generations)} units in {factors}{known}{read}, or without a"
            " unit: any products in a block, any chain or tree of blocks, biases in it or added last, float32"
            f" accumulators, {held}{scores}; softmax in float32, rounded once; subnormal numbers kept"
            + (f", but flushed on {' and '.join(flushed)}" if flushed else "")
        )

    # what the units lose ---------------------------------------------------------------------------------------------

    @property
    def _narrow(self) -> bool:
        return self.fmt.precision < FP32_RESULT.format.precision

    def _description(self, generation: str) -> Description:
        return GENERATIONS[generation].formats[FACTOR_FORMATS[self.fmt.name]]

    @cached_property
    def _losses(self) -> Sequence[Losses]:
        blocks = [self._description(name).block for name in self.generations]
        return [block.losses(block.output(FP32_RESULT.name)) for block in blocks]

    @cached_property
    def node(self) -> float:
        """The loss of a sum for each number in it but one, relative to the magnitudes of all."""
        return max(float(each.cut + each.rounding) for each in self._losses)

    @cached_property
    def _raised(self) -> float:
        """The loss of a block for each product with a subnormal factor, relative to what its exponent stands for."""
        return max(float(each.raised) for each in self._losses)

    @cached_property
    def bits(self) -> int:
        """Sums of multiples of ``2^g`` are exact up to ``2^(bits + g)``, rounded to no format."""
        return min(each.exact_bits for each in self._losses)

    @cached_property
    def _least_grid(self) -> int:
        """Multiples of two to this power lose nothing below the normal range, before the last rounding."""
        accumulated = max(each.least_exponent for each in self._losses)
        return accumulated if self.full_reduction else max(accumulated, self._format_grid)

    @property
    def _format_grid(self) -> int:
        return self.fmt.min_exponent - self.fmt.precision + 1

    @cached_property
    def _below(self) -> float:
        """The loss for each term below the normal range, before the last rounding: ``4 eta``, and ``s`` if reduced."""
        accumulated = 4 * 2.0 ** max(each.least_exponent for each in self._losses)
        return accumulated if self.full_reduction else accumulated + 2 * super().underflow

    @cached_property
    def _normal(self) -> float:
        """The smallest normal number of the factors."""
        return 2.0**self.fmt.min_exponent  # TF32 has the range of float32

    @property
    def unit(self) -> float:
        """The largest change of a number by a rounding: to the format, or toward zero in the accumulator."""
        return max(float(self.fmt.unit_roundoff), *(float(each.rounding) for each in self._losses))

    @property
    def underflow(self) -> float:
        """What the last rounding changes a number by, beside its relative change, with what each term costs."""
        return super().underflow + self._below

    @property
    def last_unit(self) -> float:
        """Those of the format; a float32 sum is not rounded again."""
        return self.unit if self._narrow else 0.0

    @property
    def point_grids(self) -> bool:
        """Whether sums of known numbers may be exact where sums of all between bounds are not."""
        return True

    # sums ------------------------------------------------------------------------------------------------------------

    def growth(self, count: _Array, unit: Any) -> _Array:
        """Return ``n/(1 - n)`` for the errors ``n`` of all nodes: at most 1/3, or infinite where these are over 1/4."""
        more = np.maximum(count - 1, 0) * self.node
        if not self.full_reduction and self._narrow:
            more = more + np.maximum(count - 2, 0) * unit
        return np.asarray(np.where(more <= 0.25, more / (1 - np.minimum(more, 0.25)), np.inf))

    def own_error(
        self, terms: Terms, magnitude: _Array, slack: _Array
    ) -> tuple[_Array, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Return how far a sum may be off before it is rounded to the format, and where nothing rounds at all."""
        dtype = np.asarray(magnitude).dtype
        wide, u = np.finfo(dtype).eps, dtype.type(self.unit)
        growth, most = self.growth(terms.count, u), magnitude + terms.reduced
        held = terms.grid >= self._least_grid
        clean = held & (terms.reduced == 0)
        fits_unit = clean & fits(magnitude, terms.grid, self.bits)
        kept = self.full_reduction or not self._narrow
        exact = fits_unit if kept else clean & fits(magnitude, terms.grid, min(self.bits, self.fmt.precision))
        if terms.held is not None:  # no term rounds by itself, and the one sum is the last operation
            exact = exact | (fits_unit & terms.held & (terms.count <= 2))
        error = self._product_unit * (terms.rounding + terms.reduced) * (1 + growth) + growth * most + terms.reduced
        below = np.where(held, 0, terms.count * self._below)
        error = error * (1 + 8 * wide) + slack + below
        if terms.largest is not None and terms.largest_low is not None and not kept:
            error = np.minimum(error, self._absorbed(terms, magnitude, slack, growth))
        alone = (terms.count <= 1) & (terms.reduced == 0)
        error = np.where(exact, slack, np.where(alone, slack + below, error))
        size = np.maximum(np.abs(terms.low), np.abs(terms.high))
        whole = exact & (terms.grid >= self._format_grid) & fits(size, terms.grid, self.fmt.precision)
        over = most * (1 + growth) * (1 + 2 * u) > dtype.type(largest_of(self.fmt))
        return np.where(over, np.inf, error), np.asarray(whole & ~over)

    def _absorbed(self, terms: Terms, magnitude: _Array, slack: _Array, growth: _Array) -> _Array:
        """Return the error of a sum with one large term beside which the others vanish; infinite where they do not."""
        assert terms.largest is not None
        assert terms.largest_low is not None
        u, wide = self.unit, np.finfo(np.asarray(magnitude).dtype).eps
        rest = np.maximum((magnitude - terms.largest) * (1 + 4 * wide) + slack, 0)
        nodes = np.maximum(terms.count - 1, 0) * self.node
        drift = 2 * (nodes * magnitude + terms.count * self._below) + terms.reduced
        moved = rest * (1 + growth) * (1 + 2 * u) + drift
        absorbed = (moved <= u / 8 * terms.largest_low) & (terms.largest_low > 0)
        return np.asarray(np.where(absorbed, (3 * rest + drift) * (1 + 8 * wide) + slack, np.inf))

    @property
    def _product_unit(self) -> float:
        """What rounds a product: a reduction to the format or, of float32 numbers, a kernel without a unit."""
        if not self._narrow:
            return float(FP32_RESULT.format.unit_roundoff)
        return 0.0 if self.full_reduction else self.unit

    def single_products(self, kept: Sequence[_Array], rounded: Sequence[_Array]) -> Sequence[_Array]:
        """Return the values that a single product may have when a bias is added to it."""
        return kept if self.full_reduction and self._narrow else [*kept, *rounded]

    def pair_error(self, left: _Array, right: _Array) -> _Array:
        """Return how far a sum of two numbers may be off before it is rounded to the format."""
        size = (np.abs(left) + np.abs(right)) * (1 + 2 * np.finfo(left.dtype).eps)
        grid = np.minimum(grid_of(left), grid_of(right))
        exact = (grid >= self._least_grid) & fits(size, grid, self.bits)
        return np.asarray(np.where(exact, 0, self.node * size * (1 + 8 * np.finfo(left.dtype).eps) + 2 * self._below))

    # factors ---------------------------------------------------------------------------------------------------------

    def product_loss(self, left: Any, right: Any, wide_unit: Any) -> _Array:
        """Return what factors change a product by, and what a subnormal one adds to the error of its block."""
        most = [np.maximum(np.abs(factor[0]), np.abs(factor[1])) for factor in (left, right)]
        return np.asarray(self._pairs(most[0], most[1], (left[2], right[2])) * (1 + 8 * wide_unit))

    def logit_loss(self, size: _Array, heavy: _Array, wide_unit: Any, grids: tuple[Any, Any] | None = None) -> _Array:
        """Return the same, summed."""
        nothing = np.asarray(-(1 << 20))
        found = self._pairs(size, heavy, (nothing, nothing) if grids is None else grids)
        return np.asarray(found.sum(axis=1) * (1 + (size.shape[1] + 8) * wide_unit))

    def matrix_loss(
        self, size: _Array, grid: AskedGrid, values: _Array, value_grid: np.ndarray[Any, Any], wide_unit: Any
    ) -> _Array:
        """Return the same, summed for every output."""
        heavy = np.abs(values).T
        lost, changed = self._lost(size, grid()), self._lost(heavy, value_grid.T)
        found = matrix_product(lost, heavy) + matrix_product(size + lost, changed)
        small, light = self._subnormal(size), self._subnormal(heavy)
        if small.any() or light.any():
            first, second = self._stretched(size), self._stretched(heavy)
            raised = matrix_product(np.where(small, first, 0), second)
            raised = raised + matrix_product(first, np.where(light, second, 0))
            found = found + self._raised * raised
        return np.asarray(found * (1 + 2 * (size.shape[-1] + 8) * wide_unit))

    def _pairs(self, left: _Array, right: _Array, grids: tuple[Any, Any]) -> _Array:
        lost, changed = self._lost(left, grids[0]), self._lost(right, grids[1])
        small = (self._subnormal(left) | self._subnormal(right)) & (left > 0) & (right > 0)
        raised = np.where(small, self._raised * self._stretched(left) * self._stretched(right), 0)
        found = np.where((left == 0) | (right == 0), 0, lost * right + (left + lost) * changed)
        return np.asarray(found + raised)

    def _lost(self, size: _Array, grid: np.ndarray[Any, Any]) -> _Array:
        """Return what becoming a unit's factor changes numbers of at most these magnitudes by."""
        if not self._narrow:
            return TensorCores.lost(size, grid)
        if not any(each.flushes for each in self._losses):
            return np.zeros_like(size)
        return np.asarray(np.where(grid >= self.fmt.min_exponent, 0, np.minimum(size, self._normal)))

    def _subnormal(self, size: _Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where a factor that is not 0 may be below the normal range, and so may its magnitude's bound."""
        return np.asarray((size > 0) & (size < self._normal))

    def _stretched(self, size: _Array) -> _Array:
        """Return the power of two that a factor's exponent stands for at most, TF32's roundings included."""
        return np.asarray(np.where(size > 0, np.maximum(size, self._normal) * (1 + 2 * TF32_UNIT), 0))
