"""Activations of numbers that are affine forms, by what an activation says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import flint
import sympy as sp

from constructions.activations import Activation, Pieces
from verify.exact_engine.forms import Form, Graph, NotCoveredError

_ONE = flint.fmpq(1)
_ARGUMENT = sp.Symbol("x", real=True)


def applied(graph: Graph, activation: Activation, form: Form) -> Form:
    """Return an activation of a number.

    ``exact`` is what one case is computed by. A number that is known, or a function of one token, is asked for by it.
    Elsewhere the activation's pieces, or its polynomial, are used, after they were held against it.

    Args:
        graph: holds the atoms.
        activation: a function of one number.
        form: its argument.

    Raises:
        NotCoveredError: an irrational value, or a function that is neither.

    """
    slot = graph.read(form)
    if form.known:
        return Form(_exact(activation, form.constant))
    if slot is not None:
        return graph.function(slot, [_exact(activation, value) for value in graph.values(form)])
    pieces = activation.pieces()
    if pieces is not None:
        _hold(activation, [Fraction(0), *pieces.kinks], lambda argument: _piecewise(pieces, argument))
        parts = [(flint.fmpq(pieces.slopes[0]), form)]
        for kink, before, after in zip(pieces.kinks, pieces.slopes, pieces.slopes[1:], strict=False):
            beyond = graph.combined([(_ONE, form), (_ONE, Form(-_rational(kink)))])
            parts.append((flint.fmpq(after - before), graph.positive(beyond)))
        return graph.combined(parts)
    coefficients = _coefficients(activation)
    found = Form(coefficients[0])
    for coefficient in coefficients[1:]:
        found = graph.combined([(_ONE, graph.product(found, form)), (_ONE, Form(coefficient))])
    return found


def _rational(value: Fraction) -> flint.fmpq:
    return flint.fmpq(value.numerator, value.denominator)


def _exact(activation: Activation, value: flint.fmpq) -> flint.fmpq:
    found = activation.exact(Fraction(int(value.p), int(value.q)))
    if found is None:
        raise NotCoveredError("an irrational value")
    return _rational(found)


def _piecewise(pieces: Pieces, argument: Fraction) -> Fraction:
    """Return the value of a function of pieces that is 0 at 0, its first kink if it has any."""
    slopes = zip(pieces.kinks, pieces.slopes, pieces.slopes[1:], strict=False)
    bends = ((after - before) * max(Fraction(0), argument - kink) for kink, before, after in slopes)
    return sum(bends, pieces.slopes[0] * argument)


def _coefficients(activation: Activation) -> list[flint.fmpq]:
    """Return the coefficients of an activation that is a polynomial with rational ones, the highest first."""
    expression = sp.sympify(activation.symbol(_ARGUMENT))
    if not expression.is_polynomial(_ARGUMENT):
        raise NotCoveredError("an activation that is no polynomial")
    coefficients = sp.Poly(expression, _ARGUMENT).all_coeffs()
    if not all(coefficient.is_Rational for coefficient in coefficients):
        raise NotCoveredError("a polynomial whose coefficients are not rational")
    exact = [Fraction(int(coefficient.p), int(coefficient.q)) for coefficient in coefficients]

    def value(argument: Fraction) -> Fraction:
        found = Fraction(0)
        for coefficient in exact:
            found = found * argument + coefficient
        return found

    _hold(activation, [Fraction(place) for place in range(len(exact))], value)
    return [_rational(coefficient) for coefficient in exact]


def _hold(activation: Activation, points: Sequence[Fraction], value: Callable[[Fraction], Fraction]) -> None:
    """Hold what an activation says of itself against its exact values.

    They are compared at the points, between neighbours, and as far outside on both sides as the points are apart, and 1
    more: two functions with these kinks, or two polynomials with fewer coefficients than there are points, that agree
    there are the same.
    """
    spread = max(points) - min(points) + 1
    between = [(one + other) / 2 for one, other in pairwise(sorted(points))]
    for argument in (*points, *between, min(points) - spread, max(points) + spread):
        if activation.exact(argument) != value(argument):
            raise NotCoveredError(f"{activation.name}, whose exact values are not as it describes itself")
