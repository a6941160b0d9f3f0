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

from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, final

import numpy as np
from jaxtyping import Bool

from constructions.layers import Attention, Head
from constructions.layers.masks import Mask
from constructions.layers.passes import Cache, Pass
from constructions.layers.weighted import Weighted
from constructions.validation import InvalidArgument
from verify.arithmetic import Arithmetic
from verify.prefixes.layer import AttentionLayer, Numbers, as_plain, hold
from verify.prefixes.results import HeadResults

AnyArithmetic = Arithmetic[Any, Any, Any]
_PartT = TypeVar("_PartT", bound=Weighted[Any])


@dataclass(frozen=True, eq=False)
class HeadPasses(HeadResults):
    """The results of one head, and its weights.

    Attributes:
        query: ``W_Q`` as the arithmetic held it.
        key: ``W_K``, likewise.
        value: ``W_V``, likewise.

    """

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
        >>> from constructions import Head, RationalSoftmax
        >>> from verify import RationalArithmetic
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
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
        return [head.strength for head in self.heads]

    def parts(self) -> tuple[Numbers, Numbers]:
        """Return the two parts ``c`` and ``b`` of the right side of the bias identity, positions x output width."""
        nothing = np.zeros_like(self.output)
        return sum((head.kept for head in self.heads), nothing), sum((head.bias for head in self.heads), nothing)


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
        >>> from constructions import Head, RationalSoftmax
        >>> from verify import RationalArithmetic
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
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
        bound = _bound(layer.attention, arithmetic)
        alone, joined = _Ran(), _Ran(Cache(len(before)))
        run = _pass(arithmetic, joined, layer=layer, count=len(given))
        for head in bound.heads:  # the prefix stands there before the content, as in generation
            joined.cache.held[bound.name, head.name] = head.keys_and_values(run, virtual)
        bound.apply(_pass(arithmetic, alone, layer=layer, count=len(given)), rows)
        total = bound.apply(run, rows)
    return Passes(
        layer,
        arithmetic,
        numbers(arithmetic, virtual),
        numbers(arithmetic, rows),
        tuple(_results(bound, head, arithmetic, alone, joined) for head in bound.heads),
        numbers(arithmetic, total),
        total,
    )


@final
@dataclass(frozen=True, eq=False)
class _BehindPrefix(Mask):
    """Every position sees the whole prefix, and the content by the layer's mask."""

    layer: AttentionLayer
    name = "behind a prefix"
    causal = False

    def visible(self, start: int, count: int) -> Bool[np.ndarray, "rows keys"]:
        """Return the keys that each content position sees, where ``start`` is the length of the prefix."""
        return self.layer.visible(count, prefix=start)


@dataclass
class _Ran:
    """Everything that one pass leaves: the keys and values, and every intermediate by its name."""

    cache: Cache[Any] = field(default_factory=Cache)
    found: dict[str, Any] = field(default_factory=dict)


def _bound(held: _PartT, arithmetic: AnyArithmetic) -> _PartT:
    """Return a layer or a head whose weights an arithmetic holds."""
    return cast("_PartT", held.map(lambda _, weight: hold(arithmetic, weight, rows=False)))


def _pass(arithmetic: AnyArithmetic, ran: _Ran, *, layer: AttentionLayer, count: int) -> Pass[Any, Any, Any]:
    """Return a forward pass over ``count`` positions of content behind the rows that are held already."""
    return Pass(
        arithmetic,
        start=ran.cache.length,
        count=count,
        mask=_BehindPrefix(layer),
        temperature=layer.temperature,
        cache=ran.cache,
        record=ran.found.__setitem__,
    )


def _results(bound: Attention[Any], head: Head[Any], ar: AnyArithmetic, alone: _Ran, joined: _Ran) -> HeadPasses:
    name = f"{bound.name}.{head.name}"
    _, values = joined.cache.held[bound.name, head.name]
    return HeadPasses(
        attention=numbers(ar, alone.found[f"{name}.weights"]),
        with_prefix=numbers(ar, joined.found[f"{name}.weights"]),
        values=numbers(ar, values),
        output=numbers(ar, alone.found[f"{name}.output"]),
        query=numbers(ar, head.query),
        key=numbers(ar, head.own_key),
        value=numbers(ar, head.own_value),
    )


def scores_of(passes: Passes, head: Head[Any]) -> Numbers:
    """Return a next head's scores between all outputs of a layer, as the arithmetic computes them."""
    arithmetic = passes.arithmetic
    with arithmetic.running():
        bound = _bound(as_plain(head), arithmetic)
        run = _pass(arithmetic, _Ran(), layer=passes.layer, count=len(passes.content))
        keys, _ = bound.keys_and_values(run, passes.rows)
        return numbers(arithmetic, arithmetic.scores(bound.queries(run, passes.rows, last_only=False), keys))


def numbers(arithmetic: AnyArithmetic, held: Any) -> Numbers:
    """Return an arithmetic's array as a matrix of float64, or of python-flint's rationals as objects."""
    array = arithmetic.entries(held)
    return array[0] if array.ndim == 3 else array


def rescaling_sides(passes: Passes) -> list[tuple[Numbers, Numbers]]:
    """Return for every head ``A^pt`` over the content, and ``(1 - alpha) A``; both positions x positions."""
    return [head.rescaling_sides() for head in passes.heads]


def bias_sides(passes: Passes) -> tuple[Numbers, Numbers]:
    """Return ``t^pt`` as computed, and the sum of the two parts; both positions x output width."""
    kept, bias = passes.parts()
    return passes.output, kept + bias


def second_layer_sides(passes: Passes, head: Head[Any]) -> tuple[Numbers, Numbers]:
    """Return a next head's scores as computed from ``t^pt``, and their expansion in four terms.

    Args:
        passes: of the first layer.
        head: of the next layer; it reads the first layer's outputs.

    Raises:
        InvalidArgument: a head that reads another width.

    """
    head = as_plain(head)
    if head.query.shape[1] != passes.layer.output_width:
        raise InvalidArgument(
            f"head: expected one that reads width {passes.layer.output_width} but got {head.query.shape[1]}"
        )
    computed = scores_of(passes, head)
    query, key = (
        numbers(passes.arithmetic, hold(passes.arithmetic, part, rows=False)) for part in (head.query, head.own_key)
    )
    kept, bias = passes.parts()
    terms = [(left @ query.T) @ (right @ key.T).T for left in (kept, bias) for right in (kept, bias)]
    return computed, sum(terms[1:], terms[0])
