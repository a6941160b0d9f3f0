r"""Norms of rows of which each coordinate lies between two balls.

With ``c`` the row, or the row less its mean, ``n`` its width, ``d`` either ``n`` or 1 and ``R`` the sum of the other
coordinates' squares, a coordinate of the result is

``y = c_i / sqrt((c_i^2 + R) / d + eps)``.

It rises with ``c_i``, and its magnitude falls with ``R``. So its largest value is at the largest ``c_i``, with the
smallest ``R`` where that is positive and with the largest ``R`` where it is not. The coordinates of a row less its mean
add up to 0, so that ``R >= c_i^2/(n-1)`` there (Cauchy and Schwarz). Hence ``|y| <= sqrt(d)``, and less the mean
``|y| <= sqrt(d (n-1)/n)``.

Where every coordinate and ``eps`` may be 0 at once, the result may be undefined, and nothing is known of it: its bounds
are infinite, which no margin survives.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

import flint
import numpy as np

from verify.certificates.balls.columns import ONE, ZERO, Balls, Column, ball, known_column, zeros

#: Any number, or none.
_ANYTHING = flint.arb(0, float("inf"))


def normalised(
    columns: Sequence[Column | None], rows: int, *, centred: bool, mean: bool, eps: Fraction
) -> tuple[Column | None, ...]:
    """Return bounds of the normalised rows, coordinate by coordinate.

    Args:
        columns: the coordinates; ``None`` for one that is 0.
        rows: number of rows.
        centred: take the mean off first.
        mean: divide the sum of squares by the width.
        eps: added under the root.

    """
    width = len(columns)
    held = [known_column(zeros(1, rows)) if column is None else column for column in columns]
    if centred:
        share = ONE / width
        others = _of_others(held)
        held = [own.scaled(1 - share).plus(rest.scaled(-share)) for own, rest in zip(held, others, strict=True)]
    divisor, added = flint.arb(width if mean else 1), ball(eps)
    least_ratio = ONE / (width - 1) if centred and width > 1 else ZERO
    limit = (divisor * (flint.arb(width - 1) / width if centred else 1)).sqrt()
    squares = [_squared(column) for column in held]
    total = _added([square.low for square in squares])
    defined = np.frompyfunc(lambda value: bool(value / divisor + added > 0), 1, 1)(total)

    def point(own: flint.arb, rest: flint.arb, known: bool) -> flint.arb:  # noqa: FBT001 # of every member of an array
        return own / ((own * own + rest) / divisor + added).sqrt() if known else _ANYTHING

    def highest(own: flint.arb, least: flint.arb, most: flint.arb, known: bool) -> flint.arb:  # noqa: FBT001 # the same
        if not known:
            return _ANYTHING
        least = least.max(own * own * least_ratio).max(ZERO)
        at_least, at_most = point(own, least, known=True), point(own, most, known=True)
        found = at_least if own > 0 else at_most if own <= 0 else at_least.max(at_most)
        return found.min(limit) if found.is_finite() else limit

    found: list[Column | None] = []
    for column, given, rest in zip(held, columns, _of_others(squares), strict=True):
        if column.known and rest.known:
            found.append(known_column(_each(point, column.low, rest.low, defined)))
        elif given is None and not centred and defined.all():
            found.append(None)
        else:
            high = _each(highest, column.high, rest.low, rest.high, defined)
            low = -_each(highest, -column.low, rest.low, rest.high, defined)
            found.append(Column(low, high))
    return tuple(found)


def _each(function: object, *arrays: Balls) -> Balls:
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object)  # type: ignore[call-overload] # any callable


def _squared(column: Column) -> Column:
    """Return the squares, never below 0."""
    if column.known:
        return known_column(_each(lambda value: (value * value).max(ZERO), column.low))

    def least(low: flint.arb, high: flint.arb) -> flint.arb:
        return low * low if low > 0 else high * high if high < 0 else ZERO

    def most(low: flint.arb, high: flint.arb) -> flint.arb:
        return (low * low).max(high * high)

    return Column(_each(least, column.low, column.high), _each(most, column.low, column.high))


def _added(arrays: Sequence[Balls]) -> Balls:
    return np.asarray(list(accumulate(arrays, lambda total, values: total + values))[-1], dtype=object)


def _of_others(columns: Sequence[Column]) -> list[Column]:
    """Return for each column the sum of all others, without taking anything off again."""
    nothing = known_column(zeros(*(1 for _ in columns[0].low.shape)))
    before = list(accumulate(columns[:-1], Column.plus, initial=nothing))
    after = list(accumulate(columns[:0:-1], Column.plus, initial=nothing))[::-1]
    return [left.plus(right) for left, right in zip(before, after, strict=True)]
