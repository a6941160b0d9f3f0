"""Questions to sympy expressions, each answered in moments or not at all.

sympy's own answers take forever on some expressions that layers make: ``equals`` on differences of exponentials,
``cancel`` on roots, which may even end the process. Here every question has a limit, beyond which it stays open.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import sympy as sp
from sympy.core.evalf import PrecisionExhausted

from constructions.validation import InvalidArgument
from verify.numbers import shortened

# The numbers below bound the work alone: a larger one answers more, and takes longer. No answer depends on them.

#: Two numbers are told apart by their first ``DIGITS`` decimals; equal ones never are.
DIGITS = 100
#: Expressions of more parts are refused.
LARGEST = 1 << 16
#: A quotient of polynomials in ``q`` is reduced up to this degree; the time grows with its square, and was a second or
#: two at twice as much.
HIGHEST_DEGREE = 1 << 12
#: A product of sums is multiplied out up to this many terms.
MOST_TERMS = 1 << 12


def tidied(value: sp.Expr) -> sp.Expr:
    """Return a rational function of symbols over one denominator; anything else, or one of high degree, as it is."""
    degree = _degree(value)
    return value if degree is None or degree > HIGHEST_DEGREE else sp.cancel(value)


def _degree(value: sp.Expr) -> int | None:
    """Return a bound of the degrees of numerator and denominator, ``None`` for no rational function."""
    if value.is_Rational:
        return 0
    if value.is_Symbol:
        return 1
    if value.is_Add or value.is_Mul:
        degrees = [_degree(part) for part in value.args]
        return None if None in degrees else sum(degree or 0 for degree in degrees)
    if value.is_Pow and value.exp.is_Integer:
        degree = _degree(value.base)
        return None if degree is None else abs(int(value.exp)) * degree
    return None


def sign(value: sp.Expr) -> int | None:
    """Return the sign of a number: -1, 0 or 1; ``None`` where it is neither told from 0 nor seen to be 0."""
    if value.is_Rational:
        return int(sp.sign(value))
    try:
        found = value.evalf(2, maxn=DIGITS, strict=True)
    except PrecisionExhausted:
        # it is 0, or as good as: only an identity tells
        return 0 if _terms(value) <= MOST_TERMS and sp.expand(value) == 0 else None
    return int(sp.sign(found)) if found.is_extended_real and found.is_finite and found != 0 else None


def _terms(value: sp.Expr) -> int:
    """Return a bound of how many terms are left when everything is multiplied out."""
    if value.is_Add:
        return sum(_terms(part) for part in value.args)
    if value.is_Pow and value.exp.is_Rational:
        exponent, base = abs(value.exp), _terms(value.base)
        # base >= 2 exceeds the limit at this exponent: no need for a number of millions of digits
        return int(base ** min(int(sp.ceiling(exponent)), MOST_TERMS.bit_length()))
    return prod(_terms(part) for part in value.args)


def largest(values: Iterable[sp.Expr], what: str) -> tuple[sp.Expr, list[bool]]:
    """Return the largest of some numbers, and for each whether it is as large.

    Args:
        values: at least one.
        what: the name of the numbers in a message.

    Raises:
        InvalidArgument: two of them are not told apart, nor seen to be equal.

    """
    given = list(values)
    most = given[0]
    for value in given[1:]:
        if _compared(value, most, what) > 0:
            most = value
    return most, [_compared(value, most, what) == 0 for value in given]


def _compared(left: sp.Expr, right: sp.Expr, what: str) -> int:
    found = 0 if left == right else sign(left - right)
    if found is None:
        raise InvalidArgument(
            f"{what}: symbolic arithmetic cannot tell whether {shortened(left)} and {shortened(right)}"
            f" are equal, which agree in {DIGITS} digits; use --arithmetic numpy or torch"
        )
    return found


def checked(rows: sp.ImmutableDenseMatrix) -> sp.ImmutableDenseMatrix:
    """Return the same expressions.

    Raises:
        InvalidArgument: one of them has more than :data:`LARGEST` parts.

    """
    counted: dict[sp.Basic, int] = {}
    for value in rows:
        count = _parts(value, counted)
        if count > LARGEST:
            raise InvalidArgument(
                f"rows: symbolic arithmetic takes expressions of up to {LARGEST} parts, but one has {count}; use"
                " --arithmetic rational, numpy or torch"
            )
    return rows


def _parts(value: sp.Basic, counted: dict[sp.Basic, int]) -> int:
    """Return how many nodes an expression's tree has; a part that comes again is counted from what is known."""
    if value not in counted:
        counted[value] = 1 + sum(_parts(part, counted) for part in value.args)
    return counted[value]
