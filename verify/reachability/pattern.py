"""Attention patterns under a prefix of any length. All are decided: a prefix changes no ratio over the content."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from constructions.validation import InvalidArgument, reject
from verify.prefixes.layer import AttentionLayer, exact_gap
from verify.reachability.impossibility import ChangedRatio
from verify.reachability.prefix import Prefix
from verify.reachability.problem import head_facts
from verify.reachability.solver import Reachability


def decide_pattern(layer: AttentionLayer, content: Any, pattern: Any) -> Reachability:
    """Decide whether a prefix of ANY length gives the content an attention pattern, up to the scale of each row.

    There is always an answer, as a prefix leaves every ratio unchanged: yes, for every prefix, if the pattern has the
    layer's own ratios, and no otherwise.

    Args:
        layer: at an exact ``q``.
        content: positions x width.
        pattern: for every head positions x positions of numbers >= 0, not all of a row 0.

    Raises:
        InvalidArgument: a pattern of another shape, negative, or with a row of zeros.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify.prefixes import AttentionLayer
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "none")
        >>> decide_pattern(layer, [[1, 0], [0, 1]], [[[1, 2], [1, 2]]]).certificate  # the layer attends 2 : 1
        ChangedRatio(head=0, position=0, first=0, second=1)
        >>> decide_pattern(layer, [[1, 0], [0, 1]], [[[4, 2], [2, 1]]]).reachable
        True

    """
    rows = layer.rows("content", content)
    wanted = [
        tuple(tuple(Fraction(entry) for entry in row) for row in layer.rows("pattern", one, width=len(rows)).tolist())
        for one in pattern
    ]
    if len(wanted) != len(layer.heads) or any(len(one) != len(rows) for one in wanted):
        raise InvalidArgument(f"pattern: expected {len(layer.heads)} heads x {len(rows)} x {len(rows)} positions")
    for number, facts in enumerate(head_facts(layer, rows)):
        for position, (now, then) in enumerate(zip(facts.attention, wanted[number], strict=True)):
            if not any(then) or min(then) < 0:
                reject("pattern", "rows of numbers >= 0 that are not all 0", [str(entry) for entry in then])
            for first, second in _pairs(len(now)):
                if then[first] * now[second] != then[second] * now[first]:
                    return Reachability(reachable=False, certificate=ChangedRatio(number, position, first, second))
    nothing = Prefix(((exact_gap(layer), (Fraction(0),) * layer.width),))
    return Reachability(reachable=True, prefix=nothing)


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((first, second) for second in range(count) for first in range(second))
