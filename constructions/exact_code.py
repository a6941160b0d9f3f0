"""Code for scalar expressions that stays in exact rationals, and the refusal of those for which there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean
from sympy.printing.pycode import PythonCodePrinter

from constructions.expressions import has_range
from constructions.validation import InvalidArgument

#: Symbols with their numbers.
Bindings = Mapping[sp.Symbol, int]


#: The parts of an expression whose code below is exact. Others round, and a floor or a comparison would hide it.
_EXACT = (
    sp.Rational,
    sp.Symbol,
    sp.Add,
    sp.Mul,
    sp.Pow,
    sp.Mod,
    sp.floor,
    sp.ceiling,
    sp.frac,
    sp.Abs,
    sp.Max,
    sp.Min,
    sp.KroneckerDelta,
    sp.Piecewise,
    ExprCondPair,
    Boolean,
    sp.Tuple,  # the range of a delta, which is refused in words of its own
)


class _NotRationalError(Exception):
    """A part of an expression is no rational number, or not known to be one."""


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    value = base**exponent
    if not isinstance(value, Fraction):  # a float, for a root
        raise _NotRationalError
    return value


class _FractionPrinter(PythonCodePrinter):  # type: ignore[misc] # sympy ships no types
    """Python code that stays in exact rationals: numbers print as Fractions, never as float divisions."""

    def _print_Integer(self, expr: sp.Integer) -> str:
        return f"Fraction({int(expr)})"

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"Fraction({int(expr.p)}, {int(expr.q)})"

    _print_One = _print_NegativeOne = _print_Zero = _print_Integer
    _print_Half = _print_Rational

    def _print_Pow(self, expr: sp.Pow, **_: Any) -> str:
        return f"_power({self._print(expr.base)}, {self._print(expr.exp)})"

    def _print_KroneckerDelta(self, expr: sp.KroneckerDelta) -> str:
        if has_range(expr):  # which sympy itself forgets where both indices are the same
            raise InvalidArgument(f"matrix: expected Kronecker deltas without a range but got {expr}")
        return f"Fraction({self._print(expr.args[0])} == {self._print(expr.args[1])})"

    def _print_floor(self, expr: sp.floor) -> str:
        return f"Fraction(({self._print(expr.args[0])}) // 1)"

    def _print_ceiling(self, expr: sp.ceiling) -> str:
        return f"(-Fraction(-({self._print(expr.args[0])}) // 1))"

    def _print_frac(self, expr: sp.frac) -> str:
        return f"(({self._print(expr.args[0])}) % 1)"


@lru_cache(maxsize=1024)
def _compiled(expr: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Callable[..., Fraction]:
    if not all(isinstance(part, _EXACT) for part in sp.preorder_traversal(expr)):
        raise _NotRationalError
    printer = _FractionPrinter({"fully_qualified_modules": False})
    names = {"Fraction": Fraction, "_power": _power}
    function: Callable[..., Fraction] = sp.lambdify(symbols, expr, modules=[names], printer=printer)
    return function


@lru_cache(maxsize=1024)
def _bound_symbols(expr: sp.Expr, indices: tuple[sp.Symbol, ...]) -> tuple[sp.Symbol, ...]:
    """Return the symbols of ``expr`` that need a number, sorted by name: that takes longer than the evaluation."""
    return tuple(sorted(expr.free_symbols - set(indices), key=str))


def scalar_function(expr: sp.Expr, indices: tuple[sp.Symbol, ...], bindings: Bindings) -> Callable[..., Fraction]:
    """Return ``expr`` as an exact function of ``indices`` at the given bindings.

    Raises:
        InvalidArgument: a symbol without a number, or a part that is no rational number; the function itself raises it
            of a root.

    """
    bound = _bound_symbols(expr, indices)
    missing = [str(symbol) for symbol in bound if symbol not in bindings]
    if missing:
        raise InvalidArgument(f"bindings: expected a number for {', '.join(missing)} in {expr}")
    try:
        function = _compiled(expr, indices + bound)
    except _NotRationalError:
        raise not_rational(expr) from None
    fixed = tuple(Fraction(bindings[symbol]) for symbol in bound)

    def exact(*values: int) -> Fraction:
        try:
            value = function(*map(Fraction, values), *fixed)
        except _NotRationalError:
            raise not_rational(expr) from None
        if not isinstance(value, (int, Fraction)):
            raise not_rational(expr)
        return Fraction(value)

    return exact


def not_rational(expr: sp.Expr) -> InvalidArgument:
    """Return the error that an expression is not shown to be rational."""
    return InvalidArgument(f"matrix: expected rational entries but {expr} is not one")
