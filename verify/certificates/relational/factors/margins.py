"""Margins of logits that read a row with factors: a factor that all of them have is positive, and drops out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from verify.certificates.cells import BATCH_NUMBERS
from verify.certificates.relational.factors.kernels import Kernels
from verify.certificates.relational.factors.linear import Matrix, Sums
from verify.certificates.relational.factors.parts import Part
from verify.certificates.relational.factors.rows import Row, common
from verify.certificates.relational.factors.table import ALONE, Bounds, Monomial, Table, slack

_Array = Float[np.ndarray, "..."]
_Places = Int[np.ndarray, "..."]
#: A product of factors, and bounds of what it is a factor of, cells x tokens.
_Piece = tuple[Monomial, Bounds]


@dataclass(frozen=True)
class LogitMargins:
    """Bounds the differences of the logits ``W x + b``.

    Two computed logits differ by ``(W_v - W_w) x + b_v - b_w``, and by the error of either, which is relative to its
    own terms. The difference is bounded with all its factors, and divided by those that its parts have in common.

    Attributes:
        table: factors and unknown numbers.
        kernels: what the logits may be off by.
        weight: ``W``.
        bias: ``b``.

    """

    table: Table
    kernels: Kernels
    weight: Matrix
    bias: Matrix

    def lower(self, row: Row, expected: Int[np.ndarray, " cells"]) -> Float[np.ndarray, " cells"]:
        """Return lower bounds of the margins; NaN, or infinite, where a number may not be finite."""
        read = np.flatnonzero(self.weight.nonzero.any(axis=0) & row.nonzero(self.table))
        errors = Sums(self.table, self.kernels).errors(row, self.weight, self.bias)
        lower = np.full(len(expected), np.inf)
        chunk = max(1, BATCH_NUMBERS // (len(self.weight.values) * max(1, len(read))))
        for start in range(0, len(expected), chunk):
            cells = np.arange(len(expected))[start : start + chunk]
            tokens = expected[cells]
            pieces = [self._raised(tokens)]
            pieces += [(one.monomial, self._gaps(one, tokens, read, cells)) for one in row.parts]
            pieces += [(monomial, _around(0, self._both(_at(error, cells), tokens))) for monomial, error in errors]
            lower[cells] = self._least(pieces, common(row.parts), tokens, cells)
        return lower

    def _least(self, pieces: list[_Piece], factor: Monomial, expected: _Places, cells: _Places) -> _Array:
        """Return the least of the sums of pieces, with their common factor and without it."""
        whole, inner = self._summed(pieces, ALONE, cells), self._summed(pieces, factor, cells)
        low, high = (_at(end[:, None], cells) for end in self.table.times(factor))
        taken = np.where(inner > 0, inner * low, inner * high)
        found = np.fmax(whole, taken - slack(1) * np.abs(taken))
        found = np.where(np.arange(found.shape[1]) == expected[:, None], np.inf, found)
        return np.asarray(found.min(axis=1))

    def _raised(self, expected: _Places) -> _Piece:
        """Return the differences of biases."""
        shift = self.bias.column
        raised, size = shift[expected][:, None] - shift, np.abs(shift[expected])[:, None] + np.abs(shift)
        return ALONE, _around(raised, slack(1) * size)

    def _both(self, error: _Array, expected: _Places) -> _Array:
        """Return the error of a logit and that of the promised one."""
        places = np.broadcast_to(error, (len(expected), error.shape[1]))
        return np.asarray((places + places[np.arange(len(expected)), expected][:, None]) * (1 + slack(1)))

    def _gaps(self, one: Part, expected: _Places, read: _Places, cells: _Places) -> Bounds:
        """Return bounds of ``(W_v - W_w) X`` for one part, cells x tokens."""
        weight = self.weight.values[:, read]
        difference = weight[expected][:, None] - weight
        heavy = np.abs(weight[expected])[:, None] + np.abs(weight)
        middle, radius = (_at(part, cells)[:, None] for part in self.table.middles(one.names))
        known, own, size = (_at(part[:, read], cells)[:, None] for part in (one.known, one.error, one.size(self.table)))
        slopes = difference @ one.slopes[read]
        centre = (difference * known).sum(axis=2) + (slopes * middle).sum(axis=2)
        wide = (np.abs(difference) * own).sum(axis=2) + (np.abs(slopes) * radius).sum(axis=2)
        count = len(read) + len(one.names)
        wide = wide * (1 + slack(count)) + 2 * slack(count) * (heavy * size).sum(axis=2)
        return _around(centre, wide)

    def _summed(self, pieces: list[_Piece], divisor: Monomial, cells: _Places) -> _Array:
        """Return lower bounds of the sum, divided by a product of factors."""
        together: dict[Monomial, Bounds] = {}
        for monomial, bounds in pieces:
            held = together.get(monomial)
            together[monomial] = bounds if held is None else Bounds(held.low + bounds.low, held.high + bounds.high)
        total, size = np.zeros(1), np.zeros(1)
        for monomial, bounds in together.items():
            scale = self.table.over(monomial, divisor)
            below, above = (_at(end[:, None], cells) for end in scale)
            total = total + np.where(bounds.low > 0, bounds.low * below, bounds.low * above)
            size = size + np.maximum(np.abs(bounds.low), np.abs(bounds.high)) * above
        return np.asarray(total - slack(4 * len(pieces)) * size)


def _at(values: _Array, cells: _Places) -> _Array:
    """Return the values of some cells, of all or of one that stands for all."""
    return values if len(values) == 1 else values[cells]


def _around(centre: _Array | int, wide: _Array) -> Bounds:
    return Bounds(centre - wide, centre + wide)
