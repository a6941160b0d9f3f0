r"""How large a mask and a gain must be, for all targets and every position: exact rational bounds.

A norm gives a row of ``d`` coordinates a squared length of at most ``d``, measured from its mean where the norm takes
it off. Everything here follows from that, from the known entries of a row, and from the numbers of a virtual token
being between 0 and 1. Factors of norms are called ``f0`` (of the virtual token's row) and ``f`` (of a row where the
response is read); the virtual token's numbers and its 1 arrive there as ``beta (s, 1)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import flint

from constructions.activations import Activation
from constructions.formats import FORMATS

#: Square roots are rounded up to a multiple of ``2^-32``: an upper bound, close enough for the integers made of them.
_ROOT_BITS = 32
#: A counted weight is a multiple of ``2^-128``, see :func:`counted_weight`.
COUNTED_BITS = 128


def root_above(value: Fraction) -> Fraction:
    """Return a rational number above the square root, by at most ``2^-31``."""
    scaled = math.ceil(value * 4**_ROOT_BITS)
    return Fraction(math.isqrt(scaled) + 1, 2**_ROOT_BITS)


def saturated_from(activation: Activation, bits: int = FORMATS["float64"].precision + 1) -> int:
    r"""Return the smallest natural number from which on an activation is its argument, or 0 on the other side.

    For gelu (of either kind) and silu ``act(x) - x = act(-x)``: they are ``x F(x)`` with ``F(x) + F(-x) = 1``. So one
    number, ``F(-x)``, says how far ``act(x)/x`` is from 1 and ``act(-x)/x`` from 0. It falls, and from the result on it
    is at most ``2^-bits``; by default that is half a unit roundoff of float64, so that ``F`` rounds to 1 in every
    format. A piecewise linear activation with one bend, at 0, is there from 0 on.

    Args:
        activation: one of these.
        bits: how small the rest is.

    Example:
        >>> from constructions.activations import GELU, RELU, SILU, TANH_GELU
        >>> [saturated_from(activation) for activation in (RELU, TANH_GELU, GELU, SILU)]
        [0, 8, 9, 38]

    """
    if activation.pieces() is not None:
        return 0
    found = 1
    while not -activation.ball(flint.arb(-found)) <= found * flint.arb(2) ** -bits:
        found += 1
    return found


def gain(activation: Activation, smallest_squared: Fraction, leaking_squared: Fraction) -> int:
    """Return the smallest power of two with which a number that is not 0 is beyond the bend of an activation.

    A power of two, as a product with it rounds nothing. Beyond the bend means so far that everything the activation
    leaves of numbers that it should make 0, and takes of others, is together less than half a unit roundoff of float64,
    in units of the smallest difference of two numbers.

    Args:
        activation: of the MLP.
        smallest_squared: a lower bound of the square of the smallest magnitude of a number that is not 0.
        leaking_squared: an upper bound of the square of the sum of all magnitudes, in units of that difference.

    """
    more = math.ceil(root_above(leaking_squared)).bit_length()  # 2^more is above it
    found, wanted = 1, saturated_from(activation, FORMATS["float64"].precision + 1 + more) ** 2
    while found**2 * smallest_squared < wanted:
        found *= 2
    return found


@dataclass(frozen=True)
class Fetched:
    """The known facts about the virtual token's row, and about the rows where the response is read.

    Attributes:
        width: ``d``, coordinates of a row.
        numbers: ``n``, how many of them are the virtual token's numbers, each from 0 to below 1.
        ones: how many of the other coordinates of the virtual token's row are 1; the rest are 0.
        squares: an upper bound of the other squares' sum in a row where the response is read, beside ``beta (s, 1)``.
        first: the first position where it is read; 0 is the virtual token's own.
        last: the last one.
        eps: of the norm.
        centred: whether the norm takes the mean off first.

    """

    width: int
    numbers: int
    ones: int
    squares: Fraction
    first: int
    last: int
    eps: Fraction
    centred: bool

    @property
    def own(self) -> int:
        """1 if the response is read at the virtual token too: that row holds ``(s, 1)`` beside the fetched values."""
        return int(self.first == 0)

    @property
    def zeros(self) -> int:
        """How many coordinates of the virtual token's row are 0, whatever its numbers are."""
        return self.width - self.numbers - self.ones

    def largest_squared(self, ones: int) -> Fraction:
        r"""Return an upper bound of ``f0^2`` where ``a`` coordinates are 1 and ``b`` are 0: ``d (1/a + 1/b)``.

        Whatever the mean ``m`` is, the squares of these alone sum to ``a (1-m)^2 + b m^2 >= ab/(a+b)``, and with
        ``f0^2`` to at most ``d``. Without a mean they sum to ``a``.

        Args:
            ones: ``a``.

        """
        return self.width * (Fraction(1, ones) + (Fraction(1, self.zeros) if self.centred else 0))

    @property
    def length_squared(self) -> Fraction:
        r"""An upper bound of ``f0^2 (|s|^2 + 1)``: ``d`` without a mean, ``d^2/b`` with one and ``b`` zeros.

        The sum ``S`` of the other ``d - b`` coordinates has ``S^2 <= (d - b) Q`` with the sum ``Q`` of their squares
        (Cauchy, Schwarz), so that taking off the mean leaves ``Q - S^2/d >= Q b/d``. It is attained if all are equal.
        """
        return Fraction(self.width**2, self.zeros) if self.centred else Fraction(self.width)

    @property
    def smallest_squared(self) -> Fraction:
        """A lower bound of ``f0^2``: no square in the row is above 1, and taking off the mean lowers their sum."""
        return Fraction(self.width) / (self.numbers + self.ones + self.width * self.eps)

    def arriving(self, position: int) -> Fraction:
        """Return an upper bound of ``beta s_j`` at a position: the mean of the fetched values, and the row's own value.

        For a given ratio of a number to the ones, ``f0 s_j`` is largest where the number is 1 as they are: one more 1.
        It is nearly attained by one number near 1, and all others at the mean.
        """
        own = self.own if position == 0 else 0
        return own + root_above(self.largest_squared(self.ones + 1)) / (position + 1)

    @property
    def largest_share(self) -> Fraction:
        """An upper bound of ``beta`` at every position."""
        return self.own + root_above(self.largest_squared(self.ones)) / (self.first + 1)

    def share_squared(self, position: int) -> Fraction:
        """Return a lower bound of ``beta^2`` at a position: attention is uniform over it and all before it."""
        return self.smallest_squared / (position + 1) ** 2

    def factor_squared(self, position: int, squares: Fraction | None = None) -> Fraction:
        """Return a lower bound of ``f^2``, where ``f`` is the norm's factor at a position: it rises with the position.

        ``beta |(s, 1)|`` is a share of the root of :attr:`length_squared`, and ``sqrt(n + 1)`` of the row's own if that
        is the virtual token's; the square of a sum is at most twice the sum of the squares.
        """
        held = self.squares if squares is None else squares
        if self.own and position == 0:
            arriving = 2 * (self.numbers + 1 + self.length_squared)
        else:
            arriving = self.length_squared / (position + 1) ** 2
        return self.width / (held + arriving + self.width * self.eps)

    def unit_squared(self, position: int, squares: Fraction | None = None) -> Fraction:
        r"""Return a lower bound of ``(f beta)^2``, which a 1 has become at a position: it falls with the position.

        ``f^2 beta^2 = d / ((K + d eps)/beta^2 + |s|^2 + 1)`` with ``K`` the other squares, which rises with ``beta``.
        """
        held = self.squares if squares is None else squares
        return self.width / ((held + self.width * self.eps) / self.share_squared(position) + self.numbers + 1)

    def leaking_squared(self, most: Fraction, vocab_size: int) -> Fraction:
        """Return the square of a magnitude ``most``, for each number and the 1, in units of ``beta/V``."""
        return ((self.numbers + 1) * most * vocab_size) ** 2 / self.share_squared(self.last)


