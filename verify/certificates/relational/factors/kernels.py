"""How far computed numbers may be off: what rows with factors ask of a kernel, and the answers of real numbers.

An allowance is relative to magnitudes, so that the part of a row with each product of factors has one of its own, and
in absolute terms where numbers are below the normal range.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float

from constructions.activations import Activation
from verify.certificates.floats.spreads import Spread, own_error
from verify.certificates.relational.factors.table import FINEST, UNIT, Bounds

_Array = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class SumError:
    """How far computed sums may be off; an entry for each.

    Attributes:
        product: before the last operation, relative to the magnitudes of the products that may round.
        partial: the same, relative to the magnitudes of all terms.
        last: of the last operation, relative to what it gives.
        tiny: an absolute allowance.

    """

    product: _Array
    partial: _Array
    last: _Array
    tiny: _Array


@dataclass(frozen=True)
class NormError:
    """What a norm makes of rows: ``round((x_i - M) F)``, with ``F`` near ``1/sqrt(S/d + eps)`` and ``M`` near the mean.

    ``F`` is ``1/sqrt(a)`` but for ``root``, relative to it, where ``a`` is at least
    ``(sqrt(S) - distance)^2 shrunk + base``, and at most ``(sqrt(S) + distance)^2 grown + top``, or with
    ``S + width mean^2`` as the square.

    Attributes:
        width: how many coordinates there are.
        shrunk: as above.
        grown: as above.
        base: as above; it may be negative.
        top: as above.
        root: as above.
        distance: as above, in every cell.
        mean: how far ``M`` may be from the mean, in every cell.
        step: of a coordinate, relative to ``F (|x_i| + |M|)``.
        tiny: of one of its operations, in absolute terms.
        finite: where no sum may overflow.
        normal: ``F`` as it is computed lies between these, or nothing is known.

    """

    width: int
    shrunk: float
    grown: float
    base: float
    top: float
    root: float
    distance: _Array
    mean: _Array
    step: float
    tiny: float
    finite: Bool[np.ndarray, " cells"]
    normal: tuple[float, float]

    def factor(self, roots: Bounds, scale: Bounds) -> Bounds:
        """Return bounds of ``F mu``; of ``F`` where ``mu`` is 1.

        Args:
            roots: bounds of ``sqrt(S) / mu``.
            scale: bounds of ``mu``, a positive number.

        """
        own = own_error(self.width, UNIT)
        apart, off = self.distance / scale.low, self.mean / scale.low
        most = np.maximum((roots.high + apart) ** 2, roots.high**2 + self.width * off**2)
        least = np.maximum(roots.low - apart, 0) ** 2 * self.shrunk
        beside = self.base / (scale.high if self.base >= 0 else scale.low) ** 2
        low = (1 - self.root) / np.sqrt(most * self.grown + self.top / scale.low**2) * (1 - own)
        high = (1 + self.root) / np.sqrt((least + beside) * (1 - own)) * (1 + own)
        return Bounds(low, high)

    def worst(self) -> NormError:
        """Return the allowances that hold in all cells."""
        return replace(self, distance=self.distance.max(keepdims=True), mean=self.mean.max(keepdims=True))

    def stretch(self, least: _Array) -> _Array:
        """Return the most that ``F sqrt(S)`` may be for ``sqrt(S)`` from ``least`` on; infinite where unknown."""
        kept = np.maximum(1 - self.distance / least, 0) if self.distance.any() else np.ones(1)
        found = (1 + self.root) / (kept * np.sqrt(self.shrunk)) * (1 + own_error(self.width, UNIT))
        return np.asarray(found if self.base >= 0 else np.full_like(found, np.inf))


class Kernels(ABC):
    """What computed numbers may be off by.

    Attributes:
        largest: a magnitude up to which numbers are finite.
        step: of a single rounded operation, relative to its result.
        tiny: of one, in absolute terms.

    """

    largest: float
    step: float
    tiny: float

    @abstractmethod
    def sums(self, count: _Array, single: Bool[np.ndarray, " sums"]) -> SumError:
        """Return the allowances of sums.

        Args:
            count: how many terms are not 0, for each sum.
            single: where no product rounds, for each sum: one term alone is exact there.

        """

    @abstractmethod
    def rounds_products(self, bias: _Array) -> Bool[np.ndarray, " sums"]:
        """Return for each bias whether a product of its sum may round before it is added."""

    @abstractmethod
    def activation(self, activation: Activation) -> tuple[float, float]:
        """Return how far an activation may be off, relative to its value, and in absolute terms beside that."""

    @abstractmethod
    def norm(self, spread: Spread, *, centred: bool, mean: bool, eps: Fraction) -> NormError:
        """Return the allowances of a norm of rows, batch x 1 x width."""


class RealNumbers(Kernels):
    """Nothing is rounded."""

    largest = float("inf")
    step = 0.0
    tiny = 0.0

    def sums(self, count: _Array, single: Bool[np.ndarray, " sums"]) -> SumError:
        """Return zeros."""
        none = np.zeros(len(count))
        return SumError(none, none, none, none)

    def rounds_products(self, bias: _Array) -> Bool[np.ndarray, " sums"]:
        """Return that none does."""
        return np.zeros(len(bias), dtype=np.bool_)

    def activation(self, activation: Activation) -> tuple[float, float]:
        """Return zeros."""
        return 0.0, 0.0

    def norm(self, spread: Spread, *, centred: bool, mean: bool, eps: Fraction) -> NormError:
        """Return none, but for ``eps`` as a float."""
        share = 1 / (spread.width if mean else 1)
        added, none = held(eps), np.zeros(len(spread.most))
        return NormError(
            spread.width,
            share * (1 - 4 * UNIT),
            share * (1 + 4 * UNIT),
            max(added * (1 - 4 * UNIT) - FINEST**2, 0.0),  # below float64's range eps is off by more
            added * (1 + 4 * UNIT) + FINEST**2,
            0.0,
            none,
            none,
            0.0,
            0.0,
            np.ones(1, dtype=np.bool_),
            (0.0, float("inf")),
        )


def held(eps: Fraction) -> float:
    """Return ``eps`` as the nearest float; infinite where it is larger than any, which leaves no factor."""
    try:
        return float(eps)
    except OverflowError:
        return float("inf")
