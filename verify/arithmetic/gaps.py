"""The number that a score of 1 adds to the exponent, for the arithmetics that compute ``exp``."""

from __future__ import annotations

import math

from constructions.temperature import RationalSoftmax, Softmax, Temperature
from constructions.validation import InvalidArgument


def score_gap(temperature: Temperature, *, key_size: int, length: int) -> float:
    """Return ``T/sqrt(k)``, or ``ln q`` for an exact ``q`` (rounded to float64).

    Args:
        temperature: a finite one.
        key_size: ``k`` of the head.
        length: number of visible positions in the input.

    Raises:
        InvalidArgument: hardmax has no gap.

    """
    if isinstance(temperature, Softmax):
        return temperature.gap(key_size=key_size, length=length)
    if isinstance(temperature, RationalSoftmax):
        return math.log(temperature.q.numerator) - math.log(temperature.q.denominator)
    raise InvalidArgument(f"temperature: expected a finite one but got {temperature!r}")


def check_exponents(temperature: Temperature) -> Softmax:
    """Return a temperature whose exponents something may be added to.

    Raises:
        InvalidArgument: hardmax, or an exact ``q``.

    """
    if not isinstance(temperature, Softmax):
        raise InvalidArgument(
            "temperature: expected a finite T, as a score bias is added to the exponents after scaling, but got"
            f" {temperature!r}"
        )
    return temperature
