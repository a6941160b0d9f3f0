"""The obligations of the other encodings, lifts and readouts of Theorem 1, for symbolic V, N, G, B and H.

Theorem 2 and longer responses have the same MLP, on vectors of another width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import sympy as sp

from constructions import Linear, Transformer, UnconditionalGeneration
from constructions.encodings import ENCODINGS, LIFTS, READOUTS, Coding
from constructions.expressions import BAND, BANDS, GRID, N, V
from proofs import magnitudes
from proofs.decide import Decision, Expr, natural, prove_equal, prove_floor, prove_nonnegative, prove_positive
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.selection import SHARE
from proofs.sums import total
from proofs.symbolic import (
    Given,
    Piece,
    blocks,
    column,
    entry_of,
    only,
    output,
    position,
    read,
    substituted,
    trichotomy,
    unknown,
)

CLAIM = "theorem-1"

_COLUMN = natural("column")

#: ``floor`` expressions and the values that they were shown to have.
Floors = Mapping[Expr, Expr]


def subject(coding: Coding) -> Transformer:
    """Return the transformer of Theorem 1 in a coding; its sizes are symbols."""
    return UnconditionalGeneration(1, 1, encoding=coding.encoding, lift=coding.lift, readout=coding.readout).transformer


# encodings and lifts ----------------------------------------------------------------------------------------------


def _lift(coding: Coding, transformer: Transformer) -> Iterator[Decision]:
    attention, select, *_ = one_layer(transformer)
    own, first = heads(attention, "self", "first")
    token, rest, room = natural("y"), natural("z"), natural("w")
    size = token + 1 + rest
    span = {V: size, GRID: size + room}
    height, step = coding.height, coding.step
    yield prove_nonnegative("a token's number is at least 0", substituted(step * token, span))
    yield prove_positive("a token's number is below the lift", substituted(height - step * token, span))
    raised = substituted(height, span)

    def virtual(place: Expr) -> Expr:
        return raised * SHARE(place)  # every number of [0, height)

    for order, i, place, where in trichotomy(N):
        given = {**where, **span}
        r = order.replace("j", "r")
        here = position(transformer, i, column(transformer.embedding, token, given), given)
        prompt = position(transformer, sp.S.Zero, Piece(where[N], virtual), given)
        hidden = read(own, here, place, given=given) + read(first, prompt, place, given=given)
        below = raised if coding.lift == "mask" else 0
        lifted = raised * sp.KroneckerDelta(place, i) + virtual(place) - below
        yield prove_equal(f"the heads add up to the lift of e_i, and s, {r}", hidden, lifted)
        vector = (only(hidden, place, where[N]),)
        wanted = virtual(place) * sp.KroneckerDelta(place, i)
        yield prove_equal(
            f"layer select leaves s_i and nothing else, {r}", output(select, vector, place, given=given), wanted
        )


# readouts ---------------------------------------------------------------------------------------------------------


def _summed(layer: Linear, x: Expr, row: Expr, given: Given, *, block: int = 0) -> Expr:
    """Return one of the numbers that the layer makes of the vector that is ``x`` in one coordinate and 0 elsewhere."""
    index, rest = natural("i"), natural("n")
    width = index + 1 + rest
    vector = (Piece(width, lambda place: sp.KroneckerDelta(place, index) * x),)
    return output(layer, vector, row, given={**given, N: width}, block=block)


def _number(value: Expr) -> Piece:
    return Piece(sp.S.One, lambda _: value)


def _logit(readout: Linear, vector: Sequence[Piece], token: Expr, given: Given, floors: Floors) -> Expr:
    """Return a token's logit; ``floors`` are settled inside the weights, before anything is summed."""
    bias = substituted(readout.bias, given)
    parts = blocks(readout.weight, 0, len(vector), "readout.weight")
    result: Expr = entry_of(bias, token, sp.S.Zero).xreplace(dict(floors))
    for part, piece in zip(parts, vector, strict=True):
        entry = entry_of(substituted(part, given), token, _COLUMN).xreplace(dict(floors))
        result += total(entry * piece.entry(_COLUMN), _COLUMN, piece.size)
    return result


def _two_tokens() -> Iterator[tuple[str, Expr, Expr, dict[Any, Any]]]:
    low, gap, rest, room = natural("y"), natural("a"), natural("z"), natural("w")
    high = low + 1 + gap
    given = {V: high + 1 + rest, GRID: high + 1 + rest + room}
    yield "w > y", low, high, given
    yield "w < y", high, low, given


def _lines(coding: Coding, transformer: Transformer) -> Iterator[Decision]:
    _, _, summed, readout = one_layer(transformer)
    for order, y, w, given in _two_tokens():
        step = substituted(coding.step, given)
        scalar = (_number(_summed(summed, step * y, sp.S.Zero, given)),)
        gap = _logit(readout, scalar, y, given, {}) - _logit(readout, scalar, w, given, {})
        yield prove_equal(f"logit_y - logit_w = ((y-w) step)^2, {order}", gap, (step * (y - w)) ** 2)
        yield prove_positive(f"logit_y > logit_w, {order}", gap)


