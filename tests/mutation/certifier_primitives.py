"""Oracles of the certifier's primitives, against exact rationals: rounding, neighbours, grids, exp, assumptions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from constructions.formats import get_format
from tests.certificates.emulated import FORMATS, LARGEST, held, to_format
from tests.certificates.own import rounded
from verify.certificates.balls.columns import ball_precision
from verify.certificates.floats import directed as rounding
from verify.certificates.floats.boxes import fits
from verify.certificates.floats.kernel import Kernel


def _specials(rng: np.random.Generator, fmt: str) -> list[Fraction]:
    """Return numbers around everything that is special in a format: ties, ends of binades, the ends of the format."""
    bits, least = FORMATS[fmt]
    smallest = Fraction(2) ** (least - bits + 1)
    found = [Fraction(0)]
    for exponent in (least - bits, least - 2, least - 1, least, -3, 0, 5):
        for whole in (
            1,
            2,
            3,
            2 ** (bits - 1),
            2**bits - 1,
            2**bits,
            2 ** (bits - 1) + 1,
            int(rng.integers(1, 2**bits)),
        ):
            value = whole * Fraction(2) ** (exponent - bits + 1)
            found += [value, value + smallest / 2, value * (1 + Fraction(1, 2 ** (bits + 1))), value + smallest / 8]
    largest = Fraction(LARGEST[fmt])
    if fmt != "float64":
        found += [largest, largest * (1 + Fraction(1, 2 ** (bits + 2))), largest * 2]
    found = [value for value in found if value == Fraction(float(value))] if fmt != "float64" else found
    return [sign * value for value in found for sign in (1, -1)]


def primitives() -> list[str]:
    """Return what rounding, neighbours, places and grids get wrong, against exact rationals."""
    rng = np.random.default_rng(14)
    for fmt in FORMATS:
        form, bits = get_format(fmt), FORMATS[fmt][0]
        least = FORMATS[fmt][1] - bits + 1
        exact = [value for value in _specials(rng, fmt) if value == Fraction(float(value))]
        values = np.array([float(value) for value in exact])
        wanted = np.array([held(value, fmt) for value in exact])
        made = rounding.round_array(values, form)
        if not np.array_equal(made, wanted):
            at = int(np.flatnonzero(made != wanted)[0])
            return [f"{fmt}: {values[at]!r} is rounded to {made[at]!r}, not {wanted[at]!r}"]
        inside = np.unique(wanted[np.isfinite(wanted)])
        if fmt == "float64":
            inside = inside[np.abs(inside) < 2.0**1000]
        places = rounding.ordinal(inside, form)
        if not np.array_equal(rounding.from_ordinal(places, form), inside) or (np.diff(places) <= 0).any():
            return [f"{fmt}: places are not those of floats in order"]
        unit = [Fraction(float(rounding.from_ordinal(np.array([place + 1]), form)[0])) for place in places.tolist()]
        for value, above in zip(inside.tolist(), unit, strict=True):
            gap = above - Fraction(value)
            if gap < Fraction(2) ** least or held(Fraction(value) + gap / 4, fmt) != value:
                return [f"{fmt}: {float(above)!r} is not the float after {value!r}"]
        grids = rounding.grid_of(inside)
        for value, grid in zip(inside.tolist(), grids.tolist(), strict=True):
            odd = Fraction(value) / Fraction(2) ** grid if value else Fraction(1)
            if odd.denominator != 1 or odd.numerator % 2 == 0:
                return [f"{fmt}: {value!r} is said to be an odd multiple of 2^{grid}"]
        powers = rounding.is_power_of_two(inside)
        for value, power in zip(inside.tolist(), powers.tolist(), strict=True):
            size = abs(Fraction(value))
            if power != (
                size == 0
                or (size.numerator & (size.numerator - 1) == 0 and size.denominator & (size.denominator - 1) == 0)
            ):
                return [f"{fmt}: {value!r} is taken for a power of two, or not"]
        wide = rounding.wide_dtype(form)
        some = inside.astype(wide)
        ends = rounding.lowered(some, np.abs(some) / 3), rounding.raised(some, np.abs(some) / 3)
        for value, lowest, highest in zip(inside.tolist(), ends[0], ends[1], strict=True):
            third = _exact(np.abs(wide.type(value)) / 3)
            if not (_exact(lowest) <= Fraction(value) - third and Fraction(value) + third <= _exact(highest)):
                return [f"{fmt}: {value!r} +- a third is not within {lowest!r} and {highest!r}"]
        steps = rounding.next_down(some), rounding.next_up(some)
        if not ((steps[0] < some).all() and (some < steps[1]).all()):
            return [f"{fmt}: neighbours are not on both sides"]
        pairs = rng.permutation(some)
        total, error = rounding.two_sum(some, pairs)
        sure = np.isfinite(total) & (np.abs(total) < 2.0**900)
        for a, b, c, d in zip(some[sure], pairs[sure], total[sure], error[sure], strict=True):
            if _exact(a) + _exact(b) != _exact(c) + _exact(d):
                return [f"{fmt}: {a!r} + {b!r} is not {c!r} + {d!r}"]
    if not fits(np.array([8.0]), np.array([0]), 3)[0] or fits(np.array([9.0]), np.array([0]), 3)[0]:
        return ["8 fits 3 bits, and 9 does not"]
    return []


def _exact(value: Any) -> Fraction:
    high = float(value)
    return Fraction(high) + Fraction(float(value - type(value)(high)))


# softmax --------------------------------------------------------------------------------------------------------------


def exponentials() -> list[str]:
    """Return what is wrong with bounds of ``exp``: three units off either way, none at 0, 0 far below."""
    import flint

    for fmt in FORMATS:
        arithmetic, (bits, least) = rounded(fmt), FORMATS[fmt]
        wide = np.longdouble if fmt == "float64" else np.float64
        rng = np.random.default_rng(17)
        end = np.log(2) * (bits - least)
        drawn = to_format(
            -np.concatenate(
                [rng.uniform(0, 5, 200), rng.uniform(0, 1.1 * end, 200), rng.uniform(end - 2, end + 2, 100)]
            ),
            fmt,
        )
        low, high = (arithmetic._exp(drawn.astype(wide), up=up) for up in (False, True))
        with ball_precision():
            for exponent, below, above in zip(drawn.tolist(), low, high, strict=True):
                true = flint.arb(exponent).exp()
                unit = flint.arb(2) ** (max(int(np.floor(exponent / np.log(2))), least) - bits + 1)
                gone = exponent != 0 and true < flint.arb(2) ** (least - bits)
                wanted = (0, 0) if gone else (true, true) if exponent == 0 else (true - 3 * unit, true + 3 * unit)
                lowest = flint.arb(float(below)) + flint.arb(float(below - wide(float(below))))
                highest = flint.arb(float(above)) + flint.arb(float(above - wide(float(above))))
                if (gone and arithmetic.kernel.accumulator is None and not (highest >= 0)) or (
                    not gone and ((lowest > wanted[0] and lowest > 0) or highest < wanted[1])
                ):
                    return [f"{fmt}: exp({exponent}) may be off by 3 units beyond {below}, {above}"]
    return []


def assumptions() -> list[str]:
    """Return what a kernel says that is not so."""
    found = []
    for fmt, (bits, least) in FORMATS.items():
        kernel = Kernel(get_format(fmt))
        if Fraction(kernel.unit) < Fraction(1, 2**bits):
            found.append(f"{fmt}: a rounding moves a number by more than {kernel.unit}")
        if kernel.smallest != Fraction(2) ** (least - bits + 1):
            found.append(f"{fmt}: the smallest number is not {kernel.smallest}")
        if Fraction(kernel.underflow) < kernel.smallest / 2:
            found.append(f"{fmt}: a product may lose more than {kernel.underflow}")
        if (kernel.accumulator is not None) != (bits < 24):
            found.append(f"{fmt}: an accumulator of float32")
    # 1 + 2^-22 - 2^-44 has 45 bits, and is 1 + 2^-23 cut off to 24
    moved = (Fraction(1, 2**23) - Fraction(1, 2**44)) / (1 + Fraction(1, 2**22) - Fraction(1, 2**44))
    if Fraction(Kernel(get_format("float32"), tf32=True).unit) < moved:
        found.append("tensor cores: cutting a number off moves it by more than a unit")
    return found


def double_rounding() -> list[str]:
    """Return numbers that rounding in float32 and then in 16 bits moves by more than a unit roundoff of themselves."""
    for fmt in ("bfloat16", "float16"):
        bits = FORMATS[fmt][0]
        midpoints = np.arange(2**bits, 2 ** (bits + 1)) / 2.0**bits
        for off in (*(sign * 2.0**-k for k in range(20, 30) for sign in (1, -1)), 0.0):
            values = midpoints + off
            twice = to_format(to_format(values, "float32"), fmt)
            if (np.abs(twice - values) > 2.0**-bits * np.abs(values)).any():
                return [f"{fmt}: moved by more than a unit roundoff, {off} from a midpoint"]
    return []
