r"""Does the promised token's logit beat every other one, in real arithmetic, for everything between bounds?

First all tokens at once in float64, with the rounding errors of that taken off; what is left, pair by pair in balls.

The errors of the first sieve, with ``u = 2^-53`` and ``t = 2^-1074``, the smallest float64: a rounded product or half
is off by ``u`` of itself and, below the normal range, ``t/2``; a rounded sum by ``u`` of itself. Let ``S_k`` be the
largest magnitude of coordinate ``k``, ``W_k`` that of its weights, ``n`` their number, ``M = sum S_k W_k + max|b|``.

- A weight and a bias, as float64, are within ``2u`` of themselves plus ``t``: in a logit ``2uM + t sum S_k + t``.
- The centre ``c = low/2 + high/2`` is within ``u S_k + t`` of the middle, so that ``|x_k - c_k| <= r_k + u S_k + t``
  with a radius ``r_k`` that is rounded up, and from halves: in a logit ``sum r_k W_k + uM + t sum W_k``.
- Computing a logit at ``c``, and ``sum r_k W_k``, in any order, is off by ``(n + 2) uM + nt`` each at most.

Every logit therefore is within ``sum r_k W_k + (2n + 7) uM + t (2n + 1 + sum S_k + sum W_k)`` of the computed one; the
sieve allows twice as much beside ``r``, which covers the roundings of these bounds themselves.
"""

from __future__ import annotations

from typing import Any

import flint
import numpy as np
from jaxtyping import Int

from verify.certificates.balls.rows import BallRows, BallWeight, outward
from verify.certificates.enclosing import Margins

#: Logits that are held at once.
_BATCH_LOGITS = 2**22
#: float64's unit roundoff, of a sieve's own arithmetic, and its smallest number.
_UNIT = 2.0**-53
_SMALLEST = 2.0**-1074


def ball_margins(rows: BallRows, weight: BallWeight, bias: BallWeight, expected: Int[np.ndarray, " cells"]) -> Margins:
    """Return lower bounds of the margins; 2^-1074, the smallest float64, for one that is positive and below it.

    Args:
        rows: the readout's input, one row for each cell (a batch of 1 stands for all cells).
        weight: of the readout, V x width.
        bias: of the readout, V x 1.
        expected: the promised tokens.

    """
    cells, vocab = len(expected), weight.shape[0]
    if vocab == 1:
        return Margins(np.full(cells, np.inf))
    used = [at for at, column in enumerate(rows.columns) if column is not None]
    low, high = _bounds(rows, used, cells)
    sieve = _FloatSieve(weight, bias, used)
    lower = np.empty(cells)
    chunk = max(1, _BATCH_LOGITS // vocab)
    for start in range(0, cells, chunk):
        chosen = slice(start, start + chunk)
        lower[chosen], where, other = sieve.lower(low[chosen], high[chosen], expected[chosen])
        found = _pairs(rows, weight, bias, owns=expected[where + start], cells=where + start, others=other)
        np.minimum.at(lower, where + start, found)
    return Margins(lower)


def _bounds(rows: BallRows, used: list[int], cells: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    low, high = np.zeros((cells, len(used))), np.zeros((cells, len(used)))
    for index, at in enumerate(used):
        column = rows.columns[at]
        assert column is not None
        low[:, index], high[:, index] = outward(column.low[:, 0], column.high[:, 0])
    return low, high


class _FloatSieve:
    def __init__(self, weight: BallWeight, bias: BallWeight, used: list[int]):
        place = {at: index for index, at in enumerate(used)}
        self.weight = np.zeros((weight.shape[0], len(used)))
        self.bias = np.zeros(weight.shape[0])
        for token, entries in enumerate(weight.entries):
            for column, value in entries:
                if column in place:
                    self.weight[token, place[column]] = float(value)
        for token, entries in enumerate(bias.entries):
            for _, value in entries:
                self.bias[token] = float(value)
        # float() of a ball of 128 bits is within 2u of its number, and t below the normal range
        self.heaviest = np.abs(self.weight).max(axis=0, initial=0) * (1 + 4 * _UNIT) + 2 * _SMALLEST
        self.largest = np.abs(self.bias).max() * (1 + 4 * _UNIT) + 2 * _SMALLEST

    def lower(self, low: Any, high: Any, expected: Any) -> tuple[Any, Any, Any]:
        """Return lower bounds over the pairs that are certain, and the pairs that are not."""
        with np.errstate(all="ignore"):  # what overflows is not certain
            return self._lower(low, high, expected)

    def _lower(self, low: Any, high: Any, expected: Any) -> tuple[Any, Any, Any]:
        width = low.shape[1]
        centre, radius = low / 2 + high / 2, _up(_up(high / 2 - low / 2))
        size = np.maximum(np.abs(low), np.abs(high))
        most = size @ self.heaviest + self.largest
        tiny = _SMALLEST * (2 * width + 1 + size.sum(axis=1) + self.heaviest.sum())
        slack = 2 * ((2 * width + 7) * _UNIT * most + tiny)
        allowed = (2 * slack + 2 * (radius @ self.heaviest)) * (1 + 16 * _UNIT)
        logits = centre @ self.weight.T + self.bias
        cell = np.arange(len(expected))
        gaps = logits[cell, expected][:, None] - logits
        # no partial sum is beyond 2M, and no difference beyond 4M
        sure = np.isfinite(allowed) & (most < np.finfo(np.float64).max / 4)
        close = ~((gaps > allowed[:, None]) & sure[:, None])
        close[cell, expected] = False
        gaps[cell, expected] = np.inf
        gaps[close] = np.inf
        where, other = np.nonzero(close)
        lower = gaps.min(axis=1) - np.where(sure, allowed, 0)
        # the smallest gap exceeds what is allowed
        return np.where(np.isinf(lower), lower, np.maximum(np.nextafter(lower, -np.inf), _SMALLEST)), where, other


def _pairs(
    rows: BallRows, weight: BallWeight, bias: BallWeight, *, owns: Any, cells: Any, others: Any
) -> np.ndarray[Any, Any]:
    """Return for each pair the lower end of the smallest difference, which is affine in every coordinate."""
    found = np.empty(len(cells))
    held = [dict(entries) for entries in weight.entries]
    shifts = [entries[0][1] if entries else flint.arb(0) for entries in bias.entries]
    for index, (own, cell, other) in enumerate(zip(owns.tolist(), cells.tolist(), others.tolist(), strict=True)):
        total = shifts[own] - shifts[other]
        for at in held[own].keys() | held[other].keys():
            column = rows.columns[at]
            if column is None:
                continue
            difference = held[own].get(at, flint.arb(0)) - held[other].get(at, flint.arb(0))
            batch = 0 if column.low.shape[0] == 1 else cell
            total += (difference * column.low[batch, 0]).min(difference * column.high[batch, 0])
        lower = total.lower()
        found[index] = _sign_kept(float(lower), positive=bool(total > 0))
    return found


def _sign_kept(value: float, *, positive: bool) -> float:
    """Return a float64 below a number; a tiny positive one must not become 0, nor one that is not positive positive."""
    below = float(np.nextafter(value, -np.inf))
    return max(below, _SMALLEST) if positive else min(below, 0.0)


def _up(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(np.nextafter(values, np.inf))
