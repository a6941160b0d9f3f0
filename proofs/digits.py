"""Obligations about several digits per token: the weights of ``DigitGeneration`` for two digits, symbolic V, N and b.

The blocks of further digits are the same expressions in their own places, and a logit is a sum over the digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import sympy as sp

from constructions import DigitGeneration, Linear, Transformer
from constructions.digit_generation import DigitReadout, digit
from constructions.expressions import BASE, GRID, N
from proofs.decide import Decision, Expr, natural, nonnegative, prove_equal, prove_floor, prove_positive
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.sums import total
from proofs.symbolic import (
    Given,
    Piece,
    blocks,
    entry_of,
    fraction_below_1,
    one_hot,
    only,
    output,
    read,
    trichotomy,
    unknown,
)

CLAIM = "digits"
#: The number of digits in the weights that the obligations are about.
DIGITS = 2

_COLUMN = natural("column")


def subject(readout: DigitReadout = "hat") -> Transformer:
    """Return the transformer for two digits; its sizes are symbols."""
    return DigitGeneration(1, 1, DIGITS, readout).transformer


def _places(_: Transformer) -> Iterator[Decision]:
    low, high, room, rest, token = (natural(name) for name in ("r", "n", "z", "w", "v"))
    part = nonnegative("p")
    base, below = low + 1 + room, part / (1 + part)  # every number of [0, 1)
    scaled = high * base + low + below
    yield prove_floor("floor(v/b^j) = n b + r, for v = (n b + r + f) b^j, r < b, 0 <= f < 1", scaled, high * base + low)
    yield prove_floor("floor(v/b^(j+1)) = n", scaled / base, high)
    yield prove_equal("the digit at place j is then r", high * base + low - base * high, low)
    for count in range(1, 5):
        packed = sp.Add(*(digit(token, k, count) * BASE ** (count - 1 - k) for k in range(count)))
        left = token - BASE**count * sp.floor(token / BASE**count)
        yield prove_equal(f"{count} digits times their places are v - b^m floor(v/b^m)", packed, left)
    yield prove_floor("floor(v/b^m) = 0 for v < b^m", token / (token + 1 + rest), sp.S.Zero)


def _selects(transformer: Transformer) -> Iterator[Decision]:
    attention, select, *_ = one_layer(transformer)
    own, first = heads(attention, "self", "first")
    shares = [fraction_below_1(f"p{k}") for k in range(DIGITS)]
    for order, i, place, given in trichotomy(N):
        size, r = given[N], order.replace("j", "r")
        here = [*(unknown(size, f"u{k}") for k in range(DIGITS)), one_hot(size, i)]
        prompt = [*(Piece(size, partial(_numbers, share)) for share in shares), one_hot(size, sp.S.Zero)]
        for block, share in enumerate(shares):
            hidden = read(own, here, place, given=given, block=block)
            hidden += read(first, prompt, place, given=given, block=block)
            masked = GRID * (sp.KroneckerDelta(place, i) - 1) + GRID * share(place)
            yield prove_equal(f"the heads add up to G (e_i - 1) and digit {block}, {r}", hidden, masked)
            vector = [only(hidden, place, size) if k == block else unknown(size, f"w{k}") for k in range(DIGITS)]
            found = output(select, vector, place, given=given, block=block)
            wanted = GRID * share(place) * sp.KroneckerDelta(place, i)
            yield prove_equal(f"layer select leaves digit {block} of s_i and nothing else, {r}", found, wanted)


def _numbers(share: Callable[[Expr], Expr], place: Expr) -> Expr:
    return GRID * share(place)


def _summed(layer: Linear, x: Expr, row: Expr, given: Given, *, block: int, source: int) -> Expr:
    """Return one of the layer's numbers when digit ``source`` is ``x`` and nothing is known of the other digits."""
    index, rest = natural("i"), natural("n")
    width = index + 1 + rest
    vector = [
        Piece(width, lambda place: sp.KroneckerDelta(place, index) * x) if k == source else unknown(width, f"u{k}")
        for k in range(DIGITS)
    ]
    return output(layer, vector, row, given={**given, N: width}, block=block)


def _settled(entry: Expr, token: Expr, digits: tuple[Expr, ...]) -> Expr:
    """Return an entry of the weights for the token ``d_0 b + d_1``, its floors replaced as ``digits.places`` shows."""
    high, low = digits
    floors = {sp.floor(token / BASE**2): sp.S.Zero, sp.floor(token / BASE): high}
    return entry.xreplace(floors).subs(token, high * BASE + low)


