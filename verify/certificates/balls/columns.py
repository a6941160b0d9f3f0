"""One coordinate of many rows as rigorous real numbers: its smallest and its largest values, as balls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from jaxtyping import Int

from constructions.activations import Activation

#: Balls as objects, batch x rows; a batch of 1 stands for any number of equal members.
Balls = np.ndarray[Any, Any]

#: Bits that the balls are computed with: twice those of the most precise format.
PRECISION = 128

ZERO = flint.arb(0)
ONE = flint.arb(1)
smaller = np.frompyfunc(lambda a, b: a.min(b), 2, 1)
larger = np.frompyfunc(lambda a, b: a.max(b), 2, 1)


@contextmanager
def ball_precision(bits: int = PRECISION) -> Iterator[None]:
    """Compute balls with this many bits for a while; the setting is global."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def ball(value: Fraction) -> flint.arb:
    """Return a ball that holds a rational."""
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


@dataclass(frozen=True, eq=False)
class Column:
    """One coordinate of every row: its smallest and largest values, the same array where it is known."""

    low: Balls
    high: Balls

    @property
    def known(self) -> bool:
        """Whether every value is a single number."""
        return self.low is self.high

    def map(self, operation: Callable[[Balls], Balls]) -> Column:
        """Return the column of a monotone function of the values."""
        low = operation(self.low)
        return Column(low, low if self.known else operation(self.high))

    def plus(self, other: Column) -> Column:
        """Return the sum."""
        low = self.low + other.low
        return Column(low, low if self.known and other.known else self.high + other.high)

    def times(self, factor: Column) -> Column:
        """Return the product: its extremes are at the corners, or on one side where the factor is not negative."""
        if self.known and factor.known:
            low = self.low * factor.low
            return Column(low, low)
        if factor.known and all(value >= 0 for value in factor.low.flat):
            return self.map(lambda values: values * factor.low)
        corners = [a * b for a in (self.low, self.high) for b in (factor.low, factor.high)]
        return Column(
            smaller(smaller(corners[0], corners[1]), smaller(corners[2], corners[3])),
            larger(larger(corners[0], corners[1]), larger(corners[2], corners[3])),
        )

    def scaled(self, factor: flint.arb) -> Column:
        """Return a multiple by a known number."""
        if factor == 1:
            return self
        if self.known or factor >= 0:
            return self.map(lambda values: values * factor)
        if factor <= 0:
            return Column(self.high * factor, self.low * factor)
        return self.times(known_column(np.full((1,) * self.low.ndim, factor, dtype=object)))  # of either sign


def zeros(*shape: int) -> Balls:
    """Return an array of zeros."""
    return np.full(shape, ZERO, dtype=object)


def known_column(values: Balls) -> Column:
    """Return the column of values that are known."""
    return Column(values, values)


def alike(*parts: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
    """Return arrays of one batch, the first axis, with a batch of 1 where all members are equal in all of them."""
    return tuple(part[:1] for part in parts) if all((part == part[:1]).all() for part in parts) else parts


def stacked(top: Column, bottom: Column) -> Column:
    """Return the rows of one column under those of another."""
    batch = max(top.low.shape[0], bottom.low.shape[0])

    def joined(upper: Balls, lower: Balls) -> Balls:
        parts = [np.broadcast_to(part, (batch, part.shape[1])) for part in (upper, lower)]
        return np.concatenate(parts, axis=1)

    low = joined(top.low, bottom.low)
    return Column(low, low if top.known and bottom.known else joined(top.high, bottom.high))


def ratios(numerators: np.ndarray[Any, Any], denominator: int) -> Balls:
    """Return balls that hold rationals of one denominator."""
    values, place = np.unique(numerators, return_inverse=True)
    balls = np.array([ball(Fraction(int(value), denominator)) for value in values], dtype=object)
    return np.asarray(balls[place.reshape(numerators.shape)])


def placed(low: list[flint.arb], high: list[flint.arb], place: Int[np.ndarray, "batch length"]) -> Column:
    """Return the column of pairs of values, for each entry the one at its place: a batch of 1 where all are equal."""
    numbers: dict[tuple[int, int], int] = {}  # the same objects are equal, as tokens without an entry are
    pairs = zip(map(id, low), map(id, high), strict=True)
    same = [numbers.setdefault(pair, at) for at, pair in enumerate(pairs)]
    (place,) = alike(np.array(same)[place])
    below = np.array(low, dtype=object)[place]
    return Column(below, below if low is high else np.array(high, dtype=object)[place])


def extreme(values: list[flint.arb], pick: Any) -> flint.arb:
    """Return the smallest or the largest of some balls, by the one that ``pick`` returns of two."""
    found = values[0]
    for value in values[1:]:
        found = pick(found, value)
    return found


def relu_column(column: Column | None) -> Column | None:
    """Return ``max(0, .)`` of a column; ``None`` where nothing is left of it."""
    if column is None:
        return None
    changed = column.map(_relu)
    if all(value is ZERO for value in changed.high.flat):
        return None
    return changed


def _relu(values: Balls) -> Balls:
    changed = values.copy()
    changed[values <= ZERO] = ZERO
    either = ~(changed >= ZERO)  # those of which no sign is certain
    changed[either] = larger(changed[either], ZERO)
    return changed


def activated(column: Column | None, rows: int, activation: Activation) -> Column | None:
    """Return bounds of an activation of a column; ``None`` stays where the function is 0 at 0."""
    if column is None:
        if activation.exact(Fraction(0)) == 0:
            return None
        column = known_column(zeros(1, rows))
    if column.known:
        return known_column(np.asarray(np.frompyfunc(activation.ball, 1, 1)(column.low), dtype=object))
    low, high = np.frompyfunc(activation.enclosure, 2, 2)(column.low, column.high)  # type: ignore[misc] # two arrays
    return Column(np.asarray(low, dtype=object), np.asarray(high, dtype=object))


def raised(column: Column | None, shift: flint.arb, rows: int) -> Column | None:
    """Return a column with a known number added to all of it."""
    if shift == 0:
        return column
    if column is None:
        return known_column(np.full((1, rows), shift, dtype=object))
    return column.map(lambda values: values + shift)
