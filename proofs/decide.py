"""Definite answers only: a statement counts when sympy shows it to be true, and raises when it is false or undecided.

Every quantity is written in symbols whose assumptions ARE the hypotheses (``V = y + 1 + z`` with naturals ``y`` and
``z`` says that ``y`` is a token), so that a statement decided here holds for all numbers that the theorem speaks of.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import sympy as sp
from sympy.core.function import AppliedUndef

from proofs.defined import undefined_part
from proofs.quotients import quotient

#: A sympy expression; sympy ships no types.
Expr = Any

#: The numbers that are tried for each symbol when a false statement is shown by an example.
_TRIED = (0, 1, 2, 3)
#: The most combinations of them that are tried.
_MOST_TRIED = 64
#: Longest expression that a decision or a message quotes; the rest is cut.
_LONGEST_QUOTE = 300


class ObligationError(Exception):
    """An obligation is not discharged."""


class ObligationFailed(ObligationError):
    """An obligation is FALSE: the message has the offending expression."""


class ObligationUndecided(ObligationError):
    """Sympy could not decide an obligation: nothing has been shown. The message has the open expression."""


@dataclass(frozen=True)
class Decision:
    """One statement that was decided to be true.

    Attributes:
        what: the statement, in words or symbols.
        shown: sympy's decision, as text.

    """

    what: str
    shown: str


def natural(name: str) -> sp.Dummy:
    """Return a fresh integer >= 0: a dummy, which can never be an index bound inside a weight."""
    return sp.Dummy(name, integer=True, nonnegative=True)


def nonnegative(name: str) -> sp.Dummy:
    """Return a fresh real number >= 0."""
    return sp.Dummy(name, real=True, nonnegative=True)


def positive(name: str) -> sp.Dummy:
    """Return a fresh real number > 0."""
    return sp.Dummy(name, real=True, positive=True)


def prove_equal(what: str, left: Expr, right: Expr, *, nonzero: Sequence[Expr] = ()) -> Decision:
    """Return the decision that two expressions are equal for all values of their symbols.

    Args:
        what: the statement in words, for messages.
        left: a scalar expression.
        right: a scalar expression.
        nonzero: what the statement supposes not to be 0, beside what the assumptions of the symbols say.

    Raises:
        ObligationFailed: they differ.
        ObligationUndecided: sympy cannot tell, or one of them is not shown to be a number for all values.

    Example:
        >>> import sympy as sp
        >>> V = sp.Symbol("V", integer=True, positive=True)
        >>> prove_equal("a square", (V + 1) ** 2, V**2 + 2 * V + 1)
        Decision(what='a square', shown='both sides are V**2 + 2*V + 1')

    """
    left, right = sp.sympify(left), sp.sympify(right)
    _prove(what, left - right, "zero")
    require_defined(what, left, right, nonzero=nonzero)
    return Decision(what, f"both sides are {_quote(right)}")


def prove_positive(what: str, expr: Expr) -> Decision:
    """Return the decision that ``expr > 0`` for all values of its symbols; raises as :func:`prove_equal` does.

    Example:
        >>> import sympy as sp
        >>> V = sp.Symbol("V", integer=True, positive=True)
        >>> prove_positive("V is positive", V)
        Decision(what='V is positive', shown='V is positive')

    """
    return _prove_sign(what, expr, "positive")


def prove_nonnegative(what: str, expr: Expr) -> Decision:
    """Return the decision that ``expr >= 0`` for all values of its symbols; raises as :func:`prove_equal` does.

    Example:
        >>> import sympy as sp
        >>> V = sp.Symbol("V", integer=True, positive=True)
        >>> prove_nonnegative("V is at least 1", V - 1)
        Decision(what='V is at least 1', shown='V - 1 is nonnegative')

    """
    return _prove_sign(what, expr, "nonnegative")


def prove_floor(what: str, expr: Expr, value: Expr) -> Decision:
    """Return the decision that ``floor(expr) = value``, an integer: ``0 <= expr - value < 1``; raises likewise."""
    if not sp.sympify(value).is_integer:
        _undecided(what, value, "an integer")
    prove_nonnegative(what, expr - value)
    prove_positive(what, value + 1 - expr)
    return Decision(what, f"floor({_quote(expr)}) = {_quote(value)}")


def relu(what: str, expr: Expr) -> Expr:
    """Return ``ReLU(expr)`` when the sign of ``expr`` is the same for all values of its symbols.

    Raises:
        ObligationUndecided: sympy cannot tell the sign, or it varies.

    """
    expr = sp.sympify(expr)
    require_defined(what, expr)
    if expr.is_nonnegative:
        return expr
    signs = quotient(expr)
    if signs is not None and (signs.is_nonnegative or signs.is_nonpositive):
        return signs.expr if signs.is_nonnegative else sp.S.Zero
    for form in itertools.chain(_cheap_forms(expr), _costly_forms(expr)):
        if form.is_nonnegative:
            return form
        if form.is_nonpositive:
            return sp.S.Zero
    return _undecided(what, expr, "of one sign, so that its ReLU is known")


def require(what: str, *, holds: bool) -> Decision:
    """Return the decision that a structural fact holds.

    Raises:
        ObligationFailed: it does not.

    """
    if not holds:
        raise ObligationFailed(f"false: {what}")
    return Decision(what, "read off the object")


def require_defined(what: str, *exprs: Expr, nonzero: Sequence[Expr] = ()) -> None:
    """Refuse expressions that are not shown to be numbers for all values of their symbols.

    See :mod:`proofs.defined` for what sympy takes for granted.

    Args:
        what: the statement in words, for messages.
        exprs: scalar expressions.
        nonzero: what is supposed not to be 0.

    Raises:
        ObligationUndecided: something that may be 0 divides or has a negative power, a case is left out, or there is a
            float, an infinity or a function in it of which nothing says where it is defined.

    Example:
        >>> n = natural("n")
        >>> require_defined("a quotient", n / (n + 1))

    """
    found = undefined_part(exprs, nonzero)
    if found is not None:
        part, wanted = found
        _undecided(what, part, wanted)


def _prove_sign(what: str, expr: Expr, wanted: str) -> Decision:
    expr = sp.sympify(expr)
    decision = _prove(what, expr, wanted)
    require_defined(what, expr)
    return decision


def _prove(what: str, expr: Expr, wanted: str) -> Decision:
    signs = quotient(expr)  # decides most, and is much faster than sympy's own ways, which decide the others
    if signs is not None and getattr(signs, f"is_{wanted}"):
        return Decision(what, f"{_quote(signs.expr)} is {wanted}")
    known_false = False
    for form in _cheap_forms(expr):
        holds = getattr(form, f"is_{wanted}")
        if holds:
            return Decision(what, f"{_quote(form)} is {wanted}")
        known_false = known_false or holds is False  # for no values of the symbols, not merely for some
    for values in _assignments(expr):
        number = _evaluate(expr, values)
        if number is not None and getattr(number, f"is_{wanted}") is False:
            shown = ", ".join(f"{_quote(symbol)} = {value}" for symbol, value in values.items())
            raise ObligationFailed(f"false: {what}: {_quote(expr)} is {number}, not {wanted}, at {_quote(shown)}")
    for form in () if known_false else _costly_forms(expr):
        holds = getattr(form, f"is_{wanted}")
        if holds:
            return Decision(what, f"{_quote(form)} is {wanted}")
        known_false = known_false or holds is False
    if known_false:
        raise ObligationFailed(f"false: {what}: {_quote(expr)} is not {wanted}")
    return _undecided(what, expr, wanted)


def _undecided(what: str, expr: Expr, wanted: str) -> NoReturn:
    raise ObligationUndecided(f"undecided: {what}: sympy cannot tell whether {_quote(expr)} is {wanted}")


def _quote(expr: Expr) -> str:
    """Return an expression or text on one line, cut when long, without the underscores of sympy's dummies."""
    text = re.sub(r"\b_(\w)", r"\1", str(expr))
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + " ..."


