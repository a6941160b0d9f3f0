"""Sums over an index of symbolic size."""

from __future__ import annotations

import sympy as sp

from proofs.decide import Expr


def total(expr: Expr, index: sp.Dummy, size: Expr) -> Expr:
    """Return the sum of ``expr`` over ``index`` from 0 to ``size - 1``, evaluated as far as sympy can."""
    shared, summed = expr.as_independent(index, as_Add=False) if expr.is_Mul else (sp.S.One, expr)
    result: Expr = sp.S.Zero
    for term in sp.Add.make_args(sp.expand_mul(summed)):
        constant, varying = term.as_independent(index, as_Add=False)
        picked = _picked(varying, index, size)
        result += constant * (sp.Sum(varying, (index, 0, size - 1)).doit() if picked is None else picked)
    return shared * result


def _picked(varying: Expr, index: sp.Dummy, size: Expr) -> Expr | None:
    """Return the sum of a product in which a Kronecker delta leaves one summand, or none.

    Sympy's own way to it solves an equation for every delta, and is slower by far.

    Args:
        varying: what is summed.
        index: an integer.
        size: how many summands, from 0 on.

    Returns:
        The sum; ``None`` where there is no such delta, or it is not decided whether its summand is one of them.

    """
    factors = sp.Mul.make_args(varying)
    for delta in factors:
        if not isinstance(delta, sp.KroneckerDelta) or index not in delta.free_symbols:
            continue
        difference = delta.args[0] - delta.args[1]
        slope = difference.coeff(index)
        place = sp.expand(index - difference / slope) if slope in (1, -1) else index
        if index in place.free_symbols or not place.is_integer:
            continue
        if place.is_negative or (place - size).is_nonnegative:
            return sp.S.Zero
        inside = place.is_nonnegative and (size - 1 - place).is_nonnegative
        if inside and delta.xreplace({index: place}) == 1:  # its own range, where it has one, has it too
            return sp.Mul(*(factor.xreplace({index: place}) for factor in factors if factor is not delta))
    return None
