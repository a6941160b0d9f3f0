r"""Certificates of impossibility: a few exact numbers that a reader can check without trusting the solver.

With ``g_i = y_i - t_i``: a single prefix vector of one head reaches ``y_i`` only if its value ``mu = W_V s`` is
``y_i + kappa_i g_i`` with ``kappa_i > 0``, the odds against it: ``kappa_i = Z_i q^(m_i - h_i . s)`` (where ``g_i = 0``,
``mu = t_i``, whatever the odds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from constructions.validation import InvalidArgument
from verify.prefixes.layer import AttentionLayer
from verify.reachability.exact import Vector, dot, exact_vector, is_place, vectors
from verify.reachability.problem import Problem, head_facts

#: Bits of the balls in which two logarithms are told apart; twice as many each time, as long as they overlap.
_PRECISIONS = (64, 256, 1024, 4096)


@dataclass(frozen=True)
class OutsideValues:
    """For EVERY prefix length and number of heads: a wanted output is not a combination of values at all.

    Attributes:
        position: of the wanted output ``y``.
        functional: ``f`` with ``f W_V = 0`` in every head, but ``f . y != 0``.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> from verify.reachability import decide
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 0]])  # no value has a second coordinate
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> decide(Problem(layer, [[1, 0], [0, 1]], [[0, 0], [0, 1]])).certificate
        OutsideValues(position=1, functional=(Fraction(0, 1), Fraction(1, 1)))

    """

    position: int
    functional: Vector


@dataclass(frozen=True)
class NoCommonValue:
    """For one head and one prefix vector: the segments do not lead to one common ``W_V s``.

    Attributes:
        weights: a vector ``w_i`` for each position, with sum 0, ``w_i . g_i >= 0`` and ``sum_i w_i . y_i >= 0``, not
            all of these 0. But ``0 = sum_i w_i . mu = sum_i w_i . y_i + sum_i kappa_i w_i . g_i`` for a common ``mu``.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> from verify.reachability import decide
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> decide(Problem(layer, [[1, 0], [0, 1]], [[1, 1], [1, 0]])).certificate
        NoCommonValue(weights=((Fraction(1, 1), Fraction(1, 1)), (Fraction(-1, 1), Fraction(-1, 1))))

    """

    weights: tuple[Vector, ...]


@dataclass(frozen=True)
class WrongStrength:
    """For one head and one prefix vector: the strengths that the outputs need contradict the key of ``s``.

    Attributes:
        anchor: a position whose ``mu`` is used.
        forced: for positions ``i``, vectors ``w_l`` with sum 0 and ``w_l . g_l = 1`` for ``l = i`` and 0 otherwise,
            which force ``kappa_i = -sum_l w_l . y_l``.
        multipliers: ``n_i`` for each position, 0 where nothing is forced.
        functional: ``f`` with ``sum_i n_i h_i + f W_V = 0``, so that ``sum_i n_i (h_i . s) + f . mu = 0`` for every
            ``s``; but ``h_i . s = m_i + log_q(Z_i / kappa_i)``, and with these numbers it is not 0.

    """

    anchor: int
    forced: tuple[tuple[int, tuple[Vector, ...]], ...]
    multipliers: Vector
    functional: Vector


@dataclass(frozen=True)
class ChangedRatio:
    """For EVERY prefix length: a wanted attention pattern changes a ratio over the content, which no prefix does.

    Attributes:
        head: which head.
        position: the query.
        first: a content position.
        second: another: ``wanted_first A_second != wanted_second A_first``.

    """

    head: int
    position: int
    first: int
    second: int


Certificate = OutsideValues | NoCommonValue | WrongStrength


def proves_impossible(problem: Problem, certificate: Certificate) -> bool:
    """Say whether a certificate shows that no prefix of the problem's size reaches the wanted outputs.

    The answer to everything else is ``False``: inexact numbers, vectors of other lengths, positions that do not exist,
    objects of other classes.

    Example:
        >>> from fractions import Fraction
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 0]])  # no value has a second coordinate
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> problem = Problem(layer, [[1, 0], [0, 1]], [[0, 0], [0, 1]])
        >>> proves_impossible(problem, OutsideValues(1, (Fraction(0), Fraction(1))))
        True
        >>> proves_impossible(
        ...     problem, OutsideValues(0, (Fraction(0), Fraction(1)))
        ... )  # output 0 is a combination of values
        False

    """
    if type(problem) is not Problem:
        return False
    try:
        heads = problem.heads
    except InvalidArgument:  # scores at which the outputs are not rational
        return False
    if type(certificate) is OutsideValues:
        return _outside_values(problem, certificate)
    if len(heads) != 1 or problem.prefix_size != 1:
        return False
    if type(certificate) is NoCommonValue:
        return _no_common_value(problem, certificate)
    return type(certificate) is WrongStrength and _wrong_strength(problem, certificate)


def _outside_values(problem: Problem, certificate: OutsideValues) -> bool:
    f = exact_vector(certificate.functional, problem.layer.output_width)
    if f is None or not is_place(certificate.position, len(problem.targets)):
        return False
    columns = [column for head in problem.heads for column in zip(*head.value, strict=True)]
    return all(dot(f, c) == 0 for c in columns) and dot(f, problem.targets[certificate.position]) != 0


def _exact_weights(problem: Problem, value: object) -> list[Vector] | None:
    """Return an exact vector of the output's width for each position, ``None`` for anything else."""
    if type(value) not in {tuple, list} or len(value) != len(problem.targets):  # type: ignore[arg-type] # sized by then
        return None
    found = [exact_vector(one, problem.layer.output_width) for one in value]  # type: ignore[attr-defined] # as above
    return None if any(one is None for one in found) else [one for one in found if one is not None]


