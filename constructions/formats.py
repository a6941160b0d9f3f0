"""Floating-point formats and correct rounding of rationals into them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from constructions.validation import check_choice


@dataclass(frozen=True)
class Format:
    """A binary floating-point format with gradual underflow.

    Attributes:
        name: the dtype's name in torch (and numpy, where numpy has it).
        precision: bits of the significand, the hidden one included (``p``).
        max_exponent: exponent of the largest finite numbers, ``2^max_exponent <= max < 2^(max_exponent + 1)``.

    Example:
        >>> Format("tf32", 11, 127).unit_roundoff
        Fraction(1, 2048)

    """

    name: str
    precision: int
    max_exponent: int

    @property
    def unit_roundoff(self) -> Fraction:
        """``u = 2^-p``: rounding a number in the normal range to nearest changes it by at most ``u`` times itself."""
        return Fraction(1, 2**self.precision)

    @property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number, ``2^min_exponent``; IEEE fixes it as ``1 - max_exponent``."""
        return 1 - self.max_exponent

    @property
    def largest(self) -> Fraction:
        """The largest finite number, ``(2 - 2^(1-p)) 2^max_exponent``."""
        return (2 - Fraction(2, 2**self.precision)) * Fraction(2) ** self.max_exponent


#: The formats that the claims are about; name -> format.
FORMATS = {
    fmt.name: fmt
    for fmt in (
        Format("float64", 53, 1023),
        Format("float32", 24, 127),
        Format("bfloat16", 8, 127),
        Format("float16", 11, 15),
    )
}


def get_format(name: str) -> Format:
    """Return the format called ``name``; an unknown name is an ``InvalidArgument``.

    Example:
        >>> get_format("float16").largest
        Fraction(65504, 1)

    """
    return FORMATS[check_choice("dtype", name, tuple(FORMATS))]


@lru_cache(maxsize=1 << 16)
def round_to_format(value: Fraction, fmt: Format) -> float:
    """Return ``value`` rounded to nearest, ties to even, in ``fmt`` (gradual underflow included), as a Python float.

    Every number of the four formats is a float64, so the result is exact as a Python float. Converting through
    float64 instead would round twice, and can differ in the last place.

    Args:
        value: an exact rational.
        fmt: the target format.

    Raises:
        OverflowError: the rounded value is beyond the largest finite number. Such a weight cannot be held, and an
            infinity would be another weight than the construction's.

    Example:
        >>> from fractions import Fraction
        >>> round_to_format(Fraction(1, 3), get_format("bfloat16"))
        0.333984375

    """
    if value == 0:
        return 0.0
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    # spacing of the format's numbers around the value; below the normal range it stops shrinking
    spacing = Fraction(2) ** (max(exponent, fmt.min_exponent) - fmt.precision + 1)
    rounded = round(magnitude / spacing) * spacing  # round() of a Fraction rounds half to even
    if rounded > fmt.largest:
        raise OverflowError(f"a weight of about 2^{exponent} is beyond the largest number of {fmt.name}")
    return float(rounded if value > 0 else -rounded)
