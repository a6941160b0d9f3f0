"""Groups of neighbouring cells against single tokens, and what is left as pairs: the last of the margins of bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int, Shaped

from verify.certificates.floats.boxes import RoundedWeight
from verify.certificates.floats.directed import grid_of
from verify.certificates.floats.pairs_of_tokens import Pairs, counted

if TYPE_CHECKING:
    from verify.certificates.floats.bands import Near

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]
_Grids = Int[np.ndarray, "..."]
#: Numbers in one array of a batch of comparisons: 16 MiB, of which a dozen are held at once.
NUMBERS = 2**21
#: How many groups a group is cut into. It decides how fast margins are found, and nothing else: at V = 50,257 from 4 to
#: 16 took the same time within the noise, and 2 and 64 took more.
_PARTS = 8


def known_grids(low: _Array, high: _Array, grid: _Grids) -> _Grids:
    """Return a grid for each number: one that is known may lie on a coarser one than its column in all cells."""
    return np.where(low == high, np.maximum(grid_of(low), grid), grid)


class Groups:
    """A run of cells against near tokens, entry by entry at the columns that they read."""

    def __init__(
        self,
        near: Near,
        cells: Int[np.ndarray, " cells"],
        tokens: Int[np.ndarray, " tokens"],
        columns: Int[np.ndarray, " read"],
    ) -> None:
        """Gather the boxes of the cells and the rows of both at the columns."""
        self.near, self.cells, self.tokens = near, cells, tokens
        self.low, self.high = near.low[np.ix_(cells, columns)], near.high[np.ix_(cells, columns)]
        self.grid = near.grid[columns]
        # the promised tokens' rows come after those of the tokens
        both = np.concatenate([tokens, near.expected[cells]])
        self.held = near.rows.chosen(both, columns)
        self.shift, self.shift_grid = near.rows.bias[both], near.rows.bias_grids[both]
        self.own = len(tokens) + np.arange(len(cells))

    def lower(self, found: _Array) -> None:
        """Lower the bounds of the cells."""
        size = len(self.cells)
        at, token = np.zeros(len(self.tokens), dtype=np.int64), np.arange(len(self.tokens))
        while True:
            kept = self._compared(size, at, token, found)
            at, token = at[kept], token[kept]
            if size == 1:
                break
            part = -(-size // _PARTS)
            # a group of `size` cells starts at a multiple of it, and so do its parts, of which the last may be smaller
            count = -(-np.minimum(size, len(self.cells) - at) // part)
            at, token = np.repeat(at, count) + part * counted(count), np.repeat(token, count)
            size = part
        other = self.tokens[token] != self.near.expected[self.cells[at]]
        at, token = at[other], token[other]
        if len(at):
            sieve = Pairs(self.near.arithmetic, self.grid, self.held, self._bias(), self.near.points, point_grids=True)
            step = max(1, NUMBERS // max(1, self.low.shape[1]))
            for start in range(0, len(at), step):
                cell, which = at[start : start + step], token[start : start + step]
                margins = sieve.pairs(self.low[cell], self.high[cell], self.own[cell], which)
                np.minimum.at(found, self.cells[cell], margins)

    def _bias(self) -> RoundedWeight:
        return RoundedWeight(self.shift[:, None], self.shift_grid[:, None], exact=False)

    def _compared(
        self, size: int, at: Int[np.ndarray, " pairs"], token: Int[np.ndarray, " pairs"], found: _Array
    ) -> Bool[np.ndarray, " pairs"]:
        """Return which pairs of a group of cells and a token are not settled, and lower the bounds by the others.

        Args:
            size: of a group.
            at: where each pair's group starts.
            token: of each pair.
            found: the bounds of all cells.

        """
        firsts, group = np.unique(at, return_inverse=True)
        kept = np.empty(len(at), dtype=np.bool_)
        hulls = _Hulls(self, firsts, size)
        step = max(1, NUMBERS // max(1, self.low.shape[1]))
        for start in range(0, len(at), step):
            part = slice(start, start + step)
            gaps = hulls.gaps(group[part], token[part])
            kept[part] = ~((gaps > 0) & (gaps >= hulls.wanted[group[part]]))
            settled = ~kept[part]
            least = np.full(len(firsts), np.inf, dtype=gaps.dtype)
            np.minimum.at(least, group[part][settled], gaps[settled])
            cells = np.repeat(firsts, hulls.counts) + counted(hulls.counts)
            np.minimum.at(found, self.cells[cells], np.repeat(least, hulls.counts))
        return kept


class _Hulls:
    """Groups of neighbouring cells: the hulls of their boxes, and bounds of their promised logits over a reference."""

    def __init__(self, groups: Groups, firsts: Int[np.ndarray, " groups"], size: int) -> None:
        near, held = groups.near, groups.held.values
        self.groups, self.unit, self.smallest = groups, near.unit, near.smallest
        self.counts = np.minimum(firsts + size, len(groups.cells)) - firsts
        cells = np.repeat(firsts, self.counts) + counted(self.counts)
        starts = np.cumsum(self.counts) - self.counts
        low, high = groups.low[cells], groups.high[cells]
        self.low, self.high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
        self.largest = np.maximum(np.abs(self.low), np.abs(self.high))
        self.grid = np.minimum.reduceat(known_grids(low, high, groups.grid), starts)
        middle = groups.own[firsts + self.counts // 2]
        self.reference, self.shift = held[middle], groups.shift[middle]
        own, group = groups.own[cells], np.repeat(np.arange(len(firsts)), self.counts)
        slope = held[own] - self.reference[group]
        gain = np.minimum(slope * low, slope * high).sum(axis=1) + (groups.shift[own] - self.shift[group])
        everywhere = groups.cells[cells]
        self.least = np.minimum.reduceat(gain - near.error[everywhere], starts)
        self.wanted = np.maximum.reduceat(near.wanted[everywhere], starts)
        # the terms of the two differences of logits, of which the checker's roundings are a share
        size_of_reference = (np.abs(self.reference) * self.largest).sum(axis=1) + np.abs(self.shift)
        self.size = np.maximum.reduceat(near.size[everywhere], starts) + 2 * size_of_reference

    def gaps(self, group: Int[np.ndarray, " pairs"], token: Int[np.ndarray, " pairs"]) -> _Array:
        """Return lower bounds of the margins of all cells of a group over a token."""
        groups = self.groups
        numbers, shift = groups.held.values[token], groups.shift[token]
        slope = numbers - self.reference[group]
        rise = np.maximum(slope * self.low[group], slope * self.high[group]).sum(axis=1) + (shift - self.shift[group])
        error, magnitude = groups.near.rounding_of(
            (self.largest[group], self.grid[group]),
            (numbers, groups.held.grid[token]),
            (shift, groups.shift_grid[token]),
        )
        total = magnitude + self.size[group]
        slack = (numbers.shape[1] + 6) * (self.unit * total + 4 * self.smallest)
        return np.asarray(self.least[group] - rise - (error + slack) * (1 + 8 * self.unit))
