r"""The smallest ``T`` at which Theorem 1 holds when scores are scaled by a square root, decided by rigorous reals.

The criterion is a strict inequality in ``exp(T/sqrt(k))`` with rational numbers. Every ``exp`` is enclosed in a ball
(python-flint ``arb``) and the precision is doubled until the balls decide. That ends, as equality is impossible for a
rational ``T > 0``: ``exp`` of a non-zero algebraic number is transcendental, and the ``exp`` of two algebraic numbers
that are linearly independent over the rationals are algebraically independent (Lindemann-Weierstrass).
"""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import count
from typing import Literal

import flint

from constructions.temperature import Softmax
from constructions.thresholds import embedding_threshold
from constructions.validation import check_choice, check_integer, check_rational, reject

#: Bits of the first try; any number would do.
_FIRST_PRECISION = 64


def scaled_generation_holds(vocab_size: int, context_size: int, temperature: Softmax, magnitude: Fraction) -> bool:
    r"""Say whether Theorem 1's transformer generates EVERY target for EVERY ``|E| <= M`` at ``T``, over the reals.

    Scaled by ``key``, as in the paper's text, head "self" has ``q = exp(T/sqrt(N))`` and head "first" ``exp(T)``, as
    their keys have the sizes ``N`` and 1; the criterion is that of ``unconditional_generation_holds``. Scaled by
    ``length``, as in the paper's notebook, both have ``exp(T/sqrt(n))`` while ``n`` positions are in the input, with or
    without the mask: every ``n <= N`` needs ``T > sqrt(n) ln((n-1)(4V-3+2VM))``. That grows with ``n``, and ``n = N``
    decides. (Without the mask the rows before the last one see later tokens too, but nothing is read
    from them: there is a single attention layer, whose keys and values are the inputs.)

    Args:
        vocab_size: ``V``.
        context_size: ``N``.
        temperature: ``T``, and the number under its square root.
        magnitude: ``M``, the largest magnitude of an entry of the embedding.

    Example:
        >>> from fractions import Fraction
        >>> scaled_generation_holds(94, 20, Softmax(50, "length"), Fraction(0))  # the paper's notebook
        True
        >>> scaled_generation_holds(94, 30, Softmax(50, "length"), Fraction(0))
        False

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("context_size", context_size, 1)
    if not isinstance(temperature, Softmax):
        reject("temperature", "a Softmax, such as Softmax(50, 'length')", temperature)
    magnitude = check_rational("magnitude", magnitude, minimum=0)
    threshold = embedding_threshold(vocab_size, context_size, lowest=-magnitude, highest=magnitude)
    if threshold == 0:  # a single token, or a single position
        return True
    for doubled in count():
        with flint.ctx.workprec(_FIRST_PRECISION << doubled):
            holds = _holds(vocab_size, context_size, temperature, magnitude, threshold)
        if holds is not None:
            return holds
    raise AssertionError("a count has no end")


def _holds(
    vocab_size: int, context_size: int, temperature: Softmax, magnitude: Fraction, threshold: Fraction
) -> bool | None:
    """Say whether the criterion holds, ``None`` when the balls of the working precision cannot tell."""
    exact = _ball(Fraction(temperature.inverse_temperature))
    blunt = (exact / flint.arb(context_size).sqrt()).exp()
    if temperature.scaled_by == "length":
        return _decided(blunt - _ball(threshold))
    others = context_size - 1
    reads = _ball(Fraction(vocab_size - 1, vocab_size) + magnitude)
    leaks = others / (blunt + others) + others / (exact.exp() + others) * reads
    return _decided(_ball(Fraction(1, 2 * vocab_size)) - leaks)


def smallest_temperature(
    vocab_size: int,
    context_size: int,
    *,
    scaled_by: Literal["key", "length"] = "key",
    magnitude: Fraction = Fraction(0),
) -> Softmax | None:
    r"""Return the smallest float64 ``T`` at which :func:`scaled_generation_holds`; at the float before it fails.

    The criterion is monotone in ``T``, as leaks shrink where ``exp`` grows, and positive floats are ordered as their
    bit patterns are, so bisection over those patterns finds the edge.

    Args:
        vocab_size: ``V``.
        context_size: ``N``.
        scaled_by: the number under the square root: ``key`` or ``length``.
        magnitude: ``M``, the largest magnitude of an entry of the embedding.

    Returns:
        ``None`` where every ``T > 0`` is enough: for a single token or a single position.

    Example:
        >>> found = smallest_temperature(94, 20, scaled_by="length")
        >>> 39.6 < found.inverse_temperature < 39.7
        True

    """
    check_choice("scaled_by", scaled_by, ("key", "length"))

    def holds(pattern: int) -> bool:
        return scaled_generation_holds(vocab_size, context_size, Softmax(_float(pattern), scaled_by), magnitude)

    low, high = 1, _pattern(1.0)  # the smallest positive float, and one to start from
    if holds(low):
        return None
    while not holds(high):
        low, high = high, _pattern(2 * _float(high))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return Softmax(_float(high), scaled_by)


def _ball(number: Fraction) -> flint.arb:
    return flint.arb(flint.fmpq(number.numerator, number.denominator))


def _decided(difference: flint.arb) -> bool | None:
    """Say whether a real number is positive, ``None`` when its ball cannot tell."""
    return True if difference > 0 else False if difference < 0 else None


def _pattern(number: float) -> int:
    (pattern,) = struct.unpack("<q", struct.pack("<d", number))
    return int(pattern)


def _float(pattern: int) -> float:
    (number,) = struct.unpack("<d", struct.pack("<q", pattern))
    return float(number)
