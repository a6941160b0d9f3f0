"""Sums of monomials in positive unknowns: what they are made of, and their bounds.

A form is ``sum_k mu_k (c_k + sum_v a_kv v)``: each ``mu_k`` a product of positive factors, each ``v`` an unknown number
between bounds, with exact coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce

import flint
import numpy as np

from verify.certificates.balls.columns import ONE, ZERO, Balls, Column, known_column, larger, smaller
from verify.certificates.balls.rows import BallRows


@dataclass(frozen=True, eq=False)
class Unknown:
    """An unknown number, or factor; the same object is the same number.

    Attributes:
        bounds: in every cell, arrays of one axis; of size 1 where all cells have the same.

    """

    bounds: Column


#: A product of positive factors, each at most once, as every norm has a factor of its own.
Monomial = frozenset[Unknown]
#: The coefficients of unknown numbers, exactly; ``None`` stands for 1.
Affine = dict[Unknown | None, flint.fmpq]
Form = dict[Monomial, Affine]
#: For every row the forms of its coordinates.
Forms = tuple[tuple[Form, ...], ...]

#: No factor at all.
ALONE: Monomial = frozenset()
#: The bounds of 0, and of 1.
NOTHING = known_column(np.array([ZERO], dtype=object))
UNIT = known_column(np.array([ONE], dtype=object))
#: The rational numbers 0 and 1.
NONE, ONCE = flint.fmpq(0), flint.fmpq(1)


def of_bounds(rows: BallRows) -> Forms:
    """Return rows whose coordinates are unknown numbers of their own, or known ones."""
    return tuple(tuple(_of_bounds(column, row) for column in rows.columns) for row in range(rows.rows))


def _of_bounds(column: Column | None, row: int) -> Form:
    if column is None:
        return {}
    part = column.map(lambda values: values[:, row])
    exact = rational(part.low[0]) if part.known and len(part.low) == 1 else None
    return {ALONE: {Unknown(part): ONCE} if exact is None else {None: exact}}


def rational(value: flint.arb) -> flint.fmpq | None:
    """Return the number that a ball is; ``None`` for a ball of many."""
    if not (value.is_exact() and value.is_finite()):
        return None
    mantissa, exponent = (int(part) for part in value.man_exp())
    return flint.fmpq(mantissa * 2 ** max(exponent, 0), 2 ** max(-exponent, 0))


def combined(parts: Iterable[tuple[flint.fmpq, Form]]) -> Form:
    """Return a sum of multiples."""
    found: Form = {}
    for factor, form in parts:
        for monomial, affine in form.items():
            own = found.setdefault(monomial, {})
            for unknown, coefficient in affine.items():
                term = factor * coefficient
                own[unknown] = own[unknown] + term if unknown in own else term
    cleared = ((mono, {key: value for key, value in affine.items() if value != 0}) for mono, affine in found.items())
    return {monomial: affine for monomial, affine in cleared if affine}


def times(monomial: Monomial) -> Column:
    """Return bounds of a monomial."""
    return reduce(lambda product, factor: product.times(factor.bounds), monomial, UNIT)


def _affine_bounds(form: Affine) -> Column:
    found = NOTHING
    for unknown, coefficient in form.items():
        # the sign of a coefficient is known, as it is exact
        found = found.plus((UNIT if unknown is None else unknown.bounds).scaled(flint.arb(coefficient)))
    return found


def bounds(form: Form, *, without: Monomial = ALONE) -> Column:
    """Return bounds of a form in every cell, divided by a monomial that all of its own have."""
    found = NOTHING
    for monomial, part in form.items():
        found = found.plus(_affine_bounds(part).times(times(monomial - without)))
    return found


def common(form: Form) -> Monomial:
    """Return the factors that all monomials of a form have."""
    return frozenset.intersection(*form) if form else ALONE


def hull(rows: Forms) -> BallRows:
    """Return the bounds of rows."""
    columns: list[Column | None] = []
    for forms in zip(*rows, strict=True):
        parts = [bounds(form) for form in forms]
        cells = max(len(part.low) for part in parts)
        low, high = (
            np.stack([np.broadcast_to(getattr(part, end), cells) for part in parts], axis=1) for end in ("low", "high")
        )
        columns.append(known_column(low) if all(part.known for part in parts) else Column(low, high))
    return BallRows(tuple(columns), max((len(column.low) for column in columns if column), default=1), len(rows))


def within(rows: BallRows, other: BallRows) -> BallRows:
    """Return rows in both enclosures."""
    columns: list[Column | None] = []
    for own, another in zip(rows.columns, other.columns, strict=True):
        if own is None or another is None:
            columns.append(None)
        elif own.known or another.known:
            columns.append(own if own.known else another)
        else:
            columns.append(Column(_within(own.low, another.low, larger), _within(own.high, another.high, smaller)))
    return BallRows(tuple(columns), max(rows.batch, other.batch), rows.rows)


def _within(own: Balls, other: Balls, pick: Callable[[Balls, Balls], Balls]) -> Balls:
    """Return the finer bounds; the other ones where a ball has no finite bounds, which no comparison gives any."""
    finite = np.frompyfunc(lambda value: value.is_finite(), 1, 1)(own).astype(np.bool_)
    return np.where(finite, pick(own, other), other)
