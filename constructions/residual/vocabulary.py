"""The weights of the embedding, of the attention that fetches, and of the readout that decodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.expressions import V, entries
from constructions.layers import Attention
from constructions.residual.blocks import ONE, Parts, read, uniform_attention
from constructions.residual.bounds import COUNTED_BITS
from constructions.residual.symbols import COUNTED
from constructions.stream import Stream

#: For a block of the stream the matrix of its columns; blocks that are left out are 0.
Columns = Mapping[str, MatrixExpr]


def columns(stream: Stream, parts: Columns) -> MatrixExpr:
    """Return a matrix with these columns, without the parts for blocks that the stream does not have."""
    held = {(name, "columns"): part for name, part in parts.items() if name in stream.names}
    return stream.reads(Stream.of(columns=next(iter(parts.values())).shape[1]), held)


def _tokens(spare: int) -> Stream:
    """Return the vocabulary: the tokens of responses, and then the spare ones."""
    return Stream.of(tokens=V, **({"spare": spare} if spare else {}))


def embedded(stream: Stream, parts: Columns, spare: int) -> MatrixExpr:
    """Return the embedding: the parts for the tokens of responses; a spare token has the 1 in ``content`` alone.

    Args:
        stream: the residual stream.
        parts: with ``V`` columns.
        spare: how many tokens there are beside them.

    """
    held = {(name, "tokens"): part for name, part in parts.items() if name in stream.names}
    if spare and ("content", "tokens") in held:
        held["content", "spare"] = sp.OneMatrix(1, spare)
    return stream.reads(_tokens(spare), held)


def readout_weight(stream: Stream, spare: int, tied: Columns) -> MatrixExpr:
    """Return the paper's quadratic decoder, times whatever positive factor ``scale`` has.

    A spare token takes the scale off: its logit is negative, and the largest logit is not.

    Args:
        stream: the residual stream.
        spare: how many tokens there are beside those of responses.
        tied: the other columns of a tied embedding; empty if it is not tied.

    """

    def column(entry: Callable[[sp.Expr], sp.Expr]) -> MatrixExpr:
        return entries(V, 1, lambda k, _: entry(k / V))

    embedded_too = {name: part for name, part in tied.items() if name in stream.names}
    ones = len(embedded_too)
    balance = "balance" if "balance" in stream.names else "zero"
    parts: Parts = {
        ("tokens", "selected"): column(lambda x: 2 * x - 1),
        ("tokens", "scale"): column(lambda x: sp.Rational(1, 4) - x**2),
        ("tokens", balance): column(lambda x: sp.Rational(3, 4) - ones - 2 * x + x**2),
        **{("tokens", name): part.T for name, part in embedded_too.items()},
    }
    if spare:
        column_of_ones = sp.OneMatrix(spare, 1)
        parts = {**parts, ("spare", "scale"): -column_of_ones, ("spare", balance): column_of_ones}
    return read(_tokens(spare), stream, parts)


def fetching(stream: Stream, heads: int, at_sizes: Callable[[sp.Expr], int]) -> Attention[MatrixExpr]:
    r"""Return attention that averages the numbers, the 1 beside them, and a 1 for each content row.

    The count reads ``g - c``, which is 0 in the virtual token's row, that has both. A content row holds ``g`` alone, so
    that the factor of its norm is known, and ``kappa/2^128`` is its reciprocal: the average is ``q/(q+1)``.

    Args:
        stream: the residual stream.
        heads: how many heads share the width.
        at_sizes: returns an expression's value at the sizes of the construction.

    """
    if heads == 1:
        return uniform_attention("fetch", stream, 1, [read(stream, stream, _fetched(stream))])
    width = at_sizes(stream.width) // heads
    values = []
    for head in range(heads):
        sizes: dict[str, int] = {}
        first = 0
        for name, size in stream.blocks:
            start = at_sizes(stream.before(name))
            low, high = max(start, head * width), min(start + at_sizes(size), (head + 1) * width)
            if low < high:
                sizes[name] = high - low
                first = low - start if name == "numbers" else first
        values.append(read(Stream.of(**sizes), stream, _fetched(stream, sizes, first)))
    return uniform_attention("fetch", stream, heads, values)


def _fetched(stream: Stream, sizes: Mapping[str, int] | None = None, first: int = 0) -> Parts:
    """Return the values of a head that writes some of the blocks; ``first`` is the first number that it writes."""
    size, weight = stream["numbers"], COUNTED / sp.Integer(2) ** COUNTED_BITS * ONE
    count = size if sizes is None else sizes.get("numbers", 0)
    own = sp.Identity(size) if sizes is None else entries(count, size, lambda i, j: sp.KroneckerDelta(j, i + first))
    parts: Parts = {
        ("numbers", "numbers"): own,
        ("numbers", "zero"): -sp.OneMatrix(count, 1),
        ("virtual", "virtual"): ONE,
        ("virtual", "zero"): -ONE,
        **({("count", "content"): weight, ("count", "virtual"): -weight} if "count" in stream.names else {}),
    }
    written = stream.names if sizes is None else tuple(sizes)
    return {place: part for place, part in parts.items() if place[0] in written}
