r"""ROUNDED: floats as boxes that hold whatever a kernel computes, in any order of summation, with or without FMA.

For a sum of ``n`` terms that are not zero, with ``S`` the exact sum and ``M`` the sum of the magnitudes:

- *Nothing rounds.* If the terms lie on the grid ``2^g`` and ``M <= 2^(p+g)``, every partial sum in every order is
  representable, products are too, and the result is ``S``.
- *Two terms, each held.* If both are numbers of the format by themselves (a product is on its own grid ``2^h`` and at
  most ``2^(p+h)``) and the sum lies on ``2^g`` and is at most ``2^(p+g)`` in magnitude, nothing rounds either.
- *One or two terms.* There is one addition at most, the last operation. Rounding is monotone, so the result lies
  between the rounded bounds of ``p_1 + p_2``, each ``p`` the product or the rounded product.
- *More terms.* Before the last operation every term has met at most one rounding of its product and ``n - 2`` of
  partial sums, whatever the tree of additions: an error of at most ``u M_x (1 + u)^(n-2) + ((1 + u)^(n-2) - 1) M``,
  with ``M_x`` the part of ``M`` whose products may round. The last operation is a monotone rounding again.
- *Absorption.* If one term is so large that all others together stay below ``u/8`` of it, then a partial sum with it
  that has been rounded stays what it is, as the others are less than a quarter of its spacing: the result is the
  rounding of the large term plus at most the others.
- *Overflow.* If ``M`` is beyond the largest number, some order may overflow, and the result is anything, NaN too.

Each subnormal product adds half of the smallest number. Terms that are exactly zero change nothing in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, NoReturn, final

import flint
import numpy as np
from jaxtyping import Int, Shaped

from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.temperature import Hardmax, RationalSoftmax, Softmax, Temperature
from constructions.validation import InvalidArgument
from verify.arithmetic.base import Arithmetic, Visible
from verify.arithmetic.gaps import score_gap
from verify.certificates.boxes import Box, collapsed, fits, tainted, unbounded, unbounded_where_infinite
from verify.certificates.kernel import EXP_ULPS, TF32_PRECISION, Kernel
from verify.certificates.rounding import (
    EVERYTHING,
    grid_of,
    is_power_of_two,
    largest_of,
    lowered,
    next_down,
    next_up,
    raised,
    round_array,
    wide_dtype,
    wide_precision,
)

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class RoundedWeight:
    """A weight matrix as the kernel holds it.

    Attributes:
        values: rounded to the format, in the wide dtype.
        grid: of every entry.
        exact: whether every entry is the exact weight.

    """

    values: Shaped[np.ndarray, "rows columns"]
    grid: Int[np.ndarray, "rows columns"]
    exact: bool


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


@final
class RoundedArithmetic(Arithmetic[RoundedWeight, Box, Box]):
    """The float arithmetic of a certificate.

    Attributes:
        kernel: what is assumed of the kernels.
        fmt: the number format.

    """

    batched: ClassVar[bool] = True
    fmt: Format
    device = "any"

    def __init__(self, kernel: Kernel) -> None:
        """Bound the kernels that ``kernel`` describes."""
        self.kernel = kernel
        self.fmt = kernel.fmt
        self.name = f"rounded {kernel.fmt.name}" + (" with TF32" if kernel.tf32 else "")
        self._dtype = wide_dtype(kernel.fmt)
        self._wide_unit = self._dtype.type(2.0) ** -wide_precision(kernel.fmt)

    # rounding -------------------------------------------------------------------------------------------------------

    def rounded(self, values: _Array, *, up: bool) -> _Array:
        """Return a bound of what rounding gives: once in the format, and twice through a kernel's accumulator."""
        once = round_array(values, self.fmt)
        if self.kernel.accumulator is None:
            return once
        twice = round_array(round_array(values, self.kernel.accumulator), self.fmt)
        return np.asarray(np.maximum(once, twice) if up else np.minimum(once, twice))

    def _box(self, low: _Array, high: _Array, grid: np.ndarray[Any, Any], *, exact: bool) -> Box:
        low, high = unbounded_where_infinite(low, high)
        return collapsed(Box(low, high, grid, exact))

    def error(self, terms: Terms) -> tuple[_Array, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Return how far a sum may be off before its last rounding, and where nothing rounds at all; see the module."""
        u, wide = self._dtype.type(self.kernel.unit), self._wide_unit
        # the bounds themselves were summed in the wide dtype, at most count + 1 roundings each, none where all fits
        bits = wide_precision(self.fmt)
        known = fits(terms.magnitude, terms.grid, bits) | ((terms.count <= 1) & (2 * self.fmt.precision <= bits))
        slack = np.where(known, 0, 2 * (terms.count + 2) * wide * terms.magnitude)
        magnitude = terms.magnitude * (1 + 2 * (terms.count + 4) * wide)
        # on a grid no finer than the smallest number above 0, nothing underflows
        held = terms.grid >= self.fmt.min_exponent - self.fmt.precision + 1
        whole = held & fits(magnitude, terms.grid, self.fmt.precision) & (terms.reduced == 0)
        # tensor cores cut the terms of a sum off at the largest of them, which costs every addition relative to all
        if terms.held is not None:
            size = np.maximum(np.abs(terms.low), np.abs(terms.high))
            summed = fits(size, terms.grid, self.fmt.precision) & fits(magnitude, terms.grid, bits)
            whole = whole | (held & terms.held & (terms.count <= 2) & summed & (terms.reduced == 0))
        more = (terms.count if self.kernel.tf32 else np.maximum(terms.count - 2, 0)) * u
        growth = np.where(more < 1, more / np.where(more < 1, 1 - more, 1), np.inf)  # (1 + u)^n - 1 <= nu / (1 - nu)
        error = u * terms.rounding * (1 + growth) + growth * magnitude + terms.reduced
        error = error * (1 + 8 * wide) + slack + np.where(held, 0, terms.count * self.kernel.underflow)
        if terms.largest is not None and terms.largest_low is not None:
            rest = (magnitude - terms.largest) * (1 + 4 * wide) + slack
            rest = np.maximum(rest, 0) * (1 + growth) * (1 + 2 * u)
            absorbed = (rest <= u / 8 * terms.largest_low) & (terms.largest_low > 0)
            if self.kernel.tf32:  # what truncates absorbs nothing
                absorbed = np.zeros_like(absorbed)
            # the others are off by at most as much again: the nearest number is never further away than 0 is
            error = np.where(absorbed, np.minimum(error, 3 * rest + slack), error)
        # the only operation of a single term is the last one; of two, the sum, after their products
        error = np.where((terms.count <= 1) & (terms.reduced == 0), slack, error)
        # beyond the largest number a partial sum may be infinite in some order, whatever the sum is
        over = magnitude * (1 + growth) * (1 + 2 * u) > self._dtype.type(largest_of(self.fmt))
        return np.where(over, np.inf, error), whole & ~over

    def last_rounding(self, magnitude: _Array) -> _Array:
        """Return how far the last rounding of a result of at most this magnitude may move it."""
        unit = self.kernel.unit * (3 if self.kernel.tf32 else 1)
        if self.kernel.accumulator is not None:
            unit += 2 * float(self.kernel.accumulator.unit_roundoff)
        return np.asarray(unit * (1 + 8 * self._wide_unit) * magnitude + self.kernel.underflow)

    def summed(self, terms: Terms) -> tuple[_Array, _Array, bool]:
        """Return bounds of a computed sum, and whether no kernel rounds anything in it; see the module."""
        error, whole = self.error(terms)
        low, high = lowered(terms.low, error), raised(terms.high, error)
        if self.kernel.tf32:
            spread = 2 * self._dtype.type(self.kernel.unit)
            low, high = low - spread * np.abs(low), high + spread * np.abs(high)
        low, high = self.rounded(low, up=False), self.rounded(high, up=True)
        # what no kernel rounds is the exact sum, which the wide dtype holds exactly as well
        return np.where(whole, terms.low, low), np.where(whole, terms.high, high), bool(whole.all())

    # weights and rows -----------------------------------------------------------------------------------------------

    def weight(self, matrix: ExactMatrix) -> RoundedWeight:
        """Return the matrix, every entry correctly rounded."""
        held = matrix.to_numpy(self.fmt)
        exact = not any(value != float(held[row, column]) for row, column, value in matrix.nonzero())
        return RoundedWeight(np.asarray(held, dtype=self._dtype), grid_of(held), exact)

    def prompt(self, virtual_tokens: Ratios) -> Box:
        """Return known virtual tokens."""
        return self.prompt_between(virtual_tokens, virtual_tokens)

    def prompt_between(self, low: Ratios, high: Ratios) -> Box:
        """Return virtual tokens between two; rounding is monotone, so it rounds the bounds.

        A number ``n/d`` that is not 0 is at least ``1/d``, so its float is a multiple of the spacing there.
        """
        denominator = low.denominator
        below = np.asarray(low.to_float(self.fmt), dtype=self._dtype)
        above = np.asarray(high.to_float(self.fmt), dtype=self._dtype)
        numerators = [part.numerators for part in (low, high) if part.numerators.size]
        largest = max((max(-int(part.min()), int(part.max())) for part in numerators), default=0)
        power = denominator & (denominator - 1) == 0
        finest = 1 - denominator.bit_length()
        exact = power and largest <= 2**self.fmt.precision and finest > self.fmt.min_exponent - self.fmt.precision
        if exact:
            grid = finest
        else:
            least = -denominator.bit_length()  # 2^least < 1/d
            grid = max(least, self.fmt.min_exponent) - self.fmt.precision + 1
        grids = np.full(below.shape[-1], grid, dtype=np.int64)
        zero = ((below == 0) & (above == 0)).all(axis=(0, 1))
        grids[zero] = EVERYTHING
        return self._box(below, above, grids, exact=exact)

    def embed(self, embedding: RoundedWeight, tokens: Int[np.ndarray, "*batch length"]) -> Box:
        """Return the columns of known tokens."""
        return self.embed_between(embedding, tokens, tokens)

    def embed_between(
        self, embedding: RoundedWeight, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> Box:
        """Return bounds of the columns of tokens between two."""
        pairs, place = np.unique(np.stack([low.reshape(-1), high.reshape(-1)], axis=1), axis=0, return_inverse=True)
        width = embedding.values.shape[0]
        below = np.empty((len(pairs), width), dtype=self._dtype)
        above = np.empty((len(pairs), width), dtype=self._dtype)
        for index, (first, last) in enumerate(pairs.tolist()):
            columns = embedding.values[:, first : last + 1]
            below[index], above[index] = columns.min(axis=1), columns.max(axis=1)
        grid = embedding.grid.min(axis=1, initial=EVERYTHING)
        shape = (*low.shape, width)
        place = place.reshape(-1)
        return self._box(below[place].reshape(shape), above[place].reshape(shape), grid, exact=embedding.exact)

    def positions(self, context_size: int, start: int, stop: int) -> Box:
        """Return rows of the identity."""
        codes = np.eye(context_size, dtype=self._dtype)[None, start:stop]
        return Box(codes, codes, np.zeros(context_size, dtype=np.int64))

    def beside(self, left: Box, right: Box) -> Box:
        """Return the rows side by side."""
        batch = max(left.shape[0], right.shape[0])
        low, high = (
            np.concatenate([np.broadcast_to(part, (batch, *part.shape[1:])) for part in parts], axis=-1)
            for parts in ((left.low, right.low), (left.high, right.high))
        )
        shared = np.concatenate([left.sharing, right.sharing])
        return Box(low, high, np.concatenate([left.grid, right.grid]), left.exact and right.exact, shared)

    def below(self, top: Box, bottom: Box) -> Box:
        """Return the rows one under the other."""
        batch = max(top.shape[0], bottom.shape[0])
        low, high = (
            np.concatenate([np.broadcast_to(part, (batch, *part.shape[1:])) for part in parts], axis=-2)
            for parts in ((top.low, bottom.low), (top.high, bottom.high))
        )
        exact = top.exact and bottom.exact
        return Box(low, high, np.minimum(top.grid, bottom.grid), exact, top.sharing & bottom.sharing)

    def last(self, rows: Box) -> Box:
        """Return the last row."""
        return rows.rows(slice(-1, None))

    # operations -----------------------------------------------------------------------------------------------------

    def linear(self, rows: Box, weight: RoundedWeight, bias: RoundedWeight | None = None) -> Box:
        """Return ``W x + b``; a row that may hold what is not finite may become anything, even where ``W`` is 0."""
        return tainted(self._linear(rows, weight, bias), unbounded(rows, along=-1))

    def _linear(self, rows: Box, weight: RoundedWeight, bias: RoundedWeight | None = None) -> Box:
        moving = self._read(rows, weight)
        busy = np.flatnonzero((moving[0].magnitude != 0).any(axis=(0, 2)))
        if bias is None and len(busy) < rows.shape[1]:
            return self._only(rows, weight, busy)
        terms, exact = self.linear_terms(rows, weight, bias, moving)
        low, high, whole = self.summed(terms)
        grid = terms.grid
        return self._box(low, high, grid, exact=whole and exact)

    def _only(self, rows: Box, weight: RoundedWeight, busy: Int[np.ndarray, " busy"]) -> Box:
        """Return ``W x`` where only some rows are not zero."""
        width = weight.values.shape[0]
        if not len(busy):
            zero = np.zeros((1, rows.shape[1], width), dtype=self._dtype)
            return Box(zero, zero, np.full(width, EVERYTHING), rows.exact and weight.exact)
        part = self._linear(Box(rows.low[:, busy], rows.high[:, busy], rows.grid, rows.exact, rows.shared), weight)
        low, high = (np.zeros((part.shape[0], rows.shape[1], width), dtype=self._dtype) for _ in range(2))
        low[:, busy], high[:, busy] = part.low, part.high
        return Box(low, high, part.grid, part.exact)

    def _read(self, rows: Box, weight: RoundedWeight) -> tuple[Box, Int[np.ndarray, " used"]]:
        """Return the coordinates that a matrix reads and that are not zero everywhere, and which they are."""
        columns = np.flatnonzero((weight.values != 0).any(axis=0))
        read = rows.columns(columns)
        moving = np.flatnonzero((read.magnitude != 0).any(axis=(0, 1)))
        return collapsed(read.columns(moving)), columns[moving]

    def linear_terms(
        self,
        rows: Box,
        weight: RoundedWeight,
        bias: RoundedWeight | None,
        read: tuple[Box, Int[np.ndarray, " used"]] | None = None,
    ) -> tuple[Terms, bool]:
        """Return the terms of ``W x + b``, and whether the box, the weights and the bias are exact."""
        x, used = self._read(rows, weight) if read is None else read
        values = weight.values[:, used]
        nonzero = values != 0
        positive, negative = np.maximum(values, 0).T, np.minimum(values, 0).T
        size = x.magnitude
        low = _product(x.low, positive) + _product(x.high, negative)
        high = _product(x.high, positive) + _product(x.low, negative)
        magnitude = _product(size, np.abs(values).T)
        count = _product((size != 0).astype(self._dtype), nonzero.astype(self._dtype).T)
        may_round = self._may_round(x, values)
        rounding = _product(size, np.abs(np.where(may_round, values, 0)).T)
        reduced = self._reduced(size, x.grid, values)
        grid = np.where(nonzero, x.grid[None, :] + weight.grid[:, used], EVERYTHING).min(axis=1, initial=EVERYTHING)
        exact = rows.exact and weight.exact
        if bias is not None:
            shift = bias.values[:, 0]
            low, high, magnitude = low + shift, high + shift, magnitude + np.abs(shift)
            count = count + (shift != 0)
            grid = np.minimum(grid, bias.grid[:, 0])
            exact = exact and bias.exact
        largest = size.max(axis=(0, 1), initial=0)
        alone = fits(np.abs(values) * largest, x.grid + weight.grid[:, used], self.fmt.precision).all(axis=1)
        return Terms(low, high, magnitude, count, rounding, grid, reduced, held=np.asarray(alone)), exact

    def _may_round(self, x: Box, values: _Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where a product of a weight and a coordinate may round: not with powers of two on either side."""
        if self.kernel.products == "fused":
            return np.zeros(values.shape, dtype=np.bool_)
        simple = np.asarray((x.is_point & is_power_of_two(x.low)).all(axis=(0, 1)))
        return ~is_power_of_two(values) & ~simple[None, :]

    def _reduced(self, size: _Array, grid: np.ndarray[Any, Any], values: _Array) -> _Array:
        """Return what rounding the factors to TF32 may change: ``2^-10`` of each that is not held by 11 bits."""
        if not self.kernel.tf32:
            return np.zeros((), dtype=self._dtype)
        step = self._dtype.type(2.0) ** (1 - TF32_PRECISION)
        kept_values = round_array(np.asarray(values, dtype=np.float64), _TF32) == values
        lost = np.where(fits(size, grid, TF32_PRECISION), 0, size)
        part = _product(size, np.abs(np.where(kept_values, 0, values)).T) + _product(lost, np.abs(values).T)
        return np.asarray(part * step * (1 + step))

    def relu(self, rows: Box) -> Box:
        """Return ``max(0, .)``; what may be anything may be NaN, and stays so."""
        anything = np.isinf(rows.low) & np.isinf(rows.high)
        low, high = np.maximum(rows.low, 0), np.maximum(rows.high, 0)
        if anything.any():
            low, high = np.where(anything, -np.inf, low), np.where(anything, np.inf, high)
        grid = np.where(((low == 0) & (high == 0)).all(axis=(0, 1)), EVERYTHING, rows.grid)
        return Box(low, high, grid, rows.exact)

    def scores(self, queries: Box, keys: Box) -> Box:
        """Return the inner products."""
        used = np.flatnonzero((queries.magnitude != 0).any(axis=(0, 1)) & (keys.magnitude != 0).any(axis=(0, 1)))
        q, k = collapsed(queries.columns(used)), collapsed(keys.columns(used))
        pieces = [
            self._times(
                (q.low[..., at, None], q.high[..., at, None], q.grid[at]),
                (k.low[..., None, :, at], k.high[..., None, :, at], k.grid[at]),
            )
            for at in range(len(used))
        ]
        shape = (max(q.shape[0], k.shape[0]), queries.shape[1], keys.shape[1])
        terms = self._gathered(pieces, shape)
        low, high, whole = self.summed(terms)
        grid = np.full(keys.shape[1], terms.grid, dtype=np.int64)
        found = self._box(low, high, grid, exact=whole and queries.exact and keys.exact)
        found = tainted(found, unbounded(queries, along=-1))
        return tainted(found, unbounded(keys, along=-1).swapaxes(-1, -2))

    def _times(self, left: _Factor, right: _Factor) -> _Piece:
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
        rounds = np.where(simple | (self.kernel.products == "fused"), 0, size)
        reduced = np.zeros((), dtype=self._dtype)
        if self.kernel.tf32:
            step = self._dtype.type(2.0) ** (1 - TF32_PRECISION)
            for factor in (left, right):
                kept = fits(np.maximum(np.abs(factor[0]), np.abs(factor[1])), factor[2], TF32_PRECISION)
                reduced = reduced + np.where(kept, 0, size) * step * (1 + step)
        return low, high, size, rounds, reduced, left[2] + right[2]

    def _gathered(self, pieces: Sequence[_Piece], shape: tuple[int, ...]) -> Terms:
        zero = np.zeros(shape, dtype=self._dtype)
        low, high, magnitude, count, rounding, reduced = (zero.copy() for _ in range(6))
        largest, largest_low = zero.copy(), zero.copy()
        grid = EVERYTHING
        for piece_low, piece_high, size, rounds, lost, piece_grid in pieces:
            low, high, magnitude = low + piece_low, high + piece_high, magnitude + size
            count, rounding, reduced = count + (size != 0), rounding + rounds, reduced + lost
            bigger = size > largest
            least = np.where((piece_low <= 0) & (piece_high >= 0), 0, np.minimum(np.abs(piece_low), np.abs(piece_high)))
            largest, largest_low = np.where(bigger, size, largest), np.where(bigger, least, largest_low)
            if (size != 0).any():
                grid = min(grid, int(piece_grid))
        low, high = unbounded_where_infinite(low, high)
        return Terms(
            low, high, magnitude, count, rounding, np.asarray(grid), reduced, largest=largest, largest_low=largest_low
        )

    def attention(self, scores: Box, visible: Visible, temperature: Temperature, *, key_size: int) -> Box:
        """Return bounds of the attention weights."""
        low, high = (np.where(visible, part, -np.inf) for part in (scores.low, scores.high))
        wild = np.asarray((~np.isfinite(scores.low) & visible).any(axis=-1, keepdims=True))
        if isinstance(temperature, Hardmax):
            return tainted(self._hardmax(low, high, visible, exact=scores.exact), wild)
        gap_low, gap_high = self._gap(temperature, key_size=key_size, length=visible.shape[1])
        z_low, z_high = self._exponents(scores.low, scores.high, gap_low, gap_high)
        overflow = ~(np.isfinite(z_low) & np.isfinite(z_high)) & visible
        wild = wild | overflow.any(axis=-1, keepdims=True)  # inf - inf is NaN
        if gap_low == 0:  # a hidden score is -inf, and 0 times it NaN
            wild = wild | ~visible.all(axis=-1, keepdims=True)
        z_low, z_high = (np.where(visible, part, -np.inf) for part in (z_low, z_high))
        below, above = self._below_largest(z_low, z_high)
        # or the largest score is taken off first, and the difference scaled
        early = self._exponents(*self._below_largest(low, high), gap_low, gap_high)
        below, above = np.minimum(below, early[0]), np.minimum(np.maximum(above, early[1]), 0)
        # a known score that no other exceeds is the largest exponent itself, as scaling by the gap keeps the order
        top = (low == high) & (low == high.max(axis=-1, keepdims=True))
        d_low, d_high = np.where(top, 0, below), np.where(top, 0, above)
        e_low, e_high, summands = (
            np.where(visible, part, 0)
            for part in (self._exp(d_low, up=False), self._exp(d_high, up=True), self._summands(d_high))
        )
        return tainted(self._normalised(e_low, e_high, visible, exact=scores.exact, summands=summands), wild)

    def _below_largest(self, low: _Array, high: _Array) -> tuple[_Array, _Array]:
        """Return bounds of the difference from the largest of a row, rounded or not; never above 0."""
        below = next_down(low - high.max(axis=-1, keepdims=True))
        above = next_up(high - low.max(axis=-1, keepdims=True))
        below = np.minimum(below, self.rounded(below, up=False))
        return below, np.minimum(np.maximum(above, self.rounded(above, up=True)), 0)

    def _exponents(self, low: _Array, high: _Array, gap_low: Any, gap_high: Any) -> tuple[_Array, _Array]:
        """Return bounds of numbers times the gap."""
        return self._scaled(low, gap_low, gap_high, up=False), self._scaled(high, gap_low, gap_high, up=True)

    def _gap(self, temperature: Softmax | RationalSoftmax, *, key_size: int, length: int) -> tuple[Any, Any]:
        """Return bounds of the factor of the scores, as a kernel may hold it: in float64, or rounded."""
        gap = np.asarray(score_gap(temperature, key_size=key_size, length=length), dtype=self._dtype)
        held = [gap, round_array(gap, self.fmt)]
        if self.kernel.accumulator is not None:
            held.append(round_array(gap, self.kernel.accumulator))
        if gap < 0:
            raise InvalidArgument(
                "q: expected at least 1 in rounded arithmetic, as kernels scale a hidden score of -inf by ln q, but got"
                f" {temperature!r}"
            )
        return min(held), max(held)

    def _scaled(self, scores: _Array, gap_low: Any, gap_high: Any, *, up: bool) -> _Array:
        with np.errstate(invalid="ignore"):  # hidden keys
            corners = (scores * gap_low, scores * gap_high)
        value = np.maximum(*corners) if up else np.minimum(*corners)
        value = np.where(scores == 0, 0, next_up(value) if up else next_down(value))
        rounded = self.rounded(value, up=up)
        return np.asarray(np.maximum(value, rounded) if up else np.minimum(value, rounded))

    def _summands(self, exponents: _Array) -> _Array:
        """Return upper bounds of what a kernel sums: a more precise one keeps what is too small for the format."""
        return self._exp(exponents, up=True, kept=self.kernel.accumulator is not None)

    def _exp(self, exponents: _Array, *, up: bool, kept: bool = False) -> _Array:
        """Return a bound of a computed ``exp`` of numbers that are not positive, by the assumption of the kernel.

        Args:
            exponents: what ``exp`` is taken of.
            up: an upper bound, not a lower one.
            kept: whether what is below half of the smallest number may be kept, not 0.

        """
        distinct, place = np.unique(exponents, return_inverse=True)
        relative = flint.arb(2 * EXP_ULPS) * flint.arb(2) ** -self.fmt.precision
        smallest = _arb(self.kernel.smallest)
        inner = self.kernel.accumulator
        narrow = flint.arb(0) if inner is None else flint.arb(2 * EXP_ULPS) * flint.arb(2) ** -inner.precision
        values = []
        for exponent in distinct:
            if exponent == 0:
                values.append(self._dtype.type(1))
                continue
            if np.isneginf(exponent):
                values.append(self._dtype.type(0))
                continue
            true = _arb_of_float(exponent).exp()
            if up:
                # the assumption on underflow; a more precise kernel rounds a number that is off already
                gone = not kept and bool(true * (1 + narrow) < smallest / 2)
                bound = true * (1 + relative) + EXP_ULPS * smallest
                values.append(self._dtype.type(0) if gone else _upper(bound, self._dtype))
            else:
                bound = true * (1 - relative) - (EXP_ULPS + 1) * smallest
                values.append(max(self._dtype.type(0), _lower(bound, self._dtype)))
        return np.asarray(np.array(values, dtype=self._dtype)[place.reshape(exponents.shape)])

    def _normalised(
        self, e_low: _Array, e_high: _Array, visible: Visible, *, exact: bool, summands: _Array | None = None
    ) -> Box:
        """Return the quotients by the sum; one of the summands is 1, as the largest exponent is 0."""
        # not a sum of products, so that tensor cores have no part in it
        u, count = self._dtype.type(float(self.fmt.unit_roundoff)), visible.sum(axis=-1, keepdims=True)
        growth = np.expm1(2 * u * count)
        top = e_low.argmax(axis=-1)[..., None]
        others_low = _sum_without(e_low, top)
        others_high = _sum_without(e_high if summands is None else summands, top) * (1 + growth)
        top_low = np.take_along_axis(e_low, top, axis=-1)
        top_high = np.take_along_axis(e_high, top, axis=-1)
        # at most u beside a 1 is absorbed, addition by addition, or kept by a more precise kernel
        absorbed = (others_high <= u) & (top_low == 1) & (top_high == 1)
        kept = others_high if self.kernel.accumulator is not None else np.zeros_like(others_high)
        total_low = np.where(absorbed, 1, (top_low + others_low) * (1 - growth))
        total_high = np.where(absorbed, 1 + kept, (top_high + others_high) * (1 + growth))
        total_low = np.maximum(total_low, 1)  # the largest summand is 1, and adding never makes it smaller
        low = self._divided(e_low, total_high, up=False)
        high = self._divided(e_high, total_low, up=True)
        one_hot = bool(absorbed.all() and (low == high).all() and (_sum_without(e_high, top) == 0).all())
        # a float that is at least x > 0 is a multiple of the spacing there
        smallest = self.fmt.min_exponent - self.fmt.precision + 1
        _, exponent = np.frexp(low)
        spaced = np.maximum(exponent.astype(np.int64) - 1, self.fmt.min_exponent) - self.fmt.precision + 1
        spaced = np.where(high == 0, EVERYTHING, np.where(low > 0, spaced, smallest))
        grid = np.where(low == high, grid_of(low), spaced).min(axis=(0, 1), initial=EVERYTHING)
        return self._box(low, high, grid, exact=exact and one_hot)

    def _divided(self, numerator: _Array, denominator: _Array, *, up: bool) -> _Array:
        """Return a bound of a quotient, or of the product with the rounded reciprocal."""
        outward = next_up if up else next_down
        whole = denominator == 1
        quotient = outward(numerator / denominator)
        inverse = outward(1 / denominator)
        inverses = [inverse, self.rounded(inverse, up=up)]
        if self.kernel.accumulator is not None:
            inverses.append(round_array(inverse, self.kernel.accumulator))
        products = [outward(numerator * part) for part in inverses]
        found = [self.rounded(part, up=up) for part in (quotient, *products)]
        found = [np.where(whole, self.rounded(numerator, up=up), np.where(numerator == 0, 0, part)) for part in found]
        best = np.maximum.reduce(found) if up else np.minimum.reduce(found)
        return np.asarray(np.maximum(best, 0))

    def _hardmax(self, low: _Array, high: _Array, visible: Visible, *, exact: bool) -> Box:
        """Return uniform weights over the keys of the largest score, where the scores are known."""
        if not ((low == high) | ~visible).all():
            wide = np.broadcast_to(np.where(visible, 1.0, 0.0), low.shape).astype(self._dtype)
            grid = np.full(visible.shape[1], self.fmt.min_exponent - self.fmt.precision + 1, dtype=np.int64)
            return self._box(np.zeros_like(wide), wide, grid, exact=False)
        chosen = (low == low.max(axis=-1, keepdims=True)) & visible
        return self._normalised(chosen.astype(self._dtype), chosen.astype(self._dtype), visible, exact=exact)

    def mix(self, attention: Box, values: Box) -> Box:
        """Return the weighted sums."""
        used = np.flatnonzero((attention.magnitude != 0).any(axis=(0, 1)) & (values.magnitude != 0).any(axis=(0, 2)))
        shape = (max(attention.shape[0], values.shape[0]), attention.shape[1], values.shape[2])
        columns = np.arange(values.shape[2])
        pieces = [
            self._times(
                (attention.low[:, :, at, None], attention.high[:, :, at, None], attention.grid[at]),
                (values.low[:, None, at], values.high[:, None, at], values.grid),
            )
            for at in used
        ]
        scalar = [(*piece[:5], int(np.min(piece[5], initial=EVERYTHING))) for piece in pieces]
        terms = self._gathered(scalar, shape)
        low, high, whole = self.summed(terms)
        grids = np.full(len(columns), EVERYTHING, dtype=np.int64)
        for piece in pieces:
            grids = np.minimum(grids, np.where((piece[2] != 0).any(axis=(0, 1)), piece[5], EVERYTHING))
        found = self._box(low, high, grids, exact=whole and attention.exact and values.exact)
        # a weight of 0 does not hide what is not finite
        found = tainted(found, unbounded(attention, along=-1))
        return tainted(found, unbounded(values, along=-2))

    def total(self, parts: Sequence[Box]) -> Box:
        """Return the sum of the heads' outputs, in any order."""
        shape = (max(part.shape[0] for part in parts), *parts[0].shape[1:])
        none = np.zeros((), dtype=self._dtype)
        pieces: list[_Piece] = [
            (part.low, part.high, part.magnitude, none, none, int(part.grid.min(initial=EVERYTHING))) for part in parts
        ]
        low, high, whole = self.summed(self._gathered(pieces, shape))
        grid = np.minimum.reduce([part.grid for part in parts])
        return self._box(low, high, grid, exact=whole and all(part.exact for part in parts))

    def argmax(self, logits: Box) -> NoReturn:
        """Refuse: bounds of logits do not name a token; see :mod:`verify.certificates.margins`."""
        raise InvalidArgument("arithmetic: expected a certificate, as rounded arithmetic bounds logits for all targets")

    def numbers(self, rows: Box) -> np.ndarray[Any, Any]:
        """Return the bounds side by side, shape ``batch x rows x width x 2``, as float64."""
        return np.stack([rows.low, rows.high], axis=-1).astype(np.float64)


def _product(left: _Array, right: _Array) -> _Array:
    """Return a product with a matrix; what may be anything stays so (``inf * 0`` is NaN)."""
    counts = np.count_nonzero(right, axis=0)
    with np.errstate(invalid="ignore"):
        if right.shape[0] and counts.max(initial=0) <= 1:  # a selection of coordinates, as most of the weights are
            place = (right != 0).argmax(axis=0)
            factor = right[place, np.arange(right.shape[1])]
            return np.asarray(np.where(factor == 0, 0, left[..., place] * factor))
        return np.asarray(left @ right)


def _sum_without(values: _Array, place: np.ndarray[Any, Any]) -> _Array:
    """Return the sum over the last axis without the entry at ``place``."""
    kept = values.copy()
    np.put_along_axis(kept, place, 0, axis=-1)
    return np.asarray(kept.sum(axis=-1, keepdims=True))


def _arb(value: Fraction) -> flint.arb:
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def _arb_of_float(value: Any) -> flint.arb:
    """Return a number of the wide dtype as a ball that holds it."""
    most = float(value)
    return flint.arb(most) + flint.arb(float(value - value.dtype.type(most)))


def _upper(bound: flint.arb, dtype: np.dtype[Any]) -> Any:
    return dtype.type(np.nextafter(float(bound.upper()), np.inf))


def _lower(bound: flint.arb, dtype: np.dtype[Any]) -> Any:
    return dtype.type(np.nextafter(float(bound.lower()), -np.inf))


_TF32 = Format("tf32", TF32_PRECISION, 127)

#: Bounds and grid of a factor; bounds, magnitude, rounding part, TF32 part and grid of a product.
_Factor = tuple[Any, Any, Any]
_Piece = tuple[Any, Any, Any, Any, Any, Any]