def _split(coding: Coding, transformer: Transformer) -> Iterator[Decision]:
    _, _, summed, readout = one_layer(transformer)
    half, far, gap, room = natural("c"), natural("a"), natural("g"), natural("w")
    for parity, centre, size in (("V = 2c", half + 1, 2 * half + 2), ("V = 2c + 1", half, 2 * half + 1)):
        given = {V: size, GRID: size + room}
        step = substituted(coding.step, given)
        for side, y in (("y >= c", centre + far), ("y < c", centre - 1 - far)):
            sides = [_summed(summed, step * y, sp.S.Zero, given, block=block) for block in (0, 1)]
            vector = [_number(side) for side in sides]
            yield prove_equal(
                f"the two sides differ by x - c, {parity}, {side}", sides[0] - sides[1], step * (y - centre)
            )
            for order, w in (("w > y", y + 1 + gap), ("w < y", y - 1 - gap)):
                lead = _logit(readout, vector, y, given, {}) - _logit(readout, vector, w, given, {})
                yield prove_positive(f"logit_y > logit_w, {parity}, {side}, {order}", lead)


def _hat(coding: Coding, transformer: Transformer) -> Iterator[Decision]:
    _, _, summed, readout = one_layer(transformer)
    for order, y, w, given in _two_tokens():
        step = substituted(coding.step, given)
        ramps = {token: (only(_summed(summed, step * y, token, given), token, given[V]),) for token in (y, w)}
        gap = _logit(readout, ramps[y], y, given, {}) - _logit(readout, ramps[w], w, given, {})
        yield prove_equal(f"logit_y - logit_w = |y-w| step, {order}", gap, step * sp.Abs(y - w))
        yield prove_positive(f"logit_y > logit_w, {order}", gap)


_Placed = tuple[str, tuple[Expr, Expr], tuple[Expr, Expr], Expr, Expr]


@lru_cache
def _placed() -> tuple[_Placed, ...]:
    """Return the orders of two different tokens ``hB + l``: its name, both (band, place), B and H.

    The symbols are the same ones for all encodings, of which nothing here depends on any.
    """
    return tuple(_orders())


def _orders() -> Iterator[_Placed]:
    low, gap, rest = natural("l"), natural("a"), natural("r")
    band, apart, more = natural("h"), natural("g"), natural("m")
    high = low + 1 + gap
    above = band + 1 + apart
    for places, own, other in (("l < l'", low, high), ("l > l'", high, low), ("l = l'", low, low)):
        size = (high if own != other else low) + 1 + rest
        if own != other:
            yield f"same band, the last, {places}", (band, own), (band, other), size, band + 1
            yield f"same band, not the last, {places}", (band, own), (band, other), size, band + 2 + more
        yield f"w in a higher band, {places}", (band, own), (above, other), size, above + 1 + more
        yield f"w in a lower band, {places}", (above, own), (band, other), size, above + 2 + more


@lru_cache
def _band_of(order: str, token: Expr, size: Expr, band: Expr) -> Decision:
    """Return the decision that a token is in its band, which speaks of no weight: one for all encodings."""
    return prove_floor(f"floor(v/B) is v's band, {order}", token / size, band)


def _banded(coding: Coding, transformer: Transformer) -> Iterator[Decision]:
    _, _, summed, readout = one_layer(transformer)
    step = coding.step  # V and G stay symbols: nothing more of them matters to the bands
    for order, (h, own), (other_h, other), size, bands in _placed():
        given = {BAND: size, BANDS: bands}
        unit = 2 * size**2 / step  # positive, as all its symbols are
        y = h * size + own
        logits, vectors = [], {}
        for band, place in ((h, own), (other_h, other)):
            token = band * size + place
            yield _band_of(order, token, size, band)
            if band not in vectors:  # two tokens of one band read the same numbers
                vectors[band] = [
                    unknown(count, "rest")  # the last band has no R
                    if (count - 1 - band).is_negative
                    else only(_summed(summed, step * y, band, given, block=block), band, count)
                    for block, count in ((0, bands), (1, bands - 1), (2, bands))
                ]
            logit = _logit(readout, vectors[band], token, given, {sp.floor(token / size): band})
            logits.append(sp.Add(*(term * unit for term in sp.Add.make_args(logit))))
        yield prove_nonnegative(f"the promised logit is not negative, {order}", logits[0])
        if h == other_h:
            yield prove_positive(f"logit_y > logit_w, {order}", sp.expand(logits[0] - logits[1]))
        else:
            yield prove_positive(f"the logit of another band is negative, {order}", sp.expand(-logits[1]))


_READ = {"paper": _lines, "centred": _lines, "split": _split, "hat": _hat, "banded": _banded}


def _obligations() -> Iterator[Obligation]:
    for encoding in ENCODINGS:
        for lift in LIFTS:
            coding = Coding(encoding, lift)
            if coding != Coding():
                yield Obligation(
                    f"{CLAIM}.{encoding}-{lift}",
                    f"Encoding {encoding}, lift {lift}: the heads add up to the lifted e_i and s, and the first MLP"
                    " layer leaves s_i in coordinate i and 0 elsewhere, for any s from 0 to below the lift.",
                    r"0 \le s_r < C \implies \mathrm{select}(C \delta_{ri} + s_r) = s_r\, \delta_{ri}",
                    partial(_lift, coding),
                    partial(subject, coding),
                )
        for readout in READOUTS:
            coding = Coding(encoding, "add", readout)
            if coding != Coding():
                yield Obligation(
                    f"{CLAIM}.{encoding}-{readout}",
                    f"Encoding {encoding}, readout {readout}: at the number of y the logit of y is larger than that of"
                    " every other token w.",
                    r"x = y d \implies \mathrm{logit}_y > \mathrm{logit}_w \quad (w \ne y)",
                    partial(_READ[readout], coding),
                    partial(subject, coding),
                )


OBLIGATIONS: tuple[Obligation, ...] = (*_obligations(), *magnitudes.obligations(CLAIM, subject))
