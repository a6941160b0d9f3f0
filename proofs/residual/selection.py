"""That one number of the virtual token is fetched, selected and decoded, whatever the positive factors are.

An activation is treated as the ReLU that it is up to its bend: see :func:`constructions.residual.bounds.saturated_from`
for how far gelu and silu are from it. Gates that are common to all that they let pass need no such reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sympy as sp

from constructions import Attention, Stream, Transformer
from constructions.expressions import V
from constructions.residual.symbols import GAIN, MASK
from proofs.decide import Decision, Expr, natural, nonnegative, positive, prove_equal, prove_positive, relu
from proofs.residual.homogeneity import any_row
from proofs.residual.reading import Row, entry, leaf, linear, value
from proofs.symbolic import Given, score, trichotomy, unknown

#: The factor of a norm, what a 1 of the virtual token is where it is read, and a number there.
FACTOR, SHARE, NUMBER = positive("f"), positive("beta"), nonnegative("beta s_j")


def hidden(size: Expr, *names: str) -> Stream:
    """Return the hidden rows of an MLP, of the size of the numbers but for the last one."""
    return Stream.of(**dict.fromkeys(names[:-1], size), **{names[-1]: 1})


def fetches(stream: Stream, counted: Expr, transformer: Transformer) -> Iterator[Decision]:
    """Decide that attention averages the virtual token's numbers and its 1, and nothing of the other rows.

    Args:
        stream: the residual stream.
        counted: what a content row adds to the count, 0 where nothing is counted.
        transformer: of symbolic sizes.

    """
    fetch: Attention = leaf(transformer, "fetch", Attention)
    s = sp.Function("s")
    zeros: Row = {"zero": value(0)}
    virtual: Row = {"numbers": s, "virtual": value(1), "content": value(1) if counted else sp.Function("u"), **zeros}
    content: Row = {
        "numbers": value(0),
        "virtual": value(0),
        "content": value(1) if counted else sp.Function("u"),
        **zeros,
    }
    for head in fetch.heads:
        anything = [unknown(size, f"any_{name}") for name, size in stream.blocks]
        yield prove_equal("the score of any two rows is 0", score(head, anything, anything, given={}), sp.S.Zero)
        for name, size in stream.blocks:
            row, given = any_row(size)
            wanted = {"numbers": s(row), "virtual": sp.S.One}.get(name, sp.S.Zero)
            found = entry(head.own_value, (stream, name), stream, virtual, row, given=given)
            yield prove_equal(f"the virtual token's value in block {name} is its number, its 1 or 0", found, wanted)
            found = entry(head.own_value, (stream, name), stream, content, row, given=given)
            wanted = counted if name == "count" else sp.S.Zero
            yield prove_equal(f"the value of any other row in block {name} is 0, or counts it", found, wanted)


def masks(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that an MLP with masks writes the number at the place of the row, and the 1 beside it."""
    size = stream["numbers"]
    rows = hidden(size, "number", "scale")
    for order, i, j, given in trichotomy(size):
        # the bound of the mask: M is at least 1 more than any number
        known = {**given, MASK: 1 + NUMBER + nonnegative("room")}
        row: Row = {
            "numbers": only(j, FACTOR * NUMBER),
            "place": only_at(i, FACTOR),
            "content": value(FACTOR),
            "zero": value(0),
        }
        before = entry(linear(transformer, "select").weight, (rows, "number"), stream, row, j, given=known)
        wanted = GAIN * FACTOR * NUMBER * sp.KroneckerDelta(i, j)
        yield prove_equal(f"unit j leaves its number at its place alone, {order}", relu(order, before), wanted)
    yield from last_unit(stream, transformer, rows, GAIN * FACTOR)
    yield from written(stream, transformer, rows)


def only_at(place: Expr, number: Expr) -> Callable[[Expr], Expr]:
    """Return a block that holds a number at a place, and 0 elsewhere."""
    return lambda at: number * sp.KroneckerDelta(at, place)


def only(place: Expr, number: Expr) -> Callable[[Expr], Expr]:
    """Return a block that holds a number at a place, and anything elsewhere."""
    rest = sp.Function("rest")

    def found(at: Expr) -> Expr:
        here = sp.KroneckerDelta(at, place)
        return here * number + (1 - here) * rest(at)

    return found


def last_unit(stream: Stream, transformer: Transformer, rows: Stream, factor: Expr) -> Iterator[Decision]:
    """Decide that the last unit is the 1 that came with the numbers, times the factor that a number has."""
    row: Row = {"virtual": value(FACTOR * SHARE), "zero": value(0)}
    before = entry(linear(transformer, "select").weight, (rows, "scale"), stream, row, sp.S.Zero, given={})
    yield prove_equal("the last unit is the 1", relu("the last unit", before), factor * SHARE)


def written(stream: Stream, transformer: Transformer, rows: Stream) -> Iterator[Decision]:
    """Decide that a unit's number goes to ``selected`` and the last unit's to ``scale``, and nothing elsewhere."""
    size, number = stream["numbers"], sp.Function("n")
    one = sp.Dummy("o", real=True)
    i = natural("i")
    given: Given = {size: i + 1 + natural("rest")}
    made: Row = {"number": lambda at: sp.KroneckerDelta(at, i) * number(i), "scale": value(one)}
    for name, block in stream.blocks:
        place = sp.S.Zero if block == 1 else natural("row")
        found = entry(linear(transformer, "write select").weight, (stream, name), rows, made, place, given=given)
        wanted = {"selected": number(i), "scale": one}.get(name, sp.S.Zero)
        yield prove_equal(f"the units write the number and 1, block {name}", found, wanted)


def decodes(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that the token whose number was selected has the largest logit, for every factor of both."""
    factor = positive("l")
    weight = linear(transformer, "readout").weight
    for order, y, k, given in trichotomy(V):
        row: Row = {"selected": value(factor * y / given[V]), "scale": value(factor), "zero": value(0)}
        logits = [entry(weight, (Stream.of(tokens=V), "tokens"), stream, row, token, given=given) for token in (y, k)]
        distance = factor * (k - y) ** 2 / given[V] ** 2
        yield prove_equal(f"logit_y - logit_k = l (k - y)^2/V^2, {order}", logits[0] - logits[1], distance)
        if k != y:
            yield prove_positive(f"and that is positive, {order}", distance)