def mask_weight(fetched: Fetched) -> int:
    r"""Return the smallest ``M`` with which a number that is not selected stays below 0, by at least the factor ``f``.

    Its unit is ``f (beta s_j - M)``, so that ``M >= 1 + beta s_j`` is enough, and ``beta s_j`` is largest at the first
    position.

    Example:
        >>> mask_weight(Fetched(45, 20, 3, Fraction(2), 0, 19, Fraction(1, 10**5), centred=True))
        6

    """
    return math.ceil(1 + fetched.arriving(fetched.first))


def selecting_gain(activation: Activation, fetched: Fetched, vocab_size: int) -> int:
    """Return the gain of the MLP that selects by masks: ``f beta/V`` is the smallest number, ``-f`` the largest masked.

    The magnitude of a number is at most ``f M``, and that of the 1 at most ``f beta``.

    Args:
        activation: of the MLP.
        fetched: the known facts about the rows.
        vocab_size: ``V``.

    """
    number = fetched.unit_squared(fetched.last) / vocab_size**2
    leaking = fetched.leaking_squared(max(Fraction(mask_weight(fetched)), fetched.largest_share), vocab_size)
    return gain(activation, min(number, fetched.factor_squared(fetched.first)), leaking)


def stepping_gain(activation: Activation, fetched: Fetched, vocab_size: int) -> int:
    """Return the gain of gates that are steps: a hinge is at least 1/2 of the factor ``f`` away from its bend.

    It is ``f`` times a number that rises with the position and is -1 or 1 at the one nearest to its bend. So it is of
    magnitude 1 or more, but for the error of the counted weight and of its rounding, to which the other half is left.
    Its magnitude is at most ``4 (q+1)^2``, there are two of them for each number, and they multiply differences of
    numbers of at most ``beta``, of which ``2/V`` is the unit.

    Args:
        activation: of the gates.
        fetched: the known facts about the rows.
        vocab_size: ``V``.

    """
    steepest = 4 * (fetched.last + 1) ** 2
    leaking = Fraction((fetched.numbers + 1) * steepest * vocab_size) ** 2
    return gain(activation, fetched.factor_squared(fetched.first) / 4, leaking)


def counted_weight(width: int, eps: Fraction, *, centred: bool) -> int:
    r"""Return the reciprocal of the factor that a norm gives a row with one 1 and zeros, in units of ``2^-128``.

    That is ``sqrt(v + eps)`` with ``v = 1/d``, or ``1/d - 1/d^2`` where the mean is taken off. For every size that is
    accepted, up to ``2^25``, ``d < 2^27`` and ``sqrt(v) > 2^-14``, so that the rounding is less than ``2^-115`` of it.
    The slope of a step, ``4q(q+1) < 2^54``, makes that far less than 1/2. A distance is off by ``2^26`` times it, and a
    mask, a factor of a norm, ``V`` and ``1/beta`` multiply that by less than ``2^16 2^14 2^25 2^26``: the exponents sum
    to -8, so that a number is off by a small part of the smallest difference even at the largest sizes.
    """
    variance = Fraction(1, width) - (Fraction(1, width**2) if centred else 0)
    return (math.isqrt(math.floor((variance + eps) * 4 ** (COUNTED_BITS + 1))) + 1) // 2