def _digit_orders() -> Iterator[tuple[str, tuple[Expr, ...], tuple[Expr, ...], tuple[Expr, ...]]]:
    """Yield the orders of the digits of two different tokens: its name, both tokens' digits, and each place's base.

    A base is the larger digit of its place, plus 1, plus a natural number: every base that exceeds both digits.
    """
    for orders in itertools.product("=<>", repeat=DIGITS):
        if set(orders) == {"="}:
            continue
        own, other, bases = [], [], []
        for place, order in enumerate(orders):
            low, gap, room = natural(f"d{place}"), natural(f"a{place}"), natural(f"z{place}")
            high = low if order == "=" else low + 1 + gap
            own.append(high if order == ">" else low)
            other.append(high if order == "<" else low)
            bases.append(high + 1 + room)
        yield " ".join(orders), tuple(own), tuple(other), tuple(bases)


def _hat(transformer: Transformer) -> Iterator[Decision]:
    _, _, summed, readout = one_layer(transformer)
    token = natural("v")
    parts = blocks(readout.weight, 0, DIGITS, "readout.weight")
    for order, own, other, bases in _digit_orders():
        logits = []
        for digits in (own, other):
            logit = _settled(entry_of(readout.given_bias, token, sp.S.Zero), token, digits)
            for k, (value, base) in enumerate(zip(digits, bases, strict=True)):
                given = {BASE: base}
                ramp = _summed(summed, own[k], value, given, block=k, source=k)
                entry = _settled(entry_of(parts[k], token, _COLUMN), token, digits)
                logit += total(entry * only(ramp, value, base).entry(_COLUMN), _COLUMN, base)
            logits.append(logit)
        distance = sp.Add(*(sp.Abs(a - b) for a, b in zip(own, other, strict=True)))
        yield prove_equal(
            f"logit_y - logit_w is the distance of their digits, {order}", logits[0] - logits[1], distance
        )
        yield prove_positive(f"and that is positive, {order}", distance)


def _split(transformer: Transformer) -> Iterator[Decision]:
    _, _, summed, readout = one_layer(transformer)
    half, far, token = natural("c"), natural("a"), natural("v")
    for parity, centre, base in (("b = 2c", half + 1, 2 * half + 2), ("b = 2c + 1", half, 2 * half + 1)):
        for (side, x), k in itertools.product((("x >= c", centre + far), ("x < c", centre - 1 - far)), range(DIGITS)):
            above, below = (
                _summed(summed, x, sp.S.Zero, {BASE: base}, block=block, source=k) for block in (k, DIGITS + k)
            )
            yield prove_equal(
                f"the two sides of digit {k} differ by x - c, {parity}, {side}", above - below, x - centre
            )
    parts = blocks(readout.weight, 0, 2 * DIGITS, "readout.weight")
    below = [sp.Dummy(f"below{k}", real=True) for k in range(DIGITS)]
    for order, own, other, _ in _digit_orders():
        logits = []
        for digits in (own, other):
            logit = _settled(entry_of(readout.given_bias, token, sp.S.Zero), token, digits)
            for k in range(DIGITS):
                above = below[k] + own[k] - sp.floor(BASE / 2)
                for part, number in ((parts[k], above), (parts[DIGITS + k], below[k])):
                    logit += _settled(entry_of(part, token, sp.S.Zero), token, digits) * number
            logits.append(logit)
        distance = sp.Add(*((a - b) ** 2 for a, b in zip(own, other, strict=True)))
        gap = logits[0] - logits[1]
        yield prove_equal(f"logit_y - logit_w is the squared distance of their digits, {order}", gap, distance)
        yield prove_positive(f"and that is positive, {order}", distance)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.places",
        "The digits are those of base b: each is what the places below and above leave of it, and tokens below b^m are"
        " the sums of their digits times the places, so that different tokens differ in a digit.",
        r"v = \sum_k b^{m-1-k} \bigl(\lfloor v/b^{m-1-k} \rfloor - b \lfloor v/b^{m-k} \rfloor\bigr) \quad (v < b^m)",
        _places,
        subject,
    ),
    Obligation(
        f"{CLAIM}.select",
        "For each digit the heads add up to G (e_i - 1) and the digits, and layer select leaves the digit of token i.",
        r"0 \le s_r < G \implies \mathrm{ReLU}(G(\delta_{ri} - 1) + s_r) = s_r\, \delta_{ri}",
        _selects,
        subject,
    ),
    Obligation(
        f"{CLAIM}.hat",
        "Readout hat: the logit of y is larger than that of w by the sum of the distances of their digits.",
        r"\mathrm{logit}_y - \mathrm{logit}_w = \sum_k |y_k - w_k|",
        _hat,
        subject,
    ),
    Obligation(
        f"{CLAIM}.split",
        "Readout split: the logit of y is larger than that of w by the sum of the squared distances of their digits.",
        r"\mathrm{logit}_y - \mathrm{logit}_w = \sum_k (y_k - w_k)^2",
        _split,
        partial(subject, "split"),
    ),
)
