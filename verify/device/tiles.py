"""Tiles for single instructions: at the edges of the formats, which show rules that ordinary sums hide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from verify.device.cuda import COLUMNS, ROWS
from verify.device.factors import held
from verify.matrix_units import MatrixUnit
from verify.matrix_units.formats import InputFormat, Singles

_Doubles = np.ndarray[Any, np.dtype[np.float64]]
_Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tiles:
    """The terms of instructions, which compute ``c + a b^T`` of each tile.

    Attributes:
        a: tiles x 16 x K, float32 numbers of the unit's format.
        b: tiles x 8 x K.
        c: tiles x 16 x 8, float32 numbers of the result's format.

    """

    a: Singles
    b: Singles
    c: Singles


class _Drawing:
    """Draws numbers for a unit.

    Attributes:
        fmt: the format of factors.
        result: that of sums.
        last: the exponent of the result's smallest subnormal number.
        low: that of the factors' smallest subnormal number.
        middle: an exponent of factors whose products are around the result's smallest number, or the factors' smallest.
        cut: the exponent at which terms are cut where all of them are tiny.

    """

    def __init__(self, unit: MatrixUnit, products: int, tiles: int, seed: int) -> None:
        self.fmt, self.result = unit.values, unit.output.result.values
        self.last = self.result.min_exponent - self.result.precision + 1
        self.low = self.fmt.min_exponent - self.fmt.precision + 1
        self.middle = max(self.last // 2, self.fmt.min_exponent + 2)
        self.cut = (unit.output.zero_exponent or self.result.min_exponent) - (unit.block.fraction_bits or 0)
        self.nearest = unit.output.to_nearest
        self.rng = np.random.default_rng([seed, tiles, products])
        self.left, self.right, self.sums = (tiles, ROWS, products), (tiles, COLUMNS, products), (tiles, ROWS, COLUMNS)

    def signed(self, shape: _Shape, low: int, high: int, fmt: InputFormat) -> _Doubles:
        """Return numbers of both signs with exponents from ``low`` to ``high``, and all bits of a format."""
        bits = 1 << (fmt.precision - 1)
        parts = np.ldexp(1 + self.rng.integers(0, bits, shape) / bits, self.rng.integers(low, high + 1, shape))
        found: _Doubles = parts * self.rng.choice([-1.0, 1.0], shape)
        return found

    def factors(self, low: int, high: int) -> tuple[_Doubles, _Doubles]:
        """Return factors with exponents from ``low`` to ``high``."""
        return self.signed(self.left, low, high, self.fmt), self.signed(self.right, low, high, self.fmt)

    def added(self, low: int, high: int) -> _Doubles:
        """Return ``c`` with exponents from ``low`` to ``high``."""
        return self.signed(self.sums, low, high, self.result)

    def bits(self, shape: _Shape, fmt: InputFormat) -> _Doubles:
        """Return random bit patterns of a format: every exponent as often, those of infinities and NaN among them."""
        least, most = fmt.min_exponent, int(np.frexp(fmt.largest)[1])
        exponents = self.rng.integers(least - 1, most + 1, shape)
        parts = self.rng.integers(0, 1 << (fmt.precision - 1), shape)
        whole = np.where(exponents < least, 0.0, 1.0) + np.ldexp(parts.astype(np.float64), 1 - fmt.precision)
        found = np.ldexp(whole, np.maximum(exponents, least))
        found = np.where(exponents < most, found, np.where(parts == 0, np.inf, np.nan))
        return np.asarray(np.copysign(found, self.rng.choice([-1.0, 1.0], shape)))

    def special(self, values: _Doubles, share: float) -> _Doubles:
        """Return numbers of which about a share is infinite, undefined or a zero of either sign."""
        hit = self.rng.random(values.shape) < share
        drawn = self.rng.choice([np.inf, -np.inf, np.nan, 0.0, -0.0], values.shape, p=[0.3, 0.3, 0.1, 0.2, 0.1])
        return np.where(hit, drawn, values)

    def zeros(self, shape: _Shape) -> _Doubles:
        """Return zeros of both signs."""
        return np.asarray(self.rng.choice([-0.0, 0.0], shape))


_Parts = tuple[_Doubles, _Doubles, _Doubles]


def _tiny(draw: _Drawing) -> _Parts:
    """Products around the result's smallest number, without ``c``."""
    return *draw.factors(draw.middle - 8, draw.middle), np.zeros(draw.sums)


def _tiny_added(draw: _Drawing) -> _Parts:
    """The same beside a subnormal ``c``; in every other row the products are zero."""
    a, b = draw.factors(draw.middle - 8, draw.middle)
    a[:, ::2] = 0.0
    return a, b, draw.added(draw.last, draw.last + 9)


