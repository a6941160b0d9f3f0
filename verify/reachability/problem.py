r"""The question "can some prefix do this?", in exact rationals, and the check that a given prefix does it.

One formula says it all. With ``q = exp(T/sqrt(k))``, ``m_i`` the largest score of position ``i`` over the content and
``Z_i = sum_j q^(s_ij - m_i)``, a single prefix vector ``s`` moves the output of one head from ``t_i`` to

``y_i = t_i + a_i (W_V s - t_i)``,  ``a_i / (1 - a_i) = q^(h_i . s - m_i) / Z_i``,  ``h_i = W_K^T W_Q x_i``.

Everything here is plain :class:`~fractions.Fraction` arithmetic and shares no code with the solver.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from constructions.validation import InvalidArgument, check_integer
from verify.prefixes.layer import AttentionHead, AttentionLayer, Numbers, exact_gap

Vector = tuple[Fraction, ...]


def dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    """Return the inner product."""
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def vectors(matrix: Numbers) -> tuple[Vector, ...]:
    """Return the rows of a matrix as exact vectors; a float counts as the dyadic rational that it is."""
    return tuple(tuple(Fraction(entry) for entry in row) for row in matrix.tolist())


@dataclass(frozen=True)
class HeadFacts:
    """What one head does without a prefix.

    Attributes:
        attention: positions x positions.
        outputs: ``t_i``.
        largest: ``m_i``.
        normaliser: ``Z_i``.
        directions: ``h_i``, with which a prefix vector scores.
        value: the rows of ``W_V``.

    """

    attention: tuple[Vector, ...]
    outputs: tuple[Vector, ...]
    largest: Vector
    normaliser: Vector
    directions: tuple[Vector, ...]
    value: tuple[Vector, ...]


@dataclass(frozen=True, eq=False)
class Problem:
    """A layer, its content, the outputs that are wanted at every position, and how long the prefix may be.

    Attributes:
        layer: at an exact ``q`` that is not 1; scores of a position on content differ by integers.
        content: positions x width.
        wanted: ``y_i``, positions x output width.
        prefix_size: ``p``, at least 1.

    """

    layer: AttentionLayer
    content: Any
    wanted: Any
    prefix_size: int = 1

    def __post_init__(self) -> None:
        check_integer("prefix_size", self.prefix_size, 1)
        if exact_gap(self.layer) == 1:
            raise InvalidArgument("q: expected another one than 1, at which no score matters")
        object.__setattr__(self, "content", self.layer.rows("content", self.content))
        wanted = self.layer.rows("outputs", self.wanted, width=self.layer.output_width)
        if len(wanted) != len(self.content):
            raise InvalidArgument(
                f"outputs: expected one for each of {len(self.content)} positions but got {len(wanted)}"
            )
        object.__setattr__(self, "wanted", wanted)

    @property
    def q(self) -> Fraction:
        """The exact ``q``."""
        return exact_gap(self.layer)

    @cached_property
    def targets(self) -> tuple[Vector, ...]:
        """``y_i``, exactly."""
        return vectors(self.wanted)

    @cached_property
    def heads(self) -> tuple[HeadFacts, ...]:
        """What every head does without a prefix."""
        return head_facts(self.layer, self.content)


def head_facts(layer: AttentionLayer, content: Numbers) -> tuple[HeadFacts, ...]:
    """Return what every head of a layer does with its content alone, exactly.

    Raises:
        InvalidArgument: scores of one position that do not differ by integers, where ``q`` to their power need not be
            rational.

    """
    rows, visible = vectors(content), layer.visible(len(content)).tolist()
    return tuple(_facts(head, exact_gap(layer), rows, visible) for head in layer.heads)


def _facts(head: AttentionHead, q: Fraction, rows: Sequence[Vector], visible: list[list[bool]]) -> HeadFacts:
    query, key, value = vectors(head.query), vectors(head.key), vectors(head.value)
    queries = [[dot(row, x) for row in query] for x in rows]
    directions = [tuple(dot(column, at) for column in zip(*key, strict=True)) for at in queries]
    values = [tuple(dot(row, x) for row in value) for x in rows]
    attention, outputs, largest, normaliser = [], [], [], []
    for direction, seen in zip(directions, visible, strict=True):
        scores = [dot(direction, x) if sees else None for x, sees in zip(rows, seen, strict=True)]
        top = max(score for score in scores if score is not None)
        gaps = [None if score is None else score - top for score in scores]
        if any(gap is not None and gap.denominator != 1 for gap in gaps):
            raise InvalidArgument("content: expected scores of a position that differ by integers, as q is exact")
        factors = [Fraction(0) if gap is None else q ** int(gap) for gap in gaps]
        total = sum(factors, Fraction(0))
        weights = tuple(factor / total for factor in factors)
        attention.append(weights)
        outputs.append(tuple(dot(weights, column) for column in zip(*values, strict=True)))
        largest.append(top)
        normaliser.append(total)
    return HeadFacts(tuple(attention), tuple(outputs), tuple(largest), tuple(normaliser), tuple(directions), value)


@dataclass(frozen=True)
class Prefix:
    r"""A prefix vector, repeated: ``s = sum_b (ln b / ln q) s_b`` with rational ``s_b``.

    Strengths are powers of ``q``, so that a vector which realises rational outputs is made of logarithms of rationals.
    A single base ``q`` (written as the pair ``(q, s)``) is a rational vector.

    Attributes:
        parts: pairs of a positive rational base ``b`` and its rational vector ``s_b``; the bases are multiplicatively
            independent, or one alone.
        copies: how often the vector is repeated, the length of the prefix.

    """

    parts: tuple[tuple[Fraction, Vector], ...]
    copies: int = 1

    @property
    def width(self) -> int:
        """The width of the vector."""
        return len(self.parts[0][1])

    def rational(self, q: Fraction) -> Vector | None:
        """Return the vector where it is rational as it stands, ``None`` otherwise."""
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


def exact_vector(value: object, size: int | None = None) -> Vector | None:
    """Return a vector that someone handed over as Fractions, ``None`` unless it holds exact numbers alone.

    A float is a rounded number, and a subclass of a number may compute as it likes: neither proves anything.

    Args:
        value: a tuple or list of ``int`` and :class:`~fractions.Fraction`, and of nothing else.
        size: how many there must be.

    """
    if type(value) not in {tuple, list} or any(type(entry) not in {int, Fraction} for entry in value):  # type: ignore[attr-defined] # a sequence by then
        return None
    entries = tuple(Fraction(entry) for entry in value)  # type: ignore[attr-defined] # as above
    return entries if size is None or len(entries) == size else None


def is_place(value: object, size: int) -> bool:
    """Say whether a value is an index below ``size``: an ``int``, no boolean, not negative."""
    return type(value) is int and 0 <= value < size


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
    """Say whether a prefix gives exactly the outputs that are wanted, by the forward pass of one head in rationals.

    ``W_V s`` must be rational, which for independent bases means that ``sum_b (ln b / ln q) W_V s_b`` is a rational
    multiple of ``sum_b (ln b / ln q) v_b`` with ``q = prod b^(v_b)``; and so must be each strength that matters: where
    ``W_V s = t_i``, none does. Anything else is answered with ``False``, whatever is handed over: numbers that are not
    exact, vectors of another width, objects of another class.
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
    """Say whether the strength that the key of ``s`` gives moves an output exactly to where it is wanted."""
    before, wanted = head.outputs[place], problem.targets[place]
    if target == before:
        return before == wanted
    # the strength that leads there, which every coordinate must agree on
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
        # the bases are coprime, so that nothing cancels: a power longer than the number needed is not in it, and is
        # not worked out, as nobody has the memory for what someone may write into a prefix
        if abs(exponent) * (_bits(base) - 1) > _bits(needed):
            return False
        found *= base ** int(exponent)
    return found == needed


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


