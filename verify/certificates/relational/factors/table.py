"""The positive factors and the unknown numbers of one forward pass, and their bounds.

Own roundings, and what is done against underflow, are told in :mod:`verify.certificates.relational.factors.parts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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
        most: the largest magnitude that a number of the pass, or a sum of magnitudes, may have in exact arithmetic.

    """

    def __init__(self) -> None:
        """Hold none."""
        self._made = 0  # factors and unknown numbers so far, which are numbered together
        self._factors: dict[int, Bounds] = {}
        self._unknown: dict[int, Bounds] = {}
        self._known: dict[Monomial, Bounds] = {ALONE: Bounds(np.ones(1), np.ones(1))}
        self._pairs: dict[tuple[int, int], int] = {}
        self._errors: dict[tuple[Any, int], int] = {}
        self._computed: dict[Any, Any] = {}
        self.most = 0.0

    def _next(self) -> int:
        self._made += 1
        return self._made

    def forget_all_but(self, owners: set[Any], factors: set[int], names: set[int]) -> None:
        """Forget what another pass does not need; the magnitudes of this one are noted afresh.

        Args:
            owners: parts of rows that it has again.
            factors: numbers of the factors in them.
            names: the unknown numbers in them.

        """
        self._errors = {key: name for key, name in self._errors.items() if key[0] in owners}
        names = names.union(self._errors.values())
        self._pairs = {key: name for key, name in self._pairs.items() if names.issuperset((*key, name))}
        self._computed = {key: found for key, found in self._computed.items() if key[0] in owners}
        self._known = {monomial: bounds for monomial, bounds in self._known.items() if factors.issuperset(monomial)}
        self._factors = {number: bounds for number, bounds in self._factors.items() if number in factors}
        self._unknown = {name: bounds for name, bounds in self._unknown.items() if name in names}
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
        number = self._next()
        self._factors[number] = Bounds(low, high)
        return (number,)

    def unknown(self, low: _Array, high: _Array) -> int:
        """Return the number of a new unknown number; ends that are not 0 move outward, so that nothing underflows."""
        name = self._next()
        self._unknown[name] = Bounds(np.where(low == 0, 0, low - FINEST), np.where(high == 0, 0, high + FINEST))
        return name

    def error(self, owner: Any, at: int, low: _Array, high: _Array) -> int:
        """Return the unknown number that is the error of a coordinate, the same one each time."""
        if (owner, at) not in self._errors:
            self._errors[owner, at] = self.unknown(low, high)
        return self._errors[owner, at]

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
        if divisor:
            left, right = Counter(monomial), Counter(divisor)
            top, bottom = (self.times(tuple(sorted(some.elements()))) for some in (left - right, right - left))
        else:
            top, bottom = self.times(monomial), self.times(ALONE)
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


def reduce_sum(arrays: Iterable[_Array]) -> _Array:
    """Return the sum of arrays of at least one."""
    first, *others = arrays
    for other in others:
        first = first + other
    return first
