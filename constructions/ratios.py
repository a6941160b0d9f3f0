"""Arrays of exact rationals with one common denominator: the contents of virtual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from constructions.formats import FORMATS, Format, round_to_format
from constructions.validation import check_integer

#: Integers up to this one are float64s, all of them.
_LARGEST_EXACT = 2 ** FORMATS["float64"].precision
#: Up to this denominator the rounded values of 0/d .. d/d are kept as one table: a batch is one look-up.
_LARGEST_TABLE = 1 << 16


@dataclass(frozen=True, eq=False)
class Ratios:
    """The array ``numerators / denominator``, exactly.

    Attributes:
        numerators: integer array, int64 or (for numbers beyond it) Python integers as objects; in a certificate's run
            of a construction's code :class:`~constructions.unknown_tokens.UnknownTokens`.
        denominator: a positive integer.

    Example:
        >>> import numpy as np
        >>> numbers = Ratios(np.array([[1, 2]]), 3)
        >>> numbers.to_fractions()
        [[Fraction(1, 3), Fraction(2, 3)]]
        >>> numbers[0, 1].to_fractions()
        Fraction(2, 3)

    """

    numerators: np.ndarray[Any, Any]
    denominator: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "denominator", check_integer("denominator", self.denominator, 1))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(self.numerators.shape)

    def __getitem__(self, index: Any) -> Ratios:
        """Return the part of the array that numpy's indexing selects."""
        return Ratios(np.asarray(self.numerators[index]), self.denominator)

    def to_fractions(self) -> list[Any]:
        """Return the numbers as Fractions in nested lists."""
        exact = np.frompyfunc(lambda numerator: Fraction(int(numerator), self.denominator), 1, 1)
        nested: list[Any] = np.asarray(exact(self.numerators)).tolist()
        return nested

    def to_float(self, fmt: Format) -> Float[np.ndarray, " ..."]:
        """Return every number correctly rounded to ``fmt``, as float64, which holds all formats.

        Raises:
            OverflowError: a number is beyond the largest of the format.

        """
        flat = self.numerators
        if flat.size and self.denominator <= _LARGEST_TABLE and flat.min() >= 0 and flat.max() <= self.denominator:
            return np.asarray(_table(self.denominator, fmt)[self.numerators.astype(np.int64)])
        return round_ratios(self.numerators, self.denominator, fmt)

    def held_by(self, fmt: Format) -> bool:
        """Return whether every number is one of the format, so that rounding changes none.

        In lowest terms ``n/d`` is a float only where ``d`` is a power of two, and scaling the rounded number by that
        ``d`` is exact: it gives ``n`` back, or the number was rounded.

        Raises:
            OverflowError: a number is beyond the largest of the format.

        Example:
            >>> from constructions import FORMATS
            >>> (
            ...     Ratios(np.array([1, 3]), 4).held_by(FORMATS["bfloat16"]),
            ...     Ratios(np.array([1]), 3).held_by(FORMATS["float64"]),
            ... )
            (True, False)

        """
        rounded, flat = self.to_float(fmt).reshape(-1), self.numerators.reshape(-1)
        if not flat.size:
            return True
        if max(abs(int(flat.min())), abs(int(flat.max())), self.denominator) > _LARGEST_EXACT:
            pairs = zip(rounded.tolist(), flat.tolist(), strict=True)
            return all(Fraction(value) * self.denominator == numerator for value, numerator in pairs)
        common = np.gcd(flat.astype(np.int64), self.denominator)
        scale = self.denominator // common
        held = (scale & (scale - 1) == 0) & (rounded * scale == flat // common)
        return bool(held.all())


@lru_cache(maxsize=64)
def _table(denominator: int, fmt: Format) -> Float[np.ndarray, " values"]:
    table = round_ratios(np.arange(denominator + 1), denominator, fmt)
    table.setflags(write=False)
    return table


def round_ratios(numerators: np.ndarray[Any, Any], denominator: int, fmt: Format) -> Float[np.ndarray, " ..."]:
    r"""Return every ``numerator / denominator`` rounded to nearest, ties to even, in ``fmt``, as float64.

    Integers up to ``2^53`` are float64s, so one division gives the quotient rounded to 53 bits. A quotient other than 0
    is at least ``2^-53`` and never subnormal. That is the answer for float64. A narrower format rounds a
    second time. Rounding is monotone and the midpoint ``M`` of two neighbours of the narrower format is a float64: a
    true quotient below ``M`` has a rounded one of at most ``M``, and likewise above. So the second rounding goes the
    right way unless the rounded quotient IS a midpoint. With a denominator that is a power of two the division was
    exact, and the midpoint is a true tie; otherwise these few entries are rounded from their Fractions.

    Args:
        numerators: integers, of any shape; int64, or Python integers as objects.
        denominator: a positive integer.
        fmt: the target format.

    Raises:
        OverflowError: a rounded value is beyond the largest finite number.

    """
    flat = numerators.reshape(-1)
    if not flat.size:
        return np.zeros(numerators.shape)
    if max(abs(int(flat.min())), abs(int(flat.max())), denominator) > _LARGEST_EXACT:
        values, places = np.unique(flat, return_inverse=True)
        rounded = np.array([round_to_format(Fraction(int(value), denominator), fmt) for value in values])
        return np.asarray(rounded[places].reshape(numerators.shape))
    quotients = flat.astype(np.float64) / float(denominator)
    if fmt.precision == FORMATS["float64"].precision:
        return np.asarray(quotients.reshape(numerators.shape))
    # spacing of the format's numbers around each quotient; below the normal range it stops shrinking
    spacing = np.maximum(np.frexp(quotients)[1] - 1, fmt.min_exponent) - fmt.precision + 1
    scaled = np.ldexp(quotients, -spacing)
    rounded = np.ldexp(np.rint(scaled), spacing) + 0.0  # rint rounds half to even; adding 0 turns -0 into 0
    if denominator & (denominator - 1):
        for place in np.flatnonzero(np.abs(scaled - np.trunc(scaled)) == 0.5):
            rounded[place] = round_to_format(Fraction(int(flat[place]), denominator), fmt)
    beyond = np.flatnonzero(np.abs(rounded) > float(fmt.largest))
    if beyond.size:
        round_to_format(Fraction(int(flat[beyond[0]]), denominator), fmt)  # raises, with its message
    return np.asarray(rounded.reshape(numerators.shape))
