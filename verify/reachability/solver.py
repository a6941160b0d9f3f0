r"""Decide whether some prefix reaches wanted outputs, by exact linear algebra over the rationals.

The cases that are decided, for prefixes of real vectors and softmax at an exact rational ``q``:

- one head, ``p = 1``, and the wanted outputs force ``mu = W_V s`` (two segments that are not on one line, or a
  position whose output is to stay): always, yes or no. The segments give ``mu`` and every odds ``1/kappa_i`` by linear
  algebra; the key of ``s`` must then give the scores ``h_i . s = m_i + log_q(Z_i/kappa_i)``. With integers ``b`` that
  are coprime in pairs, ``q`` and all ``Z_i/kappa_i`` are products of their powers, and the ``ln b`` are linearly
  independent over the rationals. So the system in ``s`` splits into one RATIONAL linear system for each ``b``.
- one head, ``p = 1``, all segments on one line (always so in output width 1, or for one position): no, where the
  segments point apart. Otherwise the strength is one transcendental equation in the place of ``mu`` on the line; only
  places where the first moved position has an integer score difference up to :data:`LARGEST_TRIED` are tried, and
  the answer is unknown where none of them fits.
- any number of heads, any ``p``: no, where an output is not a combination of values; yes for one head, where ``p``
  copies of one vector do it; unknown otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verify.reachability.algebra import Solved, coprime_bases, integer_log, powers_of, solve
from verify.reachability.exact import Vector
from verify.reachability.impossibility import (
    Certificate,
    ChangedRatio,
    NoCommonValue,
    OutsideValues,
    WrongStrength,
    proves_impossible,
)
from verify.reachability.prefix import Prefix, realises
from verify.reachability.problem import HeadFacts, Problem

#: The largest integer score difference that is tried where the place of ``W_V s`` on a line is free.
LARGEST_TRIED = 24

_ZERO = Fraction(0)


@dataclass(frozen=True)
class Reachability:
    """The answer.

    Attributes:
        reachable: true with a ``prefix`` that was verified; false with a ``certificate`` that was checked; ``None``:
            not decided, for the ``reason`` given.
        prefix: the vector whose copies are the prefix.
        certificate: why no prefix does it.
        reason: why the question is undecided.

    Example:
        >>> answer = Reachability(reachable=None, reason="different vectors are not decided")
        >>> answer.reachable is None
        True

    """

    reachable: bool | None
    prefix: Prefix | None = None
    certificate: Certificate | ChangedRatio | None = None
    reason: str | None = None


def decide(problem: Problem) -> Reachability:
    """Decide whether some prefix of the problem's size reaches its wanted outputs; the module lists the decided cases.

    Every answer is checked first: a prefix by the forward pass, a certificate by
    :func:`~verify.reachability.impossibility.proves_impossible`.

    Raises:
        InvalidArgument: scores on content that do not differ by integers.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> from verify.reachability import Problem, decide
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> found = decide(Problem(layer, [[1, 0], [0, 1]], [["2/3", "2/3"], ["1/2", "3/4"]]))
        >>> found.reachable, found.prefix
        (True, Prefix(parts=((Fraction(2, 1), (Fraction(0, 1), Fraction(2, 1))),), copies=1))

    """
    answer = _outside_values(problem) or _decide(problem)
    if answer.prefix is not None and not realises(problem, answer.prefix):
        raise AssertionError("the solver's prefix does not reach the outputs")
    if isinstance(answer.certificate, (OutsideValues, NoCommonValue, WrongStrength)):
        if problem.prefix_size > 1 and not isinstance(answer.certificate, OutsideValues):
            return Reachability(
                reachable=None, reason="copies of one vector do not reach it; different vectors are undecided"
            )
        if not proves_impossible(problem, answer.certificate):
            raise AssertionError("the solver's certificate does not hold")
    return answer


def _outside_values(problem: Problem) -> Reachability | None:
    values = [[entry for head in problem.heads for entry in head.value[row]] for row in range(len(problem.targets[0]))]
    for position, wanted in enumerate(problem.targets):
        solved = solve(values, wanted)
        if solved.functional is not None:
            return Reachability(reachable=False, certificate=OutsideValues(position, solved.functional))
    return None


@dataclass(frozen=True)
class _Rays:
    """The linear system ``mu - kappa_i g_i = y_i`` of one head."""

    matrix: list[list[Fraction]]
    steps: list[Vector]
    moved: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, head: HeadFacts) -> _Rays:
        """Return the system: columns ``mu``, then one ``kappa`` for each position that is to move."""
        steps = [
            tuple(b - a for a, b in zip(before, after, strict=True))
            for before, after in zip(head.outputs, problem.targets, strict=True)
        ]
        moved = tuple(place for place, step in enumerate(steps) if any(step))
        size = len(problem.targets[0])
        matrix = [
            [
                *(Fraction(other == axis) for other in range(size)),
                *(-steps[place][axis] if other == place else _ZERO for other in moved),
            ]
            for place in range(len(steps))
            for axis in range(size)
        ]
        return cls(matrix, steps, moved)

    def weights(self, along: Sequence[Fraction]) -> tuple[Vector, ...]:
        """Return vectors ``w_i`` of sum 0 with ``w_i . g_i`` as wanted for the moved positions."""
        size = len(self.steps[0])
        transposed = [list(column) for column in zip(*self.matrix, strict=True)]
        solved = solve(transposed, [*([_ZERO] * size), *(-value for value in along)])
        assert solved.x is not None
        return tuple(solved.x[place : place + size] for place in range(0, len(solved.x), size))


def _decide(problem: Problem) -> Reachability:
    if len(problem.heads) != 1:
        return Reachability(
            reachable=None, reason="several heads move the outputs at once; only values are decided for them"
        )
    (head,) = problem.heads
    rays = _Rays.of(problem, head)
    right = [entry for wanted in problem.targets for entry in wanted]
    solved = solve(rays.matrix, right)
    size = len(problem.targets[0])
    if solved.functional is not None:
        weights = tuple(solved.functional[place : place + size] for place in range(0, len(right), size))
        return Reachability(reachable=False, certificate=NoCommonValue(weights))
    assert solved.x is not None
    if not solved.free:
        kappa = solved.x[size:]
        for place, value in enumerate(kappa):
            if value <= 0:
                unit = [Fraction(other == place) for other in range(len(kappa))]
                return Reachability(reachable=False, certificate=NoCommonValue(rays.weights(unit)))
        return _strengths(problem, rays, solved.x[:size], kappa)
    return _line(problem, rays, solved, right)


def _line(problem: Problem, rays: _Rays, solved: Solved, right: Sequence[Fraction]) -> Reachability:
    """All segments on one line: ``kappa_i = alpha_i + beta_i tau``."""
    size = len(problem.targets[0])
    (free,) = solved.free
    pinned = [[*row] for row in rays.matrix] + [[Fraction(place == free) for place in range(len(rays.matrix[0]))]]
    at = [solve(pinned, [*right, Fraction(tau)]).x for tau in (0, 1)]
    assert at[0] is not None
    assert at[1] is not None
    alpha = at[0][size:]
    beta = tuple(b - a for a, b in zip(alpha, at[1][size:], strict=True))
    apart = _apart(alpha, beta)
    if apart is not None:
        return Reachability(reachable=False, certificate=NoCommonValue(rays.weights(apart)))
    (head,) = problem.heads
    # beta of a moved position is never 0 on a line that mu runs along
    first, normaliser = rays.moved[0], head.normaliser[rays.moved[0]]
    for exponent in sorted(range(-LARGEST_TRIED, LARGEST_TRIED + 1), key=abs):
        tau = (problem.q**-exponent * normaliser / problem.prefix_size - alpha[0]) / beta[0]
        kappa = tuple(a + tau * b for a, b in zip(alpha, beta, strict=True))
        if min(kappa) > 0:
            moved = zip(problem.targets[first], rays.steps[first], strict=True)
            answer = _strengths(problem, rays, tuple(y + kappa[0] * g for y, g in moved), kappa, certify=False)
            if answer.reachable:
                return answer
    return Reachability(
        None,
        reason=(
            "all segments lie on one line, where the place of W_V s is free; no integer score difference up to"
            f" {LARGEST_TRIED} fits, and others are undecided"
        ),
    )


def _apart(alpha: Sequence[Fraction], beta: Sequence[Fraction]) -> list[Fraction] | None:
    """Return ``c >= 0`` with ``c . beta = 0`` and ``c . alpha <= 0`` where no ``tau`` makes all ``kappa`` positive."""
    unit = [[Fraction(other == place) for other in range(len(alpha))] for place in range(len(alpha))]
    for place, (a, b) in enumerate(zip(alpha, beta, strict=True)):
        if b == 0 and a <= 0:
            return unit[place]
    ups = [place for place, b in enumerate(beta) if b > 0]
    downs = [place for place, b in enumerate(beta) if b < 0]
    for up in ups:
        for down in downs:
            if -alpha[up] / beta[up] >= -alpha[down] / beta[down]:
                return [-beta[down] * u + beta[up] * d for u, d in zip(unit[up], unit[down], strict=True)]
    return None


def _strengths(
    problem: Problem, rays: _Rays, value: Vector, kappa: Sequence[Fraction], *, certify: bool = True
) -> Reachability:
    """Decide whether some ``s`` has this value and gives these odds: one rational linear system for each base."""
    (head,) = problem.heads
    q, moved = problem.q, rays.moved
    # p copies of s have p times the weight of one
    factors = [head.normaliser[place] / (kappa[number] * problem.prefix_size) for number, place in enumerate(moved)]
    bases = coprime_bases([q, *factors])
    of_q = powers_of(q, bases)
    matrix = [list(row) for row in head.value] + [list(head.directions[place]) for place in moved]
    powers = [powers_of(factor, bases) for factor in factors]
    parts = []
    for number, base in enumerate(bases):
        right = [entry * of_q[number] for entry in value]
        right += [
            head.largest[place] * of_q[number] + power[number] for place, power in zip(moved, powers, strict=True)
        ]
        solved = solve(matrix, right)
        if solved.functional is not None:
            if not certify:
                return Reachability(reachable=None)
            return Reachability(reachable=False, certificate=_wrong_strength(rays, solved.functional, len(value)))
        assert solved.x is not None
        parts.append((Fraction(base), solved.x))
    logs = [integer_log(factor, q) for factor in factors]
    rational = None
    if not any(log is None for log in logs):  # every strength is an integer power of q: a rational vector does
        scores = [head.largest[place] + log for place, log in zip(moved, logs, strict=True) if log is not None]
        rational = solve(matrix, [*value, *scores]).x
    return Reachability(
        reachable=True, prefix=Prefix(((q, rational),) if rational else tuple(parts), problem.prefix_size)
    )


def _wrong_strength(rays: _Rays, functional: Vector, size: int) -> WrongStrength:
    multipliers = dict(zip(rays.moved, functional[size:], strict=True))
    used = [place for place in rays.moved if multipliers[place]]
    still = [place for place in range(len(rays.steps)) if place not in rays.moved]
    anchor = still[0] if still else used[0] if used else rays.moved[0]
    needed = sorted({*used, anchor} - set(still))
    return WrongStrength(
        anchor=anchor,
        forced=tuple((place, rays.weights([Fraction(other == place) for other in rays.moved])) for place in needed),
        multipliers=tuple(multipliers.get(place, _ZERO) for place in range(len(rays.steps))),
        functional=functional[:size],
    )
