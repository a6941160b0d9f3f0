"""That gates select the number of a place, or of a counted position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from constructions import Stream, Transformer
from constructions.residual.symbols import FIRST, GAIN
from proofs.decide import Decision, Expr, natural, prove_equal, relu
from proofs.residual.reading import Row, entry, linear, value
from proofs.residual.selection import FACTOR, SHARE, hidden, only_at, written
from proofs.symbolic import Given, trichotomy

_HINGES = ("rising", "risen")


def gates(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that one gate and the last one read the place's 1, all others 0; values are the numbers and the 1.

    So every activation that is 0 at 0 and positive at the factor of the norm selects, gelu and silu as they are.
    """
    size = stream["numbers"]
    rows = hidden(size, "number", "scale")
    gate, read = (linear(transformer, f"{part} of select").weight for part in ("gate", "value"))
    s = sp.Function("s")
    for order, i, j, given in trichotomy(size):
        row: Row = {
            "numbers": lambda at: FACTOR * SHARE * s(at),
            "virtual": value(FACTOR * SHARE),
            "place": only_at(i, FACTOR),
        }
        opened = entry(gate, (rows, "number"), stream, row, j, given=given)
        yield prove_equal(f"gate j is open at its place alone, {order}", opened, FACTOR * sp.KroneckerDelta(i, j))
        yield prove_equal(
            f"value j is number j, {order}",
            entry(read, (rows, "number"), stream, row, j, given=given),
            FACTOR * SHARE * s(j),
        )
        opened = entry(gate, (rows, "scale"), stream, row, sp.S.Zero, given=given)
        yield prove_equal(f"the last gate is as open as that of the place, {order}", opened, FACTOR)
        yield prove_equal(
            f"the last value is the 1, {order}",
            entry(read, (rows, "scale"), stream, row, sp.S.Zero, given=given),
            FACTOR * SHARE,
        )
    yield from written(stream, transformer, rows)


def steps(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that the gates are steps in the count, and that what they let pass adds up to the number of the position.

    Two gates for every number but the first differ by 2 from its position on and are both 0 before. By induction over
    positions: at the first one the first number alone is written; from one to the next, the two gates of one number
    alone change, and what they add is the difference of two numbers.
    """
    size = stream["numbers"]
    rows = Stream.of(rising=size - 1, risen=size - 1, start=1, scale=1)
    gate, read = (linear(transformer, f"{part} of select").weight for part in ("gate", "value"))
    low, gap, rest = natural("t"), natural("a"), natural("z")
    # number j + 1 of the two gates j; its position is j + 1 + f
    for order, j, position, given in (
        ("from its position on", low, low + 1 + gap, {size: low + 2 + gap + rest}),
        ("before it", low + gap, low, {size: low + gap + 2 + rest}),
    ):
        on = sp.Integer(2) if order.startswith("from") else sp.S.Zero
        yield prove_equal(
            f"the two gates of a number differ by 2 or by 0, {order}",
            _pair(gate, (rows, stream), j, position, given),
            GAIN * FACTOR * on,
        )
    s = sp.Function("s")
    row: Row = {"numbers": s, "virtual": value(SHARE)}
    given = {size: low + 2 + rest}
    for hinge in _HINGES:
        found = entry(read, (rows, hinge), stream, row, low, given=given)
        yield prove_equal(f"the value of gate {hinge} is a difference", found, s(low + 1) - s(low))
    opened = {"content": value(FACTOR), "count": sp.Function("any")}
    for name, wanted in (("start", s(0)), ("scale", SHARE)):
        yield prove_equal(
            f"the value of {name}", entry(read, (rows, name), stream, row, sp.S.Zero, given=given), wanted
        )
        gated = entry(gate, (rows, name), stream, opened, sp.S.Zero, given=given)
        yield prove_equal(f"the gate of {name} is 2, as the difference of two", relu(name, gated), 2 * GAIN * FACTOR)
    yield from _sums(stream, transformer, rows)


def _pair(gate: Any, streams: tuple[Stream, Stream], j: Expr, position: Expr, given: Given) -> Expr:
    """Return the difference of the two gates of number ``j + 1`` where response token ``position`` is read."""
    rows, stream = streams
    behind = position + FIRST
    row: Row = {"content": value(FACTOR), "count": value(FACTOR * behind / (behind + 1))}
    rising, risen = (
        relu(hinge, sp.cancel(entry(gate, (rows, hinge), stream, row, j, given=given))) for hinge in _HINGES
    )
    return rising - risen


def _sums(stream: Stream, transformer: Transformer, rows: Stream) -> Iterator[Decision]:
    """Decide that the differences and the first number are added up, and the 1 is kept, and nothing else written."""
    size, weight = stream["numbers"], linear(transformer, "write select").weight
    j = natural("j")
    given = {size: j + 2 + natural("z")}
    up, down, start, one = (sp.Dummy(name, real=True) for name in ("up", "down", "start", "one"))
    made: Row = {
        "rising": lambda at: sp.KroneckerDelta(at, j) * up,
        "risen": lambda at: sp.KroneckerDelta(at, j) * down,
        "start": value(start),
        "scale": value(one),
    }
    for name, block in stream.blocks:
        place = sp.S.Zero if block == 1 else natural("row")
        found = entry(weight, (stream, name), rows, made, place, given=given)
        wanted = {"selected": up - down + start, "scale": one}.get(name, sp.S.Zero)
        yield prove_equal(f"the gates' products are added up, block {name}", found, wanted)
