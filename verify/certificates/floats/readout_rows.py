"""The rows of a readout of few entries in each, in an order that puts like ones together, and runs of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Shaped

from verify.certificates.floats.boxes import RoundedWeight
from verify.certificates.floats.directed import EVERYTHING
from verify.certificates.floats.pairs_of_tokens import counted
from verify.certificates.floats.sums import Terms

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic
    from verify.certificates.floats.sparse_weight import SparseWeight

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a readout in an order of their own, padded with zeros to the same number of entries.

    The order is by the columns that a row reads, and then by its numbers there: whatever the order of tokens, those
    that read the same columns are neighbours. The place of a token in it stands for the token here.

    Attributes:
        place: of every token.
        columns: rows x entries; column 0 where padded.
        numbers: the same.
        grids: the same.
        bias: of every row.
        bias_grids: of every row.

    """

    place: Int[np.ndarray, " tokens"]
    columns: Int[np.ndarray, "rows entries"]
    numbers: _Array
    grids: Int[np.ndarray, "rows entries"]
    bias: _Array
    bias_grids: Int[np.ndarray, " rows"]

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, weight: SparseWeight, bias: RoundedWeight) -> Rows:
        """Return the rows of a readout; kept, as the same readout is read for every batch of cells."""
        vocab, entries = weight.shape[0], max(1, weight.most_in_a_row)
        columns, numbers = np.full((vocab, entries), -1), np.zeros((vocab, entries), dtype=weight.dtype)
        grids = np.full(columns.shape, EVERYTHING, dtype=np.int64)
        at = weight.rows, counted(np.diff(weight.starts))
        columns[at], numbers[at], grids[at] = weight.columns, weight.numbers, weight.grids
        order = np.lexsort([*numbers.T[::-1], *columns.T[::-1]])  # the last key is the first to be looked at
        place = np.empty(vocab, dtype=np.int64)
        place[order] = np.arange(vocab)
        columns = np.maximum(columns[order], 0)
        return cls(place, columns, numbers[order], grids[order], bias.values[order, 0], bias.grid[order, 0])

    def at(self, cells: Int[np.ndarray, " pairs"], places: Int[np.ndarray, " pairs"], x: _Array) -> _Array:
        """Return about the logits of tokens at points, one of each cell."""
        products = self.numbers[places] * x[cells[:, None], self.columns[places]]
        return np.asarray(products.sum(axis=1) + self.bias[places])

    def read(self, places: Int[np.ndarray, " chosen"]) -> Int[np.ndarray, " read"]:
        """Return the columns that some rows read."""
        return np.unique(self.columns[places][self.numbers[places] != 0])

    def chosen(self, places: Int[np.ndarray, " chosen"], columns: Int[np.ndarray, " read"]) -> RoundedWeight:
        """Return some rows, entry by entry, at columns that hold all that they read."""
        used = self.numbers[places] != 0
        down, across = np.nonzero(used)[0], np.searchsorted(columns, self.columns[places][used])
        values = np.zeros((len(places), len(columns)), dtype=self.numbers.dtype)
        grid = np.full(values.shape, EVERYTHING, dtype=np.int64)
        values[down, across], grid[down, across] = self.numbers[places][used], self.grids[places][used]
        return RoundedWeight(values, grid, exact=False)

    @property
    def run(self) -> int:
        """The most tokens, and cells, of a run: about as many as there are runs."""
        return max(1, math.isqrt(len(self.bias)))

    def starts(self, places: Int[np.ndarray, " ascending"]) -> Int[np.ndarray, " runs"]:
        """Return where runs of neighbours start: where another first column is read, or a run is full."""
        first = self.columns[places, 0]
        cuts = np.flatnonzero(np.diff(first, prepend=-1) != 0)
        since = np.arange(len(places)) - np.repeat(cuts, np.diff(cuts, append=len(places)))
        return np.flatnonzero(since % self.run == 0)


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of neighbouring tokens, with bounds of their rows, padded as :class:`Rows` are.

    Attributes:
        starts: the place of the first token of each run, and how many tokens there are.
        columns: that any row of a run reads, runs x columns.
        low: the smallest number there in any row of the run.
        high: the largest one.
        bias: the largest bias.
        bias_size: the largest magnitude of a bias.
        count: terms of a logit at most.

    """

    starts: Int[np.ndarray, " runs_and_1"]
    columns: Int[np.ndarray, "runs columns"]
    low: _Array
    high: _Array
    bias: _Array
    bias_size: _Array
    count: int

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, rows: Rows) -> Runs:
        """Return the runs of a readout."""
        vocab = len(rows.bias)
        starts = rows.starts(np.arange(vocab))
        size = np.diff(starts, append=vocab)
        used = rows.numbers != 0
        where = np.repeat(np.arange(len(starts)), size)[np.nonzero(used)[0]]
        keys, numbers = np.stack([where, rows.columns[used]]), rows.numbers[used]
        order = np.lexsort(keys[::-1])
        keys, numbers = keys[:, order], numbers[order]
        first = np.flatnonzero((np.diff(keys, axis=1, prepend=-1) != 0).any(axis=0))
        run, column = keys[:, first]
        some = np.diff(first, append=len(numbers)) < size[run]  # another row of the run has a 0 there
        low, high = (ends.reduceat(numbers, first) if len(first) else numbers for ends in (np.minimum, np.maximum))
        low, high = np.where(some, np.minimum(low, 0), low), np.where(some, np.maximum(high, 0), high)
        widths = np.bincount(run, minlength=len(starts))
        at = run, counted(widths)
        shape = len(starts), max(1, int(widths.max(initial=0)))
        columns, least, most = np.zeros(shape, dtype=np.int64), np.zeros(shape, low.dtype), np.zeros(shape, low.dtype)
        columns[at], least[at], most[at] = column, low, high
        biases = np.maximum.reduceat(rows.bias, starts), np.maximum.reduceat(np.abs(rows.bias), starts)
        return cls(np.append(starts, vocab), columns, least, most, *biases, rows.numbers.shape[1] + 1)

    def tokens(self, runs: Int[np.ndarray, " chosen"]) -> Int[np.ndarray, " tokens"]:
        """Return the places of all tokens of some runs."""
        counts = self.starts[runs + 1] - self.starts[runs]
        return np.asarray(np.repeat(self.starts[runs], counts) + counted(counts))


def logit_error(
    arithmetic: RoundedArithmetic, magnitude: _Array, count: _Array, grid: np.ndarray[Any, Any], reduced: _Array
) -> _Array:
    """Return how far logits may be off in all, their last roundings included; 0 where nothing rounds.

    Args:
        arithmetic: the float arithmetic.
        magnitude: the sum of the magnitudes of the terms of each, at most.
        count: how many terms are not 0, at most.
        grid: that all of them lie on.
        reduced: what rounding the factors changes the sum by.

    """
    error, whole = arithmetic.error(Terms(-magnitude, magnitude, magnitude, count, magnitude, grid, reduced))
    error = error + arithmetic.last_rounding(magnitude + error)
    return np.asarray(np.where(whole, 0, error * (1 + 16 * np.finfo(magnitude.dtype).eps)))
