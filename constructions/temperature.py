r"""The inverse temperature of attention, and the gap at which float attention is one-hot.

With key size ``k`` (the number of rows of ``W_Q``) a head weighs key ``j`` by ``exp(T/sqrt(k) * score_j)``; the paper
writes this with the factor ``T/sqrt(k)`` too (section 2). ``q = exp(T/sqrt(k))`` is the factor that a score of 1 has
over a score of 0.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from constructions.formats import Format
from constructions.validation import check_choice, check_finite_positive, check_integer, check_positive_rational, reject


@dataclass(frozen=True)
class Hardmax:
    """``T = inf``: attention is uniform over the visible keys of the largest score."""


@dataclass(frozen=True)
class Softmax:
    """A finite inverse temperature, the same ``T`` for every head.

    Attributes:
        inverse_temperature: ``T``, finite and positive.
        scaled_by: what the square root under ``T`` is taken of: ``key``, the head's key size, as in the paper's text;
            ``length``, the number of positions in the input, as in the paper's notebook, where attention gets blunter
            as the sequence grows.

    """

    inverse_temperature: float
    scaled_by: Literal["key", "length"] = "key"

    def __post_init__(self) -> None:
        finite = check_finite_positive("temperature", self.inverse_temperature)
        object.__setattr__(self, "inverse_temperature", finite)
        check_choice("scaled_by", self.scaled_by, ("key", "length"))

    def gap(self, *, key_size: int, length: int) -> float:
        """Return ``T/sqrt(k)``, what a score of 1 adds to the exponent.

        Args:
            key_size: ``k`` of the head.
            length: number of positions in the input.

        """
        return self.inverse_temperature / math.sqrt(key_size if self.scaled_by == "key" else length)


@dataclass(frozen=True)
class RationalSoftmax:
    """Softmax with ``q = exp(T/sqrt(k))`` given as an exact rational, the same in every head.

    Attention weights are then exact rationals wherever the scores are integers.

    Attributes:
        q: positive.

    """

    q: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", check_positive_rational("q", self.q))


Temperature = Hardmax | Softmax | RationalSoftmax


def as_temperature(value: Any) -> Temperature:
    """Return a temperature from what a user may write: a :data:`Temperature`, or a number ``T`` (``inf`` is hardmax).

    Raises:
        InvalidArgument: not a number, NaN, zero or negative.

    """
    if isinstance(value, (Hardmax, Softmax, RationalSoftmax)):
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and value == math.inf:
        return Hardmax()
    return Softmax(check_finite_positive("temperature", value))


def one_hot_gap(fmt: Format, *, keys: int, content_ratio: Fraction) -> int:
    r"""Return a gap at which softmax attention is one-hot up to rounding: what leaks is absorbed, addition by addition.

    A head has one key of score 1 among ``n`` visible ones, the others of score 0, and reads contents whose non-zero
    magnitudes lie between ``c_min`` and ``c_max``; ``content_ratio = c_max/c_min``. With a gap ``g`` between the
    exponents, each other key has a weight of at most ``e^-g``, so that all of them leak at most
    ``(n-1) e^-g c_max``. That is below half a unit in the last place of every non-zero content if it is below
    ``(u/2) c_min``, with ``u = 2^-p``: a number ``x`` lies in a binade ``[2^e, 2^(e+1))`` and half its last place is
    ``2^(e-p) > x u/2``. Then a sum that the leak is added to rounds to what it was, the normaliser
    ``1 + (n-1) e^-g`` rounds to 1, and the weight of the hot key is exactly 1. So it is enough that

    ``ln(n-1) + ln(content_ratio) + (p+1) ln 2 < g``.

    Computed with roundings: the exponent is a product of at most six roundings (``T``, a square root, their quotient,
    the score and their products), so the computed gap is at least ``(1 - 6u) g``; ``exp`` is assumed right within a
    factor of two, which costs ``ln 2``; the sums and products over ``n`` terms have a factor of at most
    ``e^((n+4)u)``. The result is the next integer.

    Args:
        fmt: the number format.
        keys: the largest number of visible keys ``n``, at least 1.
        content_ratio: the largest magnitude that the head reads over the smallest one that is not 0.

    """
    check_integer("keys", keys, 1)
    u = float(fmt.unit_roundoff)
    ratio = math.log(content_ratio.numerator) - math.log(content_ratio.denominator)
    needed = math.log(max(1, keys - 1)) + ratio + (fmt.precision + 1) * math.log(2)
    allowance = math.log(2) + (keys + 4) * u
    return math.ceil((needed + allowance) / (1 - 6 * u))


def one_hot_temperature(fmt: Format, *, keys: int, content_ratio: Fraction, largest_key_size: int) -> Softmax:
    """Return the softmax whose bluntest head, the one of the largest key size, has the :func:`one_hot_gap`.

    Args:
        fmt: the number format.
        keys: the largest number of visible keys.
        content_ratio: see :func:`one_hot_gap`.
        largest_key_size: the largest ``k`` of the heads; ``T/sqrt(k)`` is smallest there.

    """
    gap = one_hot_gap(fmt, keys=keys, content_ratio=content_ratio)
    return Softmax(gap * math.sqrt(largest_key_size))


def above(threshold: Fraction) -> RationalSoftmax:
    """Return the exact softmax of the next integer ``q`` above a threshold, itself not included."""
    return RationalSoftmax(Fraction(math.floor(threshold) + 1))


def parse_q(text: str) -> RationalSoftmax:
    """Return the exact softmax of ``q`` written as ``P/Q`` or ``P``."""
    try:
        return RationalSoftmax(Fraction(text))
    except (ValueError, ZeroDivisionError):
        reject("q", "a positive rational number, such as 7 or 3/2", text)
