r"""Margins at a readout whose logits are sums, one term for each digit of a token: digit by digit.

Let the columns of the readout be cut into parts, such that the row of token ``w`` in part ``k`` depends on a class
``c_k(w)`` alone (a digit), no two tokens are in the same classes, and the bias is a sum of numbers of the classes. Then

    ``L_e(x) - L_w(x) = sum over k of g_k(c_k(w))``,
    ``g_k(j) = (U_k[c_k(e)] - U_k[j]) x + beta_k[c_k(e)] - beta_k[j]``,

with ``g_k = 0`` at the promised token's own class. If every other ``g_k(j)`` is positive over the box of a cell, each
token differs from ``e`` in some part, and ``L_e - L_w`` is at least the smallest ``g_k(j)`` there: tokens that differ
in one part bound all others, and they are compared class by class, not token by token.

Rounding errors grow with the magnitudes ``M_w`` of a logit's terms, also a sum over the parts. Up to some ``T`` no
kernel rounds anything. For tokens beyond, and any ``s >= 0``,

    ``L_e - L_w  >=  sum over k of g_k - s (M_w - T)  >=  sum over k of min over j of (g_k(j) - s M_k(j)) + s T``,

from which the largest error of any logit is taken. The best of a few ``s`` counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Shaped

from verify.certificates.floats.boxes import RoundedWeight, fits
from verify.certificates.floats.directed import EVERYTHING, power_of_two
from verify.certificates.floats.readout_rows import logit_error

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic
    from verify.certificates.floats.sparse_weight import SparseWeight

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]
#: Numbers in one array of comparisons: 16 MiB of float64.
_NUMBERS = 2**21
#: The factors ``s`` that are tried: any is right. A magnitude of 1 costs a logit far less than 1/2.
_FACTORS = tuple(2.0**-exponent for exponent in range(1, 9))


@dataclass(frozen=True, eq=False)
class Part:
    """Columns of a readout, and the classes of tokens by their rows there.

    Attributes:
        columns: of the part.
        labels: the class of every token.
        numbers: the rows of the classes, classes x columns.
        bias: of the classes.

    """

    columns: Int[np.ndarray, " columns"]
    labels: Int[np.ndarray, " tokens"]
    numbers: _Array
    bias: _Array


@lru_cache(maxsize=2)
def parts_of(weight: SparseWeight, bias: RoundedWeight) -> tuple[Part, ...]:
    """Return the parts of a readout; none unless its logits are sums over two parts or more, with few classes."""
    vocab = weight.shape[0]
    together: dict[bytes, tuple[Int[np.ndarray, " tokens"], list[int]]] = {}
    start = 0
    for size in weight.column_sizes:
        labels = _labels(weight, start, start + size)
        if labels.max(initial=0) > 0:  # columns that tell no tokens apart come back below
            together.setdefault(labels.tobytes(), (labels, []))[1].extend(range(start, start + size))
        elif ((weight.columns >= start) & (weight.columns < start + size)).any():
            return ()
        start += size
    counts = [int(labels.max()) + 1 for labels, _ in together.values()]
    # no more pairs of classes than V log V
    if len(counts) < 2 or sum(count**2 for count in counts) > vocab * vocab.bit_length():
        return ()
    classes = [found for found, _ in together.values()]
    biases = _summands(bias.values[:, 0], bias.grid[:, 0], classes, counts)
    if biases is None or not _distinct(classes):
        return ()
    found = []
    for (label, columns), shift in zip(together.values(), biases, strict=True):
        _, first = np.unique(label, return_index=True)
        at, read = np.searchsorted(weight.rows, first), np.array(columns)
        numbers = np.zeros((len(first), len(read)), dtype=weight.dtype)
        for row, (token, entry) in enumerate(zip(first, at, strict=True)):
            stop = np.searchsorted(weight.rows, token, side="right")
            mine = np.isin(weight.columns[entry:stop], read)
            numbers[row, np.searchsorted(read, weight.columns[entry:stop][mine])] = weight.numbers[entry:stop][mine]
        found.append(Part(read, label, numbers, shift))
    return tuple(found)


def _labels(weight: SparseWeight, start: int, stop: int) -> Int[np.ndarray, " tokens"]:
    """Return classes of tokens by their rows in some columns, numbered as they come."""
    inside = np.flatnonzero((weight.columns >= start) & (weight.columns < stop))
    rows = weight.rows[inside]
    counts = np.bincount(rows, minlength=weight.shape[0])
    most = int(counts.max(initial=0))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = np.zeros((2 * most + 1, weight.shape[0]))  # columns and numbers of the rows
    keys[2 * place, rows], keys[2 * place + 1, rows] = weight.columns[inside] + 1, weight.numbers[inside]
    order = np.lexsort(keys)
    new = (np.diff(keys[:, order], axis=1, prepend=np.nan) != 0).any(axis=0)
    labels = np.empty(weight.shape[0], dtype=np.int64)
    labels[order] = np.cumsum(new) - 1
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)]


def _distinct(labels: list[Int[np.ndarray, " tokens"]]) -> bool:
    """Return whether no two tokens are in the same classes."""
    code = np.zeros(len(labels[0]), dtype=np.int64)
    for label in labels:
        _, code = np.unique(code * (int(label.max()) + 1) + label, return_inverse=True)  # below V^2
    return int(code.max()) + 1 == len(code)


def _summands(
    bias: _Array, grid: Int[np.ndarray, " tokens"], labels: list[Int[np.ndarray, " tokens"]], counts: list[int]
) -> list[_Array] | None:
    """Return numbers of the classes of which each bias is the sum, exactly; ``None`` unless there are such."""
    largest, least = np.abs(bias).max(), grid.min()
    if not fits(np.asarray(4 * (len(labels) + 1) * largest), np.asarray(least), np.finfo(bias.dtype).nmant + 1):
        return None
    first = [label[0] for label in labels]
    found = []
    for part, count in enumerate(counts):
        alike = [label == mine for at, (label, mine) in enumerate(zip(labels, first, strict=True)) if at != part]
        tokens = np.flatnonzero(np.logical_and.reduce(alike))
        numbers = np.full(count, np.nan, dtype=bias.dtype)
        numbers[labels[part][tokens]] = bias[tokens] - (bias[0] if part else 0)
        found.append(numbers)
    total = np.add.reduce([numbers[label] for numbers, label in zip(found, labels, strict=True)])
    return found if (total == bias).all() else None


def additive_margins(
    arithmetic: RoundedArithmetic,
    inputs: tuple[_Array, _Array, Int[np.ndarray, " width"]],
    weight: SparseWeight,
    bias: RoundedWeight,
    expected: Int[np.ndarray, " cells"],
) -> _Array:
    """Return lower bounds of the margins of some cells; ``-inf`` where nothing is shown.

    Args:
        arithmetic: the float arithmetic.
        inputs: bounds of the readout's input, all finite, cells x width each, and its grid.
        weight: of the readout, V x width, all finite, with ``V >= 2``.
        bias: of the readout, V x 1.
        expected: the promised tokens.

    """
    parts = parts_of(weight, bias)
    if not parts:
        return np.full(len(expected), -np.inf, dtype=weight.dtype)
    low, high, grid = inputs
    unit = 2 * np.finfo(weight.dtype).eps
    on = min(int((weight.grids + grid[weight.columns]).min(initial=EVERYTHING)), int(bias.grid.min()))
    compared = [_compared(arithmetic, part, (low, high), part.labels[expected]) for part in parts]
    least = np.minimum.reduce([one.least for one in compared])
    own, most = (np.add.reduce(sizes) for sizes in ([one.own for one in compared], [one.most for one in compared]))
    reduced = np.add.reduce([one.reduced for one in compared])
    count = np.full(len(expected), weight.most_in_a_row + 1, dtype=weight.dtype)
    # the checker's own roundings: of differences and sums over all columns, and over the parts
    width = sum(len(part.columns) for part in parts)
    share = (width + 8) * unit
    most, own = most * (1 + share), own * (1 + share)
    exact = np.full_like(most, power_of_two(arithmetic.fmt.precision + on, weight.dtype) * (1 - 4 * share))
    near, far = (
        logit_error(arithmetic, size, count, np.full(len(count), on), reduced)
        for size in (np.minimum(exact, most), most)
    )
    own_error = np.where(own <= exact, near, far)
    slack = share * (2 * (own + most) + far) + (width + 8) * 4 * np.finfo(weight.dtype).smallest_subnormal
    whole = fits(4 * (own + most), np.asarray(on), np.finfo(weight.dtype).nmant + 1)
    margins = least - near - own_error - np.where(whole, 0, slack)
    # whose computed magnitudes are not beyond `exact` has true ones that are hardly more
    from_here = exact * (1 - 2 * share)
    weighed = [
        np.add.reduce([one.weighed[at] for one in compared]) + factor * from_here for at, factor in enumerate(_FACTORS)
    ]
    others = np.maximum.reduce(weighed) - far - own_error - 2 * slack
    margins = np.where(most <= exact, margins, np.minimum(margins, others))
    return np.asarray(np.where(least > 0, margins, -np.inf))


@dataclass(frozen=True, eq=False)
class _Compared:
    """One part of all cells.

    Attributes:
        least: the smallest difference to another class.
        own: the magnitudes of the own terms.
        most: those of any class, at most.
        reduced: what rounding factors changes them by, at most.
        weighed: for each factor the smallest difference less that factor of the magnitudes.

    """

    least: _Array
    own: _Array
    most: _Array
    reduced: _Array
    weighed: list[_Array]


def _compared(
    arithmetic: RoundedArithmetic, part: Part, bounds: tuple[_Array, _Array], own: Int[np.ndarray, " cells"]
) -> _Compared:
    """Compare the own class of each cell with all classes; equal boxes of the same class once."""
    low, high = bounds
    keys = np.concatenate([low[:, part.columns], high[:, part.columns], own[:, None].astype(low.dtype)], axis=1)
    keys, place = np.unique(keys.astype(np.float64), axis=0, return_inverse=True)
    width = len(part.columns)
    below, above = keys[:, :width].astype(low.dtype), keys[:, width : 2 * width].astype(low.dtype)
    mine = keys[:, -1].astype(np.int64)
    columns: list[list[_Array]] = []
    for start in range(0, len(keys), step := max(1, _NUMBERS // part.numbers.size)):
        chosen = slice(start, start + step)
        label, ends = mine[chosen], (below[chosen, None], above[chosen, None])
        slope = part.numbers[label][:, None] - part.numbers[None]
        gaps = np.minimum(slope * ends[0], slope * ends[1]).sum(axis=2) + (part.bias[label][:, None] - part.bias[None])
        size = np.maximum(np.abs(ends[0]), np.abs(ends[1]))
        heavy = np.abs(part.numbers)[None]
        sizes = (heavy * size).sum(axis=2) + np.abs(part.bias)[None]
        flat = np.broadcast_to(size, slope.shape).reshape(-1, width)
        lost = arithmetic.rounding.logit_loss(
            flat, np.broadcast_to(heavy, slope.shape).reshape(-1, width), 2 * np.finfo(low.dtype).eps
        )
        cells = np.arange(len(label))
        others = gaps.copy()
        others[cells, label] = np.inf
        columns.append(
            [
                others.min(axis=1),
                sizes[cells, label],
                sizes.max(axis=1),
                lost.reshape(sizes.shape).max(axis=1),
                *((gaps - factor * sizes).min(axis=1) for factor in _FACTORS),
            ]
        )
    least, size, most, reduced, *weighed = (
        np.concatenate(found)[place.reshape(-1)] for found in zip(*columns, strict=True)
    )
    return _Compared(least, size, most, reduced, weighed)