def _places(draw: _Drawing) -> _Parts:
    """A sum at which rounding turns, and a few terms around the place where zero's exponent has terms cut."""
    half = draw.cut // 2
    a, b = (
        np.ldexp(draw.rng.choice([-1.0, 0.0, 0.0, 0.0, 1.0], shape), draw.rng.integers(half - 2, half + 3, shape))
        for shape in (draw.left, draw.right)
    )
    turn = draw.last - int(draw.nearest)
    a[..., 0] = np.ldexp(draw.rng.choice([1.0, -1.0, 3.0], a.shape[:-1]), turn // 2)
    b[..., 0] = np.ldexp(1.0, turn - turn // 2)
    return a, b, np.zeros(draw.sums)


def _subnormal(draw: _Drawing) -> _Parts:
    """Subnormal factors, and ``c`` near their products."""
    a = draw.signed(draw.left, draw.low, draw.low + 8, draw.fmt)
    return a, draw.signed(draw.right, -4, 12, draw.fmt), draw.added(draw.low - 4, draw.low + 6)


def _special(draw: _Drawing) -> _Parts:
    """Infinities, NaN and zeros, rarely enough that most sums have one at most."""
    a, b = draw.factors(-3, 3)
    share = 0.16 / draw.left[-1]
    return draw.special(a, share), draw.special(b, share), draw.special(draw.added(-3, 3), 0.03)


def _overflow(draw: _Drawing) -> _Parts:
    """Products beyond the result's largest number that nearly cancel, and a large ``c``."""
    most = int(np.frexp(draw.result.largest)[1]) - 1
    middle = min(most // 2, int(np.frexp(draw.fmt.largest)[1]) - 6)
    a, b = draw.factors(middle - 3, middle + 4)
    count = draw.left[-1] // 2
    a[..., count:], b[..., count:] = -a[..., :count], b[..., :count]
    a[..., 1] *= 1 + 2.0 ** (1 - draw.fmt.precision)
    return a, b, draw.added(most - 3, most)


def _zeros(draw: _Drawing) -> _Parts:
    """Zeros of both signs; every other row is of negative zeros alone, ``c`` among them."""
    a, b, c = draw.zeros(draw.left), draw.rng.choice([-1.0, 1.0, 0.0], draw.right), draw.zeros(draw.sums)
    b[:, 0], a[:, ::2], c[:, ::2] = 1.0, -0.0, -0.0
    return a, b, c


def _normal(draw: _Drawing) -> _Parts:
    """Ordinary numbers."""
    a, b, c = (draw.rng.standard_normal(shape) for shape in (draw.left, draw.right, draw.sums))
    return a, b, c


def _cancelling(draw: _Drawing) -> _Parts:
    """Products that nearly cancel beside a small ``c``."""
    a, b = draw.factors(-4, 3)
    count = draw.left[-1] // 2
    a[..., count:], b[..., count:] = a[..., :count], -b[..., :count]
    a[..., -1] *= 1 + 2.0 ** (1 - draw.fmt.precision)
    return a, b, draw.added(-14, -4)


def _bits(draw: _Drawing) -> _Parts:
    """Random bit patterns."""
    return draw.bits(draw.left, draw.fmt), draw.bits(draw.right, draw.fmt), draw.bits(draw.sums, draw.result)


#: Kinds of tiles by name.
TILES: Mapping[str, Callable[[_Drawing], _Parts]] = MappingProxyType(
    {
        "tiny": _tiny,
        "tiny beside c": _tiny_added,
        "places": _places,
        "subnormal": _subnormal,
        "special": _special,
        "overflow": _overflow,
        "zeros": _zeros,
        "normal": _normal,
        "cancelling": _cancelling,
        "bits": _bits,
    }
)


def drawn_tiles(kind: str, unit: MatrixUnit, products: int, tiles: int, seed: int) -> Tiles:
    """Return tiles of a kind.

    Args:
        kind: a word of :data:`TILES`.
        unit: whose formats they have; terms are drawn around the place where it cuts them.
        products: K.
        tiles: how many.
        seed: the same seed draws the same tiles.

    Example:
        >>> made = drawn_tiles("zeros", MatrixUnit("hopper", "bf16"), products=8, tiles=2, seed=0)
        >>> made.a.shape, made.b.shape, made.c.shape
        ((2, 16, 8), (2, 8, 8), (2, 16, 8))

    """
    draw = _Drawing(unit, products, tiles, seed)
    a, b, c = TILES[kind](draw)
    return Tiles(_kept(a, draw.fmt), _kept(b, draw.fmt), _kept(c, draw.result))


def _kept(values: _Doubles, fmt: InputFormat) -> Singles:
    """Return numbers cut to a format; infinities, NaN and signs of zeros stay."""
    finite = np.isfinite(values)
    cut = held(np.where(finite, values, 0.0), fmt)
    return np.where(finite, np.copysign(cut, values), values).astype(np.float32)
