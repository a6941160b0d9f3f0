"""An activation: one class that says everything there is to know of a function of one number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import flint
import numpy as np
import sympy as sp
from jaxtyping import Float

from constructions.formats import FORMATS, Format

if TYPE_CHECKING:
    import torch

    from constructions.operations import Operations

_WeightT = TypeVar("_WeightT")
_RowsT = TypeVar("_RowsT")
_ScoresT = TypeVar("_ScoresT")


class KernelError(NamedTuple):
    """How far a float kernel may be off: ``|computed - true| <= ulps * ulp(true) + absolute``.

    ``ulp(y)`` is the distance between neighbouring numbers of the format around ``y``, which stops shrinking at the end
    of the normal range: at most ``max(2u |y|, smallest)``. The argument is a number of the format of at most half its
    largest in magnitude (a kernel may double it before it halves it), and the true value is below the largest one too;
    nothing is said otherwise.

    Attributes:
        ulps: an allowance in units in the last place of the true value; 0 where a kernel rounds nothing.
        absolute: an allowance where none relative to the value is enough.

    """

    ulps: int
    absolute: Fraction = Fraction(0)


class Pieces(NamedTuple):
    """A function that is affine between some points, and 0 at 0, which is the first of them if there are any.

    Attributes:
        kinks: the points, ascending.
        slopes: before the first of them, between them, and after the last.

    """

    kinks: tuple[Fraction, ...]
    slopes: tuple[int, ...]


class Activation(ABC):
    """A function of one number, applied to every coordinate.

    Attributes:
        name: a word, unique among activations; also the name of the torch function where there is one.

    """

    name: str

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self).__name__, *sorted(vars(self).items())))

    def __repr__(self) -> str:
        return self.name

    @abstractmethod
    def latex(self, argument: str) -> str:
        """Return LaTeX of the function of ``argument``."""

    @abstractmethod
    def exact(self, value: Fraction) -> Fraction | None:
        """Return the value at a rational, ``None`` where it is irrational."""

    @abstractmethod
    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return the value at a sympy expression."""

    @abstractmethod
    def ball(self, value: flint.arb) -> flint.arb:
        """Return a ball that holds the true value at every number of a ball; a tight one where the ball is small."""

    @abstractmethod
    def enclosure(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        """Return bounds of the true values between two numbers.

        Args:
            low: a ball that holds the smaller number.
            high: a ball that holds the larger one.

        Returns:
            Two balls: the values lie between the lower end of the first and the upper end of the second, and no two
            numbers in them are further apart than balls make them, as the extremes are attained.

        """

    @abstractmethod
    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the values by numpy, in the dtype of the arguments."""

    @abstractmethod
    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values by torch's own function, the one that models call."""

    @abstractmethod
    def error(self, fmt: Format) -> KernelError:
        """Return how far :meth:`torch` and :meth:`numpy` are off in a format, or kernels like theirs."""

    def pieces(self) -> Pieces | None:
        """Return the points where the slope changes, and the slopes; ``None`` where it is affine nowhere."""
        return None

    def beside_relu(self, nearest: flint.arb, farthest: flint.arb) -> flint.arb | None:
        """Return an upper bound of ``|f(x) - max(0, x)|`` for ``nearest <= |x| <= farthest``; ``None`` where unknown.

        Args:
            nearest: not below 0.
            farthest: not below ``nearest``.

        """
        return None

    #: of an activation that :meth:`beside_relu` knows of: how fast ``ln(f(x)/x)`` rises at most, for positive ``x``
    ratio_slope: ClassVar[Fraction] = Fraction(0)

    def ratio(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        """Return bounds of ``f(x)/x`` between two positive numbers, where :meth:`beside_relu` knows the activation."""
        raise NotImplementedError

    def apply(self, operations: Operations[_WeightT, _RowsT, _ScoresT], rows: _RowsT) -> _RowsT:
        """Return the function of every coordinate of rows, in an arithmetic."""
        return operations.pointwise(rows, self)


class Rising(Activation):
    """A function that never falls."""

    def enclosure(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        """Return the values at both ends."""
        return self.ball(low), self.ball(high)


class Valley(Activation):
    """A function that falls, and then rises, with one lowest point."""

    @abstractmethod
    def bottom(self) -> tuple[flint.arb, flint.arb]:
        """Return two exact numbers: the function falls up to the first, and rises from the second."""

    def enclosure(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        """Return the values at the ends, and at the lowest point where it may be between them."""
        left, right = self.bottom()
        at_low, at_high = self.ball(low), self.ball(high)
        if low >= right:
            return at_low, at_high
        if high <= left:
            return at_high, at_low
        return self.ball(left.union(right)), at_low.max(at_high)


@lru_cache
def _bracket(slope: Callable[[flint.arb], flint.arb], start: Fraction, precision: int) -> tuple[flint.arb, flint.arb]:
    left, right = flint.arb(flint.fmpq(start.numerator, start.denominator)), flint.arb(0)
    if not (slope(left) < 0 and slope(right) > 0):
        raise ArithmeticError("the slope changes its sign elsewhere")  # never: tested for every function
    for _ in range(precision):
        middle = ((left + right) / 2).mid()
        sign = slope(middle)
        if sign < 0:
            left = middle
        elif sign > 0:
            right = middle
        else:
            break  # no more to tell at this precision
    return left, right


def bracket(slope: Callable[[flint.arb], flint.arb], start: int) -> tuple[flint.arb, flint.arb]:
    """Return the two sides of the one point below 0 where a slope turns from negative to positive.

    Its sign at both is decided in balls, so that the point lies between them; they are as close as the precision of
    balls allows.

    Args:
        slope: a ball of the slope, or of a positive multiple of it, negative left of the point and positive right.
        start: an integer left of the point.

    """
    return _bracket(slope, Fraction(start), flint.ctx.prec)


def held_as(fmt: Format) -> Format:
    """Return the format in which kernels of a format compute: float32 for the two of 16 bits, as torch's do."""
    return fmt if fmt.precision >= FORMATS["float32"].precision else FORMATS["float32"]


def in_float32(
    function: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], values: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return a numpy function, computed in float32 and rounded once for an argument in float16."""
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(function(wide).astype(values.dtype))
