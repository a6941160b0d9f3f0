"""The obligations of Theorem 1 at a finite temperature: its exact threshold.

``q`` is the factor that a score of 1 has over a score of 0, the same in both heads; ``t`` keys are visible.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from constructions import Transformer
from constructions.expressions import N, V
from constructions.thresholds import unconditional_generation_threshold
from proofs import theorem_1
from proofs.decide import (
    Decision,
    Expr,
    natural,
    positive,
    prove_equal,
    prove_nonnegative,
    prove_positive,
    relu,
    require,
)
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.selection import SHARE, logit_gap, share_as
from proofs.symbolic import (
    Given,
    Piece,
    Vector,
    affine,
    anywhere,
    entry_of,
    only,
    output,
    position,
    softmax_read,
    substituted,
    trichotomy,
)

#: Sizes at which a threshold's formula is compared with the function that the package uses.
COMPARED = range(2, 7)


def _hidden(transformer: Transformer, i: Expr, place: Expr, q: Expr, given: Given) -> Expr:
    """Return coordinate ``place`` of the attention layer's output at position ``i``, which sees keys ``0..i``."""
    attention, *_ = one_layer(transformer)
    size = substituted(transformer.embedding.shape[0], given)
    embedding = substituted(transformer.embedding, given)
    token = sp.Function("token", integer=True, nonnegative=True)

    def key(j: Expr) -> Vector:
        def content(row: Expr) -> Expr:
            virtual = sp.KroneckerDelta(j, 0)
            return virtual * SHARE(row) + (1 - virtual) * entry_of(embedding, row, token(j))

        return position(transformer, j, Piece(size, content), given)

    at = anywhere(transformer, i, "u", given)
    return sp.Add(
        *(
            softmax_read(head, at, key, place, q, visible=i + 1, given=given)
            for head in heads(attention, "self", "first")
        )
    )


def _leaks(transformer: Transformer) -> Iterator[Decision]:
    _, select, _, _ = one_layer(transformer)
    q = positive("q")
    for order, i, place, given in trichotomy(N):
        near, far = q / (q + i), 1 / (q + i)
        hidden = _hidden(transformer, i, place, q, given)
        r = order.replace("j", "r")
        wanted = {"r = i": near, "r > i": sp.S.Zero, "r < i": far}[r] + near * SHARE(place)
        yield prove_equal(f"h_r, {r}", hidden, wanted)
        if place != i:
            vector = (only(hidden, place, substituted(select.weight.shape[1], given)),)
            yield prove_equal(f"layer select clips h_r - 1 to 0, {r}", output(select, vector, place, given=given), 0)


def _decoded(transformer: Transformer, i: Expr, y: Expr, rest: Expr, q: Expr) -> Expr:
    """Return coordinate ``i`` of layer select before its ReLU, for ``s_i = y/V``, ``V = y + 1 + rest``."""
    _, select, _, _ = one_layer(transformer)
    given = {N: i + 1 + natural("z")}
    hidden = _hidden(transformer, i, i, q, given)
    vector = (only(hidden, i, substituted(select.weight.shape[1], given)),)
    return share_as(affine(select, vector, i, given=given), i, y, y + 1 + rest)


def _summed(transformer: Transformer, value: Expr) -> Expr:
    """Return the output of layer sum for ``value`` in one coordinate and 0 in the others."""
    _, _, summed, _ = one_layer(transformer)
    index, rest = natural("i"), natural("z")
    given = {summed.weight.shape[1]: index + 1 + rest}
    vector = (Piece(index + 1 + rest, lambda place: sp.KroneckerDelta(place, index) * value),)
    return output(summed, vector, sp.S.Zero, given=given)


