"""A prefix made of logarithms of rationals, and the check that it solves a problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from constructions.validation import InvalidArgument
from verify.reachability.exact import Vector, dot, exact_vector, exponents
from verify.reachability.problem import HeadFacts, Problem


@dataclass(frozen=True)
class Prefix:
    r"""A prefix vector, repeated: ``s = sum_b (ln b / ln q) s_b`` with rational ``s_b``.

    Strengths are powers of ``q``: a vector that realises rational outputs is made of logarithms of rationals. A single
    base ``q`` (written as the pair ``(q, s)``) is a rational vector.

    Attributes:
        parts: pairs of a positive rational base ``b`` and its rational vector ``s_b``; the bases are multiplicatively
            independent, or one alone.
        copies: the number of times the vector stands there, the length of the prefix.

    Example:
        >>> from fractions import Fraction
        >>> Prefix(((Fraction(2), (Fraction(0), Fraction(2))),)).to_floats(Fraction(2))
        [0.0, 2.0]

    """

    parts: tuple[tuple[Fraction, Vector], ...]
    copies: int = 1

    @property
    def width(self) -> int:
        """The width of the vector."""
        return len(self.parts[0][1])

    def rational(self, q: Fraction) -> Vector | None:
        """Return the vector if it is written as a rational one, ``None`` otherwise."""
        return self.parts[0][1] if len(self.parts) == 1 and self.parts[0][0] == q else None

    def to_floats(self, q: Fraction) -> list[float]:
        """Return the vector rounded to floats."""
        scales = [_log(base) / _log(q) for base, _ in self.parts]
        return [
            math.fsum(scale * float(vector[place]) for scale, (_, vector) in zip(scales, self.parts, strict=True))
            for place in range(self.width)
        ]


def _log(value: Fraction) -> float:
    return math.log(value.numerator) - math.log(value.denominator)


def _exact_parts(prefix: object, width: int) -> list[tuple[Fraction, Vector]] | None:
    """Return the parts of a prefix, ``None`` unless all of it is exact and of the layer's width."""
    if type(prefix) is not Prefix or type(prefix.parts) not in {tuple, list} or not prefix.parts:
        return None
    found = []
    given: Any
    for given in prefix.parts:
        if type(given) not in {tuple, list} or len(given) != 2:
            return None
        base, vector = exact_vector((given[0],)), exact_vector(given[1], width)
        if base is None or vector is None or base[0] <= 0:
            return None
        found.append((base[0], vector))
    return found


def realises(problem: Problem, prefix: Prefix) -> bool:
    """Say whether a prefix gives exactly the wanted outputs, by the forward pass of one head in rationals.

    ``W_V s`` must be rational, which for independent bases means that ``sum_b (ln b / ln q) W_V s_b`` is a rational
    multiple of ``sum_b (ln b / ln q) v_b`` with ``q = prod b^(v_b)``. Each strength that matters must be rational too;
    where ``W_V s = t_i``, none matters. The answer to everything else is ``False``: inexact numbers, vectors of another
    width, objects of another class.

    Example:
        >>> from fractions import Fraction
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> problem = Problem(layer, [[1, 0], [0, 1]], [["2/3", "2/3"], ["1/2", "3/4"]])
        >>> realises(problem, Prefix(((Fraction(2), (Fraction(0), Fraction(2))),)))
        True
        >>> realises(problem, Prefix(((Fraction(2), (Fraction(1), Fraction(2))),)))
        False

    """
    parts = None if type(problem) is not Problem else _exact_parts(prefix, problem.layer.width)
    if parts is None or type(prefix.copies) is not int or prefix.copies != problem.prefix_size:
        return False
    try:
        heads = problem.heads
    except InvalidArgument:  # scores at which the outputs are not rational
        return False
    powers = exponents(problem.q, [base for base, _ in parts])
    if len(heads) != 1 or powers is None:
        return False
    target = _rational_value(heads[0].value, parts, powers)
    return target is not None and all(
        _moves(problem, heads[0], place, target=target, parts=parts, powers=powers)
        for place in range(len(problem.targets))
    )


def _moves(
    problem: Problem,
    head: HeadFacts,
    place: int,
    *,
    target: Vector,
    parts: Sequence[tuple[Fraction, Vector]],
    powers: Sequence[int],
) -> bool:
    """Say whether the strength from the key of ``s`` moves an output exactly to the wanted one."""
    before, wanted = head.outputs[place], problem.targets[place]
    if target == before:
        return before == wanted
    # every coordinate must agree on the strength that leads there
    axis = next(axis for axis, (a, b) in enumerate(zip(before, target, strict=True)) if a != b)
    strength = (wanted[axis] - before[axis]) / (target[axis] - before[axis])
    moved = tuple(a + strength * (b - a) for a, b in zip(before, target, strict=True))
    if moved != wanted or not 0 < strength < 1:
        return False
    needed = strength / (1 - strength) * head.normaliser[place] / problem.prefix_size
    found = Fraction(1)
    for (base, vector), power in zip(parts, powers, strict=True):
        exponent = dot(head.directions[place], vector) - head.largest[place] * power
        if exponent.denominator != 1:
            return False
        # the bases are coprime and nothing cancels: a power longer than the needed number is no part of it. It is never
        # worked out: an exponent that someone wrote into a prefix could fill any memory
        if abs(exponent) * (_bits(base) - 1) > _bits(needed):
            return False
        found *= base ** int(exponent)
    return found == needed


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


def _rational_value(
    value: Sequence[Vector], parts: Sequence[tuple[Fraction, Vector]], powers: Sequence[int]
) -> Vector | None:
    """Return ``W_V s`` if every ``W_V s_b`` is ``v_b`` times one vector, ``None`` otherwise."""
    images = [tuple(dot(row, vector) for row in value) for _, vector in parts]
    place = next((place for place, power in enumerate(powers) if power), None)
    if place is None:
        return None
    target = tuple(entry / powers[place] for entry in images[place])
    fits = all(image == tuple(power * entry for entry in target) for image, power in zip(images, powers, strict=True))
    return target if fits else None
