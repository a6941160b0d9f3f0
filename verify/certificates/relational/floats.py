"""Boxes of floats, taken apart and put together."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int

from constructions.activations import KernelError, Pieces
from verify.certificates.floats.arithmetic import RoundedArithmetic, RoundedWeight
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import EVERYTHING, grids_between, largest_of, round_array, wide_dtype
from verify.certificates.floats.sparse import SparseArithmetic
from verify.certificates.floats.sparse_rows import SparseRows, by_what_differs
from verify.certificates.relational.enclosures import Enclosures, enclosures_of
from verify.certificates.relational.factors.rounded import RoundedNumbers
from verify.certificates.relational.float_lines import FloatLines
from verify.certificates.relational.related import Origin, Scaled
from verify.certificates.relational.scaled import ScaledMargins

#: The most pieces of an activation in the derivation of the bounds along a line.
_PIECES = 3


class FloatEnclosures(Enclosures[RoundedWeight, SparseRows, Box]):
    """Inner rows are boxes of one member; outer rows enclose all cells once, and cell by cell where these differ."""

    def __init__(self, arithmetic: SparseArithmetic) -> None:
        """Take the rows of ``arithmetic`` apart."""
        self.inner: RoundedArithmetic = arithmetic.base
        if self.inner.rounding.relative and self.inner.kernel.exponential.one_weight:
            self.kernels = RoundedNumbers(self.inner)

    def count(self, rows: SparseRows) -> int:
        """Return the number of rows."""
        return rows.shared.shape[1]

    def width(self, inner: Box) -> int:
        """Return the number of coordinates."""
        return inner.shape[2]

    def one(self, rows: SparseRows, place: int) -> Box:
        """Return the box that encloses a row in all cells."""
        return rows.shared.rows(slice(place, place + 1))

    def repeated(self, inner: Box, count: int) -> Box:
        """Return a row so many times."""
        low, high = (np.repeat(part, count, axis=1) for part in (inner.low, inner.high))
        return Box(low, high, inner.grid, inner.exact)

    def hulls(self, inner: Box, first: Int[np.ndarray, " cells"], last: Int[np.ndarray, " cells"]) -> SparseRows:
        """Return for every cell the smallest and largest of some rows; infinite where one may be anything."""
        pairs, place = np.unique(np.stack([first, last], axis=1), axis=0, return_inverse=True)
        place = place.reshape(-1)
        chosen = [slice(start, stop + 1) for start, stop in pairs.tolist()]
        low = np.stack([inner.low[0, each].min(axis=0) for each in chosen])
        high = np.stack([inner.high[0, each].max(axis=0) for each in chosen])
        shared = Box(low.min(axis=0)[None, None], high.max(axis=0)[None, None], inner.grid, inner.exact)
        if len(pairs) == 1:
            return SparseRows(shared)
        everywhere = np.arange(inner.shape[2])
        return SparseRows(shared, everywhere, Box(low[place, None], high[place, None], inner.grid, inner.exact))

    def met(self, rows: SparseRows, place: int, other: SparseRows) -> SparseRows:
        """Return the rows with one of them in both enclosures."""
        shared = _met(rows.shared, place, other.shared)
        if rows.varying is None:
            return SparseRows(shared)
        return SparseRows(shared, rows.places, _met(rows.varying, place, other.columns(rows.places)))

    def along_lines(
        self,
        found: SparseRows,
        origin: Origin[SparseRows],
        hidden: SparseRows,
        weight: RoundedWeight,
        bias: RoundedWeight | None,
    ) -> SparseRows:
        """Return bounds of ``W h + b``, where ``h`` is not rounded by its activation."""
        pieces = _unrounded(origin, self.inner)
        if pieces is None:
            return found
        line = FloatLines(
            self.inner, origin.rows.dense(), origin.weight, origin.bias, pieces, hidden.dense(), weight, bias
        )
        told = line.sums()
        if told is None:
            return found
        outputs, box = told
        dense = found.dense()
        low, high = (np.broadcast_to(part, box.shape[:2] + dense.shape[2:]).copy() for part in (dense.low, dense.high))
        meets = np.maximum(low[..., outputs], box.low) <= np.minimum(high[..., outputs], box.high)
        low[..., outputs] = np.where(meets, np.maximum(low[..., outputs], box.low), low[..., outputs])
        high[..., outputs] = np.where(meets, np.minimum(high[..., outputs], box.high), high[..., outputs])
        return by_what_differs(Box(low, high, dense.grid, dense.exact))

    def scaled_margins(
        self,
        scaled: Scaled[SparseRows],
        weight: RoundedWeight,
        bias: RoundedWeight,
        expected: Int[np.ndarray, " cells"],
    ) -> Float[np.ndarray, " cells"] | None:
        """Return lower bounds of the margins of logits that read rows with one factor each."""
        margins = ScaledMargins(self.inner, weight, bias)
        return margins.lower(scaled.rows.dense(), scaled.normed.dense(), expected)

    def dense(self, weight: RoundedWeight) -> Float[np.ndarray, "rows columns"]:
        """Return the entries, which float64 holds."""
        return weight.values.astype(np.float64)

    def of_numbers(
        self, low: Float[np.ndarray, "cells rows width"], high: Float[np.ndarray, "cells rows width"]
    ) -> SparseRows:
        """Return rows of all floats between the bounds: one not below a bound is not below the nearest float."""
        fmt = self.inner.fmt
        below, above = (round_array(part.astype(wide_dtype(fmt)), fmt) for part in (low, high))
        grid = grids_between(below, above, fmt).min(axis=(0, 1), initial=EVERYTHING)
        return by_what_differs(self.inner.box(below, above, grid, exact=False))

    def varying(self, rows: SparseRows, place: int) -> Bool[np.ndarray, " width"]:
        """Return the coordinates of a row that are not the same single float in every cell."""
        return np.asarray(rows.shared.low[0, place] != rows.shared.high[0, place])

    def reads(self, weight: RoundedWeight) -> Bool[np.ndarray, "rows columns"]:
        """Return where a matrix is not 0."""
        return np.asarray(weight.values != 0)


def _unrounded(origin: Origin[SparseRows], arithmetic: RoundedArithmetic) -> Pieces | None:
    """Return the pieces of an activation whose kernels round nothing, and whose kinks are floats.

    ``None`` as well beyond what the bounds of :mod:`verify.certificates.relational.float_lines` are derived for: slopes
    of at most 1 in magnitude, and three pieces.
    """
    pieces = origin.activation.pieces()
    if pieces is None or origin.activation.error(arithmetic.fmt) != KernelError(0):
        return None
    if max(map(abs, pieces.slopes)) > 1 or len(pieces.slopes) > _PIECES:
        return None
    largest = largest_of(arithmetic.fmt)
    return pieces if all(kink <= largest and Fraction(float(kink)) == kink for kink in pieces.kinks) else None


def _met(box: Box, place: int, other: Box) -> Box:
    """Return a box with one row of it in another box as well; the grid and the exactness of what rounds stay."""
    low, high = np.maximum(box.low[:, place], other.low[:, 0]), np.minimum(box.high[:, place], other.high[:, 0])
    meets = low <= high  # not NaN either
    shape = (len(low), *box.shape[1:])
    both = [np.broadcast_to(part, shape).copy() for part in (box.low, box.high)]
    both[0][:, place] = np.where(meets, low, box.low[:, place])
    both[1][:, place] = np.where(meets, high, box.high[:, place])
    return Box(both[0], both[1], box.grid, box.exact)


@enclosures_of.register
def _(arithmetic: SparseArithmetic) -> FloatEnclosures:
    return FloatEnclosures(arithmetic)