def _quotient(expr: Expr) -> Expr:
    numerator, denominator = sp.fraction(sp.together(expr))
    return sp.expand(numerator) / sp.factor(denominator)


def _cheap_forms(expr: Expr) -> Iterator[Expr]:
    """Yield the expression in forms that are equal to it, cheapest first."""
    rewrites: Iterable[Callable[[Expr], Expr]] = (lambda e: e, sp.expand, _quotient)
    return (rewrite(expr) for rewrite in rewrites)


def _costly_forms(expr: Expr) -> Iterator[Expr]:
    """Yield further forms that are equal to the expression."""
    return (rewrite(expr) for rewrite in (sp.factor, sp.simplify))


def _assignments(expr: Expr) -> Iterator[dict[Expr, int]]:
    """Yield small numbers for the symbols of an expression that meet their assumptions."""
    symbols = sorted(expr.free_symbols, key=str)
    choices = [_TRIED[1:] if symbol.is_positive else _TRIED for symbol in symbols]
    return (
        dict(zip(symbols, values, strict=True)) for values in itertools.islice(itertools.product(*choices), _MOST_TRIED)
    )


def _evaluate(expr: Expr, values: dict[Expr, int]) -> Expr | None:
    """Return the value of an expression if it is rational, with ``f(n) = n mod 3 + 1`` for every undefined function."""
    number = expr.subs(values)
    number = number.replace(lambda e: isinstance(e, AppliedUndef), lambda e: sp.Mod(sum(e.args), 3) + 1).doit()
    return number if number.is_Rational else None
