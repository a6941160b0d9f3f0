"""How the sums of a kernel round: one object says it all, to the rules of sums, to messages and to a reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Shaped

from constructions.formats import FORMATS, Format

if TYPE_CHECKING:
    from verify.certificates.floats.sums import Terms

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]
#: A grid that is made when it is asked for.
AskedGrid = Callable[[], np.ndarray[Any, Any]]


def accumulator_of(fmt: Format) -> Format | None:
    """Return the more precise format that kernels of a 16-bit format may hold intermediate results in."""
    return FORMATS["float32"] if fmt.precision < FORMATS["float32"].precision else None


@lru_cache
def smallest_of(fmt: Format) -> Fraction:
    """Return the smallest number above 0, ``2^(min_exponent - p + 1)``."""
    return Fraction(2) ** (fmt.min_exponent - fmt.precision + 1)


@dataclass(frozen=True)
class Rounding(ABC):
    """The rounding of sums of products in a format: IEEE's, in any order, unless a kind says more.

    A kind of kernel is a subclass in a file of its own, and a line in :mod:`verify.certificates.floats.rounding`. Every
    method must bound whatever such a kernel computes.

    Attributes:
        fmt: the number format.
        word: the kind's name, as ``--products`` takes it.
        summary: in a few words, for the help of ``--products``.
        rounds_factors: whether factors are rounded to fewer bits before they are multiplied.
        keeps_held_pairs: whether the sum of two numbers of the format is exact wherever the format holds it.
        relative: whether errors of sums are relative to the magnitudes of their terms, beside a constant, as rows with
            factors suppose.
        absorbs: whether a partial sum stays what it is when less than a quarter of its spacing is added.
        largest_factor: the largest magnitude of a factor that stays finite.

    """

    fmt: Format

    word: ClassVar[str]
    summary: ClassVar[str]
    rounds_factors: ClassVar[bool] = False
    relative: ClassVar[bool] = True
    keeps_held_pairs: ClassVar[bool] = True
    absorbs: ClassVar[bool] = True
    largest_factor: ClassVar[float] = float("inf")

    @abstractmethod
    def sentence(self) -> str:
        """Return what is assumed of sums, as part of a sentence."""

    @property
    def any_order(self) -> bool:
        """Whether products are added in whatever order: a sum in a permuted order is one of them, too.

        A kind of kernel says so of itself.
        """
        return False

    # roundings -------------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> float:
        """The largest change of a number by a rounding, relative to it."""
        return float(self.fmt.unit_roundoff)

    @property
    def underflow(self) -> float:
        """The largest change of a product below the normal range, beside its relative change.

        Half of the smallest number, and half of the accumulator's, which may round first. All of the smallest number
        in float64, half of whose smallest number is no float64.
        """
        if self.fmt.precision >= FORMATS["float64"].precision:
            return float(smallest_of(self.fmt))
        inner = accumulator_of(self.fmt)
        return float((smallest_of(self.fmt) + (0 if inner is None else smallest_of(inner))) / 2)

    @property
    def single_underflow(self) -> float:
        """The loss of a single product below the normal range, beyond rounding to nearest."""
        return 0.0

    @property
    def last_unit(self) -> float:
        """The largest change of a sum by its last operation, relative to it."""
        return self.unit

    def partial_roundings(self, count: _Array) -> _Array:
        """Return how many roundings of partial sums a term meets at most before the last operation.

        Args:
            count: the number of terms that are not zero.

        """
        return np.asarray(np.maximum(count - 2, 0))

    def growth(self, count: _Array, unit: Any) -> _Array:
        """Return a bound of ``(1 + u)^n - 1`` for the roundings of partial sums: ``nu / (1 - nu)``.

        Args:
            count: the number of terms that are not zero.
            unit: :attr:`unit` in the wide dtype.

        """
        more = self.partial_roundings(count) * unit
        return np.asarray(np.where(more < 1, more / np.where(more < 1, 1 - more, 1), np.inf))

    def before_rounding(self, low: _Array, high: _Array) -> tuple[_Array, _Array]:
        """Return bounds of what the last operation rounds to nearest, given bounds of the sum before it."""
        return low, high

    def own_error(
        self, terms: Terms, magnitude: _Array, slack: _Array
    ) -> tuple[_Array, np.ndarray[Any, np.dtype[np.bool_]]] | None:
        """Return how far a sum may be off before its last rounding, and where nothing rounds, by a rule of one's own.

        ``None`` where the rule of :mod:`verify.certificates.floats.sums` holds.

        Args:
            terms: the bounds of the terms.
            magnitude: an upper bound of the sum of their magnitudes.
            slack: how far their own bounds may be off.

        """
        return None

    def pair_error(self, left: _Array, right: _Array) -> _Array:
        """Return how far a sum of two numbers, neither of which rounds by itself, may be off before it is rounded."""
        return np.zeros((), dtype=left.dtype)

    @property
    def point_grids(self) -> bool:
        """Whether the grid of known numbers, instead of that of all between bounds, tells more of their sums."""
        return False

    # products --------------------------------------------------------------------------------------------------------

    def rounds_products(self, bias: _Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return for each bias whether a product of its sum may be rounded before it is added."""
        return np.ones(np.shape(bias), dtype=np.bool_)

    def single_products(self, kept: Sequence[_Array], rounded: Sequence[_Array]) -> Sequence[_Array]:
        """Return the values that a single product may have when a bias is added to it.

        Args:
            kept: the product, exactly and as an accumulator holds it.
            rounded: these, rounded to the format.

        """
        return [*kept, *rounded]

    # factors ---------------------------------------------------------------------------------------------------------

    def product_loss(self, left: Any, right: Any, wide_unit: Any) -> _Array:
        """Return what rounding its factors changes a product of two intervals by at most.

        Args:
            left: bounds and grid of a factor.
            right: the same of the other one.
            wide_unit: the unit roundoff of the dtype that bounds are computed in.

        """
        return np.zeros((), dtype=type(wide_unit))

    def matrix_loss(
        self, size: _Array, grid: AskedGrid, values: _Array, value_grid: np.ndarray[Any, Any], wide_unit: Any
    ) -> _Array:
        """Return what rounding the factors changes every sum of a product of rows with a matrix by at most.

        Args:
            size: largest magnitudes of the rows' coordinates, batch x rows x width.
            grid: returns that of every coordinate, which takes longer than all else where nothing is lost.
            values: the matrix, outputs x width.
            value_grid: of its entries.
            wide_unit: as above.

        """
        return np.zeros((), dtype=type(wide_unit))

    def logit_loss(self, size: _Array, heavy: _Array, wide_unit: Any, grids: tuple[Any, Any] | None = None) -> _Array:
        """Return what rounding the factors changes sums of products by, of at most these magnitudes.

        Args:
            size: largest magnitudes of one factor, sums x terms.
            heavy: of the other.
            wide_unit: as above.
            grids: of both factors, where they are known.

        """
        return np.zeros(len(size), dtype=type(wide_unit))
