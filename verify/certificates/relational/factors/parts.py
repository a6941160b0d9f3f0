r"""Rows as sums of parts, each a product of positive factors times what an interval and known coefficients say of it.

A row is ``x = sum_k mu_k X_k``, and each ``X_k`` is ``c + A v + e``: ``mu_k`` a product of positive factors (its
monomial), ``c`` known numbers, ``v`` unknown numbers that several coordinates, rows and parts may share, and ``e`` of
every coordinate by itself, of which nothing is known but its largest magnitude. What a coordinate has in common with
others is kept in factors and in ``v``; everything else goes to ``e``.

All numbers are float64, one for each cell or one for all. *Own roundings:* a number of a result is made of at most
``n + 16`` roundings in a chain, with ``n`` terms in its sums, each ``2^-53`` of magnitudes that :meth:`Part.size`
bounds; :func:`slack` is twice that, which covers products of such factors, and is added to ``e``. Nothing underflows:
coefficients are 0 or at least :data:`FINEST` in magnitude (:func:`part` sees to it), and so are weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

_Array = Float[np.ndarray, "..."]
_T = TypeVar("_T")

#: float64's unit roundoff.
UNIT = 2.0**-53
#: The smallest magnitude of a coefficient that is not 0: products of two, and of their square roots, are normal floats.
FINEST = 2.0**-400

#: The numbers of positive factors in a :class:`Table`, ascending; a factor may come several times.
Monomial = tuple[int, ...]
#: No factor at all.
ALONE: Monomial = ()


class Bounds(NamedTuple):
    """Lower and upper bounds, in every cell or the same in all; not always of one shape."""

    low: _Array
    high: _Array


def slack(count: int) -> float:
    """Return what own roundings change a number by, relative to its magnitudes, with sums of so many terms."""
    return 2 * (count + 16) * UNIT


class Table:
    """The factors and the unknown numbers of one forward pass.

    Attributes:
        most: the largest magnitude that a number, or a sum of magnitudes, may have in exact arithmetic.

    """

    def __init__(self) -> None:
        """Hold none."""
        self._factors: list[Bounds] = []
        self._unknown: list[Bounds] = []
        self._known: dict[Monomial, Bounds] = {ALONE: Bounds(np.ones(1), np.ones(1))}
        self._pairs: dict[tuple[int, int], int] = {}
        self._computed: dict[Any, Any] = {}
        self.most = 0.0

    def once(self, owner: Any, name: str, make: Callable[[Table], _T]) -> _T:
        """Return what is computed of an object once."""
        key = (owner, name)
        if key not in self._computed:
            self._computed[key] = make(self)
        found: _T = self._computed[key]
        return found

    def note(self, magnitudes: _Array) -> None:
        """Note how large a computed number may be; NaN stays."""
        self.most = float(np.maximum(self.most, magnitudes.max(initial=0)))

    def factor(self, low: _Array, high: _Array) -> Monomial:
        """Return a new positive factor; one that may be 0 or infinite makes every bound of it so."""
        self._factors.append(Bounds(low, high))
        return (len(self._factors) - 1,)

    def unknown(self, low: _Array, high: _Array) -> int:
        """Return the number of a new unknown number."""
        self._unknown.append(Bounds(low, high))
        return len(self._unknown) - 1

    def both(self, one: int, other: int) -> int:
        """Return the unknown number that is the product of two."""
        key = (min(one, other), max(one, other))
        if key not in self._pairs:
            left, right = (self._unknown[name] for name in key)
            corners = [end * another for end in left for another in right]
            own = 4 * UNIT * np.maximum.reduce([np.abs(corner) for corner in corners]) + FINEST
            self._pairs[key] = self.unknown(np.minimum.reduce(corners) - own, np.maximum.reduce(corners) + own)
        return self._pairs[key]

    def tighten(self, monomial: Monomial, bounds: Bounds) -> None:
        """Note bounds of a product of factors that those of its factors do not tell."""
        own = self.times(monomial)
        self._known[monomial] = Bounds(np.maximum(own.low, bounds.low), np.minimum(own.high, bounds.high))

    def times(self, monomial: Monomial) -> Bounds:
        """Return bounds of a product of factors."""
        if monomial not in self._known:
            below, above = self.times(monomial[:-1]), self._factors[monomial[-1]]
            with np.errstate(under="ignore"):
                low, high = below.low * above.low * (1 - 4 * UNIT), below.high * above.high * (1 + 4 * UNIT)
            self._known[monomial] = Bounds(np.where(low < FINEST, 0, low), np.maximum(high, FINEST))
        return self._known[monomial]

    def over(self, monomial: Monomial, divisor: Monomial) -> Bounds:
        """Return bounds of a product of factors divided by another one."""
        left, right = Counter(monomial), Counter(divisor)
        top, bottom = (self.times(tuple(sorted(some.elements()))) for some in (left - right, right - left))
        return Bounds(top.low / bottom.high * (1 - 4 * UNIT), top.high / bottom.low * (1 + 4 * UNIT))

    def middles(self, names: Sequence[int]) -> tuple[_Array, _Array]:
        """Return the middles of unknown numbers, and their distances from the ends, cells x numbers."""
        if not names:
            return np.zeros((1, 0)), np.zeros((1, 0))
        return self.once(names, "middles", lambda table: table._middles(names))

    def _middles(self, names: Sequence[int]) -> tuple[_Array, _Array]:
        low, high = (_stacked([getattr(self._unknown[name], end) for name in names]) for end in ("low", "high"))
        middle = low / 2 + high / 2
        # the middle is off by less than two roundings of either end
        return middle, (high / 2 - low / 2) * (1 + 4 * UNIT) + 4 * UNIT * np.maximum(np.abs(low), np.abs(high))


def _stacked(columns: Sequence[_Array]) -> _Array:
    cells = max(len(column) for column in columns)
    return np.stack([np.broadcast_to(column, cells) for column in columns], axis=1)


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
        return np.minimum(self.length, most)

    def nonzero(self, table: Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the coordinates that are not 0 in every cell."""
        return table.once(self, "nonzero", lambda table: (self.size(table) != 0).any(axis=0))

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
        named = [(at, table.once(self, f"error of {at}", lambda table, at=at: self._name(table, at))) for at in chosen]  # type: ignore[misc] # bound at once
        slopes = np.zeros((self.width, len(named)))
        slopes[[at for at, _ in named], np.arange(len(named))] = 1
        error = self.error.copy()
        error[:, list(chosen)] = 0
        names = (*self.names, *(name for _, name in named))
        return replace(self, names=names, slopes=np.concatenate([self.slopes, slopes], axis=1), error=error)

    def _name(self, table: Table, at: int) -> int:
        return table.unknown(-self.error[:, at], self.error[:, at])

    def loosened(self, table: Table, error: _Array) -> Part:
        """Return the part with more errors of every coordinate."""
        error = error * (1 + slack(1))
        length = self.norm(table) + error_length(error, self.monomial, table)
        return replace(self, error=self.error + error, length=length, reach=self.reaching(table, error))

    @property
    def told(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """The coordinates of which more is known than an error."""
        return np.asarray((self.known != 0).any(axis=0) | (self.slopes != 0).any(axis=1))

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
        return np.sqrt((most * most).sum(axis=1)) * (1 + slack(self.width))


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


@dataclass(frozen=True, eq=False)
class Row:
    """The vector at one position.

    Attributes:
        width: how many coordinates it has.
        parts: it is their sum; none for 0.

    """

    width: int
    parts: tuple[Part, ...]

    def hull(self, table: Table, divisor: Monomial = ALONE) -> Bounds:
        """Return bounds of every coordinate, divided by a product of factors."""
        low, high = nothing(self.width), nothing(self.width)
        for group in _by_monomial(self.parts).values():
            ends = [one.over(table, divisor) for one in group]
            low, high = low + reduce_sum([end.low for end in ends]), high + reduce_sum([end.high for end in ends])
        own = slack(len(self.parts)) * self._size(table, divisor)
        return Bounds(low - own, high + own)

    def _size(self, table: Table, divisor: Monomial) -> _Array:
        sizes = [one.size(table) * table.over(one.monomial, divisor).high[:, None] for one in self.parts]
        return reduce_sum([nothing(self.width), *sizes])

    def magnitude(self, table: Table) -> _Array:
        """Return upper bounds of the sum of the magnitudes of all parts."""
        return np.asarray(self._size(table, ALONE) * (1 + slack(len(self.parts))))

    def nonzero(self, table: Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the coordinates that are not 0 in every cell."""
        found = np.zeros(self.width, dtype=np.bool_)
        for one in self.parts:
            found |= one.nonzero(table)
        return found

    def magnitudes(self, table: Table) -> list[tuple[Monomial, _Array]]:
        """Return products of factors with numbers, which add up to at least the magnitude of every coordinate.

        That is the magnitudes of its parts. Where parts cancel, with different factors, the whole is smaller than they
        are, over the factors that all of them have.
        """
        factor = common(self.parts)
        low, high = self.hull(table, factor)
        most = np.maximum(np.abs(low), np.abs(high))
        sizes = [one.size(table) * table.over(one.monomial, factor).low[:, None] for one in self.parts]
        whole = most < reduce_sum([nothing(self.width), *sizes])
        found = [(one.monomial, np.where(whole, 0, one.size(table))) for one in self.parts]
        return [*found, (factor, np.where(whole, most, 0))]

    def with_errors(self, errors: Sequence[tuple[Monomial, _Array]], table: Table) -> Row:
        """Return the row with more errors of every coordinate, each with a product of factors."""
        more = {monomial: nothing(self.width) for monomial, _ in errors}
        for monomial, error in errors:
            more[monomial] = more[monomial] + error * (1 + slack(len(errors)))
        found = [one.loosened(table, more.pop(one.monomial, nothing(self.width))) for one in self.merged(table).parts]
        found += [part(monomial, nothing(self.width), error) for monomial, error in more.items()]
        return replace(self, parts=tuple(found)).merged(table)

    def loosened(self, table: Table, relative: _Array | float) -> Row:
        """Return the row with every coordinate off by a part of itself."""
        return self.with_errors([(mono, relative * most) for mono, most in self.magnitudes(table)], table)

    def merged(self, table: Table) -> Row:
        """Return the row with one part for each monomial, and none that is 0."""
        found = []
        for group in _by_monomial(self.parts).values():
            whole = group[0] if len(group) == 1 else _added(group, table)
            if whole.nonzero(table).any():
                found.append(whole)
        return replace(self, parts=tuple(found))


def reduce_sum(arrays: Iterable[_Array]) -> _Array:
    """Return the sum of arrays of at least one."""
    first, *others = arrays
    for other in others:
        first = first + other
    return first


def _less(monomial: Monomial, factors: Monomial) -> Monomial | None:
    """Return what is left of a product without some factors; ``None`` if it does not have them."""
    left, taken = Counter(monomial), Counter(factors)
    return None if taken - left else tuple(sorted((left - taken).elements()))


def _by_monomial(parts: Sequence[Part]) -> dict[Monomial, list[Part]]:
    found: dict[Monomial, list[Part]] = {}
    for one in parts:
        found.setdefault(one.monomial, []).append(one)
    return found


def _added(group: Sequence[Part], table: Table) -> Part:
    names = tuple(sorted({name for one in group for name in one.names}))
    slopes = np.zeros((group[0].width, len(names)))
    for one in group:
        slopes[:, [names.index(name) for name in one.names]] += one.slopes
    own = slack(len(group)) * reduce_sum([one.size(table) for one in group])
    return part(
        group[0].monomial,
        reduce_sum([one.known for one in group]),
        reduce_sum([one.error for one in group]) + own,
        names=names,
        slopes=slopes,
        length=reduce_sum([one.norm(table) for one in group]) * (1 + slack(len(group)))
        + error_length(own, group[0].monomial, table),
        reach=_joined(group, own, table),
    )


def _joined(group: Sequence[Part], own: _Array, table: Table) -> Reach | None:
    """Return the reach of a sum of parts, of which one at least has one."""
    reaches = [one.reach for one in group if one.reach is not None]
    if not reaches:
        return None
    core = reaches[0].core
    scale = table.times(core).high[:, None] * (1 + 4 * UNIT)
    most = [
        one.reach.most if one.reach is not None and one.reach.core == core else one.size(table) * scale for one in group
    ]
    return Reach(core, (reduce_sum(most) + own * scale) * (1 + slack(len(group))))


def error_length(error: _Array, monomial: Monomial, table: Table) -> _Array:
    """Return the largest Euclidean length of errors of every coordinate, times a product of factors."""
    most = np.sqrt((error * error).sum(axis=1)) * (1 + slack(error.shape[1]))
    return np.asarray(most * table.times(monomial).high * (1 + 4 * UNIT))


def common(parts: Sequence[Part]) -> Monomial:
    """Return the factors that all parts have which have any."""
    counts = [Counter(one.monomial) for one in parts if one.monomial]
    found: Counter[int] = counts[0] if counts else Counter()
    for count in counts[1:]:
        found = found & count
    return tuple(sorted(found.elements()))
