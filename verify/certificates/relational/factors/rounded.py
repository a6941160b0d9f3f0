"""The allowances of float kernels, by the rules of :mod:`verify.certificates.floats`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from constructions.activations import Activation
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.directed import largest_of, wide_dtype
from verify.certificates.floats.spreads import Spread
from verify.certificates.relational.factors.kernels import Kernels, NormError, SumError
from verify.certificates.relational.factors.table import UNIT

_Array = Float[np.ndarray, "..."]


class RoundedNumbers(Kernels):
    """Kernels of one format, with sums in any order that their kind of rounding allows."""

    def __init__(self, arithmetic: RoundedArithmetic) -> None:
        """Allow what ``arithmetic`` allows."""
        self.arithmetic, self.rounding = arithmetic, arithmetic.rounding
        fmt, inner = arithmetic.fmt, arithmetic.kernel.accumulator
        self.largest = largest_of(fmt)
        # a rounding in a kernel's accumulator and one in the format
        self._twice = 0.0 if inner is None else 2 * float(inner.unit_roundoff)
        self.step = float(fmt.unit_roundoff) + self._twice
        self.tiny = 2 * float(arithmetic.kernel.smallest)

    def sums(self, count: _Array, single: Bool[np.ndarray, " sums"]) -> SumError:
        """Return the rule of :mod:`verify.certificates.floats.sums`: nothing is before the last of two operations."""
        unit = self.rounding.unit
        growth = np.asarray(self.rounding.growth(count, unit), dtype=np.float64)
        several, own = count > 1, 1 + 16 * UNIT
        rounds = several | ((count == 1) & ~single)
        return SumError(
            np.where(several, unit * (1 + growth), 0) * own,
            np.where(several, growth, 0) * own,
            np.where(rounds, self.rounding.last_unit + self._twice, 0) * own,
            np.where(count > 0, (count + 1) * (self.rounding.underflow + self.rounding.single_underflow), 0),
        )

    def rounds_products(self, bias: _Array) -> Bool[np.ndarray, " sums"]:
        """Return what the kind of rounding says."""
        return self.rounding.rounds_products(bias)

    def activation(self, activation: Activation) -> tuple[float, float]:
        """Return the activation's own allowance; a unit in the last place is at most ``2u`` of the value."""
        fmt = self.arithmetic.fmt
        error = activation.error(fmt)
        self.arithmetic.assume_activation(activation)
        absolute = float(error.absolute) + float(error.ulps * self.arithmetic.kernel.smallest)
        return 2 * error.ulps * float(fmt.unit_roundoff), absolute * (1 + 16 * UNIT)

    def norm(self, spread: Spread, *, centred: bool, mean: bool, eps: Fraction) -> NormError:
        """Return the allowances that :mod:`verify.certificates.floats.norms` derives.

        A coordinate meets two roundings: of ``x_i - M`` and of the product, or of two products and their difference.
        The last one is relative to the result, which is at most ``(|x_i| + |M|) F (1 + u)`` in magnitude.
        """
        wide = wide_dtype(self.arithmetic.fmt)
        held = replace(spread, **{name: _wider(value, wide) for name, value in vars(spread).items()})
        errors, wild = self.arithmetic.errors_of_rows(held, centred=centred, mean=mean, eps=eps)
        steps = 2 if centred else 1
        fmt = self.arithmetic.fmt
        return NormError(
            spread.width,
            _outward(errors.shrunk, up=False),
            _outward(errors.grown),
            _outward(errors.base, up=False),
            _outward(errors.top),
            _outward(errors.of_root),
            _every(errors.distance),
            np.maximum(_every(errors.mean), _every(errors.merged)),
            steps * self.step * (1 + 4 * self.step),
            self.tiny,
            ~wild[:, 0, 0],
            (2.0**fmt.min_exponent, self.largest),
        )


def _outward(value: Any, *, up: bool = True) -> float:
    """Return a float64 that is not short of a number of the wide dtype."""
    return float(np.nextafter(np.float64(value), np.inf if up else -np.inf))


def _every(values: Any) -> _Array:
    """Return upper bounds in every cell, as float64."""
    return np.asarray(values[:, 0, 0], dtype=np.float64) * (1 + 2 * UNIT)


def _wider(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return numbers in the dtype that bounds of a format are computed in."""
    return tuple(part.astype(dtype) for part in value) if isinstance(value, tuple) else np.asarray(value, dtype=dtype)
