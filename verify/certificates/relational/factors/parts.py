r"""Rows as sums of parts, each a product of positive factors times what an interval and known coefficients say of it.

A row is ``x = sum_k mu_k X_k``, and each ``X_k`` is ``c + A v + e``: ``mu_k`` a product of positive factors (its
monomial), ``c`` known numbers, ``v`` unknown numbers that several coordinates, rows and parts may share, and ``e`` of
every coordinate by itself, of which nothing is known but its largest magnitude. What a coordinate has in common with
others is kept in factors and in ``v``; everything else goes to ``e``.

All numbers are float64, one for each cell or one for all. *Own roundings:* a number of a result is made of at most
``n + 16`` roundings in a chain, with ``n`` terms in its sums, each ``2^-53`` of magnitudes that :meth:`Part.size`
bounds; :func:`slack` is twice that, which covers products of such factors, and is added to ``e``. Nothing underflows:
coefficients are 0 or at least ``FINEST`` in magnitude (:func:`part` sees to it), and so are weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from verify.certificates.relational.factors.table import FINEST, UNIT, Bounds, Monomial, Table, slack

_Array = Float[np.ndarray, "..."]


class Reach(NamedTuple):
    """Bounds of the coordinates of a part times some of its factors, which a norm gives more than theirs by themselves.

    Attributes:
        core: the factors, all of them of the part's monomial.
        most: the largest magnitude of each coordinate times the core, cells x width, or 1 x width.

    """

    core: Monomial
    most: _Array


@dataclass(frozen=True, eq=False)
class Part:
    """``mu (c + A v + e)``.

    Attributes:
        monomial: ``mu``.
        known: ``c``, cells x width, or 1 x width.
        names: the unknown numbers ``v``.
        slopes: ``A``, width x unknown numbers.
        error: the largest ``|e|``, cells x width, or 1 x width.
        length: upper bounds of the Euclidean length of the part, its factors included; infinite where nothing more is
            known than what its coordinates tell.
        reach: more that is known of coordinates, factors included.

    """

    monomial: Monomial
    known: _Array
    names: tuple[int, ...]
    slopes: _Array
    error: _Array
    length: _Array
    reach: Reach | None = None

    @property
    def width(self) -> int:
        """How many coordinates there are."""
        return int(self.known.shape[1])

    @property
    def factors(self) -> Monomial:
        """The factors that it has, and those that its reach speaks of."""
        return self.monomial if self.reach is None else self.monomial + self.reach.core

    def size(self, table: Table) -> _Array:
        """Return the largest magnitudes of ``c``, ``A v`` and ``e`` together."""
        return table.once(self, "size", self._size)

    def bounds(self, table: Table) -> Bounds:
        """Return bounds of ``c + A v + e``."""
        return table.once(self, "bounds", self._bounds)

    def longest(self, table: Table) -> _Array:
        """Return upper bounds of the Euclidean length of ``c + A v + e``, as its coordinates tell."""
        return table.once(self, "longest", self._longest)

    def norm(self, table: Table) -> _Array:
        """Return upper bounds of the Euclidean length, factors included."""
        most = self.longest(table) * table.times(self.monomial).high * (1 + 4 * UNIT)
        return np.asarray(np.minimum(self.length, most))

    def nonzero(self, table: Table) -> Bool[np.ndarray, " width"]:
        """Return the coordinates that are not 0 in every cell."""
        return table.once(self, "nonzero", self._nonzero)

    def over(self, table: Table, divisor: Monomial) -> Bounds:
        """Return bounds of the part divided by a product of factors."""
        return table.once(self, f"over {divisor}", lambda table: self._over(table, divisor))

    def _over(self, table: Table, divisor: Monomial) -> Bounds:
        scale, (least, most) = table.over(self.monomial, divisor), self.bounds(table)
        below, above = scale.low[:, None], scale.high[:, None]
        low, high = np.where(least >= 0, least * below, least * above), np.where(most >= 0, most * above, most * below)
        rest = None if self.reach is None else _less(self.monomial, (*divisor, *self.reach.core))
        if self.reach is None or rest is None:
            return Bounds(low, high)
        reach = self.reach.most * table.times(rest).high[:, None] * (1 + 4 * UNIT)
        return Bounds(np.fmax(low, -reach), np.fmin(high, reach))

    def reaching(self, table: Table, error: _Array) -> Reach | None:
        """Return the reach of the same part with more errors of every coordinate."""
        if self.reach is None:
            return None
        more = error * table.times(self.reach.core).high[:, None] * (1 + slack(1))
        return Reach(self.reach.core, (self.reach.most + more) * (1 + slack(1)))

    def naming(self, table: Table, chosen: Sequence[int]) -> Part:
        """Return the part with the errors of some coordinates as unknown numbers, the same ones each time."""
        named = [(at, table.error(self, at, -self.error[:, at], self.error[:, at])) for at in chosen]
        slopes = np.zeros((self.width, len(named)))
        slopes[[at for at, _ in named], np.arange(len(named))] = 1
        error = self.error.copy()
        error[:, list(chosen)] = 0
        names = (*self.names, *(name for _, name in named))
        return replace(self, names=names, slopes=np.concatenate([self.slopes, slopes], axis=1), error=error)

    def loosened(self, table: Table, error: _Array) -> Part:
        """Return the part with more errors of every coordinate."""
        error = error * (1 + slack(1))
        length = self.norm(table) + error_length(error, self.monomial, table)
        return replace(self, error=self.error + error, length=length, reach=self.reaching(table, error))

    @property
    def told(self) -> Bool[np.ndarray, " width"]:
        """The coordinates of which more is known than an error."""
        return np.asarray((self.known != 0).any(axis=0) | (self.slopes != 0).any(axis=1))

    def _nonzero(self, table: Table) -> Bool[np.ndarray, " width"]:
        return np.asarray((self.size(table) != 0).any(axis=0))

    def _size(self, table: Table) -> _Array:
        middle, radius = table.middles(self.names)
        found = np.abs(self.known) + (np.abs(middle) + radius) @ np.abs(self.slopes).T + self.error
        return np.asarray(found * (1 + slack(len(self.names))))

    def _bounds(self, table: Table) -> Bounds:
        middle, radius = table.middles(self.names)
        centre, wide = self.known + middle @ self.slopes.T, radius @ np.abs(self.slopes).T + self.error
        wide = wide * (1 + slack(len(self.names))) + slack(len(self.names)) * self.size(table)
        return Bounds(centre - wide, centre + wide)

    def _longest(self, table: Table) -> _Array:
        low, high = self.bounds(table)
        most = np.maximum(np.abs(low), np.abs(high))
        return np.asarray(np.sqrt((most * most).sum(axis=1)) * (1 + slack(self.width)))


UNKNOWN_LENGTH = np.full(1, np.inf)


def part(
    monomial: Monomial,
    known: _Array,
    error: _Array,
    *,
    names: tuple[int, ...] = (),
    slopes: _Array | None = None,
    length: _Array = UNKNOWN_LENGTH,
    reach: Reach | None = None,
) -> Part:
    """Return a part; numbers that are too small to compute with become errors, and unknown numbers without a slope go.

    Slopes below :data:`FINEST` are no numbers that this package makes; they become NaN, which decides nothing.
    """
    small = (np.abs(known) < FINEST) & (known != 0)
    error = np.where((error < FINEST) & (error != 0), FINEST, error)
    if small.any():
        known, error = np.where(small, 0, known), error + np.where(small, FINEST, 0)
    held = np.zeros((known.shape[1], 0)) if slopes is None else slopes
    moved = (held != 0).any(axis=0)
    if not moved.all():
        held, names = held[:, moved], tuple(name for name, kept in zip(names, moved.tolist(), strict=True) if kept)
    if ((np.abs(held) < FINEST) & (held != 0)).any():
        held = np.full_like(held, np.nan)
    return Part(monomial, known, names, held, error, length, reach)


def nothing(width: int) -> _Array:
    """Return zeros for all cells."""
    return np.zeros((1, width))


def _less(monomial: Monomial, factors: Monomial) -> Monomial | None:
    """Return what is left of a product without some factors; ``None`` if it does not have them."""
    left, taken = Counter(monomial), Counter(factors)
    return None if taken - left else tuple(sorted((left - taken).elements()))


def error_length(error: _Array, monomial: Monomial, table: Table) -> _Array:
    """Return the largest Euclidean length of errors of every coordinate, times a product of factors."""
    most = np.sqrt((error * error).sum(axis=1)) * (1 + slack(error.shape[1]))
    return np.asarray(most * table.times(monomial).high * (1 + 4 * UNIT))
