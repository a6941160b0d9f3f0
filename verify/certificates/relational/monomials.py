"""Rows as sums of monomials in positive unknowns, in real numbers: a norm's factor is kept as a symbol.

A norm gives a row ``f (x - m)`` with a factor ``f > 0`` that all its coordinates share, and a mean ``m``; both depend
on every unknown coordinate. Bounds of each coordinate forget that. Here a coordinate is kept as
``sum_k mu_k (c_k + sum_v a_kv v)``: each ``mu_k`` a product of such factors, each ``v`` an unknown number between
bounds, with coefficients that are known. So a linear map that reads no mean (its rows sum to 0) loses it, what is
subtracted from itself is gone, ReLU takes a common factor out (``relu(f x) = f relu(x)``), and a factor that all logits
have drops out of their comparison, as it is positive. What fits no rule becomes an unknown number of its own, between
the bounds that the arithmetic below has for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce

import flint
import numpy as np
from jaxtyping import Float, Int

from constructions.activations import Activation
from verify.certificates.balls.columns import ONE, ZERO, Column, ball, known_column
from verify.certificates.balls.margins import _sign_kept
from verify.certificates.balls.rows import BallScores, BallWeight
from verify.certificates.relational.forms import (
    ALONE,
    NONE,
    NOTHING,
    ONCE,
    Form,
    Forms,
    Monomial,
    Unknown,
    bounds,
    combined,
    common,
    rational,
    times,
)
from verify.certificates.relational.forms import hull as hull
from verify.certificates.relational.forms import of_bounds as of_bounds
from verify.certificates.relational.forms import within as within

# linear operations ----------------------------------------------------------------------------------------------------


def linear(rows: Forms, weight: BallWeight, bias: BallWeight | None) -> Forms:
    """Return ``W x + b``."""
    constants = _constants(bias, weight.shape[0])
    return tuple(
        tuple(
            combined([*((factor, row[place]) for place, factor in entries), (ONCE, constant)])
            for entries, constant in zip(weight.rationals, constants, strict=True)
        )
        for row in rows
    )


def _constants(bias: BallWeight | None, count: int) -> list[Form]:
    """Return the entries of a column as forms."""
    if bias is None:
        return [{} for _ in range(count)]
    return [_constant(sum((entry for _, entry in entries), NONE)) for entries in bias.rationals]


def _constant(value: flint.fmpq) -> Form:
    return {ALONE: {None: value}}


def affine(rows: Forms, weight: BallWeight | None, bias: BallWeight | None) -> Forms:
    """Return ``w * x + b``, coordinate by coordinate."""
    if not rows:
        return rows
    width = len(rows[0])
    factors = [ONCE] * width if weight is None else [sum((entry for _, entry in row), NONE) for row in weight.rationals]
    constants = _constants(bias, width)
    return tuple(
        tuple(
            combined([(factor, form), (ONCE, constant)])
            for factor, form, constant in zip(factors, row, constants, strict=True)
        )
        for row in rows
    )


def beside(left: Forms, right: Forms) -> Forms:
    """Return rows side by side."""
    return tuple(own + another for own, another in zip(left, right, strict=True))


def total(*parts: Forms) -> Forms:
    """Return the sum of rows."""
    return tuple(
        tuple(combined((ONCE, form) for form in forms) for forms in zip(*rows, strict=True))
        for rows in zip(*parts, strict=True)
    )


def mix(attention: BallScores, values: Forms) -> Forms | None:
    """Return the weighted sums: a weight that is not a known number is a factor; ``None`` where one may be 0, too."""
    columns = list(zip(*values, strict=True))
    found = []
    for query in range(attention.low.shape[1]):
        weights = [_weight(attention, query, key) for key in range(attention.low.shape[2])]
        if any(weight is None for weight in weights):
            return None
        known = [weight for weight in weights if weight is not None]
        found.append(
            tuple(
                combined(
                    (factor, _multiplied(form, symbols)) for (factor, symbols), form in zip(known, column, strict=True)
                )
                for column in columns
            )
        )
    return tuple(found)


def _weight(attention: BallScores, query: int, key: int) -> tuple[flint.fmpq, Monomial] | None:
    low, high = attention.low[:, query, key], attention.high[:, query, key]
    exact = rational(low[0])
    if exact is not None and all(bool(value == low[0]) for value in (*low, *high)):
        return exact, ALONE
    if not all(bool(value > 0) for value in low):
        return None
    return ONCE, frozenset((Unknown(known_column(low) if attention.known else Column(low, high)),))


def _multiplied(form: Form, factors: Monomial) -> Form:
    return {monomial | factors: part for monomial, part in form.items()}


# operations that are not linear ---------------------------------------------------------------------------------------


def pointwise(rows: Forms, activation: Activation) -> Forms | None:
    """Return an activation of every coordinate; ``None`` for one that lets no positive factor out.

    One does whose only kink is at 0, where it is 0.
    """
    pieces = activation.pieces()
    if pieces is None or any(pieces.kinks):
        return None
    falling, rising = (flint.fmpq(slope) for slope in (pieces.slopes[0], pieces.slopes[-1]))

    def changed(form: Form) -> Form:
        factor = common(form)
        inner = bounds(form, without=factor)
        if all(value >= 0 for value in inner.low):
            return combined([(rising, form)])
        if all(value <= 0 for value in inner.high):
            return combined([(falling, form)])
        ends = [activation.enclosure(low, high) for low, high in zip(inner.low, inner.high, strict=True)]
        low, high = (np.array([end[at] for end in ends], dtype=object) for at in (0, 1))
        return {factor: {Unknown(Column(low, high)): ONCE}}

    return tuple(tuple(changed(form) for form in row) for row in rows)


def normalise(rows: Forms, *, centred: bool, mean: bool, eps: Fraction) -> Forms | None:
    """Return every row over its length, which is a new factor for each row.

    ``None`` where a length may be 0, or may not be finite, in some cell.
    """
    found = []
    for row in rows:
        width = len(row)
        if centred:
            share = flint.fmpq(-1, width)
            middle = combined((share, form) for form in row)
            row = tuple(combined([(ONCE, form), (ONCE, middle)]) for form in row)  # noqa: PLW2901 # less its mean
        squares = reduce(Column.plus, map(_squared, row), NOTHING)
        divisor, added = flint.arb(width if mean else 1), ball(eps)
        least, most = (part / divisor + added for part in (squares.low, squares.high))
        if not all(bool(value > 0) for value in least) or not all(value.is_finite() for value in most):
            return None
        low, high = (np.array([ONE / value.sqrt() for value in part], dtype=object) for part in (most, least))
        factor = Unknown(Column(low, high))
        found.append(tuple(_multiplied(form, frozenset((factor,))) for form in row))
    return tuple(found)


def _squared(form: Form) -> Column:
    """Return bounds of the square of a form; none is below 0."""
    own = bounds(form)
    low, high = np.empty(len(own.low), dtype=object), np.empty(len(own.low), dtype=object)
    for at, (least, most) in enumerate(zip(own.low, own.high, strict=True)):
        low[at] = least * least if least > 0 else most * most if most < 0 else ZERO
        high[at] = (least * least).max(most * most)
    return Column(low, high)


# comparing ------------------------------------------------------------------------------------------------------------


def margins(
    row: Sequence[Form], weight: BallWeight, bias: BallWeight, expected: Int[np.ndarray, " cells"]
) -> Float[np.ndarray, " cells"]:
    """Return lower bounds of the margins of the logits ``W x + b``.

    Args:
        row: the readout's input.
        weight: ``W``.
        bias: ``b``.
        expected: the promised token in each cell.

    """
    (logits,) = linear((tuple(row),), weight, bias)
    lower = np.full(len(expected), np.inf)
    for own in np.unique(expected).tolist():
        cells = np.flatnonzero(expected == own)
        for token in range(len(logits)):
            if token == own:
                continue
            gap = combined([(ONCE, logits[own]), (-ONCE, logits[token])])
            factor = common(gap)
            inner, outer = bounds(gap, without=factor).low, times(factor)
            for cell in cells.tolist():
                ahead, at = inner[cell if len(inner) > 1 else 0], cell if len(outer.low) > 1 else 0
                least = (ahead * outer.low[at]).min(ahead * outer.high[at])
                margin = _sign_kept(float(least.lower()), positive=bool(least > 0))
                lower[cell] = np.minimum(lower[cell], margin)  # NaN stays NaN
    return lower
