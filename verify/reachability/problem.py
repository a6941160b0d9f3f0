r"""The question "can some prefix do this?", in exact rationals.

One formula decides it. With ``q = exp(T/sqrt(k))``, ``m_i`` the largest score of position ``i`` over the content and
``Z_i = sum_j q^(s_ij - m_i)``, a single prefix vector ``s`` moves the output of one head from ``t_i`` to

``y_i = t_i + a_i (W_V s - t_i)``,  ``a_i / (1 - a_i) = q^(h_i . s - m_i) / Z_i``,  ``h_i = W_K^T W_Q x_i``.

Everything here, and in :mod:`~verify.reachability.exact` and :mod:`~verify.reachability.prefix`, is plain
:class:`~fractions.Fraction` arithmetic and shares no code with the solver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from constructions.layers import Head
from constructions.validation import InvalidArgument, check_integer
from verify.prefixes.layer import AttentionLayer, Numbers, exact_gap
from verify.reachability.exact import Vector, dot, vectors


@dataclass(frozen=True)
class HeadFacts:
    """One head's results without a prefix.

    Attributes:
        attention: positions x positions.
        outputs: ``t_i``.
        largest: ``m_i``.
        normaliser: ``Z_i``.
        directions: ``h_i``, whose product with a prefix vector is its score.
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
    """A layer, its content, the wanted output at every position, and the length of the prefix.

    Attributes:
        layer: at an exact ``q`` that is not 1; scores of a position on content differ by integers.
        content: positions x width.
        wanted: ``y_i``, positions x output width.
        prefix_size: ``p``, at least 1.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> problem = Problem(layer, content=[[1, 0], [0, 1]], wanted=[["2/3", "2/3"], ["1/2", "3/4"]])
        >>> problem.q
        Fraction(2, 1)

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
        """Every head's results without a prefix."""
        return head_facts(self.layer, self.content)


def head_facts(layer: AttentionLayer, content: Numbers) -> tuple[HeadFacts, ...]:
    """Return the exact results of every head of a layer on its content alone.

    Raises:
        InvalidArgument: scores of one position that do not differ by integers, where ``q`` to their power need not be
            rational.

    """
    rows, visible = vectors(content), layer.visible(len(content)).tolist()
    return tuple(_facts(head, exact_gap(layer), rows, visible) for head in layer.heads)


def _facts(head: Head[Numbers], q: Fraction, rows: Sequence[Vector], visible: list[list[bool]]) -> HeadFacts:
    query, key, value = vectors(head.query), vectors(head.own_key), vectors(head.own_value)
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
