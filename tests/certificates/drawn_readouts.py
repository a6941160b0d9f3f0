"""Readouts of few entries in a row that are drawn: rows alike, numbers that sums round, sums over digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.certificates.emulated import FORMATS, Array, to_format
from tests.certificates.readouts import Readout, bands, digits, permuted


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
    weight, bias, low, high = (to_format(part.astype(float), fmt) for part in (weight, bias, low, high))
    return _likeliest(Readout(weight, bias, low, high, np.zeros(cells, dtype=np.int64)))


def _flawed(readout: Readout, rng: np.random.Generator) -> Readout:
    """Return a readout of which a row, which reads the same columns, has another number."""
    weight = readout.weight.copy()
    token = rng.integers(len(weight))
    weight[token, rng.choice(np.flatnonzero(weight[token]))] *= rng.choice([0.5, 2])
    return replace(readout, weight=weight)


def _tied(readout: Readout, rng: np.random.Generator) -> Readout:
    """Return a readout of which two tokens are alike."""
    one, two = rng.choice(len(readout.weight), 2, replace=False)
    weight, bias = readout.weight.copy(), readout.bias.copy()
    weight[one], bias[one] = weight[two], bias[two]
    return replace(readout, weight=weight, bias=bias)


def _raised(readout: Readout) -> Readout:
    """Return a readout with one bias that is no sum over digits: that of a token which is like the first in none."""
    bias = readout.bias.copy()
    bias[0b010111] += 0.5  # 1 1 3 in base 4
    return replace(readout, bias=bias)


def _likeliest(readout: Readout) -> Readout:
    """Return a readout whose cells promise the tokens of the largest logits at their centres."""
    centre = (readout.low + readout.high) / 2
    return replace(readout, expected=(centre @ readout.weight.T + readout.bias).argmax(axis=1))


def made(rng: np.random.Generator, fmt: str, at: int) -> list[Readout]:
    """Return readouts of every kind, and one of those of the constructions, in turn."""
    structured = (
        lambda: bands(37, 4),
        lambda: bands(50, 8, spread=0.25),
        lambda: bands(132, 11),  # runs of 11, of which no part of a group is a divisor
        lambda: _flawed(digits(60, 4, 3), rng),
        lambda: _tied(digits(60, 4, 3), rng),
        lambda: _raised(digits(60, 4, 3)),
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
