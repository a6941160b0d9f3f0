"""The losses of one step of a block, for bounds of sums whose order is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Losses:
    """Bounds of the error of a block that adds ``k >= 2`` numbers, products and ``c`` among them, of magnitudes ``S``.

    The error is at most ``((k - 1) cut + rounding) S`` if no factor is subnormal; one number alone loses nothing. Both
    hold but for what is below ``smallest``. ``docs/mathematics/matrix-units-bounds.md`` derives the numbers.

    Attributes:
        cut: what each number but one loses at most, relative to the largest one.
        rounding: what rounding the sum loses, relative to ``S``.
        raised: what a product with a subnormal factor makes all other numbers lose together, relative to the power of
            two that the exponents of its factors stand for.
        exact_bits: sums of multiples of ``2^g`` lose nothing while ``S`` is at most ``2^(exact_bits + g)``.
        least_exponent: numbers below this power of two may lose up to it: the exponent of the accumulator's smallest
            number or, where subnormal numbers are flushed, that of its smallest normal one.
        flushes: whether subnormal factors count as zero.

    """

    cut: Fraction
    rounding: Fraction
    raised: Fraction
    exact_bits: int
    least_exponent: int
    flushes: bool = False
