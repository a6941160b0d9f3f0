"""Readouts of few entries in a row, kernels that compute them in drawn orders, and what certificates say of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np

from tests.certificates.emulated import FORMATS, Array, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from verify.certificates.floats import bands as by_bands
from verify.certificates.floats import groups_of_cells
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


def spread(rng: np.random.Generator, fmt: str) -> Readout:
    """Return a readout of any numbers of a format, with rows that are nearly alike, and boxes of any size."""
    vocab, width, cells = int(rng.integers(2, 40)), int(rng.integers(1, 6)), int(rng.integers(1, 20))
    weight = rng.normal(size=(vocab, width)) * (rng.random((vocab, width)) < rng.choice([0.3, 0.6, 1]))
    weight, bias = to_format(weight, fmt), to_format(rng.normal(size=vocab) * rng.choice([0, 1, 16]), fmt)
    alike = rng.integers(0, vocab, vocab) if rng.random() < 0.5 else np.arange(vocab)
    weight, bias = (
        weight[alike],
        to_format(bias[alike] * (1 + rng.integers(-3, 4, vocab) * 2.0 ** -FORMATS[fmt][0]), fmt),
    )
    low = to_format(rng.normal(size=(cells, width)) * rng.choice([1, 16]), fmt)
    high = low + np.abs(rng.normal(size=low.shape)) * (rng.random(low.shape) < rng.choice([0, 0.4])) * rng.choice(
        [0.1, 1]
    )
    return _likeliest(
        Readout(weight, bias, low, np.maximum(low, to_format(high, fmt)), np.zeros(cells, dtype=np.int64))
    )


def summed(rng: np.random.Generator, fmt: str) -> Readout:
    """Return a readout whose logits are sums over digits, or nearly so.

    Two tokens may be alike, a bias may be no sum, and there may be columns that all tokens read alike.
    """
    bases, widths = rng.integers(2, 5, 2), rng.integers(1, 3, 3)
    tokens = np.arange(int(bases.prod()))
    labels = tokens % bases[0], tokens // bases[0], 0 * tokens
    counts, kind = (*bases, 1), rng.integers(3)

    def numbers(shape: tuple[int, ...]) -> Array:
        found = rng.integers(-4, 5, shape) if kind else rng.normal(size=shape)
        return to_format(found * (2.0**-6 if kind == 2 else 1.0), fmt)

    constant = rng.random() < 0.3
    parts = [numbers((count, width))[label] for label, count, width in zip(labels, counts, widths, strict=True)]
    summands = [rng.integers(-9, 10, count)[label] for label, count in zip(labels, counts, strict=True)]
    weight = np.concatenate(parts[: 2 + constant], axis=1)
    bias = (summands[0] + summands[1]).astype(float)
    if rng.random() < 0.3:
        bias[rng.integers(len(bias))] += rng.integers(1, 9)
    if rng.random() < 0.3:
        one, two = rng.integers(0, len(tokens), 2)
        weight[one], bias[one] = weight[two], bias[two]
    low = numbers((12, weight.shape[1])) * rng.choice([1, 16])
    high = low + rng.integers(0, 2, low.shape) * (rng.random(low.shape) < rng.choice([0, 0.3]))
    blocks = tuple(int(width) for width in widths[: 2 + constant])
    return _likeliest(Readout(weight, bias, low, to_format(high, fmt), np.zeros(12, dtype=np.int64), blocks))


def _likeliest(readout: Readout) -> Readout:
    """Return a readout whose cells promise the tokens of the largest logits at their centres."""
    centre = (readout.low + readout.high) / 2
    return replace(readout, expected=(centre @ readout.weight.T + readout.bias).argmax(axis=1))


def contradicted(
    margins: Callable[[Readout, str], Array],
    *formats: str,
    rounds: int = 40,
    numbers: int = groups_of_cells.NUMBERS,
) -> list[str]:
    """Return what drawn kernels say against margins that are called certain.

    Args:
        margins: of the cells of a readout, in a format.
        formats: of the numbers.
        rounds: how often readouts are drawn.
        numbers: that are held at once: few of them, and what is compared comes in many batches.

    """
    rng = np.random.default_rng(5)
    with patch.object(by_bands, "NUMBERS", numbers), patch.object(groups_of_cells, "NUMBERS", numbers):
        for at in range(rounds):
            for fmt in formats:
                made = [
                    *(drawn(rng) for _ in range(3)),
                    *(spread(rng, fmt) for _ in range(6)),
                    *(summed(rng, fmt) for _ in range(6)),
                    bands(37, 4),
                    bands(50, 8, spread=0.25),
                    digits(60, 4, 3),
                    digits(250, 16, 2),
                ]
                unit = 2.0 ** -rng.integers(0, 9)
                weight, bias = (to_format(part * (1 + unit * (at % 2)), fmt) for part in (made[0].weight, made[0].bias))
                scaled = replace(made[0], weight=weight, bias=bias)
                for readout in (*made, scaled, permuted(made[2], rng)):
                    lower = margins(readout, fmt)
                    for _ in range(4):
                        below = (lower > 0) & ~(lower <= readout.computed(rng, fmt))
                        if below.any():
                            return [
                                f"{fmt}: margin {lower[below][0]} of token {readout.expected[below][0]} is not kept"
                            ]
    return []
