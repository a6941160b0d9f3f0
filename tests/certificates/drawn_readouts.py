"""Readouts of few entries in a row that are drawn, and what kernels and all pairs say against their margins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from unittest.mock import patch

import numpy as np

from tests.certificates.emulated import FORMATS, Array, to_format
from tests.certificates.own import rounded
from tests.certificates.readouts import Readout, bands, digits, permuted
from verify.certificates.floats import bands as by_bands
from verify.certificates.floats import groups_of_cells
from verify.certificates.floats.readout_rows import Rows


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
    counts, kind = (*bases, 1), rng.integers(4)
    most = 2 ** (FORMATS[fmt][0] // 2 - int(rng.integers(0, 3))) if kind == 3 else 4  # sums about as large as are exact

    def numbers(shape: tuple[int, ...]) -> Array:
        found = rng.integers(-most, most + 1, shape) if kind else rng.normal(size=shape)
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
    low = to_format(low + 16 * rng.normal(size=low.shape) * (rng.random() < 0.3), fmt)
    high = low + rng.integers(0, 2, low.shape) * (rng.random(low.shape) < rng.choice([0, 0.3]))
    blocks = tuple(int(width) for width in widths[: 2 + constant])
    return _likeliest(Readout(weight, bias, low, to_format(high, fmt), np.zeros(12, dtype=np.int64), blocks))


def cancelling(rng: np.random.Generator, fmt: str) -> Readout:
    """Return a readout of two digits, some of which add terms that cancel: logits are small, and their terms are not.

    Sums of them are exact up to some size of the terms, and beyond it off by more than logits differ.
    """
    count, cells = int(rng.integers(2, 5)), 10
    tokens = np.arange(count**2)
    weight = np.zeros((len(tokens), 6))
    bits = FORMATS[fmt][0]
    for part, label in enumerate((tokens % count, tokens // count)):
        steps = rng.permutation(count)
        heavy = (rng.random(count) < 0.5) * rng.integers(2 ** (bits - 3), 2 ** (bits - 1), count)
        weight[:, 3 * part : 3 * part + 3] = np.stack([steps, heavy, -heavy], axis=1)[label]
    low = np.ones((cells, 6))
    low[:, [1, 2]], low[:, [4, 5]] = (rng.integers(1, 4, (cells, 1)) for _ in range(2))
    low[:, [0, 3]] = rng.integers(1, 3, (cells, 2)) * 2 ** rng.integers(0, bits, (cells, 1))
    high = low + (rng.random(low.shape) < 0.1) * (np.arange(6) % 3 == 0)
    bias = (rng.integers(0, 2, count)[tokens % count] * rng.choice([0, 1, 2**bits])).astype(float)
    return _likeliest(Readout(weight, bias, low, high, np.zeros(cells, dtype=np.int64), (3, 3)))


def steep(rng: np.random.Generator, fmt: str) -> Readout:
    """Return a readout of integers about as large as sums of them are exact in a format: some round, and some do not.

    Rows differ by about as much as a sum is rounded by.
    """
    bits = FORMATS[fmt][0]
    vocab, width, cells = int(rng.integers(2, 40)), int(rng.integers(1, 6)), int(rng.integers(1, 20))
    scale = bits // 2 - int(rng.integers(0, 3))
    kinds = int(rng.integers(1, vocab + 1))  # rows that are alike but for a little
    weight = rng.integers(-(2**scale), 2**scale + 1, (kinds, width)) * (rng.random((kinds, width)) < 0.7)
    alike = rng.integers(0, kinds, vocab)
    weight, bias = weight[alike] + rng.integers(-1, 2, (vocab, width)), rng.integers(-(2**bits), 2**bits, kinds)
    bias = bias[alike] * rng.integers(0, 2) // 2 ** int(rng.integers(0, 4)) + rng.integers(-9, 10, vocab)
    low = rng.integers(-(2**scale), 2**scale, (cells, width)) // 2 ** int(rng.integers(0, 4))
    high = low + rng.integers(0, 3, low.shape) * (rng.random(low.shape) < rng.choice([0, 0.3]))
    numbers = (to_format(part.astype(float), fmt) for part in (weight, bias, low, high))
    return _likeliest(Readout(*numbers, np.zeros(cells, dtype=np.int64)))


def _flawed(readout: Readout, rng: np.random.Generator) -> Readout:
    """Return a readout of which a row, which reads the same columns, has another number."""
    weight = readout.weight.copy()
    token = rng.integers(len(weight))
    weight[token, rng.choice(np.flatnonzero(weight[token]))] *= rng.choice([0.5, 2])
    return replace(readout, weight=weight)


def _likeliest(readout: Readout) -> Readout:
    """Return a readout whose cells promise the tokens of the largest logits at their centres."""
    centre = (readout.low + readout.high) / 2
    return replace(readout, expected=(centre @ readout.weight.T + readout.bias).argmax(axis=1))


@contextmanager
def compared(numbers: int, *, hasty: bool) -> Iterator[None]:
    """Compare few numbers at once, or settle groups of cells as soon as they are certain.

    Args:
        numbers: that are held at once: few of them, and what is compared comes in many batches.
        hasty: whether groups are settled however near their bounds are; else most margins are those of pairs.

    """
    estimate = (lambda _, centre: np.zeros(len(centre))) if hasty else by_bands.Near._wanted
    with (
        patch.object(by_bands, "NUMBERS", numbers),
        patch.object(by_bands.Near, "_wanted", estimate),
        patch.object(groups_of_cells, "NUMBERS", numbers),
    ):
        yield


def made(rng: np.random.Generator, fmt: str, at: int) -> list[Readout]:
    """Return readouts of every kind, and one of those of the constructions, in turn."""
    structured = (
        lambda: bands(37, 4),
        lambda: bands(50, 8, spread=0.25),
        lambda: bands(132, 11),  # runs of 11, of which no part of a group is a divisor
        lambda: _flawed(digits(60, 4, 3), rng),
        lambda: digits(60, 4, 3),
        lambda: digits(72, 9, 2),
    )
    found = [
        *(drawn(rng) for _ in range(3)),
        *(spread(rng, fmt) for _ in range(4)),
        *(summed(rng, fmt) for _ in range(4)),
        *(cancelling(rng, fmt) for _ in range(4)),
        *(steep(rng, fmt) for _ in range(4)),
        structured[at % len(structured)](),
    ]
    scale = 1 + 2.0 ** -rng.integers(0, 9) * rng.integers(0, 2)
    weight, bias = (to_format(part * scale, fmt) for part in (found[0].weight, found[0].bias))
    return [*found, replace(found[0], weight=weight, bias=bias), permuted(found[2], rng)]


def contradicted(
    margins: Callable[[Readout, str], Array],
    *formats: str,
    rounds: int = 40,
    numbers: int = groups_of_cells.NUMBERS,
    hasty: bool = False,
) -> list[str]:
    """Return what drawn kernels say against margins that are called certain; see :func:`compared` for the last two."""
    rng = np.random.default_rng(5)
    with compared(numbers, hasty=hasty):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                lower = margins(readout, fmt)
                for _ in range(4):
                    below = (lower > 0) & ~(lower <= readout.computed(rng, fmt))
                    if below.any():
                        return [f"{fmt}: margin {lower[below][0]} of token {readout.expected[below][0]} is not kept"]
    return []


def above_all_pairs(
    margins: Callable[[Readout, str], Array],
    *formats: str,
    rounds: int = 40,
    numbers: int = groups_of_cells.NUMBERS,
    hasty: bool = True,
) -> list[str]:
    """Return margins that are larger than the smallest of all pairs of tokens, formed one by one.

    No float of a box is tried, neither in the margins nor in the pairs, so that no bound of a group can be better than
    that of a pair: its boxes, magnitudes and counts of terms are at least as large, and its grids at least as fine. A
    pair of whole rows is charged more of the checker's own roundings, at most :func:`_charged`.
    """
    rng = np.random.default_rng(6)
    with compared(numbers, hasty=hasty), np.errstate(all="ignore"):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                found, pairs = margins(readout, fmt), readout.pairs(fmt, points=0)
                above = np.flatnonzero((found > 0) & ~(found <= pairs + _charged(readout)))
                if len(above):
                    margin, pair, token = (part[above[0]] for part in (found, pairs, readout.expected))
                    return [f"{fmt}: margin {margin} of token {token} is above that of a pair, {pair}"]
    return []


def _charged(readout: Readout) -> Array:
    """Return for each cell the checker's roundings in a pair: one unit for each term of two logits and what adds them.

    Twice that is between two such bounds.
    """
    size = np.maximum(np.abs(readout.low), np.abs(readout.high)) @ np.abs(readout.weight).T + np.abs(readout.bias)
    unit, smallest = 2 * np.finfo(np.float64).eps, np.finfo(np.float64).smallest_subnormal
    return np.asarray(2 * (readout.weight.shape[1] + 6) * (2 * unit * size.max(axis=1) + smallest))


def undecided_by(
    margins: Callable[[Readout, str], Array], *formats: str, rounds: int = 40, numbers: int = groups_of_cells.NUMBERS
) -> list[str]:
    """Return cells that all pairs decide and margins do not."""
    rng = np.random.default_rng(7)
    with compared(numbers, hasty=False), np.errstate(all="ignore"):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                lost = (readout.pairs(fmt) > 0) & ~(margins(readout, fmt) > 0)
                if lost.any():
                    return [f"{fmt}: token {readout.expected[lost][0]} is certain by pairs, and not here"]
    return []


def groups_above_pairs(*formats: str, rounds: int) -> list[str]:
    """Return bounds of groups of cells, and of runs of cells and tokens, that are above one of their pairs.

    Each bound is looked at by itself, positive or not, whatever other bounds make up for.
    """
    rng = np.random.default_rng(8)
    with np.errstate(all="ignore"):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                near, pairs = _near_and_pairs(readout, fmt)
                for name, bounds, cells, tokens in _bounds_of_groups(near, rng):
                    for group, other in np.ndindex(bounds.shape):
                        least = pairs[np.ix_(cells[group], tokens[other])].min()
                        if bounds[group, other] > least:
                            return [f"{fmt}: {name}: {bounds[group, other]} is above {least}"]
    return []


def _near_and_pairs(readout: Readout, fmt: str) -> tuple[by_bands.Near, Array]:
    """Return cells in the order of bands, and for each the margin over each place; at most 0 at its own."""
    rows = Rows.of(readout.sparse, readout.shift())
    places = rows.place[readout.expected]
    order = np.argsort(places, kind="stable")
    inputs = readout.low[order], readout.high[order], readout.grid
    margins = readout.margins(fmt, points=0)[order] + _charged(readout)[order, None]
    pairs = np.empty_like(margins)
    pairs[:, rows.place] = margins
    return by_bands.Near(rounded(fmt), inputs, rows, places[order], 0), pairs


_Bounds = tuple[str, Array, list[Array], list[Array]]


def _bounds_of_groups(near: by_bands.Near, rng: np.random.Generator) -> Iterator[_Bounds]:
    """Yield bounds of margins, the cells that each row of them is about, and the tokens of each column."""
    gaps, _ = near._of_runs(np.arange(len(near.starts)))
    cells = [np.arange(start, stop) for start, stop in zip(near.starts, near.ends, strict=True)]
    runs = near.runs
    yield "runs", gaps, cells, [runs.tokens(np.array([run])) for run in range(len(runs.starts) - 1)]
    tokens = np.arange(len(near.rows.bias))
    inside = cells[rng.integers(len(cells))]
    groups = groups_of_cells.Groups(near, inside, tokens, np.arange(near.low.shape[1]))
    size = int(rng.integers(1, len(inside) + 1))
    firsts = np.arange(0, len(inside), size)
    hulls = groups_of_cells._Hulls(groups, firsts, size)
    at, token = (part.reshape(-1) for part in np.meshgrid(np.arange(len(firsts)), tokens, indexing="ij"))
    bounds = hulls.gaps(at, token).reshape(len(firsts), len(tokens))
    yield "groups", bounds, np.split(inside, firsts[1:]), [np.array([place]) for place in tokens]
