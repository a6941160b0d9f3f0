"""Does the promised token's logit beat every other one, in real arithmetic, for everything between bounds?

First all tokens at once in float64, with the rounding errors of that taken off; what is left, pair by pair in balls.
"""

from __future__ import annotations

from typing import Any

import flint
import numpy as np
from jaxtyping import Int

from verify.certificates.balls import BallRows, BallWeight, outward
from verify.certificates.margins import Margins

#: Logits that are held at once.
_BATCH_LOGITS = 2**22
#: float64's unit roundoff, of a sieve's own arithmetic.
_UNIT = 2.0**-53


def ball_margins(rows: BallRows, weight: BallWeight, bias: BallWeight, expected: Int[np.ndarray, " cells"]) -> Margins:
    """Return lower bounds of the margins.

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
        # float() of a ball of 128 bits is within 2u of its number
        self.heaviest = np.abs(self.weight).max(axis=0, initial=0) * (1 + 4 * _UNIT)
        self.largest = np.abs(self.bias).max() * (1 + 4 * _UNIT)

    def lower(self, low: Any, high: Any, expected: Any) -> tuple[Any, Any, Any]:
        """Return lower bounds over the pairs that are certain, and the pairs that are not."""
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            where, other = np.nonzero(np.arange(len(self.bias))[None, :] != expected[:, None])
            return np.full(len(expected), np.inf), where, other
        centre, radius = (low + high) / 2, np.nextafter((high - low) / 2, np.inf)
        most = np.maximum(np.abs(low), np.abs(high)) @ self.heaviest + self.largest
        # weights within 2u, the centre within u, width + 1 terms: each logit within (width + 6) u of their magnitudes
        slack = 2 * (low.shape[1] + 6) * _UNIT * most
        allowed = (2 * slack + 2 * (radius @ self.heaviest)) * (1 + 16 * _UNIT)
        logits = centre @ self.weight.T + self.bias
        cell = np.arange(len(expected))
        gaps = logits[cell, expected][:, None] - logits
        close = ~(gaps > allowed[:, None])
        close[cell, expected] = False
        gaps[cell, expected] = np.inf
        gaps[close] = np.inf
        where, other = np.nonzero(close)
        return gaps.min(axis=1) - allowed, where, other


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
    if positive:
        return max(below, float(np.nextafter(0.0, 1.0)))
    return min(below, 0.0)
