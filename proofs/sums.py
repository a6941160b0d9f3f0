"""Sums over an index of symbolic size."""

from __future__ import annotations

import sympy as sp

from constructions.expressions import has_range
from proofs.decide import Expr, ObligationUndecided


def total(expr: Expr, index: sp.Dummy, size: Expr) -> Expr:
    """Return the sum of ``expr`` over ``index`` from 0 to ``size - 1``, evaluated as far as possible.

    A Kronecker delta leaves the summand at its place. Sympy evaluates the other sums. It is not asked about deltas: to
    it, ``KroneckerDelta(2*index, n)`` leaves the summand at ``n/2`` for odd ``n`` too.

    Args:
        expr: what is summed.
        index: an integer.
        size: how many summands, from 0 on; at least 0.

    Raises:
        ObligationUndecided: it is not shown which summand a delta leaves.

    """
    shared, summed = expr.as_independent(index, as_Add=False) if expr.is_Mul else (sp.S.One, expr)
    result: Expr = sp.S.Zero
    for term in sp.Add.make_args(sp.expand_mul(summed)):
        constant, varying = term.as_independent(index, as_Add=False)
        if any(index in delta.free_symbols for delta in varying.atoms(sp.KroneckerDelta)):
            result += constant * _picked(varying, index, size)
        else:
            result += constant * sp.Sum(varying, (index, 0, size - 1)).doit()
    return shared * result


def _picked(varying: Expr, index: sp.Dummy, size: Expr) -> Expr:
    """Return the sum of a product in which a Kronecker delta leaves one summand.

    Where it is undecided whether the delta's place is one of the summands, the sum has both cases. Deltas with a range
    are refused: sympy forgets the range where both indices are the same.
    """
    ranged = any(has_range(delta) for delta in varying.atoms(sp.KroneckerDelta))
    factors = () if ranged else sp.Mul.make_args(varying)
    either: Expr = None
    for delta in factors:
        place = _place(delta, index)
        if place is None:
            continue
        if place.is_integer is False or place.is_negative or (place - size).is_nonnegative:
            return sp.S.Zero
        if not place.is_integer:
            continue
        value = sp.Mul(*(factor.xreplace({index: place}) for factor in factors if factor is not delta))
        if place.is_nonnegative and (size - 1 - place).is_nonnegative:
            return value
        if either is None:
            either = sp.Piecewise((value, (place >= 0) & (place <= size - 1)), (0, True))
    if either is None:
        raise ObligationUndecided(f"undecided: which summands of {varying} are not 0?")
    return either


def _place(factor: Expr, index: sp.Dummy) -> Expr | None:
    """Return the only index at which a Kronecker delta is not 0; ``None`` for anything else."""
    if not isinstance(factor, sp.KroneckerDelta):
        return None
    difference = factor.args[0] - factor.args[1]
    slope = difference.coeff(index)
    if not slope.is_Rational or not slope:
        return None
    place = sp.expand(index - difference / slope)
    return None if index in place.free_symbols else place
