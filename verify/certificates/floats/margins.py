r"""Does the promised token's logit beat every other one, for everything in a box? Three sieves, each finer.

1. *Coarse*: a group of neighbouring cells against all tokens at once; then, for the pairs that are left, with ``c``
   the centre and ``r`` the radius of the readout's input, ``L_v - L_w >= L_v(c) - L_w(c) - sum_k 2 max|W_k| r_k`` minus
   twice the largest rounding error of any logit.
2. *Relational*, for the pairs that are left: ``L_v - L_w`` is affine in ``x``, its minimum over the box is at a corner,
   ``sum_k min(d_k low_k, d_k high_k) + b_v - b_w`` with ``d = W_v - W_w``; minus the rounding errors of the two.
3. *Enumerated*, for floats that are still left: the box holds finitely many floats; at each the bounds of both logits
   are rounded, products with and without fused multiply-add.

The sieves are computed in the wide dtype. Their roundings are charged relative to all magnitudes; where a product may
fall below the dtype's normal range (float64 where ``longdouble`` is no wider), its smallest number is charged as well:
half of it for each of the ``n`` products of a logit, of ``r @ max|W|``, and of a difference of two logits, which is at
most ``2n`` of it in a pair of logits of ``n + 3`` each.

The last two are in :mod:`verify.certificates.floats.pairs_of_tokens`. Large readouts of few entries in each row go to
:mod:`verify.certificates.floats.bands`, and those of digits to :mod:`verify.certificates.floats.additive`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int, Shaped

from verify.certificates.enclosing import Margins
from verify.certificates.floats.boxes import Box, RoundedWeight
from verify.certificates.floats.directed import (
    EVERYTHING,
    largest_of,
    next_down,
    next_up,
)
from verify.certificates.floats.few_entries import margins_of_few_entries
from verify.certificates.floats.pairs_of_tokens import Pairs, counted
from verify.certificates.floats.sparse_weight import SparseWeight
from verify.certificates.floats.sums import Terms

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]
#: Logits that are held at once.
_BATCH_LOGITS = 2**21


def rounded_margins(
    arithmetic: RoundedArithmetic,
    rows: Box,
    weight: RoundedWeight,
    bias: RoundedWeight,
    expected: Int[np.ndarray, " cells"],
    *,
    points: int,
) -> Margins:
    """Return bounds of the margins of computed logits.

    Args:
        arithmetic: the float arithmetic.
        rows: the readout's input, cells x 1 x width (a batch of 1 stands for all cells).
        weight: of the readout, V x width.
        bias: of the readout, V x 1.
        expected: the promised tokens.
        points: the most floats of a box that are tried one by one; beyond it a pair stays undecided.

    """
    cells, vocab = len(expected), weight.shape[0]
    low, high = (np.broadcast_to(part[:, 0], (cells, part.shape[2])) for part in (rows.low, rows.high))
    if vocab == 1:
        logits = arithmetic.linear(rows, weight, bias)  # no other token is there to beat, but the logit must be finite
        finite = np.isfinite(logits.low).all(axis=(1, 2))
        return Margins(np.where(np.broadcast_to(finite, cells), np.inf, -np.inf))
    if isinstance(weight, SparseWeight):
        inputs = low, high, rows.grid
        return Margins(_float_below(margins_of_few_entries(arithmetic, inputs, weight, bias, expected, points=points)))
    # equal boxes that promise the same token, at other steps or user inputs, are one case; their bounds are numbers of
    # the format, which float64 tells apart
    keys = np.concatenate([low.astype(np.float64), high.astype(np.float64), expected[:, None]], axis=1)
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    sieve = _Sieve(arithmetic, rows.grid, weight, bias, points)
    chunk = max(1, _BATCH_LOGITS // vocab)
    lower = np.empty(len(first))
    for start in range(0, len(first), chunk):
        chosen = first[start : start + chunk]
        lower[start : start + chunk] = _float_below(sieve.lower(low[chosen], high[chosen], expected[chosen]))
    return Margins(lower[place])


class _Sieve(Pairs):
    @cached_property
    def heaviest(self) -> _Array:
        """The largest magnitude of each column."""
        return np.asarray(np.abs(self.weight).max(axis=0))

    def lower(self, low: _Array, high: _Array, expected: Int[np.ndarray, " cells"]) -> _Array:
        """Return lower bounds of the margins of some cells."""
        largest = min(self.rounding.largest_factor, largest_of(self.arithmetic.fmt))
        if not (self.heaviest <= largest).all():
            return np.full(len(expected), -np.inf, dtype=self.dtype)
        finite = ((np.abs(low) <= largest) & (np.abs(high) <= largest)).all(axis=1)
        if not finite.all():
            found = np.full(len(expected), -np.inf, dtype=self.dtype)
            if finite.any():
                found[finite] = self.lower(low[finite], high[finite], expected[finite])
            return found
        # halves first, which cannot overflow; where a half is rounded, the radius grows by as much
        centre, radius = low / 2 + high / 2, next_up(next_up(high / 2 - low / 2))
        size = np.maximum(np.abs(low), np.abs(high))
        used = np.flatnonzero((size != 0).any(axis=0))
        most = size @ self.heaviest + np.abs(self.bias).max()
        terms = self._terms_of(size, most)
        error, _ = self.arithmetic.error(terms)
        each = error + self.arithmetic.last_rounding(most + error)
        each = each + (len(used) + 3) * (self.unit * most + self.smallest)
        lower, where, other = self._suspects(low[:, used], high[:, used], expected, used, each=each, most=most)
        # what is left, each pair at the centre of its cell, with the largest change over the box
        logits = (self.weight[:, used][expected] * centre[:, used]).sum(axis=1) + self.bias[expected]
        allowed = (2 * each + 2 * (radius @ self.heaviest)) * (1 + 8 * self.unit)
        most_pairs = max(1, _BATCH_LOGITS // max(1, low.shape[1]))
        for start in range(0, len(where), most_pairs):
            cell, token = where[start : start + most_pairs], other[start : start + most_pairs]
            others = (self.weight[:, used][token] * centre[cell][:, used]).sum(axis=1) + self.bias[token]
            gaps = logits[cell] - others - allowed[cell]
            close = ~(gaps > 0)
            np.minimum.at(lower, cell[~close], gaps[~close])
            cell, token = cell[close], token[close]
            if len(cell):
                np.minimum.at(lower, cell, self.pairs(low[cell], high[cell], expected[cell], token))
        return lower

    def _suspects(
        self,
        low: _Array,
        high: _Array,
        expected: Int[np.ndarray, " cells"],
        used: Int[np.ndarray, " used"],
        *,
        each: _Array,
        most: _Array,
    ) -> tuple[_Array, Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
        """Return lower bounds over the pairs that are certain for a whole group of cells, and the other pairs.

        With ``r`` the token of a cell in the middle of a group, ``L_v - L_w = (L_v - L_r) - (L_w - L_r)`` at every
        point; the first is at least its smallest value over the cell of ``v``, the second at most its largest one over
        the hull of the group. A group of ``g`` neighbours is compared once with all ``V`` tokens, and its cells then
        with about ``2g`` near ones: ``V^2/g + 2gV`` in all, least near ``g = sqrt(V/2)``.
        """
        cells, vocab = len(expected), len(self.bias)
        size = max(1, math.isqrt(vocab // 2))
        starts = np.arange(0, cells, size)
        group = np.arange(cells) // size
        reference = expected[np.minimum(starts + size // 2, cells - 1)]
        weight = self.weight[:, used]
        own = weight[expected] - weight[reference[group]]
        gain = np.minimum(own * low, own * high).sum(axis=1) + (self.bias[expected] - self.bias[reference[group]])
        least = np.minimum.reduceat(gain, starts)
        hull_low, hull_high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
        rise = self.bias[None, :] - self.bias[reference][:, None]
        for column in range(len(used)):
            slope = weight[None, :, column] - weight[reference, None, column]
            rise += np.maximum(slope * hull_low[:, None, column], slope * hull_high[:, None, column])
        # two differences of logits, of at most twice ``most`` each, with used + 3 roundings
        largest, slack = np.maximum.reduceat(each, starts), np.maximum.reduceat(most, starts)
        allowed = (2 * largest + 4 * (len(used) + 6) * self.unit * slack) * (1 + 8 * self.unit)
        gaps = (least - allowed)[:, None] - rise
        suspect = ~(gaps > 0)
        lower = np.where(suspect, np.inf, gaps).min(axis=1)[group]
        at, token = np.nonzero(suspect)
        members = np.minimum(starts + size, cells) - starts
        where = np.repeat(starts[at], members[at]) + counted(members[at])
        other = np.repeat(token, members[at])
        kept = other != expected[where]
        return lower, where[kept], other[kept]

    def _terms_of(self, size: _Array, most: _Array) -> Terms:
        """Return the terms of a logit of which nothing is known but their magnitudes, ``most`` in all."""
        nothing = np.asarray(-EVERYTHING)
        count = (size != 0).sum(axis=1, dtype=self.dtype) + 1
        magnitude = size @ self.heaviest
        reduced = self.rounding.logit_loss(size, np.broadcast_to(self.heaviest, size.shape), self.unit)
        return Terms(np.zeros_like(most), most, most, count, magnitude, nothing, reduced)


def _float_below(values: _Array) -> Float[np.ndarray, " cells"]:
    """Return the largest float64 that is not above each number."""
    found = values.astype(np.float64)
    return np.asarray(np.where(found > values, next_down(found), found))
