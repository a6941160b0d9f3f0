r"""Margins at a readout of few entries in each row: tokens outside a band of near ones are never paired with a cell.

Cells come in runs, and so do tokens: about ``sqrt(V)`` of each in a run. Let ``H`` be the hull of the boxes of a run of
cells, and ``T`` a run of tokens. For every cell of the run, with promised token ``e``, every ``w`` of ``T`` and every
``x`` of the cell's box,

    ``L_e(x) - L_w(x)  >=  min over the run's cells of L_e  -  max over H of (max over T of W) x + (max over T of b)``,

where the maximum of a row over ``T`` is taken entry by entry. Where this is positive after the rounding errors of both
logits are taken off, no token of ``T`` is produced in any of these cells, and none is looked at again. A token of the
other runs is compared with groups of cells, of which each is an eighth of the one before:
``L_e - L_w = (L_e - L_r) - (L_w - L_r)`` at every point, with ``r`` the token of a cell in the middle of the group.
At single cells only pairs are left, for the sieve of pairs.

A run or a group is left out only where the bound is also at least an estimate of the margin between ``e`` and its
neighbours in the order of the readout, so that the smallest margin comes from pairs. These are looked at in the columns
that the run reads, so that the margin may be above that of pairs of whole rows, which charge the checker's rounding for
every column and try the floats of all. The estimate decides how much work is done, and nothing else.

Nothing here supposes that the tokens' bands are in order, or that there are any: of a readout in another order less is
left out, down to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int, Shaped

from verify.certificates.floats.boxes import RoundedWeight
from verify.certificates.floats.directed import EVERYTHING
from verify.certificates.floats.groups_of_cells import NUMBERS, Groups, known_grids
from verify.certificates.floats.readout_rows import Rows, Runs, logit_error

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic
    from verify.certificates.floats.sparse_weight import SparseWeight

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


def banded_margins(
    arithmetic: RoundedArithmetic,
    inputs: tuple[_Array, _Array, Int[np.ndarray, " width"]],
    weight: SparseWeight,
    bias: RoundedWeight,
    expected: Int[np.ndarray, " cells"],
    *,
    points: int,
) -> _Array:
    """Return lower bounds of the margins of some cells.

    Args:
        arithmetic: the float arithmetic.
        inputs: bounds of the readout's input, all finite, cells x width each, and its grid.
        weight: of the readout, V x width, all finite, with ``V >= 2``.
        bias: of the readout, V x 1.
        expected: the promised tokens.
        points: the most floats of a box that are tried one by one.

    """
    low, high, grid = inputs
    readout = Rows.of(weight, bias)
    places = readout.place[expected]
    order = np.argsort(places, kind="stable")
    found = np.empty(len(expected), dtype=weight.dtype)
    found[order] = Near(arithmetic, (low[order], high[order], grid), readout, places[order], points).lower()
    return found


class Near:
    """A batch of cells, the runs of tokens that are near each run of them, and the margins over these.

    Attributes:
        arithmetic: the float arithmetic.
        rows: of the readout.
        expected: the places of the promised tokens, ascending.
        error: how far each promised logit may be off.
        size: the sum of the magnitudes of its terms.
        wanted: about the margin over the next tokens.

    """

    def __init__(
        self,
        arithmetic: RoundedArithmetic,
        inputs: tuple[_Array, _Array, Int[np.ndarray, " width"]],
        rows: Rows,
        expected: Int[np.ndarray, " cells"],
        points: int,
    ) -> None:
        """Bound the promised logits of some cells, in the order of their tokens' places."""
        self.arithmetic, self.rounding, self.points = arithmetic, arithmetic.rounding, points
        self.low, self.high, self.grid = inputs
        self.rows, self.runs, self.expected = rows, Runs.of(rows), expected
        self.dtype = rows.bias.dtype
        self.unit, self.smallest = 2 * np.finfo(self.dtype).eps, np.finfo(self.dtype).smallest_subnormal
        self.starts = rows.starts(expected)
        self.ends = np.append(self.starts[1:], len(expected))
        self.own, self.error, self.size = self._own()
        # halves first, which cannot overflow
        self.wanted = self._wanted(self.low / 2 + self.high / 2)

    def lower(self) -> _Array:
        """Return lower bounds of the margins."""
        found = np.full(len(self.expected), np.inf, dtype=self.dtype)
        for start in range(0, len(self.starts), chunk := max(1, NUMBERS // self.runs.columns.size)):
            chosen = np.arange(start, min(start + chunk, len(self.starts)))
            gaps, kept = self._of_runs(chosen)
            for place, run in enumerate(chosen):
                cells = np.arange(self.starts[run], self.ends[run])
                found[cells] = np.where(kept[place], np.inf, gaps[place]).min()
                self._against(cells, self.runs.tokens(np.flatnonzero(kept[place])), found)
        return found

    def _wanted(self, centre: _Array) -> _Array:
        """Return about the margins over the next tokens, which no pruned pair may be below; 0 where negative."""
        cells, vocab = np.arange(len(self.expected)), len(self.rows.bias)
        own = self.rows.at(cells, self.expected, centre)
        near = [
            own - self.rows.at(cells, np.where(self.expected + step == end, other, self.expected + step), centre)
            for step, end, other in ((-1, -1, 1), (1, vocab, vocab - 2))
        ]
        return np.asarray(np.maximum(np.minimum(*near), 0))

    def _own(self) -> tuple[_Array, _Array, _Array]:
        """Return for each cell a lower bound of its promised logit, its rounding error, and the sum of its terms."""
        columns, numbers = self.rows.columns[self.expected], self.rows.numbers[self.expected]
        cells = np.arange(len(self.expected))[:, None]
        low, high = self.low[cells, columns], self.high[cells, columns]
        shift = self.rows.bias[self.expected]
        least = np.minimum(numbers * low, numbers * high).sum(axis=1) + shift
        error, size = self.rounding_of(
            (np.maximum(np.abs(low), np.abs(high)), known_grids(low, high, self.grid[columns])),
            (numbers, self.rows.grids[self.expected]),
            (shift, self.rows.bias_grids[self.expected]),
        )
        return least, error, size

    def rounding_of(
        self,
        inputs: tuple[_Array, _Array],
        weights: tuple[_Array, _Array],
        biases: tuple[_Array, _Array],
    ) -> tuple[_Array, _Array]:
        """Return how far logits may be off in all, and the sums of the magnitudes of their terms.

        Args:
            inputs: the largest magnitudes of what is read, sums x terms, and its grids.
            weights: the same numbers of each row, and their grids.
            biases: one for each sum, and its grid.

        """
        (size, grid), (numbers, number_grid), (shift, shift_grid) = inputs, weights, biases
        heavy = np.abs(numbers)
        products = heavy * size
        used = products != 0
        magnitude = products.sum(axis=1) + np.abs(shift)
        on = np.where(used, grid + number_grid, EVERYTHING).min(axis=1, initial=EVERYTHING)
        reduced = self.rounding.logit_loss(size, heavy, self.unit, (grid, number_grid))
        count = used.sum(axis=1, dtype=self.dtype) + (shift != 0)
        return logit_error(self.arithmetic, magnitude, count, np.minimum(on, shift_grid), reduced), magnitude

    def _of_runs(self, chosen: Int[np.ndarray, " runs"]) -> tuple[_Array, Bool[np.ndarray, "runs others"]]:
        """Return lower bounds of the margins of runs of cells over runs of tokens, and where these are looked at."""
        runs, first = self.runs, self.starts[chosen]
        stop = self.ends[chosen[-1]]
        starts = first - first[0]
        inside = slice(first[0], stop)
        low = np.minimum.reduceat(self.low[inside], starts)[:, runs.columns]
        high = np.maximum.reduceat(self.high[inside], starts)[:, runs.columns]
        corners = [number * end for number in (runs.low, runs.high) for end in (low, high)]
        top = np.maximum.reduce(corners).sum(axis=2) + runs.bias
        heavy, size = np.maximum(np.abs(runs.low), np.abs(runs.high)), np.maximum(np.abs(low), np.abs(high))
        magnitude = (heavy * size).sum(axis=2) + runs.bias_size
        flat = size.reshape(-1, size.shape[2])
        reduced = self.rounding.logit_loss(flat, np.broadcast_to(heavy, size.shape).reshape(flat.shape), self.unit)
        count = np.full(magnitude.shape, runs.count, dtype=self.dtype)
        nothing = np.full(magnitude.shape, -EVERYTHING)
        error = logit_error(self.arithmetic, magnitude, count, nothing, reduced.reshape(magnitude.shape))
        own = np.minimum.reduceat(self.own[inside] - self.error[inside], starts)
        total = magnitude + np.maximum.reduceat(self.size[inside], starts)[:, None]
        allowed = (error + (size.shape[2] + 6) * (self.unit * total + self.smallest)) * (1 + 8 * self.unit)
        gaps = own[:, None] - top - allowed
        wanted = np.maximum.reduceat(self.wanted[inside], starts)[:, None]
        return gaps, ~((gaps > 0) & (gaps >= wanted))

    def _against(self, cells: Int[np.ndarray, " cells"], tokens: Int[np.ndarray, " tokens"], found: _Array) -> None:
        """Lower the bounds of neighbouring cells to those of their margins over some tokens."""
        columns = self.rows.read(np.concatenate([tokens, self.expected[cells]]))
        step = max(1, NUMBERS // max(1, len(columns)) // 4)
        for start in range(0, len(tokens), step):
            part = tokens[start : start + step]
            Groups(self, cells, part, columns).lower(found)