def _threshold(transformer: Transformer) -> Iterator[Decision]:
    _, select, _, readout = one_layer(transformer)
    yield require("layer select has a ReLU", holds=select.has_relu)
    i, m, rest, q, excess = natural("i"), natural("m"), natural("v"), positive("q"), positive("e")
    # token 0: the value before the ReLU is never positive, so 0 = y/V is decoded exactly
    clipped = relu("the decoded value of token 0", _decoded(transformer, i, sp.S.Zero, rest, q))
    yield prove_equal("x = 0 for y = 0, at every q", _summed(transformer, clipped), 0)
    y, t = m + 1, i + 1
    size = y + 1 + rest
    needed = (t - 1) * (2 * (size + y) - 1)
    before = _decoded(transformer, i, y, rest, q)
    yield prove_equal(
        "x = y/V - (t-1)(1+y/V)/(q+t-1) before the ReLU",
        before,
        y / size - (t - 1) * (1 + y / size) / (q + t - 1),
    )
    yield prove_nonnegative("x <= y/V", y / size - before)
    # logit_y - logit_(y-1) has the sign of q - needed
    lower = logit_gap(readout, before, y, y - 1, size)
    yield prove_equal(
        "logit_y - logit_(y-1) = (q - (t-1)(2(V+y)-1)) / (V^2 (q+t-1))",
        lower,
        (q - needed) / (size**2 * (q + t - 1)),
    )
    yield prove_positive("V^2 (q+t-1) > 0", size**2 * (q + t - 1))
    # below the threshold the ReLU may lift x to 0, which is still nearer to (y-1)/V than to y/V
    yield prove_positive("logit_(y-1) > logit_y at x = 0, y >= 1", -logit_gap(readout, sp.S.Zero, y, y - 1, size))
    above = before.subs(q, needed + excess)
    x = _summed(transformer, relu("the decoded value above the threshold", above))
    yield prove_positive("y/V - x < 1/(2V) above the threshold", x - y / size + 1 / (2 * size))
    two_or_more = {i: natural("i") + 1}
    at_threshold = before.subs(q, needed).subs(two_or_more)
    at = _summed(transformer, relu("the decoded value at the threshold", at_threshold))
    yield prove_equal("a tie of y and y-1 at the threshold, t >= 2", logit_gap(readout, at, y, y - 1, size), 0)
    yield from _hardest()


def _hardest() -> Iterator[Decision]:
    t, y, more, rest = natural("t") + 1, natural("y"), natural("n"), natural("v")
    size, context = y + 1 + rest, t + more
    hardest = (context - 1) * (4 * size - 3)
    yield prove_nonnegative("(t-1)(2(V+y)-1) <= (N-1)(4V-3)", hardest - (t - 1) * (2 * (size + y) - 1))
    yield prove_equal("with equality at y = V-1, t = N", (t - 1) * (2 * (size + size - 1) - 1), hardest.subs(more, 0))
    formula = sp.Lambda((V, N), (N - 1) * (4 * V - 3))
    agree = all(unconditional_generation_threshold(v, n) == formula(v, n) for v in COMPARED for n in COMPARED)
    yield require(f"unconditional_generation_threshold is (N-1)(4V-3) for V, N in {COMPARED}", holds=agree)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{theorem_1.CLAIM}.softmax-leaks",
        "With E = 0 and the causal mask, softmax attention hands the MLP q/(q+t-1) (1 + s_i) in coordinate i; every"
        " other coordinate is at most 1, and layer select clips it to 0 at every temperature.",
        r"h_r = \frac{q\,\delta_{ri} + [r < i] + q\, s_r}{q+t-1}, \qquad \mathrm{ReLU}(h_r - 1) = 0 \quad (r \ne i),"
        r" \qquad t = i + 1",
        _leaks,
        theorem_1.subject,
    ),
    Obligation(
        f"{theorem_1.CLAIM}.softmax-threshold",
        "With E = 0, the causal mask and softmax, token y at a position with t visible keys is decoded if and only if"
        " y = 0 or q > (t-1)(2(V+y)-1); at equality (t >= 2) tokens y and y-1 tie. So every target is decoded if and"
        " only if q > (N-1)(4V-3), for V >= 2.",
        r"x = \mathrm{ReLU}\Bigl(\frac yV - \frac{(t-1)(1+y/V)}{q+t-1}\Bigr), \qquad"
        r" \mathrm{logit}_y - \mathrm{logit}_{y-1} = \frac{q - (t-1)(2(V+y)-1)}{V^2 (q+t-1)}",
        _threshold,
        theorem_1.subject,
    ),
)
