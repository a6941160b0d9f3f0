"""Activations that are exact on rationals: relu, identity, absolute value, square, and relu with a ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar, final

import flint
import numpy as np
import sympy as sp
from jaxtyping import Float

from constructions.activations.base import Activation, KernelError, Pieces, Rising, Valley
from constructions.formats import FORMATS, Format, round_to_format
from constructions.validation import check_positive_rational

if TYPE_CHECKING:
    import torch

    from constructions.operations import Operations

_WeightT = TypeVar("_WeightT")
_RowsT = TypeVar("_RowsT")
_ScoresT = TypeVar("_ScoresT")

_ZERO = flint.arb(0)


class _Exact(Activation):
    """A function whose float kernel rounds nothing."""

    def error(self, fmt: Format) -> KernelError:
        """Return no error."""
        return KernelError(0)


@final
class Relu(_Exact, Rising):
    """``max(0, x)``."""

    name = "relu"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\operatorname{{ReLU}}\left({argument}\right)"

    def exact(self, value: Fraction) -> Fraction:
        """Return the value."""
        return max(value, Fraction(0))

    def pieces(self) -> Pieces:
        """Return them."""
        return Pieces((Fraction(0),), (0, 1))

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return a ``Max``."""
        return sp.Max(0, value)

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return value.max(_ZERO)

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the values; NaN stays NaN."""
        return np.asarray(np.maximum(values, values.dtype.type(0)))

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.relu``."""
        return values.relu()

    def apply(self, operations: Operations[_WeightT, _RowsT, _ScoresT], rows: _RowsT) -> _RowsT:
        """Return the function of every coordinate: every arithmetic has this one as an operation of its own."""
        return operations.relu(rows)


@final
class Identity(_Exact, Rising):
    """``x``, for layers that are linear."""

    name = "identity"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return argument

    def exact(self, value: Fraction) -> Fraction:
        """Return the value."""
        return value

    def pieces(self) -> Pieces:
        """Return them."""
        return Pieces((), (1,))

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return the value."""
        return value

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return value

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the values."""
        return values

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values."""
        return values

    def apply(self, operations: Operations[_WeightT, _RowsT, _ScoresT], rows: _RowsT) -> _RowsT:
        """Return the rows."""
        return rows


@final
class Absolute(_Exact, Valley):
    """``|x|``."""

    name = "abs"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\left|{argument}\right|"

    def exact(self, value: Fraction) -> Fraction:
        """Return the value."""
        return abs(value)

    def pieces(self) -> Pieces:
        """Return them."""
        return Pieces((Fraction(0),), (-1, 1))

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return an ``Abs``."""
        return sp.Abs(value)

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return abs(value)

    def bottom(self) -> tuple[flint.arb, flint.arb]:
        """Return 0 twice."""
        return _ZERO, _ZERO

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the values."""
        return np.asarray(np.abs(values))

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.abs``."""
        return values.abs()


@final
class Square(Valley):
    """``x^2``."""

    name = "square"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\left({argument}\right)^{{2}}"

    def exact(self, value: Fraction) -> Fraction:
        """Return the value."""
        return value * value

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return the value."""
        return value**2

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value, which is never negative."""
        return (value * value).max(_ZERO)

    def bottom(self) -> tuple[flint.arb, flint.arb]:
        """Return 0 twice."""
        return _ZERO, _ZERO

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the values."""
        return np.asarray(values * values)

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.square``."""
        return values.square()

    def error(self, fmt: Format) -> KernelError:
        """Return 1: half a unit for the product, and with it that of a second rounding from float32."""
        return KernelError(1)


@final
@dataclass(frozen=True, eq=False, repr=False)
class ClippedRelu(Rising):
    """``min(max(0, x), c)``; ``c = 6`` is relu6.

    Attributes:
        ceiling: ``c``, a positive rational.

    """

    ceiling: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "ceiling", check_positive_rational("ceiling", self.ceiling))

    @property
    def name(self) -> str:  # type: ignore[override] # read only, as the class is frozen
        """The name with its ceiling."""
        return f"relu clipped at {self.ceiling}"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\min\left(\operatorname{{ReLU}}\left({argument}\right), {sp.latex(self._expression)}\right)"

    @property
    def _expression(self) -> sp.Rational:
        return sp.Rational(self.ceiling.numerator, self.ceiling.denominator)

    def exact(self, value: Fraction) -> Fraction:
        """Return the value."""
        return min(max(value, Fraction(0)), self.ceiling)

    def pieces(self) -> Pieces:
        """Return them."""
        return Pieces((Fraction(0), self.ceiling), (0, 1, 0))

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return a ``Min`` of a ``Max``."""
        return sp.Min(sp.Max(0, value), self._expression)

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        ceiling = flint.arb(flint.fmpq(self.ceiling.numerator, self.ceiling.denominator))
        return value.max(_ZERO).min(ceiling)

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the values, clipped at the ceiling rounded to the format."""
        zero, ceiling = values.dtype.type(0), values.dtype.type(self._held(values.dtype.name))
        return np.asarray(np.minimum(np.maximum(values, zero), ceiling))

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.clamp`` at the ceiling rounded to the format."""
        return values.clamp(0.0, self._held(str(values.dtype).removeprefix("torch.")))

    def _held(self, dtype: Any) -> float:
        fmt = FORMATS[dtype]
        return round_to_format(min(self.ceiling, fmt.largest), fmt)  # no number is above the largest

    def error(self, fmt: Format) -> KernelError:
        """Return 1 where the ceiling is rounded, by half a unit of its own; 0 where it is not."""
        return KernelError(int(self.ceiling <= fmt.largest and round_to_format(self.ceiling, fmt) != self.ceiling))
