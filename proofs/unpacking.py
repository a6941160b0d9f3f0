"""The obligations of the MLPs of longer inputs: digits are unpacked and packed again by ReLUs, exactly.

In block l the selected number is ``R/B`` with ``B = V^D`` and ``D = V^(n_X-l)`` digits; ``P_k = V^(D-k)`` is the place
value of digit ``k``, and ``r`` the remainder of ``R`` below the digits already found.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from constructions import Linear, Transformer
from constructions.expressions import BLOCK, DIGIT, V, n_X
from proofs.decide import (
    Decision,
    Expr,
    natural,
    nonnegative,
    prove_equal,
    prove_floor,
    prove_nonnegative,
    relu,
    require,
)
from proofs.layers import linear_of
from proofs.obligations import Obligation
from proofs.restoring import CLAIM, FOUND, STREAMS, block, ramp, subject, vector
from proofs.symbolic import Given, Piece, Vector, affine, blocks, entry_of, only, output, substituted, trichotomy

_QUARTER = sp.Rational(1, 4)


def _compare_first(transformer: Transformer) -> Iterator[Decision]:
    layer = linear_of(transformer, "compare first")
    token, c, packed = natural("X"), natural("c"), nonnegative("R")
    size = token + 1 + natural("z")
    given = {V: size, DIGIT: sp.S.One}
    digits = size ** (n_X - BLOCK)
    selected = Piece(size, lambda place: sp.KroneckerDelta(place, token) * packed / size**digits)
    before = vector("selected", given, value=selected)
    remainder = output(layer, before, sp.S.Zero, given=given, block=block("compared", "remainder"))
    yield prove_equal("r = R when R/B is selected, B = V^D, D = V^(n_X-l)", remainder, packed)
    below = affine(layer, before, c, given=given, block=block("compared", "below"))
    yield prove_equal("(c+1) P_1 - R before the ReLU, P_1 = V^(D-1)", below, (c + 1) * size ** (digits - 1) - packed)
    yield require("a ReLU follows", holds=layer.has_relu)


def _step_of(layer: Linear, w: Expr) -> Expr:
    """Return ``upper - lower`` in the coordinate where the comparison is ``w``."""
    c, found = natural("c"), natural("f")
    given = {V: c + 2 + natural("z"), DIGIT: found + 1, FOUND: found}
    before = vector("compared", given, below=only(w, c, given[V] - 1))
    upper, lower = (output(layer, before, c, given=given, block=block("stepped", name)) for name in ("upper", "lower"))
    return upper - lower


def _step(transformer: Transformer) -> Iterator[Decision]:
    layer = linear_of(transformer, "step")
    # the step falls as w rises: the ramp of 1 - w
    for what, (value, wanted) in ramp(nonnegative("p"), _QUARTER).items():
        yield prove_equal(f"upper - lower: x = 1 - w, {what}", _step_of(layer, 1 - value), wanted)


def _digit(transformer: Transformer) -> Iterator[Decision]:
    layer = linear_of(transformer, "step")
    d, a, rest, more, share = natural("d"), natural("a"), natural("r"), natural("z"), nonnegative("b")
    place = rest + 1 + more  # P: the remainder below it is an integer from 0 to P - 1
    # an error e of r with |e| <= 1/4 is b - 1/4 from below and 1/4 - b from above
    reached = place * (d - a) - (place * d + rest + share - _QUARTER)
    yield prove_nonnegative("c P - r <= 1/4 for c = d - a", _QUARTER - reached)
    yield prove_equal("the step is 1 wherever w <= 1/4", _step_of(layer, _QUARTER - share), 1)
    missed = place * (d + 1 + a) - (place * d + rest + _QUARTER - share)
    yield prove_nonnegative("c P - r >= 3/4 for c = d + 1 + a", missed - 3 * _QUARTER)
    yield prove_equal("the step is 0 there", _step_of(layer, relu("w_c", missed)), 0)


def _found(left: Expr) -> tuple[Given, Vector, Expr, Expr, Expr]:
    """Return a stepped vector with digit ``d``: the sizes, the vector, ``d``, ``P_k``, and the number of digits found.

    ``upper - lower`` is 1 for the first ``d`` of the ``V - 1`` comparisons and 0 for the others.
    """
    d, rest, found = natural("d"), natural("z"), natural("f")
    size = d + 1 + rest
    given: Given = {V: size, DIGIT: found + 2, FOUND: found}
    place = size ** (size ** (n_X - BLOCK) - (found + 2))
    lower, digit = sp.Function("lower"), sp.Function("digit", real=True, nonnegative=True)
    beyond = Piece(rest, lambda index: lower(index + d))
    steps = (Piece(d, lambda index: lower(index) + 1), beyond, Piece(d, lower), beyond)
    known = {
        "remainder": Piece(sp.S.One, lambda _: left + size * place * d),
        "digits": Piece(found, digit),
    }
    return given, (*steps, *vector("stepped", given, **known)[2:]), d, place, found


def _compare(transformer: Transformer) -> Iterator[Decision]:
    layer = linear_of(transformer, "compare")
    c, left = natural("c"), nonnegative("r")
    given, before, d, place, found = _found(left)
    remainder = affine(layer, before, sp.S.Zero, given=given, block=block("compared", "remainder"))
    yield prove_equal("r' = r - P_(k-1) d, P_(k-1) = V P_k", remainder, left)
    below = affine(layer, before, c, given=given, block=block("compared", "below"))
    yield prove_equal("(c+1) P_k - r' before the ReLU, P_k = V^(D-k)", below, (c + 1) * place - left)
    newest = affine(layer, before, found, given=given, block=block("compared", "digits"))
    yield prove_equal("digit k-1 is d", newest, d)
    yield require("a ReLU follows", holds=layer.has_relu)
    old, later, size = natural("e"), natural("h"), natural("v") + 2
    digit = Piece(old + 1 + later, sp.Function("digit"))
    given = {V: size, DIGIT: digit.size + 2, FOUND: digit.size}
    kept = affine(layer, vector("stepped", given, digits=digit), old, given=given, block=block("compared", "digits"))
    yield prove_equal("the digits before it are kept", kept, digit.entry(old))


def _carry(transformer: Transformer) -> Iterator[Decision]:
    kept = sp.Function("kept", real=True, nonnegative=True)
    index, rest, found = natural("r"), natural("z"), natural("f")
    bounds: dict[str, Given] = {
        "token": {V: index + 1 + rest},
        "position": {n_X: index + rest},
        "remainder": {},
        "digits": {FOUND: index + 1 + rest, DIGIT: index + 2 + rest},
    }
    layers = (
        ("step", "compared", "stepped", {FOUND: found, DIGIT: found + 1}),
        ("compare", "stepped", "compared", {FOUND: found, DIGIT: found + 2}),
        ("pack", "stepped", "carried", {FOUND: V ** (n_X - BLOCK) - 1}),
    )
    for family, source, target, counts in layers:
        for name, bound in bounds.items():
            if name not in _CARRIED[family]:
                continue
            given = {**{key: substituted(value, bound) for key, value in counts.items()}, **bound}
            row = sp.S.Zero if name == "remainder" else index
            before = vector(source, given, **{name: Piece(substituted(STREAMS[source][name], given), kept)})
            after = output(linear_of(transformer, family), before, row, given=given, block=block(target, name))
            yield prove_equal(f"layer {family} carries the {name} on", after, kept(row))


_CARRIED = {
    "step": ("token", "position", "remainder", "digits"),
    "compare": ("token", "position"),
    "pack": ("token", "position"),
}


def _pack(transformer: Transformer) -> Iterator[Decision]:
    layer = linear_of(transformer, "pack")
    yield require("packing is by weights alone", holds=isinstance(layer.bias, sp.ZeroMatrix))
    parts = dict(zip(STREAMS["stepped"], blocks(layer.weight, 0, len(STREAMS["stepped"]), "pack.weight"), strict=True))
    for name in ("remainder", "token", "position"):
        yield require(f"the {name} is not packed", holds=isinstance(parts[name], sp.ZeroMatrix))
    candidate, t, more = natural("j"), natural("t"), natural("z")
    size = t + 1 + more  # K, the digits of a candidate: t < K
    yield prove_floor("(j K + t) / K is j up to a fraction below 1", (candidate * size + t) / size, candidate)
    count, digits_each = V ** (n_X - BLOCK - 1), sp.Dummy("K", integer=True, positive=True)
    named = {count: digits_each, 1 / count: 1 / digits_each}
    for order, owner, row, _ in trichotomy(V):
        place = digits_each * owner + t
        entry = entry_of(parts["digits"], row, place).xreplace(named)
        settled = entry.xreplace({sp.floor(place / digits_each): owner})
        wanted = V ** (-1 - t) if row == owner else sp.S.Zero
        yield prove_equal(
            f"digit i K + 1 + t weighs V^(-1-t) in candidate i alone: candidate j, {order}", settled, wanted
        )
    c, v = natural("c"), natural("v")
    whole = c + 2 + v
    for name, sign in (("upper", 1), ("lower", -1)):
        last = entry_of(substituted(parts[name], {V: whole}), whole - 1, c)
        wanted = sign * whole ** (-(whole ** (n_X - BLOCK - 1)))
        yield prove_equal(f"the last digit weighs V^-K in candidate V-1: {name}", last, wanted)
        other = natural("j")
        elsewhere = entry_of(substituted(parts[name], {V: other + 2 + v}), other, c)
        yield prove_equal(f"the last digit weighs nothing in the others: {name}", elsewhere, 0)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.compare-first",
        "Layer compare first makes the selected number R/B the integer R, and w_c = ReLU(c P_1 - R), c = 1..V-1.",
        r"r = B \cdot \tfrac RB = R, \qquad w_c = \mathrm{ReLU}(c P_1 - R), \qquad B = V^D,\ P_1 = V^{D-1}",
        _compare_first,
        subject,
    ),
    Obligation(
        f"{CLAIM}.step",
        "The ramp of layer step, upper - lower, is 1 for w <= 1/4, 0 for w >= 3/4, and in [0, 1] always.",
        r"\mathrm{ReLU}(\tfrac32 - 2w) - \mathrm{ReLU}(\tfrac12 - 2w) = 1\ (w \le \tfrac14),\ 0\ (w \ge \tfrac34),"
        r"\ \in [0, 1]",
        _step,
        subject,
    ),
    Obligation(
        f"{CLAIM}.digit",
        "For r = P d + rest with 0 <= rest < P, off by at most 1/4, the step of c is 1 if and only if c <= d: there are"
        " d of them, the quotient of the division by P.",
        r"r = P d + \rho,\ 0 \le \rho \le P - 1 \implies \mathrm{step}_c = [c \le d]",
        _digit,
        subject,
    ),
    Obligation(
        f"{CLAIM}.compare",
        "Layer compare appends d to the digits, leaves the remainder r - P_(k-1) d, and compares it with the multiples"
        " of the next place value.",
        r"r' = r - P_{k-1} d, \qquad w_c = \mathrm{ReLU}(c P_k - r'), \qquad P_{k-1} = V P_k = V^{D-k+1}",
        _compare,
        subject,
    ),
    Obligation(
        f"{CLAIM}.carry",
        "Layers step, compare and pack carry token and position on unchanged; step carries remainder and digits on.",
        r"x \ge 0 \implies \mathrm{ReLU}(x) = x",
        _carry,
        subject,
    ),
    Obligation(
        f"{CLAIM}.pack",
        "Layer pack makes digits jK+1 .. jK+K the candidate j of the next block, the number with these digits after the"
        " point.",
        r"\mathrm{row}_j = \sum_{t=0}^{K-1} d_{jK+1+t}\, V^{-1-t}, \qquad K = V^{n_X-l-1}",
        _pack,
        subject,
    ),
)
