"""The obligation of longer responses at a finite temperature: its exact threshold.

``q`` is the factor that a score of 1 has over a score of 0, the same in both heads; ``t = N0 + p + 1`` keys are visible
where response token ``p`` is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sympy as sp

from constructions import Transformer
from constructions.expressions import N0, V
from constructions.thresholds import longer_responses_threshold
from proofs import longer_responses
from proofs.decide import Decision, Expr, natural, positive, prove_equal, prove_nonnegative, prove_positive, require
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.selection import logit_gap
from proofs.sums import total
from proofs.symbolic import (
    Given,
    Vector,
    affine,
    anywhere,
    entry_of,
    only,
    position,
    softmax_read,
    substituted,
    trichotomy,
)

#: Sizes at which the threshold's formula is compared with the function that the package uses.
COMPARED = range(2, 7)


def _hidden(
    transformer: Transformer, step: Expr, place: Expr, q: Expr, *, contents: Callable[[Expr], Expr], given: Given
) -> Expr:
    """Return coordinate ``place`` of the attention layer's output at position ``N0 + step``, causal mask.

    ``contents(j)`` is coordinate ``place`` of the embedding half of position ``j``.
    """
    attention, *_ = one_layer(transformer)
    size = substituted(transformer.embedding.shape[0], given)

    def key(j: Expr) -> Vector:
        return position(transformer, j, only(contents(j), place, size), given)

    at = anywhere(transformer, given[N0] + step, "u", given)
    return sp.Add(
        *(
            softmax_read(head, at, key, place, q, visible=given[N0] + step + 1, given=given)
            for head in heads(attention, "back", "user")
        )
    )


def _summed_contents(expr: Expr, value: Expr) -> Expr:
    """Return ``expr`` with every sum of the contents over all visible positions replaced by its value."""
    return expr.replace(sp.Sum, lambda *_: value)


def _leaks(transformer: Transformer) -> Iterator[Decision]:
    q, step, r = positive("q"), natural("p"), natural("r")
    size = step + 1 + natural("z")
    given: Given = {N0: size, V: r + 1 + natural("v")}
    content = sp.Function("content")
    visible = size + step + 1
    hidden = _hidden(transformer, step, r, q, contents=content, given=given)
    index = natural("j")
    everything = total(content(index), index, visible)
    (summed,) = hidden.replace(sp.Sum, _renamed(index)).atoms(sp.Sum)
    yield prove_equal("what is summed is all t contents", summed, everything)
    whole = sp.Dummy("S")
    wanted = ((q - 1) * (content(step) + content(size)) + 2 * whole) / (q + visible - 1)
    yield prove_equal("h_r = ((q-1)(c_p + c_N0) + 2 sum_j c_j) / (q+t-1)", _summed_contents(hidden, whole), wanted)
    for order, token, place, bound in trichotomy(V):
        entry = entry_of(substituted(transformer.embedding, bound), place, token)
        yield prove_equal(
            f"the embedding of a token is 1 in its coordinate and 0 in others, {order}", entry, int(token == place)
        )


def _renamed(index: Expr) -> Callable[..., Expr]:
    return lambda inner, limits: sp.Sum(inner.subs(limits[0], index), (index, *limits[1:]))


def _before_relu(transformer: Transformer, n: Expr, own: Expr, *, user: int, others: Expr, more: Expr) -> Expr:
    """Return a coordinate of layer select before its ReLU, with ``t = n + 2`` keys and ``q + 1 = more``.

    Args:
        transformer: the weights.
        n: the number of keys that no head looks for.
        own: the coordinate of the virtual token of the step.
        user: the coordinate of the user's token.
        others: the sum of the coordinates of the other keys.
        more: ``q + 1``.

    """
    _, select, _, _ = one_layer(transformer)
    step, r = natural("p"), natural("r")
    content, q = sp.Function("content"), positive("q")
    size = step + 1 + natural("z")
    given: Given = {N0: size, V: r + 1 + natural("v")}
    hidden = _summed_contents(_hidden(transformer, step, r, q, contents=content, given=given), own + user + others)
    # t = N0 + p + 1 = n + 2 takes the place of the sizes
    spare = size - step - 1
    hidden = hidden.subs({content(step): own, content(size): user}).subs(spare, n - 2 * step).subs(q, more - 1)
    return affine(select, (only(hidden, r, given[V]),), r, given=given)


def _threshold(transformer: Transformer) -> Iterator[Decision]:
    _, select, _, readout = one_layer(transformer)
    yield require("layer select has a ReLU", holds=select.has_relu)
    n, y, rest, excess = natural("n"), natural("y"), natural("v"), positive("e")
    size = y + 1 + rest
    share = y / size
    needed = n * (4 * size - 3)
    above = needed + excess  # q + 1, for q above the threshold
    grown = _before_relu(transformer, n, share, user=1, others=sp.S.One, more=above)
    grown -= _before_relu(transformer, n, share, user=1, others=sp.S.Zero, more=above)
    yield prove_positive("x grows with the other contents, which it is affine in", grown)
    least = _before_relu(transformer, n, share, user=1, others=sp.S.Zero, more=above)
    most = _before_relu(transformer, n, share, user=1, others=n, more=above)
    yield prove_positive("m/V - x < 1/(2V) with nothing else in coordinate X", least - share + 1 / (2 * size))
    yield prove_positive("x - m/V < 1/(2V) with all other contents 1 in coordinate X", share + 1 / (2 * size) - most)
    other = _before_relu(transformer, n, share, user=0, others=n, more=above)
    yield prove_nonnegative("every other coordinate is clipped to 0, even with all other contents 1", -other)
    # a behaviour that is decoded above the threshold alone: s_X = (V-1)/V and nothing else in coordinate X
    m, q = natural("m"), positive("q")
    token, vocabulary = m + 1, m + 2
    x = _before_relu(transformer, n, token / vocabulary, user=1, others=sp.S.Zero, more=q + 1)
    yield prove_equal(
        "logit_(V-1) - logit_(V-2) = (q + 1 - n (4V-3)) / (V^2 (q + 1 + n)) there",
        logit_gap(readout, x, token, token - 1, vocabulary),
        (q + 1 - n * (4 * vocabulary - 3)) / (vocabulary**2 * (q + 1 + n)),
    )
    clipped = logit_gap(readout, sp.S.Zero, token, token - 1, vocabulary)
    yield prove_positive("V-2 beats V-1 where the ReLU clips x to 0", -clipped)
    step, more = natural("p"), natural("z")
    response = step + 1 + more
    yield prove_nonnegative("t - 2 <= 2 N0 - 2", 2 * response - 2 - (response + step + 1 - 2))
    formula = sp.Lambda((V, N0), (4 * V - 3) * (2 * N0 - 2) - 1)
    agree = all(longer_responses_threshold(v, p) == formula(v, p) for v in COMPARED for p in COMPARED)
    yield require(f"longer_responses_threshold is (4V-3)(2 N0-2) - 1 for V, N0 in {COMPARED}", holds=agree)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{longer_responses.CLAIM}.softmax-leaks",
        "With the causal mask, softmax attention hands the MLP q - 1 times what it looks for plus twice the sum of all"
        " t visible contents c_j, over q+t-1; a token's embedding is one-hot.",
        r"h = \frac{(q-1)(c_p + c_{N_0}) + 2 \sum_{j<t} c_j}{q+t-1}, \qquad t = N_0 + p + 1",
        _leaks,
        longer_responses.subject,
    ),
    Obligation(
        f"{longer_responses.CLAIM}.softmax-threshold",
        "With the causal mask and softmax, every response token read with t visible keys is decoded when"
        " q > (4V-3)(t-2) - 1, hardest at t = 2 N0; and m(X) = V-1 is not decoded otherwise when nothing else has a"
        " part in coordinate X (V, N0 >= 2). So q > (4V-3)(2 N0-2) - 1 decides it.",
        r"|x - s_X| < \frac1{2V} \iff q > (4V-3)(t-2) - 1 \quad"
        r" \Bigl(s_X = \tfrac{V-1}V,\ \sum_{j \ne p, N_0} c_{jX} = 0\Bigr)",
        _threshold,
        longer_responses.subject,
    ),
)
