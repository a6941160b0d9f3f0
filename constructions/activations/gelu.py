"""Gelu, with erf or with tanh."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint
import numpy as np
import sympy as sp
from jaxtyping import Float

from constructions.activations.base import KernelError, bracket, held_as, in_float32
from constructions.activations.smooth import NearRelu, logistic, logistic_at, monotone
from constructions.formats import Format

if TYPE_CHECKING:
    import torch

_ONE = flint.arb(1)

#: ``x (1 + f(v))/2`` for ``x >= 0``. The argument ``v`` has at most seven roundings (a factor, a cube and its factor, a
#: sum, a scale), which change ``f`` by ``7u`` of itself at most, as neither ``erf`` nor ``tanh`` changes by more, in
#: relative terms, than its argument; with ``6u`` of its own that is ``13u`` of the part of ``1 + f`` that ``f`` is, at
#: most a half. The sum and the product have ``u`` each: ``8.5u``.
GELU_ULPS = 9

#: The same below 0, in units ``u`` beside those in the last place. There ``f`` lies in ``[-1, 0]`` and is off by
#: ``3u``, three units in the last place of ``[1/2, 1)``, and by the roundings of ``v``: ``7u max |v tanh'(v)| < 3.2u``,
#: or ``2u max |v erf'(v)| < u``. That is ``6.2u |x|/2``, or ``4u |x|/2``, for as long as ``1 + f`` is not less than its
#: error, up to ``|x| = 7.0`` or ``8.2`` in float64; from there on the value itself is smaller.
#:
#: The vectorised gelu of torch in float32 has an ``erf`` of its own that is less exact. Every float32 number ``x`` with
#: ``2^-30 <= |x| < 16`` was tried (``test_gelu_of_torch_at_float32_numbers``, heavy): it is off by 5.47 units in the
#: last place above 0 and by ``19.4u`` below, which the same allowance covers. Numbers nearer to 0, and those from 16
#: on, where gelu is the number itself or less than ``2^-180``, were not scanned: there the allowance is an assumption.
GELU_UNITS = 22


def _normal(value: flint.arb) -> flint.arb:
    """Return the normal distribution function: ``erfc`` keeps what ``1 + erf`` cancels."""
    return monotone(lambda at: (-at / flint.arb(2).sqrt()).erfc() / 2, value)


class _CancellingGelu(NearRelu):
    """``x (1 + f(x))/2``, where kernels compute ``1 + f`` with an ``f`` that comes close to -1.

    The rounded ``f`` is off by a few units ``u``, which stay where the sum has almost nothing left of 1; times
    ``|x|/2`` this is an absolute error, in units ``u`` of the format that kernels compute in.
    """

    def error(self, fmt: Format) -> KernelError:
        """Return the units of the formula, relative and absolute."""
        return KernelError(GELU_ULPS, GELU_UNITS * held_as(fmt).unit_roundoff)


@final
class Gelu(_CancellingGelu):
    """``x F(x)`` with the normal distribution function ``F``: its slope is ``F(x) + x F'(x)``.

    The slope of that is ``F'(x) (2 - x^2)``: the slope falls from 0 up to ``-sqrt 2``, rises up to ``sqrt 2`` and falls
    to 1. So it changes its sign once, between ``-sqrt 2`` and 0.
    """

    name = "gelu"
    ratio_slope = Fraction(4, 5)  # F'(x)/F(x) falls, from sqrt(2/pi) = 0.798 at 0

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\operatorname{{GELU}}\left({argument}\right)"

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return the formula with ``erf``."""
        return value * (1 + sp.erf(value / sp.sqrt(2))) / 2

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return value * _normal(value)

    def bottom(self) -> tuple[flint.arb, flint.arb]:
        """Return the sides of the lowest point, near -0.75."""
        return bracket(_gelu_slope, -1)

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the formula with Python's ``erfc``, in float64, rounded once: numpy has none."""
        halves = np.frompyfunc(lambda value: math.erfc(-value * math.sqrt(0.5)) / 2, 1, 1)
        wide = values.astype(np.float64)
        return np.asarray((wide * halves(wide).astype(np.float64)).astype(values.dtype))

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.nn.functional.gelu``."""
        from torch.nn.functional import gelu  # noqa: PLC0415 # torch takes seconds to import

        return gelu(values)


def _gelu_slope(value: flint.arb) -> flint.arb:
    density = (-value * value / 2).exp() / (2 * flint.arb.pi()).sqrt()
    return _normal(value) + value * density


@final
class TanhGelu(_CancellingGelu):
    """``x (1 + tanh(v))/2`` with ``v = sqrt(2/pi) (x + 0.044715 x^3)``, the gelu of GPT-2 and BERT.

    That is ``x s(2v)`` with the sigmoid ``s``, of slope ``s(2v) (1 + 2 x v' s(-2v))``. Right of 0 the second factor is
    positive. At ``x = -t`` it is ``1 - 2 t v'(t) s(2v(t))``, a falling one: one change of sign.
    """

    name = "gelu with tanh"
    #: of ``ln s(2v)``: ``g s(-2v)`` with ``g = 2v'``, also sqrt(2/pi) at 0. It falls as ``g' < g^2 s(2v)``: that is
    #: ``0.43 x < 1.27 (1 + 0.134 x^2)^2`` with ``s >= 1/2``, true for every ``x``.
    ratio_slope = Fraction(4, 5)

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\operatorname{{GELU}}_{{\tanh}}\left({argument}\right)"

    def symbol(self, value: sp.Expr) -> sp.Expr:
        """Return the formula."""
        inner = sp.sqrt(2 / sp.pi) * (value + sp.Rational(_CUBE.numerator, _CUBE.denominator) * value**3)
        return value * (1 + sp.tanh(inner)) / 2

    def ball(self, value: flint.arb) -> flint.arb:
        """Return the value."""
        return value * monotone(lambda at: logistic_at(_twice(at)), value)

    def bottom(self) -> tuple[flint.arb, flint.arb]:
        """Return the sides of the lowest point, near -0.75."""
        return bracket(_tanh_gelu_slope, -1)

    def numpy(self, values: Float[np.ndarray, " ..."]) -> Float[np.ndarray, " ..."]:
        """Return the formula."""
        scale, cube = math.sqrt(2 / math.pi), float(_CUBE)
        return in_float32(lambda held: held / 2 * (1 + np.tanh(scale * (held + cube * held * held * held))), values)

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``torch.nn.functional.gelu`` with ``approximate="tanh"``."""
        from torch.nn.functional import gelu  # noqa: PLC0415 # torch takes seconds to import

        return gelu(values, approximate="tanh")


#: The factor of the cube, a decimal by definition.
_CUBE = Fraction(44715, 10**6)


def _twice(value: flint.arb) -> flint.arb:
    """Return ``2v``."""
    return 2 * (2 / flint.arb.pi()).sqrt() * value * (1 + _cube() * value * value)


def _tanh_gelu_slope(value: flint.arb) -> flint.arb:
    slope = 2 * (2 / flint.arb.pi()).sqrt() * (1 + 3 * _cube() * value * value)
    return _ONE + value * slope * logistic(-_twice(value))


def _cube() -> flint.arb:
    return flint.arb(flint.fmpq(_CUBE.numerator, _CUBE.denominator))
