r"""Bounds of a computed sum, in any order of summation, with or without fused multiply-add.

For a sum of ``n`` terms that are not zero, with ``S`` the exact sum and ``M`` the sum of the magnitudes:

- *Nothing rounds.* If the terms lie on the grid ``2^g`` and ``M <= 2^(p+g)``, every partial sum in every order is
  representable, products are too, and the result is ``S``.
- *Two terms, each held.* If both are numbers of the format by themselves (a product is on its own grid ``2^h`` and at
  most ``2^(p+h)``) and the sum lies on ``2^g`` and is at most ``2^(p+g)`` in magnitude, nothing rounds either.
- *One or two terms.* There is one addition at most, the last operation. Rounding is monotone, so the result lies
  between the rounded bounds of ``p_1 + p_2``, each ``p`` the product or the rounded product.
- *More terms.* Before the last operation every term has met at most one rounding of its product and ``n - 2`` of
  partial sums, whatever the tree of additions: an error of at most ``u M_x (1 + u)^(n-2) + ((1 + u)^(n-2) - 1) M``,
  with ``M_x`` the part of ``M`` whose products may round. The last operation is a monotone rounding again. Rounding in
  float32 first and in a 16-bit format then is within ``u`` too: ``u/(1 + u) + v + uv <= u`` for ``v = 2^-24``, as
  rounding to nearest changes a number by at most ``u/(1 + u)`` of it.
- *A chain of fused multiply-adds* from a bias that is not 0 is such a sum of ``n + 1`` terms with ``M_x = 0``: its
  ``n`` roundings are those of partial sums, the last included. From a bias of 0, or without one, its first operation
  ``round(w x + 0)`` rounds a product, any of them: a case of sums whose products may round.
- *Absorption.* If one term is so large that all others together stay below ``u/8`` of it, then a partial sum with it
  that has been rounded stays what it is, as the others are less than a quarter of its spacing: the result is the
  rounding of the large term plus at most the others.
- *Overflow.* If ``M`` is beyond the largest number, some order may overflow, and the result is anything, NaN too.

A term that is no multiple of the smallest number adds half of it, once: in the first rounding to the format that it
takes part in, alone or in a partial sum held in float32, after which the sum is such a multiple. Terms that are exactly
zero change nothing in any order.

Kernels that round otherwise say so in an object of their own, see :mod:`verify.certificates.floats.rounding`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from constructions.formats import Format
from verify.certificates.floats.boxes import Box, collapsed, fits, unbounded_where_infinite
from verify.certificates.floats.directed import (
    EVERYTHING,
    is_power_of_two,
    largest_of,
    lowered,
    raised,
    round_array,
    wide_dtype,
    wide_precision,
)
from verify.certificates.floats.kernel import Kernel

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]

#: Bounds and grid of a factor; bounds, magnitude, rounding part, loss of its factors and grid of a product.
Factor = tuple[Any, Any, Any]
Piece = tuple[Any, Any, Any, Any, Any, Any]


@dataclass(frozen=True, eq=False)
class Terms:
    """The bounds of a sum of terms: everything that the rule of a sum needs to know of them."""

    low: _Array
    high: _Array
    magnitude: _Array
    count: _Array
    rounding: _Array
    grid: np.ndarray[Any, Any]
    reduced: _Array
    largest: _Array | None = None
    largest_low: _Array | None = None
    held: _Array | None = None  # where every term is a number of the format by itself


class Sums:
    """The rule of a sum, for the kernels that are assumed.

    Attributes:
        kernel: what is assumed of the kernels.
        rounding: what is assumed of sums of products.
        fmt: the number format.

    """

    fmt: Format

    def __init__(self, kernel: Kernel) -> None:
        """Bound the kernels that ``kernel`` describes."""
        self.kernel = kernel
        self.rounding = kernel.rounding
        self.fmt = kernel.fmt
        self._dtype = wide_dtype(kernel.fmt)
        self._wide_unit = self._dtype.type(2.0) ** -wide_precision(kernel.fmt)

    def rounded(self, values: _Array, *, up: bool) -> _Array:
        """Return a bound of what rounding gives: once in the format, and twice through a kernel's accumulator."""
        once = round_array(values, self.fmt)
        if self.kernel.accumulator is None:
            return once
        twice = round_array(round_array(values, self.kernel.accumulator), self.fmt)
        return np.asarray(np.maximum(once, twice) if up else np.minimum(once, twice))

    def box(self, low: _Array, high: _Array, grid: np.ndarray[Any, Any], *, exact: bool) -> Box:
        """Return the box of bounds; a coordinate that may have overflowed may be anything."""
        low, high = unbounded_where_infinite(low, high)
        return collapsed(Box(low, high, grid, exact))

    def error(self, terms: Terms) -> tuple[_Array, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Return how far a sum may be off before its last rounding, and where nothing rounds at all; see the module."""
        u, wide = self._dtype.type(self.rounding.unit), self._wide_unit
        # the bounds themselves were summed in the wide dtype, at most count + 1 roundings each, none where all fits;
        # the magnitude that has to fit was summed there too, and rounded down perhaps
        bits = wide_precision(self.fmt)
        magnitude = terms.magnitude * (1 + 2 * (terms.count + 4) * wide)
        inside, single = fits(magnitude, terms.grid, bits), terms.count <= 1
        known = inside | (single & (2 * self.fmt.precision <= bits))
        slack = np.where(known, 0, 2 * (terms.count + 2) * wide * terms.magnitude)
        own = self.rounding.own_error(terms, magnitude, slack)
        if own is not None:
            return own
        # on a grid no finer than the smallest number above 0, nothing underflows
        held = terms.grid >= self.fmt.min_exponent - self.fmt.precision + 1
        kept = held & (terms.reduced == 0)
        whole = kept & fits(magnitude, terms.grid, self.fmt.precision)
        if terms.held is not None and self.rounding.keeps_held_pairs and not whole.all():
            size = np.maximum(np.abs(terms.low), np.abs(terms.high))
            summed = fits(size, terms.grid, self.fmt.precision) & inside
            whole = whole | (kept & terms.held & (terms.count <= 2) & summed)
        growth = self.rounding.growth(terms.count, u)
        # the only operation of a single term is the last one; of two, the sum, after their products
        error = slack + np.where(held, 0, self.rounding.single_underflow)
        alone = single & (terms.reduced == 0)
        if not alone.all():
            error = np.where(alone, error, self._partial_sums(terms, magnitude, slack, growth, held))
        # beyond the largest number a partial sum may be infinite in some order, whatever the sum is
        over = (magnitude + terms.reduced) * (1 + growth) * (1 + 2 * u) > self._dtype.type(largest_of(self.fmt))
        return np.where(over, np.inf, error), whole & ~over

    def _partial_sums(
        self, terms: Terms, magnitude: _Array, slack: _Array, growth: _Array, held: np.ndarray[Any, Any]
    ) -> _Array:
        """Return how far a sum of several terms may be off before its last rounding."""
        u, wide = self._dtype.type(self.rounding.unit), self._wide_unit
        error = u * terms.rounding * (1 + growth) + growth * magnitude + terms.reduced
        error = error * (1 + 8 * wide) + slack + np.where(held, 0, terms.count * self.rounding.underflow)
        if terms.largest is not None and terms.largest_low is not None and self.rounding.absorbs:
            rest = (magnitude - terms.largest) * (1 + 4 * wide) + slack
            rest = np.maximum(rest, 0) * (1 + growth) * (1 + 2 * u)
            absorbed = (rest <= u / 8 * terms.largest_low) & (terms.largest_low > 0)
            # the others are off by at most as much again: the nearest number is never further away than 0 is
            error = np.where(absorbed, np.minimum(error, 3 * rest + slack), error)
        return np.asarray(error)

    def last_rounding(self, magnitude: _Array) -> _Array:
        """Return how far the last rounding of a result of at most this magnitude may move it."""
        unit = self.rounding.last_unit
        if self.kernel.accumulator is not None:
            unit += 2 * float(self.kernel.accumulator.unit_roundoff)
        return np.asarray(unit * (1 + 8 * self._wide_unit) * magnitude + self.rounding.underflow)

    def summed(self, terms: Terms) -> tuple[_Array, _Array, bool]:
        """Return bounds of a computed sum, and whether no kernel rounds anything in it; see the module."""
        error, whole = self.error(terms)
        if whole.all() and whole.shape == terms.low.shape:
            return terms.low, terms.high, True
        low, high = self.rounding.before_rounding(lowered(terms.low, error), raised(terms.high, error))
        low, high = self.rounded(low, up=False), self.rounded(high, up=True)
        # what no kernel rounds is the exact sum, which the wide dtype holds exactly as well
        return np.where(whole, terms.low, low), np.where(whole, terms.high, high), bool(whole.all())

    # weights and rows -----------------------------------------------------------------------------------------------

    def times(self, left: Factor, right: Factor) -> Piece:
        """Return bounds of a product of two intervals, and of the part of it that may round."""
        corners = [left[a] * right[b] for a in (0, 1) for b in (0, 1)]
        corners = [np.where(np.isnan(corner), np.inf, corner) for corner in corners]  # 0 times what may be anything
        low, high = (
            np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3])),
            np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3])),
        )
        unknown = np.isinf(low) | np.isinf(high)
        low, high = np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)
        size = np.maximum(np.abs(low), np.abs(high))
        simple = np.zeros(size.shape, dtype=np.bool_)
        for factor in (left, right):
            simple = simple | ((factor[0] == factor[1]) & is_power_of_two(factor[0]))
        rounds = np.where(simple, 0, size)  # sums of these have no bias
        reduced = self.rounding.product_loss(left, right, self._wide_unit)
        return low, high, size, rounds, reduced, left[2] + right[2]

    def beyond(self, values: _Array, *, along: int | tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where a factor along axes may become infinite when it is rounded; axes are kept, of size 1."""
        return np.asarray((np.abs(values) > self.rounding.largest_factor).any(axis=along, keepdims=True))

    def gathered(self, pieces: Iterable[Piece], shape: tuple[int, ...]) -> Terms:
        """Return the terms of a sum of products, broadcast to a shape."""
        low, high, magnitude, count, rounding, reduced, largest, largest_low = np.zeros((8, *shape), dtype=self._dtype)
        grid = EVERYTHING
        for piece_low, piece_high, size, rounds, lost, piece_grid in pieces:
            low, high, magnitude = low + piece_low, high + piece_high, magnitude + size
            moving = size != 0
            count, rounding, reduced = count + moving, rounding + rounds, reduced + lost
            bigger = size > largest
            least = np.where((piece_low <= 0) & (piece_high >= 0), 0, np.minimum(np.abs(piece_low), np.abs(piece_high)))
            largest, largest_low = np.where(bigger, size, largest), np.where(bigger, least, largest_low)
            if moving.any():
                grid = min(grid, int(piece_grid))
        low, high = unbounded_where_infinite(low, high)
        return Terms(
            low, high, magnitude, count, rounding, np.asarray(grid), reduced, largest=largest, largest_low=largest_low
        )
