"""AMD's first block: an exact sum of products, rounded once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from verify.matrix_units.blocks.base import Block, Output
from verify.matrix_units.blocks.losses import Losses
from verify.matrix_units.formats import Decoded, Doubles, Singles, rounded


@dataclass(frozen=True)
class ExactBlock(Block):
    """Adds all products and ``c`` exactly, and rounds once."""

    summation = "exact sum"

    def losses(self, output: Output) -> Losses:
        """Return the losses: those of one rounding."""
        return Losses(Fraction(0), output.unit, Fraction(0), output.precision, output.least_exponent)

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        """Return the next accumulator."""
        products = a.values * b.values
        terms = np.stack(np.broadcast_arrays(c.astype(np.float64), *products))
        total = _odd_sum(terms) + 0.0  # a sum of zeros is positive; what underflows keeps its sign
        return rounded(total, output.precision, output.result, to_nearest=output.to_nearest)


def _odd_sum(terms: Doubles) -> Doubles:
    """Return exact sums along axis 0, rounded to odd in float64.

    Rounded to 24 bits afterwards, they are what one rounding of the exact sum gives (Boldo and Melquiond, 2008). Most
    sums are float64 numbers; the error of each addition says whether this one is (Knuth). For the others,
    ``math.fsum`` returns the nearest float64, and then the sign of what is missing.
    """
    total: Doubles = terms[0]
    exact = np.ones(total.shape, dtype=np.bool_)
    for term in terms[1:]:
        before, total = total, total + term
        part = total - before
        exact &= (before - (total - part)) + (term - part) == 0
    exact |= ~np.isfinite(total)
    for place in zip(*np.nonzero(~exact), strict=True):
        column = terms[(slice(None), *place)].tolist()
        nearest = math.fsum(column)
        missing = math.fsum([*column, -nearest])
        if missing and math.frexp(nearest)[0] * 2**53 % 2 == 0:
            nearest = math.nextafter(nearest, math.copysign(math.inf, missing))
        total[place] = nearest
    return total
