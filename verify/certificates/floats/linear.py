"""Bounds of linear maps in floats: ``W x + b``, with a bias that each kind of kernel adds in its own way."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from verify.certificates.floats.boxes import MOST, Box, Few, RoundedWeight, collapsed, fits, tainted, unbounded
from verify.certificates.floats.directed import (
    EVERYTHING,
    entry_products,
    grid_of,
    grids_between,
    is_power_of_two,
    matrix_product,
    only_entries,
)
from verify.certificates.floats.sums import Sums, Terms

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]

#: Products of a matrix with rows whose grids are looked at one by one, so that they take a few dozen megabytes.
_PRODUCTS = 2**20
#: Entries of a matrix that are looked at together, of which a rule of sums holds about a dozen copies: 32 MiB of each.
_ENTRIES = 2**22


class LinearBounds(Sums):
    """Linear maps on boxes."""

    def linear(self, rows: Box, weight: RoundedWeight, bias: RoundedWeight | None = None) -> Box:
        """Return ``W x + b``; a row that may hold what is not finite may become anything, even where ``W`` is 0."""
        found = tainted(self._linear(rows, weight, bias), unbounded(rows, along=-1))
        if self.rounding.largest_factor == np.inf:  # no factor is larger
            return found
        found = tainted(found, self.beyond(rows.magnitude, along=-1))
        return tainted(found, np.full((1, 1, 1), weight.largest > self.rounding.largest_factor))

    def _linear(self, rows: Box, weight: RoundedWeight, bias: RoundedWeight | None = None) -> Box:
        if weight.few is not None:
            return self._of_terms(*self.few_terms(rows, weight, weight.few, bias))
        moving = self._read(rows, weight)
        busy = np.flatnonzero((moving[0].magnitude != 0).any(axis=(0, 2)))
        if bias is None and len(busy) < rows.shape[1]:
            return self._only(rows, weight, busy)
        step = max(1, _ENTRIES // max(1, len(moving[1])))
        if rows.shape[0] == 1 and step < weight.shape[0]:
            return self._in_parts(rows, weight, bias, moving, step)
        return self._of_terms(*self.linear_terms(rows, weight, bias, moving))

    def _in_parts(
        self,
        rows: Box,
        weight: RoundedWeight,
        bias: RoundedWeight | None,
        moving: tuple[Box, Int[np.ndarray, " used"]],
        step: int,
    ) -> Box:
        """Return ``W x + b`` of a single box, some outputs at a time."""
        found = []
        for start in range(0, weight.shape[0], step):
            chosen = slice(start, start + step)
            part, shift = (
                None if held is None else RoundedWeight(held.values[chosen], held.grid[chosen], held.exact)
                for held in (weight, bias)
            )
            assert part is not None
            found.append(self._of_terms(*self.linear_terms(rows, part, shift, moving)))
        low, high = (np.concatenate(ends, axis=2) for ends in zip(*((box.low, box.high) for box in found), strict=True))
        return Box(low, high, np.concatenate([box.grid for box in found]), all(box.exact for box in found))

    def _of_terms(self, terms: Terms, exact: bool) -> Box:  # noqa: FBT001 # as linear_terms returns them
        low, high, whole = self.summed(terms)
        grid = terms.grid if terms.grid.ndim == 1 else terms.grid.min(axis=(0, 1), initial=EVERYTHING)
        return self.box(low, high, grid, exact=whole and exact)

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
        columns = np.flatnonzero(weight.reads)
        read = rows.columns(columns)
        moving = np.flatnonzero(read.moving)
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
        values, value_grid = weight.values[:, used], weight.grid[:, used]
        reduced = self.rounding.matrix_loss(x.magnitude, lambda: _point_grids(x), values, value_grid, self._wide_unit)
        simple = np.asarray((x.is_point & is_power_of_two(x.low)).all(axis=(0, 1)))
        sizes, near = self._near(x, len(values))
        x_low, x_high, size, product = x.low, x.high, x.magnitude, matrix_product
        place = only_entries(values) if np.isfinite(size).all() else None
        if place is None:
            simple, sizes, near = simple[None, :], sizes[..., None, :], near[..., None, :]
        else:  # every sum is one product, with the one coordinate that it reads: the rest is 0 and no part of it
            x_low, x_high, size, product = x_low[..., place], x_high[..., place], size[..., place], entry_products
            values, value_grid = (part[np.arange(len(place)), place][:, None] for part in (values, value_grid))
            simple, sizes, near = simple[place][:, None], sizes[..., place, None], near[..., place, None]
        positive, negative = np.maximum(values, 0).T, np.minimum(values, 0).T
        low = product(x_low, positive) + product(x_high, negative)
        high = product(x_high, positive) + product(x_low, negative)
        magnitude = product(size, np.abs(values).T)
        count = product((size != 0).astype(self._dtype), (values != 0).astype(self._dtype).T)
        may_round = self._may_round(simple, values, bias)
        rounding = product(size, np.abs(np.where(may_round, values, 0)).T)
        grid, alone = self._grids(sizes, near, values, value_grid)
        exact = rows.exact and weight.exact
        if bias is not None:
            shift = bias.values[:, 0]
            low, high, magnitude = low + shift, high + shift, magnitude + np.abs(shift)
            count = count + (shift != 0)
            grid = np.minimum(grid, bias.grid[:, 0])
            exact = exact and bias.exact
        return Terms(low, high, magnitude, count, rounding, grid, reduced, held=alone), exact

    def few_terms(self, rows: Box, weight: RoundedWeight, few: Few, bias: RoundedWeight | None) -> tuple[Terms, bool]:
        """Return the same for a matrix of few entries in a row, one after the other."""
        values, used = few.numbers, few.numbers != 0

        def total(products: _Array) -> _Array:
            return np.asarray(np.where(used, products, 0).sum(axis=-1, dtype=self._dtype))

        x_low, x_high = rows.low[..., few.columns], rows.high[..., few.columns]
        size, positive, negative = (
            np.maximum(np.abs(x_low), np.abs(x_high)),
            np.maximum(values, 0),
            np.minimum(values, 0),
        )
        with np.errstate(invalid="ignore"):  # a row that may hold what is not finite becomes anything
            low = total(x_low * positive) + total(x_high * negative)
            high = total(x_high * positive) + total(x_low * negative)
            products = size * np.abs(values)
        simple = np.asarray((rows.is_point & is_power_of_two(rows.low)).all(axis=(0, 1)))[few.columns]
        may_round = ~is_power_of_two(values) & ~simple
        near = np.maximum(rows.grid, grids_between(rows.low, rows.high, self.fmt))[..., few.columns]
        grids = np.where(used & (size != 0), near + few.grids, EVERYTHING)
        lost = self.rounding.product_loss(
            (x_low, x_high, _point_grids(rows)[..., few.columns]), (values, values, few.grids), self._wide_unit
        )
        reduced = total(np.broadcast_to(lost, size.shape)) * (1 + 2 * MOST * self._wide_unit)
        magnitude, count = total(products), total(size != 0)
        grid, exact = grids.min(axis=-1, initial=EVERYTHING), rows.exact and weight.exact
        if bias is not None:
            shift = bias.values[:, 0]
            may_round &= self.rounding.rounds_products(bias.values)
            low, high, count = low + shift, high + shift, count + (shift != 0)
            magnitude, grid = magnitude + np.abs(shift), np.minimum(grid, bias.grid[:, 0])
            exact = exact and bias.exact
        held = np.asarray(fits(np.where(used, products, 0), grids, self.fmt.precision))
        rounding = total(np.where(may_round, products, 0))
        return Terms(low, high, magnitude, count, rounding, grid, reduced, held=np.asarray(held.all(axis=3))), exact

    def _near(self, x: Box, outputs: int) -> tuple[_Array, np.ndarray[Any, np.dtype[np.int64]]]:
        """Return the largest magnitudes of coordinates, and a grid of each.

        What a coordinate is in one row may lie on a coarser grid than what it is in all of them, as positions that do
        not matter hold anything. Row by row is work for every product, so only where these are not too many.
        """
        if x.low.size * outputs <= _PRODUCTS:
            return x.magnitude, np.maximum(x.grid, grids_between(x.low, x.high, self.fmt))
        return np.asarray(x.magnitude.max(axis=(0, 1), initial=0)), x.grid

    def _grids(
        self, size: _Array, near: np.ndarray[Any, Any], values: _Array, weight_grid: np.ndarray[Any, Any]
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return a grid that the products of every output lie on, and whether each of them is held by the format.

        Args:
            size: of what meets each entry of the matrix.
            near: grids of this.
            values: the entries of each output.
            weight_grid: of these.

        """
        grid = np.where((values != 0) & (size != 0), near + weight_grid, EVERYTHING)
        alone = fits(np.abs(values) * size, grid, self.fmt.precision).all(axis=-1)
        return grid.min(axis=-1, initial=EVERYTHING), np.asarray(alone)

    def _may_round(
        self, simple: np.ndarray[Any, Any], values: _Array, bias: RoundedWeight | None
    ) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where a product of a weight and a coordinate may round before it is added.

        Not with a power of two on either side, of which ``simple`` says where coordinates are, and only where the
        kernel's rounding says so of the bias.
        """
        found = ~is_power_of_two(values) & ~simple
        if bias is not None:
            found &= self.rounding.rounds_products(bias.values)
        return np.asarray(found)


def _point_grids(x: Box) -> np.ndarray[Any, Any]:
    """Return a grid for each number of a box: a number that is known lies on one that may be coarser than all do."""
    known = x.is_point & np.isfinite(x.low)
    return np.where(known, np.maximum(x.grid, grid_of(np.where(known, x.low, 0))), x.grid)
