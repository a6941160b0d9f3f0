r"""Several digits per token: a departure from Theorem 1, whose virtual token has one coordinate for each position.

A single coordinate tells apart at most as many tokens as the number format has evenly spaced numbers (257 in bfloat16).
Here token ``y`` is written in base ``b`` with ``m`` digits, each in a coordinate of its own, and the virtual token has
``m N`` coordinates: digit 0 (the most significant) of every position, then digit 1, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import isqrt
from typing import Literal, final

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.construction import Construction, Layout
from constructions.encodings import Coding, decoding_demand, grid_size
from constructions.expressions import BASE, GRID, N, UnitRow, V, entries
from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.stream import Stream
from constructions.targets import TargetSpace
from constructions.temperature import Temperature, above, one_hot_temperature
from constructions.thresholds import coded_generation_threshold
from constructions.transformer import Attention, Head, Layer, Linear, Transformer
from constructions.validation import IntArray, TokenArray, check_choice

DigitReadout = Literal["hat", "split"]
DIGIT_READOUTS: tuple[DigitReadout, ...] = ("hat", "split")

#: A digit is an integer, and the coordinates of the other positions are masked.
_CODING = Coding("integer", "mask")
#: Even in base 2 this many digits tell 2^32 tokens apart, more than a readout may have rows (``LARGEST_DENSE``).
_MOST_DIGITS = 32


def digit(token: sp.Expr, place: int, digits: int) -> sp.Expr:
    r"""Return digit ``k`` of ``m``, 0 the most significant: ``floor(v/b^(m-1-k)) - b floor(v/b^(m-k))``."""
    return sp.floor(token / BASE ** (digits - 1 - place)) - BASE * sp.floor(token / BASE ** (digits - place))


def _blocks(name: str, size: sp.Expr | int, digits: int) -> dict[str, sp.Expr | int]:
    return {f"{name}{place}": size for place in range(digits)}


@lru_cache
def _layers(digits: int, readout: DigitReadout) -> tuple[Layer, ...]:
    r"""Return one attention layer of two heads and a three-layer MLP, for symbolic V, N and b.

    The heads are those of Theorem 1, once for every digit: head "self" reads ``G (e_i - 1)`` into each digit's
    coordinates, head "first" the virtual token. Layer ``select`` leaves the digits of token ``y_i``.
    """
    stream = Stream.of(**_blocks("digit", N, digits), position=N)
    code = Stream.of(**_blocks("digit", N, digits))
    own_position = Stream.of(code=N).reads(stream, {("code", "position"): sp.Identity(N)})
    score = Stream.of(score=1)
    names = [f"digit{place}" for place in range(digits)]
    heads = (
        Head(
            "self",
            query=own_position,
            key=own_position,
            value=code.reads(stream, {(name, "position"): _CODING.lifted(N) for name in names}),
        ),
        Head(
            "first",
            query=score.reads(stream, {("score", "position"): sp.OneMatrix(1, N)}),
            key=score.reads(stream, {("score", "position"): UnitRow(N, 0)}),
            value=code.reads(stream, {(name, name): sp.Identity(N) for name in names}),
        ),
    )
    select = Linear(
        code.reads(code, {(name, name): sp.Identity(N) for name in names}), sp.ZeroMatrix(digits * N, 1), name="select"
    )
    return (Attention(heads), select, *(_hat(code, digits) if readout == "hat" else _split(code, digits)))


def _hat(code: Stream, digits: int) -> tuple[Linear, Linear]:
    r"""Return ``ReLU(w - x_k)`` for every digit value ``w`` and the logit ``sum of w_k - 2 ReLU(w_k - x_k)``."""
    ramps = Stream.of(**_blocks("ramp", BASE, digits))
    logits = Stream.of(logits=V)
    weight = ramps.reads(code, {(f"ramp{k}", f"digit{k}"): -sp.OneMatrix(BASE, N) for k in range(digits)})
    grid = entries(BASE, 1, lambda w, _: w)

    def read(place: int) -> MatrixExpr:
        return entries(V, BASE, lambda v, w: -2 * sp.KroneckerDelta(w, digit(v, place, digits)))

    hit = {("logits", f"ramp{k}"): read(k) for k in range(digits)}
    bias = entries(V, 1, lambda v, _: sp.Add(*(digit(v, k, digits) for k in range(digits))))
    return (
        Linear(weight, ramps.constant({f"ramp{k}": grid for k in range(digits)}), name="sum"),
        Linear(logits.reads(ramps, hit), bias, activation=None, name="readout"),
    )


def _split(code: Stream, digits: int) -> tuple[Linear, Linear]:
    r"""Return ``ReLU(x_k - c)`` and ``ReLU(c - x_k)``, and the logit ``sum of 2 w_k (x_k - c) - w_k^2``, ``w = v - c``.

    ``c = floor(b/2)``, and ``w_k`` is digit ``k`` of ``v`` less ``c``.
    """
    centre = sp.floor(BASE / 2)
    sides = Stream.of(**_blocks("above", 1, digits), **_blocks("below", 1, digits))
    one, at = sp.OneMatrix(1, N), centre * sp.OneMatrix(1, 1)

    def slope(place: int) -> MatrixExpr:
        return entries(V, 1, lambda v, _: 2 * (digit(v, place, digits) - centre))

    weight: dict[tuple[str, str], MatrixExpr] = {}
    bias: dict[str, MatrixExpr] = {}
    slopes: dict[tuple[str, str], MatrixExpr] = {}
    for k in range(digits):
        weight |= {(f"above{k}", f"digit{k}"): one, (f"below{k}", f"digit{k}"): -one}
        bias |= {f"above{k}": -at, f"below{k}": at}
        slopes |= {("logits", f"above{k}"): slope(k), ("logits", f"below{k}"): -slope(k)}
    squares = entries(V, 1, lambda v, _: -sp.Add(*((digit(v, k, digits) - centre) ** 2 for k in range(digits))))
    return (
        Linear(sides.reads(code, weight), sides.constant(bias), name="sum"),
        Linear(Stream.of(logits=V).reads(sides, slopes), squares, activation=None, name="readout"),
    )


@final
@dataclass(frozen=True, repr=False)
class DigitGeneration(Construction):
    r"""A transformer that generates ANY of ``V^N`` sequences from ONE virtual token of ``m N`` base-b digits.

    As Theorem 1, except for the embedding size, ``d_e = m N`` instead of ``N``: one attention layer with two heads,
    a three-layer MLP, position codes concatenated, the token embedding 0. Digits are integers and the lift is a mask.

    Attributes:
        vocab_size: ``V``, the number of tokens.
        context_size: ``N``, the length of the generated sequence and of the context.
        digits: ``m``, the number of digits per token, at least 1.
        readout: ``hat``, ``m b`` numbers, every one of them exact; or ``split``, ``2m`` numbers.

    Example:
        >>> construction = DigitGeneration(vocab_size=1000, context_size=2, digits=3)
        >>> construction.virtual_tokens([123, 7]).to_fractions()[0]  # digits 0 of both tokens, then 1, then 2
        [Fraction(1, 1), Fraction(0, 1), Fraction(2, 1), Fraction(0, 1), Fraction(3, 1), Fraction(7, 1)]

    """

    vocab_size: int
    context_size: int
    digits: int
    readout: DigitReadout = "hat"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_size("context_size", 1)
        self._set_size("digits", 1, _MOST_DIGITS)
        check_choice("readout", self.readout, DIGIT_READOUTS)

    @property
    def base(self) -> int:
        """``b``, the smallest number of digit values with which ``m`` digits tell all tokens apart."""
        return smallest_base(self.vocab_size, self.digits)

    @property
    def layout(self) -> Layout:
        """One virtual token, no user tokens, ``N`` generated tokens."""
        return Layout(virtual=1, user=0, response=self.context_size)

    @cached_property
    def transformer(self) -> Transformer:
        """The weights of :func:`_layers`, with ``E = 0``."""
        bindings = {V: self.vocab_size, N: self.context_size, BASE: self.base, GRID: grid_size(self.base)}
        embedding = sp.ZeroMatrix(self.digits * N, V)
        return Transformer(embedding, _layers(self.digits, self.readout), N, bindings)

    @property
    def targets(self) -> TargetSpace:
        """All sequences of ``N`` tokens."""
        return TargetSpace(self.vocab_size, (self.context_size,))

    def encode(self, targets: TokenArray) -> Ratios:
        """Return the digits of every token, digit by digit, shape ``(batch, 1, m N)``."""
        places = [self.base ** (self.digits - 1 - k) for k in range(self.digits)]
        digits = [targets // place % self.base for place in places]
        return Ratios(np.concatenate(digits, axis=1)[:, None, :], 1)

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return the target itself."""
        return targets

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Exact arithmetic: the next integer ``q`` above the exact threshold; floats: attention one-hot up to rounding.

        A token is decoded if every digit is, and a change of the last digit alone gives another token: so the threshold
        is that of a vocabulary of ``b`` tokens.
        """
        if fmt is None:
            demand = decoding_demand(self.base, _CODING, 1)
            return above(coded_generation_threshold(demand, self.context_size))
        return one_hot_temperature(
            fmt,
            keys=self.context_size,
            content_ratio=Fraction(grid_size(self.base)),
            largest_key_size=self.context_size,
        )


def smallest_base(vocab_size: int, digits: int) -> int:
    """Return the smallest ``b`` with ``b^m >= V``."""
    low, high = 1, vocab_size
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**digits < vocab_size else (low, middle)
    return low


def largest_exact_base(digits: int, readout: DigitReadout, fmt: Format) -> int:
    r"""Return the largest ``b`` with which every logit is exact in a format, in any order of summation.

    All numbers are integers, and a format of ``p`` bits holds those up to ``2^p`` and the even ones up to
    ``2^(p+1)``. Hat: ``sum w_k - 2 sum ReLU(w_k - x_k)``, where no ramp is above its ``w_k <= b-1``: any partial sum
    has a magnitude of at most ``m (b-1)``, or is even and at most twice that; so ``m (b-1) <= 2^p``. Split: with
    ``c = floor(b/2)`` the products ``2 w_k (x_k - c)`` have magnitudes of at most ``2 c^2`` and are even, the bias is
    ``sum w_k^2 <= m c^2``: any partial sum is at most ``3 m c^2``, so ``3 m c^2 <= 2^p``.

    Args:
        digits: ``m``.
        readout: ``hat`` or ``split``.
        fmt: the number format.

    Example:
        >>> from constructions import FORMATS
        >>> largest_exact_base(3, "hat", FORMATS["bfloat16"])
        86

    """
    held = 1 << fmt.precision
    if readout == "hat":
        return held // digits + 1
    return 2 * isqrt(held // (3 * digits)) + 1


def fewest_digits(vocab_size: int, readout: DigitReadout, fmt: Format) -> int:
    """Return the smallest ``m`` with which all logits of a vocabulary are exact; see :func:`largest_exact_base`.

    Args:
        vocab_size: ``V``.
        readout: ``hat`` or ``split``.
        fmt: the number format.

    Example:
        >>> from constructions import FORMATS
        >>> [fewest_digits(vocab_size, "hat", FORMATS["bfloat16"]) for vocab_size in (257, 50257, 262144)]
        [1, 3, 3]

    """
    digits = 1
    while smallest_base(vocab_size, digits) > largest_exact_base(digits, readout, fmt):
        digits += 1
    return digits
