"""Readouts of few entries in a row: their margins by bands, by digits, pair by pair, and on a kernel that is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.certificates.emulated import Array
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from verify.certificates.floats.additive import additive_margins
from verify.certificates.floats.bands import banded_margins
from verify.certificates.floats.boxes import RoundedWeight
from verify.certificates.floats.directed import grid_of
from verify.certificates.floats.pairs_of_tokens import Pairs
from verify.certificates.floats.sparse_weight import SparseWeight


@dataclass(frozen=True)
class Readout:
    """A readout, and boxes of its input that promise tokens.

    Attributes:
        weight: tokens x columns.
        bias: of every token.
        low: cells x columns.
        high: cells x columns.
        expected: the promised tokens.
        blocks: the sizes of the blocks of columns.

    """

    weight: Array
    bias: Array
    low: Array
    high: Array
    expected: Array
    blocks: tuple[int, ...] = ()

    @property
    def sparse(self) -> SparseWeight:
        """The weight by its entries."""
        places = np.nonzero(self.weight)
        shape = len(self.weight), self.weight.shape[1]
        numbers = self.weight[places].astype(np.float64)
        return SparseWeight(shape, self.blocks or (shape[1],), (places[0], places[1]), numbers, exact=True)

    @property
    def grid(self) -> Array:
        """Of every column: that of the ends of its boxes, which are what kernels are given."""
        return np.asarray(np.minimum(grid_of(self.low), grid_of(self.high)).min(axis=0))

    def shift(self) -> RoundedWeight:
        """Return the bias as a weight."""
        values = self.bias[:, None].astype(np.float64)
        return RoundedWeight(values, grid_of(values), exact=True)

    def banded(self, fmt: str = "float32", points: int = 64) -> Array:
        """Return the margins by bands."""
        inputs = self.low, self.high, self.grid
        found = banded_margins(rounded(fmt), inputs, self.sparse, self.shift(), self.expected, points=points)
        return np.asarray(found, dtype=np.float64)

    def additive(self, fmt: str = "float32") -> Array:
        """Return the margins by digits."""
        inputs = self.low, self.high, self.grid
        return np.asarray(additive_margins(rounded(fmt), inputs, self.sparse, self.shift(), self.expected))

    def pairs(self, fmt: str = "float32", points: int = 64) -> Array:
        """Return the margins of all cells over all other tokens."""
        found = self.margins(fmt, points)
        found[np.arange(len(found)), self.expected] = np.inf
        return np.asarray(found.min(axis=1))

    def margins(self, fmt: str, points: int) -> Array:
        """Return the margins of all pairs of a cell and a token, formed one by one; 0 over the own token."""
        dense = RoundedWeight(self.weight.astype(np.float64), grid_of(self.weight), exact=True)
        sieve = Pairs(rounded(fmt), self.grid, dense, self.shift(), points, point_grids=True)
        found = np.zeros((len(self.expected), len(self.weight)))
        cell, other = np.nonzero(np.arange(len(self.weight)) != self.expected[:, None])
        found[cell, other] = sieve.pairs(self.low[cell], self.high[cell], self.expected[cell], other)
        return found

    def narrow_pairs(self, fmt: str = "float32") -> Array:
        """Return the margins of all pairs, each at the columns that its two rows read, and no others."""
        found = np.full(len(self.expected), np.inf)
        for cell, own in enumerate(self.expected):
            for other in np.delete(np.arange(len(self.weight)), own):
                two = np.array([own, other])
                read = np.flatnonzero((self.weight[two] != 0).any(axis=0))
                weight = self.weight[np.ix_(two, read)].astype(np.float64)
                shift = self.bias[two, None].astype(np.float64)
                rows = RoundedWeight(weight, grid_of(weight), exact=True)
                bias = RoundedWeight(shift, grid_of(shift), exact=True)
                sieve = Pairs(rounded(fmt), self.grid[read], rows, bias, 64, point_grids=True)
                low, high = (part[cell : cell + 1, read] for part in (self.low, self.high))
                margins = sieve.pairs(low, high, np.array([0]), np.array([1]))
                found[cell] = min(found[cell], float(margins[0]))
        return found

    def computed(self, rng: np.random.Generator, fmt: str) -> Array:
        """Return a margin of every cell, at corners aimed at a drawn token or any, on a kernel that is drawn."""
        aim = self.weight[self.expected] - self.weight[rng.integers(0, len(self.weight), len(self.expected))]
        ends = aim > 0 if rng.random() < 0.5 else rng.integers(0, 2, self.low.shape) == 1
        x = np.where(ends, self.low, self.high)
        pairs = [
            np.broadcast_arrays(self.weight[None, :, column], x[:, column, None])
            for column in np.flatnonzero(self.weight.any(axis=0))
        ]
        shape = len(x), len(self.bias)
        with np.errstate(all="ignore"):
            total = DrawnKernel(fmt, rng).sum_of(
                [(left, right) for left, right in pairs], self.bias[None] + np.zeros(shape)
            )
        cells = np.arange(len(x))
        own = total[cells, self.expected].copy()
        total[cells, self.expected] = -np.inf
        return np.asarray(own - total.max(axis=1))


def bands(vocab: int, size: int, *, spread: float = 0.0) -> Readout:
    """Return the banded readout of the constructions, at every token, a little off it or not."""
    count = -(-vocab // size)
    tokens = np.arange(vocab)
    band, place = tokens // size, tokens % size
    weight = np.zeros((vocab, 3 * count - 1))
    weight[tokens, band] = -1
    inner = band < count - 1
    weight[tokens[inner], count + band[inner]] = -1
    weight[tokens, 2 * count - 1 + band] = place / size**2
    grid = np.arange(count)

    def layer(x: Array) -> Array:
        parts = grid * size - x[:, None], x[:, None] - ((grid[:-1] + 1) * size - 1), x[:, None] - grid * size
        return np.maximum(np.concatenate(parts, axis=1), 0)

    ends = layer(tokens - spread), layer(tokens + spread)
    return Readout(weight, -(place**2) / (2 * size**2), np.minimum(*ends), np.maximum(*ends), tokens)


def digits(vocab: int, base: int, count: int) -> Readout:
    """Return the readout of digits by hats, at every token."""
    tokens = np.arange(vocab)
    digit = tokens[:, None] // base ** np.arange(count)[::-1] % base
    weight, low = np.zeros((vocab, base * count)), np.zeros((vocab, base * count))
    for place in range(count):
        weight[tokens, base * place + digit[:, place]] = -2
        low[:, base * place : base * (place + 1)] = np.maximum(np.arange(base) - digit[:, place : place + 1], 0)
    return Readout(weight, digit.sum(axis=1).astype(float), low, low, tokens, (base,) * count)


def permuted(readout: Readout, rng: np.random.Generator) -> Readout:
    """Return a readout with its tokens in another order."""
    order = rng.permutation(len(readout.weight))
    place = np.argsort(order)
    ends = readout.low, readout.high
    return Readout(readout.weight[order], readout.bias[order], *ends, place[readout.expected], readout.blocks)
