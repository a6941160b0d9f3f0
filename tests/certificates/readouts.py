"""Readouts of few entries in a row, kernels that compute them in drawn orders, and what certificates say of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.certificates.emulated import Array, to_format
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
        """Of every column: what is known lies on the grid of its numbers, and anything else on that of all floats."""
        known = self.low == self.high
        return np.asarray(np.where(known, grid_of(self.low), -(2**10)).min(axis=0))

    def shift(self) -> RoundedWeight:
        """Return the bias as a weight."""
        values = self.bias[:, None].astype(np.float64)
        return RoundedWeight(values, grid_of(values), exact=True)

    def banded(self, fmt: str = "float32") -> Array:
        """Return the margins by bands."""
        inputs = self.low, self.high, self.grid
        return np.asarray(
            banded_margins(rounded(fmt), inputs, self.sparse, self.shift(), self.expected, points=64), dtype=np.float64
        )

    def additive(self, fmt: str = "float32") -> Array:
        """Return the margins by digits."""
        inputs = self.low, self.high, self.grid
        return np.asarray(additive_margins(rounded(fmt), inputs, self.sparse, self.shift(), self.expected))

    def pairs(self, fmt: str = "float32") -> Array:
        """Return the margins of all pairs, formed one by one."""
        dense = RoundedWeight(self.weight.astype(np.float64), grid_of(self.weight), exact=True)
        sieve = Pairs(rounded(fmt), self.grid, dense, self.shift(), 64, point_grids=True)
        found = []
        for cell, own in enumerate(self.expected):
            others = np.delete(np.arange(len(self.weight)), own)
            low, high = (np.repeat(part[cell : cell + 1], len(others), axis=0) for part in (self.low, self.high))
            found.append(sieve.pairs(low, high, np.full(len(others), own), others).min())
        return np.array(found)

    def computed(self, rng: np.random.Generator, fmt: str) -> Array:
        """Return a margin of every cell, at a drawn input, with sums in a drawn order that round at every step."""
        x = to_format(self.low + (self.high - self.low) * rng.integers(0, 2, self.low.shape), fmt)
        order = rng.permutation(self.weight.shape[1] + 1)
        terms = np.concatenate(
            [self.weight[None] * x[:, None], np.broadcast_to(self.bias[:, None], (len(x), len(self.bias), 1))], axis=2
        )
        total = np.zeros(terms.shape[:2])
        for place in order:
            total = to_format(total + to_format(terms[:, :, place], fmt), fmt)
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


def drawn(rng: np.random.Generator) -> Readout:
    """Return a readout of small integers: rows alike, slopes of both signs, in no order, and boxes of any size."""
    vocab, width, cells = int(rng.integers(2, 60)), int(rng.integers(1, 8)), int(rng.integers(1, 30))
    weight = rng.integers(-4, 5, (vocab, width)) * (rng.random((vocab, width)) < rng.choice([0.2, 0.5, 1]))
    bias = rng.integers(-20, 21, vocab)
    low = rng.integers(-6, 7, (cells, width))
    high = low + rng.integers(0, 3, (cells, width)) * (rng.random((cells, width)) < rng.choice([0, 0.3]))
    expected = ((weight[None] * low[:, None]).sum(axis=2) + bias).argmax(axis=1)
    expected = np.where(rng.random(cells) < 0.2, rng.integers(0, vocab, cells), expected)
    return Readout(weight.astype(float), bias.astype(float), low.astype(float), high.astype(float), expected)


def permuted(readout: Readout, rng: np.random.Generator) -> Readout:
    """Return a readout with its tokens in another order."""
    order = rng.permutation(len(readout.weight))
    place = np.argsort(order)
    ends = readout.low, readout.high
    return Readout(readout.weight[order], readout.bias[order], *ends, place[readout.expected], readout.blocks)


def contradicted(margins: Callable[[Readout, str], Array], *formats: str, rounds: int = 40) -> list[str]:
    """Return what kernels that compute in drawn orders say against margins that are called certain."""
    rng = np.random.default_rng(5)
    for at in range(rounds):
        for fmt in formats:
            made = [
                drawn(rng),
                drawn(rng),
                bands(37, 4),
                bands(50, 8, spread=0.25),
                digits(60, 4, 3),
                digits(250, 16, 2),
            ]
            unit = 2.0 ** -rng.integers(0, 9)
            weight, bias = (to_format(part * (1 + unit * (at % 2)), fmt) for part in (made[0].weight, made[0].bias))
            scaled = Readout(weight, bias, made[0].low, made[0].high, made[0].expected)
            for readout in (*made, scaled, permuted(made[2], rng)):
                lower = margins(readout, fmt)
                below = (lower > 0) & ~(lower <= readout.computed(rng, fmt))
                if below.any():
                    return [f"{fmt}: margin {lower[below][0]} of token {readout.expected[below][0]} is not kept"]
    return []