def exponents(number: Fraction, bases: Sequence[Fraction]) -> list[int] | None:
    """Return integers ``v_b`` with ``number = prod b^(v_b)``, for one base or for integer bases that are coprime."""
    if len(bases) == 1 and bases[0] == number:
        return [1]
    if any(base.denominator != 1 or base <= 1 for base in bases):
        return None
    integers = [int(base) for base in bases]
    if any(math.gcd(a, b) != 1 for place, a in enumerate(integers) for b in integers[:place]):
        return None
    found = []
    top, bottom = number.numerator, number.denominator
    for base in integers:
        power = 0
        while top % base == 0:
            top, power = top // base, power + 1
        while bottom % base == 0:
            bottom, power = bottom // base, power - 1
        found.append(power)
    return found if (top, bottom) == (1, 1) else None


def _rational_value(
    value: Sequence[Vector], parts: Sequence[tuple[Fraction, Vector]], powers: Sequence[int]
) -> Vector | None:
    """Return ``W_V s`` where every ``W_V s_b`` is ``v_b`` times one vector, ``None`` otherwise."""
    images = [tuple(dot(row, vector) for row in value) for _, vector in parts]
    place = next((place for place, power in enumerate(powers) if power), None)
    if place is None:
        return None
    target = tuple(entry / powers[place] for entry in images[place])
    fits = all(image == tuple(power * entry for entry in target) for image, power in zip(images, powers, strict=True))
    return target if fits else None
