r"""Activations of rows with factors.

*ReLU* takes a positive factor out: ``relu(mu b) = mu relu(b)``. What it does to a coordinate is decided in every cell
by bounds of the coordinate, and by bounds of it divided by a factor that all its parts have.

*A smooth activation* that says how far it is from ReLU (gelu, silu) is ReLU and an error of its own, which is largest
at the bounds that are next to 0. Where that is too far, ``f(x)/x`` is a factor that coordinates of the same number
share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import flint
import numpy as np
from jaxtyping import Bool, Float, Int

from constructions.activations import Activation
from verify.certificates.balls.columns import ball_precision
from verify.certificates.itself import Itself
from verify.certificates.relational.factors.kernels import Kernels
from verify.certificates.relational.factors.parts import Part, nothing, part
from verify.certificates.relational.factors.rows import Row, common
from verify.certificates.relational.factors.table import ALONE, UNIT, Bounds, Table, reduce_sum, slack

_Array = Float[np.ndarray, "..."]
#: Results that are kept of each function: some hundred bytes each. The least recently used go first.
_KEPT = 2**12


@dataclass(frozen=True)
class Activations:
    """Computes activations of rows.

    Attributes:
        table: factors and unknown numbers.
        kernels: what they may be off by.

    """

    table: Table
    kernels: Kernels

    # kept for as long as these rows are computed: an activation of another author's may change between certificates

    @cached_property
    def _share(self) -> Callable[[Itself[Activation], float, float], tuple[float, float]]:
        return lru_cache(maxsize=_KEPT)(_share)

    @cached_property
    def _distance(self) -> Callable[[Itself[Activation], float, float], float]:
        return lru_cache(maxsize=_KEPT)(_distance)

    def relu(self, row: Row) -> Row:
        """Return ``max(0, .)``, which no kernel rounds."""
        factor = common(row.parts)
        ends, inner = row.hull(self.table), row.hull(self.table, factor)
        rises = np.asarray((ends.low >= 0) | (inner.low >= 0))
        falls = ~rises & ((ends.high <= 0) | (inner.high <= 0))
        open_ = ~rises & ~falls  # NaN, too
        found = [self._kept(one, rises) for one in row.parts]
        if open_.any():
            half = np.where(open_, inner.high / 2, 0)
            found.append(part(factor, half, np.abs(half) * (1 + 4 * UNIT)))
        return Row(row.width, tuple(found)).merged(self.table)

    def _kept(self, one: Part, where: Bool[np.ndarray, "cells width"]) -> Part:
        """Return a part where it is kept; a coordinate that some cells keep keeps its bounds alone."""
        every, some = np.asarray(where.all(axis=0)), np.asarray(where.any(axis=0))
        low, high = one.bounds(self.table)
        mixed = some & ~every
        # half of each is exact, and their sum off by a rounding of either
        centre, wide = low / 2 + high / 2, (high / 2 - low / 2) + 4 * UNIT * np.maximum(np.abs(low), np.abs(high))
        return part(
            one.monomial,
            np.where(every, one.known, np.where(mixed & where, centre, 0)),
            np.where(every, one.error, np.where(mixed & where, wide, 0)),
            names=one.names,
            slopes=np.where(every[:, None], one.slopes, 0),
            length=one.length,
            reach=one.reach,
        )

    def knows(self, activation: Activation) -> bool:
        """Return whether an activation says how far it is from ReLU."""
        return bool(np.isfinite(self._distance(Itself(activation), 0.0, 1.0)))

    def near_relu(self, row: Row, activation: Activation) -> Row:
        """Return an activation that is a known distance from ReLU at most.

        Where that is too far, coordinates that are all but the same number have a factor ``f(x)/x`` in common.
        """
        ends = self._ends(row)
        relative, absolute = self.kernels.activation(activation)
        size = np.maximum(np.abs(ends.low), np.abs(ends.high))
        self.table.note(2 * size)  # a kernel may double its argument
        away = self._distances(activation, ends)
        kept = self.relu(row)
        found = list(kept.parts)
        far = (ends.low > 0) & (away > UNIT * size)
        slope = activation.ratio_slope
        if slope is not None and far.any():
            first = far.argmax(axis=1)
            apart = np.expm1(float(slope) * self._apart(row, first)) * (1 + slack(1))
            near = np.asarray(far & (apart * size < away))
            away = np.where(near, 0, away)
            found = list(self._restricted(kept, ~near).parts)
            found += self._sharing(row, activation, near, (first, ends, apart))
        more = away * (1 + slack(1)) + absolute
        whole = Row(row.width, (*found, part(ALONE, nothing(row.width), more))).merged(self.table)
        return whole.loosened(self.table, relative)

    def _restricted(self, row: Row, where: Bool[np.ndarray, "cells width"]) -> Row:
        return Row(row.width, tuple(self._kept(one, where) for one in row.parts))

    def _apart(self, row: Row, first: Int[np.ndarray, " cells"]) -> _Array:
        """Return how far coordinates may be from the first of each cell."""
        found = []
        for one in row.parts:
            known, error, size = (
                np.broadcast_to(values, (len(first), row.width))
                for values in (one.known, one.error, one.size(self.table))
            )
            at = np.arange(len(first)), first
            middle, radius = self.table.middles(one.names)
            slopes = one.slopes[None] - one.slopes[first][:, None]
            centre = known - known[at][:, None] + (slopes * middle[:, None]).sum(axis=2)
            wide = (np.abs(slopes) * radius[:, None]).sum(axis=2) + error + error[at][:, None]
            wide = wide + slack(len(one.names) + 2) * (size + size[at][:, None])
            found.append((np.abs(centre) + wide) * self.table.times(one.monomial).high[:, None])
        return reduce_sum(found) * (1 + slack(len(found)))

    def _sharing(
        self,
        row: Row,
        activation: Activation,
        near: Bool[np.ndarray, "cells width"],
        of: tuple[Int[np.ndarray, " cells"], Bounds, _Array],
    ) -> list[Part]:
        """Return parts of ``f(x_i) = (f(x)/x) x_i (1 + e)``, with ``x`` the first of each cell far from ReLU."""
        first, ends, apart = of
        cells = np.arange(len(first))
        least, most = (np.asarray(end[cells, first]).tolist() for end in ends)
        shares = [self._share(Itself(activation), low, high) for low, high in zip(least, most, strict=True)]
        shares = [
            share if some else (1.0, 1.0)
            for share, some in zip(shares, np.asarray(near.any(axis=1)).tolist(), strict=True)
        ]
        factor = self.table.factor(*np.array(shares).T)
        factor_bounds = self.table.times(factor)
        found = []
        for one in self._restricted(row, near).parts:
            error = np.where(near, apart, 0) * one.size(self.table)
            monomial = tuple(sorted(one.monomial + factor))
            length = one.norm(self.table) * factor_bounds.high * (1 + slack(1))
            found.append(replace(one, monomial=monomial, length=length).loosened(self.table, error))
        return found

    def _ends(self, row: Row) -> Bounds:
        """Return bounds of every coordinate, by its parts and by what is left of them over their common factor."""
        factor = common(row.parts)
        ends, inner = row.hull(self.table), row.hull(self.table, factor)
        below, above = (end[:, None] for end in self.table.times(factor))
        low = np.where(inner.low >= 0, inner.low * below, inner.low * above)
        high = np.where(inner.high >= 0, inner.high * above, inner.high * below)
        own = slack(1) * np.maximum(np.abs(low), np.abs(high))
        return Bounds(np.fmax(ends.low, low - own), np.fmin(ends.high, high + own))

    def _distances(self, activation: Activation, ends: Bounds) -> _Array:
        """Return upper bounds of an activation's distance from ReLU between bounds, few of them computed.

        The nearest and the farthest number from 0 are taken to powers of two outward, so that few are distinct.
        """
        low, high = ends
        nearest = np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high)))
        farthest = np.maximum(np.abs(low), np.abs(high))
        near, far = _power_below(nearest), 2 * _power_below(farthest)
        pairs, place = np.unique(np.stack([near.reshape(-1), far.reshape(-1)]), axis=1, return_inverse=True)
        found = np.array([self._distance(Itself(activation), *pair) for pair in pairs.T.tolist()])
        return np.asarray(found[place.reshape(-1)].reshape(near.shape))


def _power_below(values: _Array) -> _Array:
    """Return the largest quarter of a power of two that is not above a number; 0 for 0, and NaN for what is none."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.where(np.isfinite(values), np.ldexp(np.floor(mantissa * 8) / 8, exponent), np.nan))


def _share(one: Itself[Activation], low: float, high: float) -> tuple[float, float]:
    """Return bounds of ``f(x)/x`` between two positive numbers; NaN where there are none."""
    if not 0 < low <= high < np.inf:
        return float("nan"), float("nan")
    with ball_precision():
        least, most = one.thing.ratio(flint.arb(low), flint.arb(high))
    return float(np.nextafter(float(least.lower()), 0)), float(np.nextafter(float(most.upper()), np.inf))


def _distance(one: Itself[Activation], nearest: float, farthest: float) -> float:
    if not (np.isfinite(nearest) and np.isfinite(farthest)):
        return float("nan")
    with ball_precision():
        most = one.thing.beside_relu(flint.arb(nearest), flint.arb(farthest))
    return float("inf") if most is None else float(np.nextafter(float(most.upper()), np.inf))
