"""Matrix units once more, in rational numbers, one sum at a time: slow, and written apart from the package's code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

F32 = (24, -126, 128)
F16 = (11, -14, 16)


class Rules(NamedTuple):
    """What a unit does.

    Attributes:
        least: the least exponent of the factors' format.
        products: L.
        bits: F.
        zero: the exponent of zero.
        kept: bits of the result.
        result: precision, least exponent and exponent of the first number beyond, of the result's format.

    """

    least: int
    products: int
    bits: int
    zero: int
    kept: int = 24
    result: tuple[int, int, int] = F32


def exponent(x: Fraction) -> int:
    """Return ``e`` with ``2^e <= |x| < 2^(e+1)``."""
    e = abs(x).numerator.bit_length() - abs(x).denominator.bit_length()
    return e if abs(x) >= Fraction(2) ** e else e - 1


def toward_zero(x: Fraction) -> int:
    return math.floor(x) if x >= 0 else math.ceil(x)


def fitted(x: Fraction, kept: int, form: tuple[int, int, int], *, to_nearest: bool) -> float:
    """Return a rational in a format."""
    if x == 0:
        return 0.0
    unit = Fraction(2) ** (max(exponent(x), form[1]) - kept + 1)
    rounded = unit * (round(x / unit) if to_nearest else toward_zero(x / unit))
    return math.copysign(math.inf, rounded) if abs(rounded) >= Fraction(2) ** form[2] else float(rounded)


def special(a: Sequence[float], b: Sequence[float], c: float) -> float | None:
    """Return what infinities and NaNs make of a sum, nothing where there are none."""
    terms = [x * y for x, y in zip(a, b, strict=True) if not (math.isfinite(x) and math.isfinite(y))]
    terms += [c] if not math.isfinite(c) else []
    return sum(terms) if terms else None


def tensor_core(rules: Rules, a: Sequence[float], b: Sequence[float], c: float) -> float:
    """Return what an NVIDIA unit computes."""

    def own(x: float, least: int) -> int:
        return max(exponent(Fraction(x)), least)

    for start in range(0, len(a), rules.products):
        left, right = a[start : start + rules.products], b[start : start + rules.products]
        found = special(left, right, c)
        if found is not None:
            c = found
            continue
        largest = [rules.zero if c == 0 else own(c, rules.result[1])]
        for x, y in zip(left, right, strict=True):
            largest.append(rules.zero if x == 0 or y == 0 else own(x, rules.least) + own(y, rules.least))
        unit = Fraction(2) ** (max(largest) - rules.bits)
        terms = [Fraction(x) * Fraction(y) for x, y in zip(left, right, strict=True)]
        total = unit * sum(toward_zero(term / unit) for term in [*terms, Fraction(c)])
        c = fitted(total, rules.kept, rules.result, to_nearest=rules.result == F16)
    return c


def exact(products: int, a: Sequence[float], b: Sequence[float], c: float) -> float:
    """Return what CDNA 1 computes."""
    for start in range(0, len(a), products):
        left, right = a[start : start + products], b[start : start + products]
        total = Fraction(c) + sum(Fraction(x) * Fraction(y) for x, y in zip(left, right, strict=True))
        c = fitted(total, 24, F32, to_nearest=True)
        if math.isinf(c):
            break
    return c


def flushing(least: int, a: Sequence[float], b: Sequence[float], c: float) -> float:
    """Return what CDNA 2 computes of sums that stay finite; infinity where one does not."""

    def kept(x: float, floor: int = -126) -> Fraction:
        return Fraction(0) if abs(x) < Fraction(2) ** floor else Fraction(x)

    def single(x: Fraction) -> Fraction:
        return kept(fitted(x, 24, F32, to_nearest=True))  # OverflowError beyond

    total = kept(c)
    try:
        for start in range(0, len(a), 4):
            p = [
                single(kept(x, least) * kept(y, least))
                for x, y in zip(a[start : start + 4], b[start : start + 4], strict=True)
            ]
            p += [Fraction(0)] * (4 - len(p))
            total = single(total + single(single(p[0] + p[1]) + single(p[2] + p[3])))
    except OverflowError:
        return math.inf
    return float(total)


def floored(least: int, products: int, a: Sequence[float], b: Sequence[float], c: float, *, apart: bool) -> float:
    """Return what CDNA 3 computes of finite sums; ``apart``: even and odd places apart, as in fp8."""
    two = Fraction(2)

    def down(x: Fraction, place: int) -> Fraction:
        return math.floor(x / two**place) * two**place

    def cut(pairs: Sequence[tuple[float, float]]) -> tuple[Fraction, int]:
        some = [(x, y) for x, y in pairs if x and y]
        if not some:
            return Fraction(0), -9999
        e = max(max(exponent(Fraction(x)), least) + max(exponent(Fraction(y)), least) for x, y in some)
        return sum(toward_zero(Fraction(x) * Fraction(y) / two ** (e - 24)) for x, y in some) * two ** (e - 24), e

    for start in range(0, len(a), products):
        pairs = list(zip(a[start : start + products], b[start : start + products], strict=True))
        if any(abs(Fraction(x) * Fraction(y)) >= two**128 for x, y in pairs):
            return math.inf
        if apart:
            (even, first), (odd, second) = cut(pairs[::2]), cut(pairs[1::2])
            e = max(first, second)
            total = down(even, e - 24) + down(odd, e - 24) if e > -9999 else Fraction(0)
        else:
            total, e = cut(pairs)
        own = max(exponent(Fraction(c)), -126) if c else -126
        most = max(e, own)
        whole = down(total, most - 32)
        added = Fraction(0) if apart and own < most - 25 else down(Fraction(c), most - 24)
        both = whole + added
        if both:
            both = down(both, max(exponent(both), -126) - 31)
        c = fitted(both, 24, F32, to_nearest=True)
        if math.isinf(c):
            break
    return c
