"""Sigmoid, tanh and silu, and the parts that gelu shares with them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint
import numpy as np
import sympy as sp
from jaxtyping import Float

from constructions.activations.base import Activation, KernelError, Rising, Valley, bracket, held_as, in_float32
from constructions.formats import Format

if TYPE_CHECKING:
    import torch

_ONE = flint.arb(1)

#: How far ``exp``, ``erf`` and ``tanh`` of a library are assumed to be off, in units in the last place: the next
#: integer above the largest error known, 2.52 of numpy's float32 ``exp`` (its documentation). A result that is off by
#: ``a u`` of itself is off by less than ``a`` units in the last place, one of ``a`` units by up to ``2a u`` of itself.
FUNCTION_ULPS = 3

#: ``1/(1 + e^-x)`` and ``x/(1 + e^-x)``: ``2u`` for each unit of ``exp``, ``u`` for the sum and ``u`` for the quotient
#: are less than ``9u``, their products included.
QUOTIENT_ULPS = 2 * FUNCTION_ULPS + 3


def monotone(function: Callable[[flint.arb], flint.arb], value: flint.arb) -> flint.arb:
    """Return a rising function of a ball, from its ends where it is wide: ``exp`` of a wide ball holds all too much."""
    if value.is_exact():
        return function(value)
    return function(value.lower()).union(function(value.upper()))


def logistic_at(value: flint.arb) -> flint.arb:
    """Return ``1/(1 + e^-x)`` at a number; neither form overflows on its side."""
    if value > 0:
        return _ONE / (_ONE + (-value).exp())
    power = value.exp()
    return power / (_ONE + power)


def logistic(value: flint.arb) -> flint.arb:
    """Return ``1/(1 + e^-x)`` of a ball."""
    return monotone(logistic_at, value)


class AtZero(Activation):
    """A function that is 0 at 0 and irrational at every other rational."""

    def exact(self, value: Fraction) -> Fraction | None:
        """Return 0 at 0, ``None`` elsewhere."""
        return Fraction(0) if value == 0 else None


class NearRelu(AtZero, Valley):
    """``x s(x)`` with ``s`` rising and ``s(x) + s(-x) = 1``: beside ReLU it is ``f(-|x|)``, on both sides of 0."""

    def beside_relu(self, nearest: flint.arb, farthest: flint.arb) -> flint.arb | None:
        """Return the largest ``-f(-|x|)``: right of 0, ``x - f(x) = x s(-x) = -f(-x)``."""
        return -self.enclosure(-farthest, -nearest)[0].lower()

    def ratio(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        """Return ``s`` at both ends."""
        return self.ball(low) / low, self.ball(high) / high


def _overflown(fmt: Format) -> Fraction:
    """Return ``1/max``: where ``exp(-x)`` overflows, a kernel returns 0 for a sigmoid of less than about this."""
    return 1 / held_as(fmt).largest


@final
class Sigmoid(Rising):
    """``1/(1 + e^-x)``."""

    name = "sigmoid"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\sigma\left({argument}\right)"

    def exact(self, value: Fraction) -> Fraction | None:
        """Return 1/2 at 0, ``None`` elsewhere (Lindemann)."""
        return Fraction(1, 2) if value == 0 else None

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return the formula."""
        return 1 / (1 + sp.exp(-value))

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return logistic(value)

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the formula."""
        return in_float32(lambda held: 1 / (1 + np.exp(-held)), values)

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.sigmoid``."""
        return values.sigmoid()

    def error(self, fmt: Format) -> KernelError:
        """Return the units of the formula, and what an overflow of ``exp(-x)`` takes: twice :func:`_overflown`.

        Above the overflow the value is below ``1/max``, up to the rounding of ``x`` and the error of ``exp`` there,
        which are far below the factor of two.
        """
        return KernelError(QUOTIENT_ULPS, 2 * _overflown(fmt))


@final
class Tanh(AtZero, Rising):
    """The hyperbolic tangent."""

    name = "tanh"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\tanh\left({argument}\right)"

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return ``tanh``."""
        return sp.tanh(value)

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return monotone(lambda at: at.tanh(), value)

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return ``numpy.tanh``."""
        return in_float32(np.tanh, values)

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.tanh``."""
        return values.tanh()

    def error(self, fmt: Format) -> KernelError:
        """Return the units that a library is assumed to have."""
        return KernelError(FUNCTION_ULPS)


@final
class Silu(NearRelu):
    """``x/(1 + e^-x)``, also called swish: its slope is ``s(x) (1 + x s(-x))`` with the sigmoid ``s``.

    Right of 0 the second factor is positive. At ``x = -t`` it is ``1 - t s(t)``, and ``t s(t)`` rises: one change of
    sign.
    """

    name = "silu"
    ratio_slope = Fraction(1, 2)  # of ln s at x: s(-x)

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\operatorname{{SiLU}}\left({argument}\right)"

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return the formula."""
        return value / (1 + sp.exp(-value))

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return value * logistic(value)

    def bottom(self) -> tuple[flint.arb, flint.arb]:
        """Return the sides of the lowest point, near -1.28."""
        return bracket(_silu_slope, -2)

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the formula."""
        return in_float32(lambda held: held / (1 + np.exp(-held)), values)

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.nn.functional.silu``."""
        from torch.nn.functional import silu  # noqa: PLC0415 # torch takes seconds to import

        return silu(values)

    def error(self, fmt: Format) -> KernelError:
        """Return the units of the formula, and what an overflow of ``exp(-x)`` takes.

        From there on the value is below ``|x| e^x``, which falls with ``|x| > 1``: at most ``ln(max)/max``, doubled as
        for the sigmoid. ``ln(max) < max_exponent + 1``, as a power of two is less than the same power of e.
        """
        return KernelError(QUOTIENT_ULPS, 2 * (held_as(fmt).max_exponent + 1) * _overflown(fmt))


def _silu_slope(value: flint.arb) -> flint.arb:
    return _ONE + value * logistic(-value)