def _steps(problem: Problem) -> list[Vector]:
    return [
        tuple(b - a for a, b in zip(before, after, strict=True))
        for before, after in zip(problem.heads[0].outputs, problem.targets, strict=True)
    ]


def _adds_up_to_zero(weights: Sequence[Vector]) -> bool:
    return all(sum(column) == 0 for column in zip(*weights, strict=True))


def _no_common_value(problem: Problem, certificate: NoCommonValue) -> bool:
    w = _exact_weights(problem, certificate.weights)
    if w is None:
        return False
    along = [dot(*pair) for pair in zip(w, _steps(problem), strict=True)]
    total = sum((dot(*pair) for pair in zip(w, problem.targets, strict=True)), Fraction(0))
    return _adds_up_to_zero(w) and total >= 0 and min(along) >= 0 and (total > 0 or max(along) > 0)


def _wrong_strength(problem: Problem, certificate: WrongStrength) -> bool:
    (head,) = problem.heads
    g, y, anchor = _steps(problem), problem.targets, certificate.anchor
    n = exact_vector(certificate.multipliers, len(y))
    f = exact_vector(certificate.functional, problem.layer.output_width)
    if n is None or f is None or not is_place(anchor, len(y)) or type(certificate.forced) not in {tuple, list}:
        return False
    kappa = {}
    forced: Any
    for forced in certificate.forced:
        if type(forced) not in {tuple, list} or len(forced) != 2 or not is_place(forced[0], len(y)):
            return False
        i, w = forced[0], _exact_weights(problem, forced[1])
        if w is None:
            return False
        along = [dot(*pair) for pair in zip(w, g, strict=True)]
        if not _adds_up_to_zero(w) or along != [Fraction(place == i) for place in range(len(y))]:
            return False
        kappa[i] = -sum((dot(*pair) for pair in zip(w, y, strict=True)), Fraction(0))
    used = {i for i in range(len(y)) if n[i]} | ({anchor} if any(g[anchor]) else set())
    if not used <= set(kappa) or any(value <= 0 for value in kappa.values()):
        return False
    step = kappa[anchor] if any(g[anchor]) else Fraction(0)
    mu = [a + step * b for a, b in zip(y[anchor], g[anchor], strict=True)]
    combined = [
        sum((n[i] * h[place] for i, h in enumerate(head.directions)), Fraction(0)) + dot(f, column)
        for place, column in enumerate(zip(*head.value, strict=True))
    ]
    if any(combined):
        return False
    rational = dot(f, mu) + sum((n[i] * head.largest[i] for i in range(len(n))), Fraction(0))
    logs = [(n[i], head.normaliser[i] / kappa[i]) for i in range(len(n)) if n[i]]
    return _is_not_zero([*logs, (rational, problem.q)])


def _is_not_zero(terms: Sequence[tuple[Fraction, Fraction]]) -> bool:
    """Say whether ``sum of a ln b`` is certainly not 0, in balls."""
    before = flint.ctx.prec
    try:
        for flint.ctx.prec in _PRECISIONS:
            total = sum(
                (flint.arb(_fmpq(factor)) * flint.arb(_fmpq(number)).log() for factor, number in terms), flint.arb(0)
            )
            if not total.contains(0):
                return True
    finally:
        flint.ctx.prec = before
    return False


def _fmpq(value: Fraction) -> flint.fmpq:
    return flint.fmpq(value.numerator, value.denominator)


def pattern_is_impossible(
    layer: object, content: object, pattern: Sequence[Sequence[Sequence[Fraction]]], certificate: ChangedRatio
) -> bool:
    """Say whether a certificate shows that no prefix of any length gives a pattern, up to each row's scale.

    Args:
        layer: an :class:`~verify.prefixes.AttentionLayer` at an exact ``q``.
        content: its content, positions x width.
        pattern: heads x positions x positions.
        certificate: the certificate to check.

    Returns:
        True for a proof. False for anything else, including a pattern that no softmax has: negative, or with a row of
        zeros.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "none")
        >>> pattern_is_impossible(layer, [[1, 0], [0, 1]], [[[1, 2], [1, 2]]], ChangedRatio(0, 0, 0, 1))
        True

    """
    if type(layer) is not AttentionLayer or type(certificate) is not ChangedRatio:
        return False
    try:
        rows = layer.rows("content", content)
        facts = head_facts(layer, rows)
        wanted = [vectors(layer.rows("pattern", one, width=len(rows))) for one in pattern]
    except (ValueError, TypeError, AttributeError):  # no content, or no pattern, of this layer
        return False
    h, i, j, k = certificate.head, certificate.position, certificate.first, certificate.second
    if not is_place(h, len(facts)) or not all(is_place(place, len(rows)) for place in (i, j, k)):
        return False
    if len(wanted) != len(facts) or any(len(one) != len(rows) for one in wanted):
        return False
    now, then = facts[h].attention[i], wanted[h][i]
    return min(then) >= 0 and any(then) and then[j] * now[k] != then[k] * now[j]
