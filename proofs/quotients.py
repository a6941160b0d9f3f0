"""Quotients of polynomials: an expression written as one, so that its sign is read off its coefficients.

A numerator whose coefficients are all positive, in variables that are at least 0, is at least 0 itself. Most statements
are decided so, in arithmetic on polynomials, which is faster by far than rewriting expressions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import sympy as sp
from sympy.polys.rings import PolyRing

#: A sympy expression, and a polynomial of one of its rings; sympy ships no types.
Expr = Any
Polynomial = Any


class _NotRationalError(Exception):
    """A part of an expression is no rational function: a float, an infinity, or of symbols that do not commute."""


@final
@dataclass(frozen=True)
class Quotient:
    """A quotient of polynomials in variables, each of which is a symbol or anything that is no sum, product or power.

    Attributes:
        numerator: with rational coefficients.
        denominator: its factors, each with leading coefficient 1, and their powers, which are positive.

    """

    numerator: Polynomial
    denominator: Mapping[Polynomial, int]

    @property
    def expr(self) -> Expr:
        """The quotient as an expression: an expanded numerator over factors."""
        return self.numerator.as_expr() / sp.Mul(*(f.as_expr() ** power for f, power in self.denominator.items()))

    @property
    def is_zero(self) -> bool:
        """Whether the numerator is 0, so that the expression is 0 wherever it is defined."""
        return not self.numerator

    @property
    def is_nonnegative(self) -> bool:
        """Whether the signs of all coefficients and variables show that it is at least 0 for all their values."""
        sign = self._sign_below()
        return sign != 0 and _at_least_0(self.numerator * sign)

    @property
    def is_nonpositive(self) -> bool:
        """Whether they show that it is at most 0 for all values."""
        return self._negated().is_nonnegative

    @property
    def is_positive(self) -> bool:
        """Whether they show that it is above 0 for all values."""
        sign = self._sign_below()
        return sign != 0 and _above_0(self.numerator * sign)

    @property
    def is_negative(self) -> bool:
        """Whether they show that it is below 0 for all values."""
        return self._negated().is_positive

    def _negated(self) -> Quotient:
        return Quotient(-self.numerator, self.denominator)

    def _sign_below(self) -> int:
        """Return the sign of the denominator for all values of the variables; 0 if none is shown."""
        sign = 1
        for factor, power in self.denominator.items():
            if not _above_0(factor):
                if not _above_0(-factor):
                    return 0
                sign *= (-1) ** power
        return sign


def quotient(expr: Expr) -> Quotient | None:
    """Return an expression as a quotient of polynomials; ``None`` where a part of it is no rational function.

    Example:
        >>> import sympy as sp
        >>> V = sp.Symbol("V", positive=True)
        >>> found = quotient(1 / V - 1 / (V + 1))
        >>> found.expr
        1/(V*(V + 1))
        >>> found.is_positive, quotient(1 / V - 1).is_nonnegative
        (True, False)

    """
    variables: dict[Expr, None] = {}
    try:
        _gather(expr, variables)
    except _NotRationalError:
        return None
    if not variables:
        return None  # a number, whose sign sympy knows
    ring = PolyRing(tuple(variables), sp.QQ)
    try:
        return _Conversion(dict(zip(variables, ring.gens, strict=True)), ring.one).of(expr)
    except ZeroDivisionError:  # it is defined nowhere
        return None


def _gather(expr: Expr, variables: dict[Expr, None]) -> None:
    """Add the variables of an expression, in the order in which they come."""
    if expr.is_Rational:
        return
    if expr.is_Add or expr.is_Mul:
        for part in expr.args:
            _gather(part, variables)
    elif expr.is_Pow and expr.exp.is_Integer:
        _gather(expr.base, variables)
    elif expr.is_number or not expr.is_commutative:
        raise _NotRationalError
    else:
        variables[expr] = None


@dataclass(frozen=True)
class _Conversion:
    """Converts expressions in some variables.

    Attributes:
        variables: with the generators of the ring that stand for them.
        one: of the ring.

    """

    variables: Mapping[Expr, Polynomial]
    one: Polynomial

    def of(self, expr: Expr) -> Quotient:
        """Return an expression as a quotient; raises ``ZeroDivisionError`` where something is divided by 0."""
        if expr.is_Rational:
            return Quotient(self.one * sp.QQ(expr.p, expr.q), {})
        if expr in self.variables:
            return Quotient(self.variables[expr], {})
        if expr.is_Pow:
            base, power = self.of(expr.base), int(expr.exp)
            return self._power(base if power > 0 else self._inverse(base), abs(power))
        parts = [self.of(part) for part in expr.args]
        return self._sum(parts) if expr.is_Add else self._product(parts)

    def _sum(self, parts: Sequence[Quotient]) -> Quotient:
        common: Counter[Polynomial] = Counter()
        for part in parts:
            common |= Counter(part.denominator)
        numerator = self.one * 0
        for part in parts:
            missing = common - Counter(part.denominator)
            numerator += self._multiplied(missing, part.numerator)
        return Quotient(numerator, common)

    def _product(self, parts: Sequence[Quotient]) -> Quotient:
        numerator, denominator = self.one, Counter[Polynomial]()
        for part in parts:
            numerator *= part.numerator
            denominator.update(part.denominator)
        return Quotient(numerator, denominator)

    def _power(self, base: Quotient, power: int) -> Quotient:
        return Quotient(base.numerator**power, {factor: found * power for factor, found in base.denominator.items()})

    def _inverse(self, of: Quotient) -> Quotient:
        if not of.numerator:
            raise ZeroDivisionError
        leading = of.numerator.LC
        factors = Counter[Polynomial]()
        if len(of.numerator) == 1:  # each variable is a factor
            (powers,) = of.numerator
            factors.update({x: power for x, power in zip(self.one.ring.gens, powers, strict=True) if power})
        else:
            factors[of.numerator.monic()] = 1
        return Quotient(self._multiplied(of.denominator, self.one / leading), factors)

    def _multiplied(self, factors: Mapping[Polynomial, int], by: Polynomial) -> Polynomial:
        for factor, power in factors.items():
            by *= factor**power
        return by


def _at_least_0(polynomial: Polynomial) -> bool:
    """Say whether all coefficients, times all variables of their terms, are shown to be at least 0."""
    variables = polynomial.ring.symbols
    return all(
        coefficient > 0
        and all(_power_at_least_0(x, power) for x, power in zip(variables, powers, strict=True) if power)
        for powers, coefficient in polynomial.terms()
    )


def _power_at_least_0(variable: Expr, power: int) -> bool:
    return bool(variable.is_nonnegative or (power % 2 == 0 and variable.is_real))


def _above_0(polynomial: Polynomial) -> bool:
    """Say whether besides one term is shown to be above 0."""
    variables = polynomial.ring.symbols
    return _at_least_0(polynomial) and any(
        all(x.is_positive for x, power in zip(variables, powers, strict=True) if power) for powers in polynomial
    )
