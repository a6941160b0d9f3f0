"""Sums that try a matrix unit: random bits, narrow and wide exponents, cancellation, subnormals, specials."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from verify.matrix_units.formats import InputFormat, Singles
from verify.matrix_units.unit import MatrixUnit


class Sums(NamedTuple):
    """Rows of products, and what is added to each."""

    a: Singles
    b: Singles
    c: Singles


def drawn(unit: MatrixUnit, length: int, rows: int, seed: int) -> Sums:
    """Return about ``rows`` sums of ``length`` products: the same number of each kind below."""
    rng = np.random.default_rng(seed)
    each = -(-rows // len(KINDS))
    parts = [kind(unit, (each, length), rng) for kind in KINDS]
    return Sums(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _bits(held: InputFormat, shape: tuple[int, ...], rng: np.random.Generator, *, finite: bool = False) -> Singles:
    """Return random bits, as the nearest number toward zero that the format holds."""
    least, most = held.min_exponent - held.precision, int(np.frexp(held.largest)[1]) - 1
    return _numbers(held, rng.integers(least, most + (1 if finite else 2), shape), rng)


def _numbers(held: InputFormat, exponents: np.ndarray, rng: np.random.Generator) -> Singles:
    """Return numbers of random signs and significands: zero below the least place, special beyond the largest."""
    one = 1 << (held.precision - 1)
    significands = rng.integers(one, 2 * one, exponents.shape) * rng.choice([-1.0, 1.0], exponents.shape)
    last = np.maximum(exponents, held.min_exponent) - held.precision + 1
    exact = np.ldexp(significands, exponents - held.precision + 1)
    numbers = np.ldexp(np.trunc(np.ldexp(exact, -last)), last)
    special = np.where(held.infinities & (rng.random(exponents.shape) < 0.5), np.copysign(np.inf, numbers), np.nan)
    found = np.where(np.abs(numbers) > held.largest, special, numbers).astype(np.float32)
    return found if held.signed_zero else found + np.float32(0)


def _added(unit: MatrixUnit, exponents: np.ndarray, rng: np.random.Generator) -> Singles:
    held = unit.output.result.values
    highest = int(np.frexp(held.largest)[1]) - 1
    return _numbers(held, np.clip(exponents, held.min_exponent - held.precision, highest), rng)


def any_bits(unit: MatrixUnit, shape: tuple[int, int], rng: np.random.Generator) -> Sums:
    """All numbers of the formats alike, special ones among them."""
    return Sums(
        _bits(unit.values, shape, rng), _bits(unit.values, shape, rng), _bits(unit.output.result.values, shape[:1], rng)
    )


def finite_bits(unit: MatrixUnit, shape: tuple[int, int], rng: np.random.Generator) -> Sums:
    """All finite numbers alike."""
    a, b = (_bits(unit.values, shape, rng, finite=True) for _ in "ab")
    return Sums(a, b, _bits(unit.output.result.values, shape[:1], rng, finite=True))


def windows(unit: MatrixUnit, shape: tuple[int, int], rng: np.random.Generator) -> Sums:
    """Exponents within a window, narrow or wide, and ``c`` about as large as the products."""
    held = unit.values
    highest = int(np.frexp(held.largest)[1]) - 1
    width = rng.integers(1, 14, (shape[0], 1))
    middle = rng.integers(held.min_exponent // 2, highest // 2 + 1, (shape[0], 1))
    a, b = (
        _numbers(held, np.clip(middle + rng.integers(-width, width + 1, shape), held.min_exponent, highest), rng)
        for _ in "ab"
    )
    return Sums(a, b, _added(unit, 2 * middle[:, 0] + rng.integers(-26, 27, shape[0]), rng))


def cancelling(unit: MatrixUnit, shape: tuple[int, int], rng: np.random.Generator) -> Sums:
    """The second half takes the first away, up to one product; ``c`` is far below."""
    a, b, c = windows(unit, shape, rng)
    half = shape[1] // 2
    a[:, half : 2 * half], b[:, half : 2 * half] = a[:, :half], -b[:, :half]
    place = rng.integers(0, shape[1], shape[0])
    a[np.arange(shape[0]), place] *= 0.5
    a = np.where(unit.values.holds(a), a, np.float32(1))
    return Sums(a, b + np.float32(0), _added(unit, np.frexp(c)[1] - rng.integers(0, 40, shape[0]), rng))


def smallest(unit: MatrixUnit, shape: tuple[int, int], rng: np.random.Generator) -> Sums:
    """Products about the last place of the result and far below, ``c`` zero in half of the rows."""
    held, result = unit.values, unit.output.result.values
    target = result.min_exponent - result.precision + rng.integers(-14, 8, shape)
    first = rng.integers(held.min_exponent - held.precision, held.min_exponent + 3, shape)
    a = _numbers(held, first, rng)
    highest = int(np.frexp(held.largest)[1]) - 1
    b = _numbers(held, np.clip(target - first, held.min_exponent - held.precision, highest), rng)
    c = _added(unit, result.min_exponent + rng.integers(-26, 3, shape[0]), rng)
    zero = np.copysign(np.float32(0), c)
    return Sums(a, b, np.where(rng.random(shape[0]) < 0.5, zero, c))


def specials(unit: MatrixUnit, shape: tuple[int, int], rng: np.random.Generator) -> Sums:
    """A few infinities, NaNs and zeros of either sign among numbers."""
    a, b, c = windows(unit, shape, rng)
    held = unit.values
    chosen = [0.0, np.nan]
    chosen += [-0.0] if held.signed_zero else []
    chosen += [np.inf, -np.inf] if held.infinities else []
    for numbers in (a, b):
        places = rng.random(shape) < 0.5 / shape[1]
        numbers[places] = rng.choice(np.array(chosen, dtype=np.float32), int(places.sum()))
    return Sums(
        a,
        b,
        np.where(
            rng.random(shape[0]) < 0.2, rng.choice(np.array([0, -0.0, np.inf, np.nan], dtype=np.float32), shape[0]), c
        ),
    )


def largest(unit: MatrixUnit, shape: tuple[int, int], rng: np.random.Generator) -> Sums:
    """Sums about the largest number of the result, or the largest that the factors reach."""
    held, result = unit.values, unit.output.result.values
    highest, top = (int(np.frexp(x.largest)[1]) - 1 for x in (held, result))
    first = rng.integers(max(held.min_exponent, min(top // 2, highest) - 3), highest + 1, shape)
    second = np.clip(top - first + rng.integers(-26, 2, shape), held.min_exponent, highest)
    return Sums(
        _numbers(held, first, rng), _numbers(held, second, rng), _added(unit, top - rng.integers(0, 30, shape[0]), rng)
    )


KINDS = (any_bits, finite_bits, windows, cancelling, smallest, specials, largest)
