"""Random attention layers with content and a prefix: integer scores for exact arithmetic, real numbers for floats."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from constructions.formats import FORMATS, Format
from constructions.layers import Head
from constructions.temperature import RationalSoftmax, Softmax
from verify.prefixes.layer import AttentionLayer, Mask, Numbers, plain_head

#: The largest sizes that are drawn.
MOST_HEADS, MOST_PREFIX, MOST_POSITIONS, MOST_WIDTH, MOST_KEYS, MOST_OUTPUTS = 4, 8, 32, 6, 4, 4


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, its content, a prefix, and a head of a next layer."""

    layer: AttentionLayer
    content: Numbers
    prefix: Numbers
    next_head: Head[Numbers]

    def identity(self) -> str:
        """Return a text that differs for cases of different numbers."""
        mask = np.asarray(self.layer.mask).tolist()  # a word stays one
        heads = (*self.layer.heads, self.next_head)
        matrices = [part.tolist() for head in heads for _, _, part in head.own_weights]
        return repr((matrices, self.layer.temperature, mask, self.content.tolist(), self.prefix.tolist()))


def _size(draw: np.random.Generator, most: int) -> int:
    """Return a size of ``1..most``. Small ones are frequent: ten thousand layers take a minute or two."""
    return 1 + int(most * draw.random() ** 3)


def draw_case(seed: int, index: int, *, fmt: Format | None) -> Case:
    """Return the ``index``-th case of a seed.

    Args:
        seed: the same seed and index give the same case.
        index: the number of the case.
        fmt: the float format of the forward pass, for numbers of many magnitudes (fewer in a format of few bits, where
            every bound on large scores is vacuous); ``None`` for integer scores, an exact ``q`` and rational values.

    Example:
        >>> case = draw_case(0, 1, fmt=None)
        >>> len(case.layer.heads), case.content.shape, case.prefix.shape
        (3, (17, 6), (2, 6))

    """
    exact = fmt is None
    octaves = 3 if fmt is not None and fmt.precision >= FORMATS["float32"].precision else 0
    draw = np.random.default_rng((seed, index))
    heads, prefix, positions = (_size(draw, most) for most in (MOST_HEADS, MOST_PREFIX, MOST_POSITIONS))
    width, keys, outputs = (_size(draw, most) for most in (MOST_WIDTH, MOST_KEYS, MOST_OUTPUTS))

    def numbers(draw: np.random.Generator, rows: int, columns: int) -> Numbers:
        return _integers(draw, rows, columns) if exact else _reals(draw, rows, columns, octaves)

    layer = AttentionLayer(
        tuple(
            plain_head(
                numbers(draw, keys, width),
                numbers(draw, keys, width),
                _fractions(draw, outputs, width) if exact else numbers(draw, outputs, width),
            )
            for _ in range(heads)
        ),
        RationalSoftmax(Fraction(int(draw.integers(1, 6)), int(draw.integers(1, 6))))
        if exact
        else Softmax(float(2.0 ** draw.uniform(-3, 2))),
        _mask(draw, positions),
    )
    content, virtual = numbers(draw, positions, width), numbers(draw, prefix, width)
    next_head = plain_head(*(numbers(draw, rows, outputs) for rows in (keys, keys, 1)))
    return Case(layer, content, virtual, next_head)


def _integers(draw: np.random.Generator, rows: int, columns: int) -> Numbers:
    return _objects(draw.integers(-1, 2, size=(rows, columns)), 1)


def _fractions(draw: np.random.Generator, rows: int, columns: int) -> Numbers:
    return _objects(draw.integers(-6, 7, size=(rows, columns)), int(draw.integers(1, 8)))


def _objects(numerators: Any, denominator: int) -> Numbers:
    made = np.empty(numerators.shape, dtype=object)
    made[:] = [[Fraction(entry, denominator) for entry in row] for row in numerators.tolist()]
    return made


def _reals(draw: np.random.Generator, rows: int, columns: int, octaves: int) -> Numbers:
    """Return normal numbers times a power of two from 1/8 up; over octaves, attention goes from flat to one-hot."""
    return np.asarray(draw.standard_normal((rows, columns)) * 2.0 ** draw.integers(-3, octaves))


def _mask(draw: np.random.Generator, positions: int) -> Mask:
    kind = draw.integers(3)
    if kind == 0:
        return "causal"
    if kind == 1:
        return "none"
    mask = draw.random((positions, positions)) < draw.random()
    mask[np.arange(positions), draw.integers(positions, size=positions)] = True  # every position sees a key
    return mask
