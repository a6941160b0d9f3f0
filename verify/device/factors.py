"""Factors for products on a matrix unit: random ones, and ones that show how the unit adds and where it cuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from verify.matrix_units.formats import InputFormat, Singles


@dataclass(frozen=True)
class Pair:
    """Factors of a product of two matrices.

    Attributes:
        left: float32 numbers of the format, rows x K.
        right: the same, columns x K.

    """

    left: Singles
    right: Singles


def held(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], fmt: InputFormat) -> Singles:
    """Return numbers cut to a format, toward zero; those beyond its largest number become that one.

    The last place of a number with exponent ``e`` is ``2^(e-p+1)``, and below the normal range that of its least one.
    """
    _, exponents = np.frexp(values)
    last = np.maximum(exponents - 1, fmt.min_exponent) - fmt.precision + 1
    cut = np.ldexp(np.trunc(np.ldexp(values, -last)), last)
    kept: Singles = np.clip(cut, -fmt.largest, fmt.largest).astype(np.float32)
    return kept if fmt.signed_zero else kept + np.float32(0)


def _normal(fmt: InputFormat, shape: tuple[int, ...], rng: np.random.Generator) -> Singles:
    return held(rng.standard_normal(shape), fmt)


def _spread(fmt: InputFormat, shape: tuple[int, ...], rng: np.random.Generator) -> Singles:
    """Exponents far apart, so that most terms are cut; no sum of products is beyond float32."""
    most = min(int(np.log2(fmt.largest)), 40)
    exponents = rng.integers(max(fmt.min_exponent, -most), most, shape)
    return held(np.ldexp(rng.uniform(1, 2, shape), exponents) * rng.choice([-1, 1], shape), fmt)


def _tiny(fmt: InputFormat, shape: tuple[int, ...], rng: np.random.Generator) -> Singles:
    """Numbers around the square root of float32's smallest, and the format's own subnormals where these are larger."""
    middle = max(-70, fmt.min_exponent - fmt.precision + 2)
    exponents = rng.integers(middle - 6, middle + 6, shape)
    return held(np.ldexp(rng.uniform(1, 2, shape), exponents) * rng.choice([-1, 1], shape), fmt)


def _codes(fmt: InputFormat, shape: tuple[int, ...], rng: np.random.Generator) -> Singles:
    """Rows as the constructions have them: fractions, and the code of a position."""
    rows = rng.integers(0, 94, shape) / 94
    places = np.arange(shape[1]) == rng.integers(0, shape[1], (shape[0], 1))
    return held(np.where(rng.random((shape[0], 1)) < 0.5, rows, places.astype(np.float64)), fmt)


def _special(fmt: InputFormat, shape: tuple[int, ...], rng: np.random.Generator) -> Singles:
    """Zeros of both signs among ordinary numbers, and rarely infinities and NaN."""
    values = _normal(fmt, shape, rng)
    drawn = rng.random(shape)
    values = np.where(drawn < 0.5, np.float32(0), values)
    if fmt.signed_zero:
        values = np.where(drawn < 0.25, np.float32(-0.0), values)
    if fmt.infinities:
        values = np.where(drawn > 1 - 0.1 / shape[1], np.float32(np.inf), values)
    return np.where(drawn > 1 - 0.05 / shape[1], np.float32(np.nan), values).astype(np.float32)


def _cancelling(fmt: InputFormat, shape: tuple[int, ...], rng: np.random.Generator) -> Singles:
    """Pairs of terms that nearly cancel, in any two places."""
    values = _spread(fmt, shape, rng)
    half = shape[1] // 2
    order = rng.permutation(shape[1])
    values[:, order[half : 2 * half]] = -values[:, order[:half]]
    return values


_Draw = Callable[[InputFormat, tuple[int, ...], np.random.Generator], Singles]

#: Kinds of factors by name. Left factors of a kind meet right factors that are ordinary where that tells more.
KINDS: Mapping[str, tuple[_Draw, _Draw]] = MappingProxyType(
    {
        "normal": (_normal, _normal),
        "spread": (_spread, _spread),
        "codes": (_codes, _codes),
        "cancelling": (_cancelling, lambda fmt, shape, rng: np.abs(held(rng.uniform(1, 2, shape), fmt))),
        "tiny": (_tiny, _tiny),
        "special": (_special, _normal),
    }
)


def drawn(kind: str, fmt: InputFormat, sizes: tuple[int, int, int], seed: int) -> Pair:
    """Return factors of a kind.

    Args:
        kind: a word of :data:`KINDS`.
        fmt: their format.
        sizes: rows, columns and K.
        seed: the same seed draws the same factors.

    Example:
        >>> from verify.matrix_units.formats import BF16
        >>> pair = drawn("spread", BF16, (3, 2, 5), seed=0)
        >>> pair.left.shape, pair.right.shape, bool(BF16.holds(pair.left).all())
        ((3, 5), (2, 5), True)

    """
    rows, columns, length = sizes
    rng = np.random.default_rng([seed, rows, columns, length])
    left, right = KINDS[kind]
    return Pair(left(fmt, (rows, length), rng), right(fmt, (columns, length), rng))
