"""How a token is written as a number in one coordinate, how that coordinate is lifted, and how it is read back.

The paper writes token ``y`` as ``y/V``, adds 1 to the selected coordinate and reads it out by tangents of a parabola.
Other choices keep the shape of the theorem (one attention layer, two heads, three MLP layers) and go further in floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Literal

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.expressions import GRID, V
from constructions.formats import Format
from constructions.validation import InvalidArgument, check_choice, check_integer

Encoding = Literal["paper", "integer", "dyadic"]
Lift = Literal["add", "mask"]
Readout = Literal["paper", "centred", "split", "hat", "banded"]

ENCODINGS: tuple[Encoding, ...] = ("paper", "integer", "dyadic")
LIFTS: tuple[Lift, ...] = ("add", "mask")
READOUTS: tuple[Readout, ...] = ("paper", "centred", "split", "hat", "banded")


@dataclass(frozen=True)
class Coding:
    r"""A choice of encoding, lift and readout.

    Attributes:
        encoding: token ``y`` is ``y`` times :attr:`step`: ``y/V`` (``paper``), ``y`` (``integer``), or ``y/G`` with
            ``G`` the smallest power of two that is at least ``V`` (``dyadic``).
        lift: how one coordinate is set apart. ``add``: :attr:`height` is added to it, and subtracted everywhere by the
            next layer. ``mask``: 0 is added to it and ``-height`` to every other. The selected number itself is never
            changed then, and a float keeps one more bit of it.
        readout: see :mod:`constructions.readouts`.

    Example:
        >>> Coding()  # the paper's
        Coding(encoding='paper', lift='add', readout='paper')
        >>> Coding("dyadic").denominator(10)  # tokens are written over 16
        16

    """

    encoding: Encoding = "paper"
    lift: Lift = "add"
    readout: Readout = "paper"

    def __post_init__(self) -> None:
        check_choice("encoding", self.encoding, ENCODINGS)
        check_choice("lift", self.lift, LIFTS)
        check_choice("readout", self.readout, READOUTS)

    @property
    def step(self) -> sp.Expr:
        """The number that stands for token 1, in the symbols V and G."""
        return {"paper": 1 / V, "integer": sp.S.One, "dyadic": 1 / GRID}[self.encoding]

    @property
    def height(self) -> sp.Expr:
        """The size of the lift or mask: above every token's number, and a power of two where that is free.

        The integer mask is ``G`` rather than ``V``, as ``V`` itself may have one bit more than a format holds.
        """
        if self.encoding != "integer":
            return sp.S.One
        return V if self.lift == "add" else GRID

    def lifted(self, size: sp.Expr) -> MatrixExpr:
        """Return the matrix whose column ``i`` sets coordinate ``i`` apart: ``height`` times ``I``, or ``I - 1``."""
        if self.lift == "add":
            return self.height * sp.Identity(size)
        return self.height * sp.Identity(size) - self.height * sp.OneMatrix(size, size)

    def lowered_by(self, size: sp.Expr) -> MatrixExpr:
        """Return the bias that undoes the lift, up to a ReLU: ``-height``, or nothing."""
        if self.lift == "add":
            return -self.height * sp.OneMatrix(size, 1)
        return sp.ZeroMatrix(size, 1)

    def denominator(self, vocab_size: int) -> int:
        """Return the denominator of the numbers that stand for tokens; the numerator is the token."""
        return {"paper": vocab_size, "integer": 1, "dyadic": grid_size(vocab_size)}[self.encoding]

    def steps(self, vocab_size: int) -> int:
        """Return ``height / step``, the lift in units of a token: ``V`` or ``G``."""
        on_grid = self.encoding == "dyadic" or (self.encoding == "integer" and self.lift == "mask")
        return grid_size(vocab_size) if on_grid else vocab_size


#: The choices of the paper.
PAPER = Coding()


def grid_size(vocab_size: int) -> int:
    """Return ``G``, the smallest power of two that is at least ``V``."""
    return 1 << (check_integer("vocab_size", vocab_size, 1) - 1).bit_length()


def default_band_size(vocab_size: int) -> int:
    r"""Return the largest band of the banded readout that is exact in EVERY format that holds the tokens themselves.

    A format of ``p`` bits holds ``0..V-1`` iff ``V - 1 <= 2^p``. With ``m`` the smallest exponent such that
    ``V - 1 <= 2^m`` this means ``p >= m``, and a band of ``B = 2^floor(m/2)`` has ``B^2 <= 2^m <= 2^p``.

    Args:
        vocab_size: ``V``.

    """
    exponent = max(0, check_integer("vocab_size", vocab_size, 1) - 2).bit_length()
    return 1 << (exponent // 2)


def largest_band_size(fmt: Format) -> int:
    r"""Return the largest power of two with ``B^2 <= 2^p``: the fewest bands that a format decodes exactly.

    Within a band logits are integers of at most ``(B-1)^2``, in units of ``1/(2 B^2)``, and a format of ``p`` bits
    holds all integers up to ``2^p``.

    Args:
        fmt: the number format.

    Example:
        >>> from constructions import FORMATS
        >>> largest_band_size(FORMATS["float32"])
        4096

    """
    return 1 << (fmt.precision // 2)


def check_band_size(band_size: int | None, readout: Readout, vocab_size: int) -> int:
    """Return the band of a readout, the default where none is given.

    Raises:
        InvalidArgument: not a power of two, or a band for a readout that has none.

    """
    if band_size is None:
        return default_band_size(vocab_size)
    if readout != "banded":
        raise InvalidArgument(f"band_size: expected none with readout {readout!r}, only 'banded' has bands")
    size = check_integer("band_size", band_size, 1)
    if size & (size - 1):
        raise InvalidArgument(f"band_size: expected a power of two but got {size} (type int)")
    return size


def largest_exact_vocabulary(coding: Coding, fmt: Format) -> int:
    r"""Return the largest ``V`` up to which all numbers that decide between tokens are exact in a format.

    All numbers are integers (times a power of two), and a format of ``p`` bits holds those up to ``2^p``, and the even
    ones up to ``2^(p+1)``. With attention one-hot:

    - the selected number: ``V + V-1`` or ``G + V-1`` with the add lift, so ``V <= 2^(p-1)``; ``V-1`` with the mask
      lift, so ``V <= 2^p + 1``;
    - ``paper``: the bias is ``v^2`` and the product ``2 v y`` is even, so ``(V-1)^2 <= 2^p``;
    - ``centred``, ``c = floor(V/2)``: the bias is ``v^2 - c^2``, so ``c^2`` and ``(V-1)^2 - c^2 <= 2^p``; the product
      ``2 (v-c) y`` is even and below ``V^2``, at most ``2^(p+1)`` then;
    - ``split``: the bias is ``(v-c)^2`` and the product ``2 (v-c) |x-c|``, so ``c^2 <= 2^p``. A logit below ``-2^p``
      may be rounded, as rounding is monotone: it stays below that of the promised token, which is not negative;
    - ``hat``: ``v - 2 ReLU(v - x)`` has magnitudes up to ``V-1`` and an even product: no limit of its own;
    - ``banded``: no limit of its own with ``B^2 <= 2^p``, which the default band has; the logits of wrong bands may
      be rounded, and stay negative (see the obligations of the readout).

    Args:
        coding: encoding, lift and readout; the paper's encoding is not exact at all.
        fmt: the number format.

    Raises:
        InvalidArgument: the paper's encoding, as its ``y/V`` are rounded.

    Example:
        >>> from constructions import FORMATS
        >>> largest_exact_vocabulary(Coding("integer", "mask", "split"), FORMATS["float16"])
        91

    """
    if coding.encoding == "paper":
        raise InvalidArgument("encoding: expected integer or dyadic, as the numbers y/V are rounded in any format")
    held = 1 << fmt.precision
    selected = held // 2 if coding.lift == "add" else held + 1
    root = isqrt(held)
    if coding.readout == "paper":
        return min(selected, root + 1)
    if coding.readout == "split":
        return min(selected, 2 * root + 1)
    if coding.readout == "centred":
        return min(selected, _largest_centred(held))
    return selected


def _largest_centred(most: int) -> int:
    """Return the largest ``V`` with ``c^2 <= most`` and ``(V-1)^2 - c^2 <= most`` for ``c = floor(V/2)``."""
    # (V-1)^2 - c^2 >= (3/4) V^2 - 2V + 1 grows with V, and is above `most` from V = 2 sqrt(most) + 3 on
    low, high = 1, 2 * isqrt(most) + 3
    while low < high:
        middle = (low + high + 1) // 2
        centre = middle // 2
        fits = centre**2 <= most and (middle - 1) ** 2 - centre**2 <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def decoding_demand(vocab_size: int, coding: Coding, band_size: int) -> Fraction:
    r"""Return the largest ``(g + y)/e`` over the tokens ``y``, where the readout forgives an error ``e`` below ``y``.

    In units of a token: the lift is ``g`` (:meth:`Coding.steps`), and attention that is not quite one-hot takes the
    same share off the lift and the token: ``y`` is decoded iff that share of ``g + y`` is below ``e``.

    Every readout picks the nearest token, ``e = 1/2``, hardest for ``y = V-1``; but at the first token ``y = hB`` of a
    band, ``h >= 1``, the banded readout has, for ``x = y - e`` and in units of ``1/(2 B^2)``, the logits ``-2 B^2 e``
    of ``y`` and ``2 (B-1)(B-e) - (B-1)^2 - 2 B^2 (1-e)`` of ``y - 1``: ``y`` wins iff
    ``e < (B^2 + 1)/(4 B^2 - 2B + 2)``, a little more than 1/4. The hardest such ``y`` is the last one.

    Args:
        vocab_size: ``V``.
        coding: encoding, lift and readout.
        band_size: ``B``, for the banded readout alone.

    """
    if vocab_size == 1:
        return Fraction(1)  # nothing to decode: no error is too large, and the thresholds are 0
    g = coding.steps(vocab_size)
    demand = Fraction(2 * (g + vocab_size - 1))
    last_band = (vocab_size - 1) // band_size * band_size
    if coding.readout == "banded" and last_band:
        forgiven = Fraction(band_size**2 + 1, 4 * band_size**2 - 2 * band_size + 2)
        demand = max(demand, (g + last_band) / forgiven)
    return demand
