"""Where an expression is an exact number: sympy calculates as if it were one everywhere.

To sympy ``(n**2 - n)/n`` is ``n - 1`` for ``n = 0`` too. And it rounds floats: to it, ``n + 1e-20 n`` is ``1.0 n``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean

from proofs.quotients import quotient

#: A sympy expression; sympy ships no types.
Expr = Any

#: The parts of an expression that are exact numbers, or conditions and bounds, wherever their own parts are: powers and
#: remainders if besides nothing divides by 0, and cases if one of them is always met.
_NUMBERS_OF_NUMBERS = (
    sp.Rational,
    sp.NumberSymbol,
    sp.Symbol,
    AppliedUndef,
    sp.Add,
    sp.Mul,
    sp.Pow,
    sp.Mod,
    sp.Piecewise,
    sp.exp,
    sp.Abs,
    sp.floor,
    sp.ceiling,
    sp.Max,
    sp.Min,
    sp.KroneckerDelta,
    sp.Sum,
    sp.Tuple,
    ExprCondPair,
    Boolean,
)


def undefined_part(exprs: Iterable[Expr], nonzero: Sequence[Expr] = ()) -> tuple[Expr, str] | None:
    """Return a part of expressions because of which they are not shown to be exact numbers, and what it ought to be.

    Args:
        exprs: scalar expressions.
        nonzero: what is supposed not to be 0, beside what the assumptions of the symbols say.

    Returns:
        A divisor that may be 0, cases of which none may be met, or a float, an infinity or a function of which nothing
        says where it is defined; ``None`` if they are exact numbers for all values of their symbols.

    Example:
        >>> n = sp.Symbol("n", integer=True, nonnegative=True)
        >>> undefined_part([1 / (n + 1)]), undefined_part([1 / n]), undefined_part([1 / n], [n])
        (None, (n, 'nonzero'), None)

    """
    checked: set[Expr] = set()
    left = [sp.sympify(expr) for expr in exprs]
    while left:
        part = left.pop()
        if part in checked:
            continue
        checked.add(part)
        left.extend(part.args)
        if not isinstance(part, _NUMBERS_OF_NUMBERS):
            return part, "an exact number"
        if isinstance(part, sp.Piecewise) and part.args[-1].cond != sp.true:
            return part, "defined"
        divisor = _divisor(part)
        if divisor is not None and divisor not in nonzero and not _is_nonzero(divisor):
            return divisor, "nonzero"
    return None


def _divisor(part: Expr) -> Expr | None:
    """Return what must not be 0 for a part of an expression to be a number."""
    if isinstance(part, sp.Pow) and not part.exp.is_nonnegative:
        return part.base
    return part.args[1] if isinstance(part, sp.Mod) else None


def _is_nonzero(expr: Expr) -> bool:
    if expr.is_zero is False:
        return True
    signs = quotient(expr)
    return signs is not None and (signs.is_positive or signs.is_negative)
