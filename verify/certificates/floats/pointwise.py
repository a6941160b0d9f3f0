"""Bounds of activations of single coordinates, by what each activation says of itself."""

from __future__ import annotations

from typing import Any

import flint
import numpy as np
from jaxtyping import Shaped

from constructions.activations import Activation
from verify.certificates.balls.columns import ball, ball_precision
from verify.certificates.floats.assumed import Assuming
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import EVERYTHING, grids_between

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


#: Below this the rest of a number beside its float64 may be no float64: 53 bits below 2^-1022, the normal range's end.
_SMALL = 2.0**-900


class ActivationBounds(Assuming):
    """Activations on boxes."""

    def pointwise(self, rows: Box, activation: Activation) -> Box:
        """Return bounds of an activation of every coordinate.

        The computed value is a float within the activation's own allowance of the true one, which an enclosure of all
        arguments between two bounds holds. The allowance is at most ``ulps * max(2u |y|, smallest) + absolute``, and
        ``y`` less that much rises with ``y``, as ``2u ulps < 1``: the ends of the enclosure give the ends of the
        result. A float that is not below a bound is not below the nearest float to that bound either. Where an argument
        may be beyond half of the largest number, nothing is known.
        """
        error = activation.error(self.fmt)
        if not 2 * error.ulps * self.fmt.unit_roundoff < 1:
            raise ArithmeticError(f"{activation.name}: an error of {error.ulps} units is no bound in {self.fmt.name}")
        whole = not error.ulps and not error.absolute
        self.assume_activation(activation)
        known = np.maximum(np.abs(rows.low), np.abs(rows.high)) <= float(self.fmt.largest / 2)
        low, high = (np.where(known, part, 0) for part in (rows.low, rows.high))
        ends = np.stack([low.reshape(-1), high.reshape(-1)], axis=1)
        pairs, place = np.unique(ends, axis=0, return_inverse=True)
        with ball_precision():
            found = np.array([self._enclosed(activation, *pair) for pair in pairs], dtype=self._dtype).reshape(-1, 2)
        below, above = found[place.reshape(-1)].reshape(*low.shape, 2).transpose(3, 0, 1, 2)
        below = np.where(known, self.rounded(below, up=False), -np.inf)
        above = np.where(known, self.rounded(above, up=True), np.inf)
        grid = grids_between(below, above, self.fmt).min(axis=(0, 1), initial=EVERYTHING)
        return self.box(below, above, grid, exact=whole and rows.exact and bool(known.all()))

    def assume_activation(self, activation: Activation) -> None:
        """Note an activation's allowance, unless it has none."""
        error = activation.error(self.fmt)
        if error.ulps or error.absolute:
            absolute = f" and {float(error.absolute):.2g}" if error.absolute else ""
            self.assume(f"{activation.name} right within {error.ulps} units in the last place{absolute}")

    def _enclosed(self, activation: Activation, low: Any, high: Any) -> tuple[Any, Any]:
        """Return bounds of what is computed for arguments between two numbers, before it is a float."""
        first, last = activation.enclosure(flint.arb(float(low)), flint.arb(float(high)))  # numbers of the format
        least, most = first.lower(), last.upper()
        below = (least - self._allowance(activation, least)).lower()
        above = (most + self._allowance(activation, most)).upper()
        return _beyond(below, self._dtype, up=False), _beyond(above, self._dtype, up=True)

    def _allowance(self, activation: Activation, value: flint.arb) -> flint.arb:
        error = activation.error(self.fmt)
        if not error.ulps and not error.absolute:
            return flint.arb(0)
        spacing = (2 * ball(self.fmt.unit_roundoff) * abs(value)).max(ball(self.kernel.smallest))
        return error.ulps * spacing + ball(error.absolute)


def _beyond(bound: flint.arb, dtype: np.dtype[Any], *, up: bool) -> Any:
    """Return a number of the wide dtype that is not short of a bound: the bound itself where float64 holds it."""
    near = float(bound)
    rest = bound - flint.arb(near)
    if rest == 0:
        return dtype.type(near)
    end = np.inf if up else -np.inf
    if abs(near) < _SMALL:
        return dtype.type(np.nextafter(near, end))
    # the rest is at most half a spacing of float64: the sum is off by less than a spacing of the wide dtype
    return np.nextafter(dtype.type(near) + dtype.type(float(rest)), dtype.type(end))
