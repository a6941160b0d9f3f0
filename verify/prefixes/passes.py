r"""Both forward passes of an attention layer, and both sides of the identities of sections 4 and 6.

With ``A_ij`` the attention of position ``i`` on content ``j`` without a prefix, ``A^pt`` the attention with one, and
``alpha_i`` the sum of ``A^pt`` over the prefix:

- rescaling, head by head: ``A^pt_ij = (1 - alpha_i) A_ij``;
- bias: ``t^pt_i = sum over heads of (1 - alpha_i) t_i + sum_p alpha_ip W_V s_p``;
- second layer: with ``c_i = sum over heads of (1 - alpha_i) t_i``, ``b_i = t^pt_i - c_i`` and ``H = W_Q^T W_K`` of a
  head of the next layer, its score of ``i`` on ``j`` is
  ``c_i' H c_j + b_i' H c_j + c_i' H b_j + b_i' H b_j`` (for one head and one prefix vector ``b_i = alpha_i W_V s``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions.validation import InvalidArgument
from verify.arithmetic import Arithmetic, RationalArithmetic
from verify.prefixes.layer import AttentionHead, AttentionLayer, Numbers, hold

AnyArithmetic = Arithmetic[Any, Any, Any]


@dataclass(frozen=True)
class HeadPasses:
    """The results of one head: arrays of float64 (which holds every format), or of exact rationals as objects.

    Attributes:
        attention: without a prefix, positions x positions.
        with_prefix: with it, positions x (prefix + positions).
        values: ``W_V`` of the prefix and of the content, (prefix + positions) x output width.
        output: without a prefix, positions x output width.
        query: ``W_Q`` as the arithmetic held it.
        key: ``W_K``, likewise.
        value: ``W_V``, likewise.

    """

    attention: Numbers
    with_prefix: Numbers
    values: Numbers
    output: Numbers
    query: Numbers
    key: Numbers
    value: Numbers


@dataclass(frozen=True)
class Passes:
    """The results of a layer without and with a prefix.

    Attributes:
        layer: the layer.
        arithmetic: the number system.
        prefix: the prefix as the arithmetic held it, prefix x width.
        content: the content, likewise, positions x width.
        heads: head by head.
        output: with the prefix, the sum of the heads, positions x output width.
        rows: the same in the arithmetic's own form, as the input of a next layer.

    Example:
        >>> from constructions import RationalSoftmax
        >>> from verify import RationalArithmetic
        >>> head = AttentionHead(query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> passes = attend(layer, [[1, 0], [0, 1]], [[1, 2]], RationalArithmetic())
        >>> kept, bias = passes.parts()
        >>> bool((kept + bias == passes.output).all())
        True

    """

    layer: AttentionLayer
    arithmetic: AnyArithmetic
    prefix: Numbers
    content: Numbers
    heads: tuple[HeadPasses, ...]
    output: Numbers
    rows: Any

    def strengths(self) -> list[Numbers]:
        """Return ``alpha_i`` of every head."""
        count = len(self.prefix)
        return [head.with_prefix[:, :count].sum(axis=1) for head in self.heads]

    def parts(self) -> tuple[Numbers, Numbers]:
        """Return the two parts ``c`` and ``b`` of the right side of the bias identity, positions x output width."""
        count = len(self.prefix)
        kept = sum(
            (
                (1 - strength)[:, None] * head.output
                for head, strength in zip(self.heads, self.strengths(), strict=True)
            ),
            np.zeros_like(self.output),
        )
        bias = sum(
            (head.with_prefix[:, :count] @ head.values[:count] for head in self.heads), np.zeros_like(self.output)
        )
        return kept, bias


def attend(layer: AttentionLayer, content: Any, prefix: Any, arithmetic: AnyArithmetic) -> Passes:
    """Run a layer's attention on its content without and with a prefix.

    Args:
        layer: the user's layer.
        content: positions x width.
        prefix: prefix x width, at least one vector.
        arithmetic: the number system. Numbers are rounded to it first; both passes read the same rounded ones.

    Raises:
        InvalidArgument: rows that do not fit the layer, no prefix, or a temperature that the arithmetic cannot compute
            with.

    Example:
        >>> from constructions import RationalSoftmax
        >>> from verify import RationalArithmetic
        >>> head = AttentionHead(query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> passes = attend(layer, [[1, 0], [0, 1]], [[1, 2]], RationalArithmetic())
        >>> print(*passes.strengths()[0])  # the attention on the prefix, at each position
        1/2 2/5

    """
    arithmetic = arithmetic.ieee()
    given = layer.rows("content", content)
    before = layer.rows("prefix", prefix)
    with arithmetic.running():
        rows, virtual = hold(arithmetic, given, rows=True), hold(arithmetic, before, rows=True)
        everything = arithmetic.below(virtual, rows)
        alone, joined = layer.visible(len(given)), layer.visible(len(given), len(before))
        heads, outputs = [], []
        for head in layer.heads:
            made, output = _head(layer, head, arithmetic, (rows, everything), (alone, joined))
            heads.append(made)
            outputs.append(output)
        total = arithmetic.total(outputs)
    return Passes(
        layer,
        arithmetic,
        numbers(arithmetic, virtual),
        numbers(arithmetic, rows),
        tuple(heads),
        numbers(arithmetic, total),
        total,
    )


def _head(
    layer: AttentionLayer,
    head: AttentionHead,
    ar: AnyArithmetic,
    inputs: tuple[Any, Any],
    visible: tuple[Any, Any],
) -> tuple[HeadPasses, Any]:
    """Run one head, on ``inputs`` and ``visible`` without and with the prefix."""
    (rows, everything), (alone, joined) = inputs, visible
    query, key, value = (hold(ar, part, rows=False) for part in (head.query, head.key, head.value))
    queries, values = ar.linear(rows, query), ar.linear(everything, value)
    scores = ar.scores(queries, ar.linear(rows, key))
    attention = ar.attention(scores, alone, layer.temperature, key_size=head.key_size)
    output = ar.mix(attention, ar.linear(rows, value))
    scores = ar.scores(queries, ar.linear(everything, key))
    with_prefix = ar.attention(scores, joined, layer.temperature, key_size=head.key_size)
    return (
        HeadPasses(
            numbers(ar, attention),
            numbers(ar, with_prefix),
            numbers(ar, values),
            numbers(ar, output),
            numbers(ar, query),
            numbers(ar, key),
            numbers(ar, value),
        ),
        ar.mix(with_prefix, values),
    )


def scores_of(head: AttentionHead, rows: Any, arithmetic: AnyArithmetic) -> Numbers:
    """Return a head's scores between all rows, as the arithmetic computes them, positions x positions."""
    with arithmetic.running():
        query, key = (hold(arithmetic, part, rows=False) for part in (head.query, head.key))
        return numbers(arithmetic, arithmetic.scores(arithmetic.linear(rows, query), arithmetic.linear(rows, key)))


def numbers(arithmetic: AnyArithmetic, held: Any) -> Numbers:
    """Return an arithmetic's array as a matrix of float64, or of python-flint's rationals as objects."""
    if isinstance(arithmetic, RationalArithmetic):
        exact = np.empty((held.nrows(), held.ncols()), dtype=object)
        exact[:] = held.tolist()
        return exact
    array = arithmetic.numbers(held)
    return array[0] if array.ndim == 3 else array


def rescaling_sides(passes: Passes) -> list[tuple[Numbers, Numbers]]:
    """Return for every head ``A^pt`` over the content, and ``(1 - alpha) A``; both positions x positions."""
    count = len(passes.prefix)
    return [
        (head.with_prefix[:, count:], (1 - strength)[:, None] * head.attention)
        for head, strength in zip(passes.heads, passes.strengths(), strict=True)
    ]


def bias_sides(passes: Passes) -> tuple[Numbers, Numbers]:
    """Return ``t^pt`` as computed, and the sum of the two parts; both positions x output width."""
    kept, bias = passes.parts()
    return passes.output, kept + bias


def second_layer_sides(passes: Passes, head: AttentionHead) -> tuple[Numbers, Numbers]:
    """Return a next head's scores as computed from ``t^pt``, and their expansion in four terms.

    Args:
        passes: of the first layer.
        head: of the next layer; it reads the first layer's outputs.

    Raises:
        InvalidArgument: a head that reads another width.

    """
    if head.query.shape[1] != passes.layer.output_width:
        raise InvalidArgument(
            f"head: expected one that reads width {passes.layer.output_width} but got {head.query.shape[1]}"
        )
    computed = scores_of(head, passes.rows, passes.arithmetic)
    query, key = (
        numbers(passes.arithmetic, hold(passes.arithmetic, part, rows=False)) for part in (head.query, head.key)
    )
    kept, bias = passes.parts()
    terms = [(left @ query.T) @ (right @ key.T).T for left in (kept, bias) for right in (kept, bias)]
    return computed, sum(terms[1:], terms[0])
