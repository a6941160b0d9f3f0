"""Bounds of what float32 and float64 may compute of a decoder, whatever the order and the kernels."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np

from constructions import Construction, Softmax
from constructions.activations import Activation
from constructions.formats import FORMATS, round_to_format
from tests.forward.plain import Float64Balls, Plain, outside
from verify.certificates.balls.columns import ball_precision


class Float32Balls(Float64Balls):
    """The same for float32, and for programs that compute some of it in float64."""

    unit = float(FORMATS["float32"].unit_roundoff)
    smallest = 2.0**-149

    def number(self, value: Fraction) -> flint.arb:
        held = flint.arb(flint.fmpq(value.numerator, value.denominator))
        return held if Fraction(round_to_format(value, FORMATS["float32"])) == value else self.rounded(held)

    def activation(self, activation: Activation, value: flint.arb) -> flint.arb:
        low, high = activation.enclosure(value.lower(), value.upper())
        found = low.union(high)
        allowed = activation.error(FORMATS["float32"])
        wide = self.spread(found, abs(found), 2 * allowed.ulps)
        return flint.arb(wide + flint.arb(0, float(allowed.absolute)))


KITS: dict[str, Any] = {"float32": Float32Balls, "float64": Float64Balls}


def bounds(construction: Construction, tokens: np.ndarray[Any, Any], computed_in: str) -> list[list[list[Any]]]:
    """Return balls that hold the logits of each sequence, position and token."""
    found = []
    with ball_precision():
        for sequence in tokens.tolist():
            made = Plain(construction.transformer.lowered, KITS[computed_in](), Softmax(1.0))
            found.append(made.logits(made.embedded(sequence)))
    return found


def strays(allowed: list[list[list[Any]]], logits: np.ndarray[Any, Any]) -> int:
    """Return how many logits are outside their bounds."""
    return sum(outside(allowed[a][b][c], float(logits[a, b, c])) for a, b, c in np.ndindex(logits.shape))


def widest(allowed: list[list[list[Any]]]) -> float:
    """Return the radius of the widest bound."""
    return max(float(ball.rad()) for case in allowed for row in case for ball in row)
