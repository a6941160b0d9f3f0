"""The vector at one position, as a sum of parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from verify.certificates.relational.factors.parts import Part, Reach, error_length, nothing, part
from verify.certificates.relational.factors.table import ALONE, UNIT, Bounds, Monomial, Table, reduce_sum, slack

_Array = Float[np.ndarray, "..."]


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
        return Bounds(*np.broadcast_arrays(low - own, high + own))

    def _size(self, table: Table, divisor: Monomial) -> _Array:
        sizes = [one.size(table) * table.over(one.monomial, divisor).high[:, None] for one in self.parts]
        return reduce_sum([nothing(self.width), *sizes])

    def magnitude(self, table: Table) -> _Array:
        """Return upper bounds of the sum of the magnitudes of all parts."""
        return np.asarray(self._size(table, ALONE) * (1 + slack(len(self.parts))))

    def nonzero(self, table: Table) -> Bool[np.ndarray, " width"]:
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
        return table.once(self, "magnitudes", self._magnitudes)

    def _magnitudes(self, table: Table) -> list[tuple[Monomial, _Array]]:
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


def common(parts: Sequence[Part]) -> Monomial:
    """Return the factors that all parts have which have any."""
    counts = [Counter(one.monomial) for one in parts if one.monomial]
    found: Counter[int] = counts[0] if counts else Counter()
    for count in counts[1:]:
        found = found & count
    return tuple(sorted(found.elements()))
