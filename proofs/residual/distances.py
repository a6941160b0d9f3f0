"""That one MLP writes how far each place is from the counted position, and the next selects the one at distance 0."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from constructions import Stream, Transformer
from constructions.residual.symbols import FIRST, GAIN, MASK
from proofs.decide import Decision, natural, nonnegative, positive, prove_equal, relu
from proofs.residual.reading import Row, entry, linear, value
from proofs.residual.selection import FACTOR, NUMBER, hidden, last_unit, only, written
from proofs.symbolic import trichotomy

_SIDES = ("after", "before")


def distances(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that ``-|q - q_j|/(q + 1)`` is written for every place, times the factor of the norm before."""
    size = stream["numbers"]
    rows = Stream.of(after=size, before=size)
    weight, out = linear(transformer, "place").weight, linear(transformer, "write place").weight
    for order, t, j, given in trichotomy(size):
        position, place = t + FIRST, j + FIRST
        row: Row = {
            "content": value(FACTOR),
            "count": value(FACTOR * position / (position + 1)),
            "zero": value(0),
        }
        sides = {
            side: relu(side, sp.cancel(entry(weight, (rows, side), stream, row, j, given=given))) for side in _SIDES
        }
        made: Row = {side: only(j, found) for side, found in sides.items()}
        found = entry(out, (stream, "place"), rows, made, j, given=given)
        gap = {"j = i": sp.S.Zero, "j > i": j - t, "j < i": t - j}[order]
        yield prove_equal(f"the distance of a place from the position, {order}", found, -FACTOR * gap / (position + 1))
    given = {size: natural("n") + 1}
    for name, block in stream.blocks:
        if name != "place":
            anything: Row = {side: sp.Function(side) for side in _SIDES}
            place = sp.S.Zero if block == 1 else natural("row")
            found = entry(out, (stream, name), rows, anything, place, given=given)
            yield prove_equal(f"nothing is written to block {name}", found, sp.S.Zero)


def nearest(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that the number at distance 0 is selected, where a mask of more than any number is a distance of 1."""
    size = stream["numbers"]
    rows = Stream((*hidden(size, "number", "scale").blocks, ("spare", size - 1)))  # as many as the other MLP has
    weight = linear(transformer, "select").weight
    far, room = nonnegative("further"), positive("room")
    for order, apart in (("at the place", sp.S.Zero), ("elsewhere", 1 + far)):
        j = natural("j")
        given = {size: j + 1 + natural("rest"), MASK: NUMBER + room}
        row: Row = {"numbers": only(j, FACTOR * NUMBER), "place": only(j, -FACTOR * apart), "zero": value(0)}
        found = relu(order, entry(weight, (rows, "number"), stream, row, j, given=given))
        yield prove_equal(f"unit j leaves its number, {order}", found, 0 if apart else GAIN * FACTOR * NUMBER)
    yield from last_unit(stream, transformer, rows, GAIN * FACTOR)
    yield from written(stream, transformer, rows)
