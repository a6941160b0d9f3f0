"""The obligations of Theorem 1 at a finite temperature, with an embedding and a ``q`` for each head.

``q`` is the factor that a score of 1 has over a score of 0; ``t`` keys are visible, ``c = t - 1`` of them besides the
key of score 1; a head ``h`` leaks ``l_h = c/(q_h+c)``. All inequalities are shown as sums: the wanted difference is the
slack of the criterion plus something that is at least 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import sympy as sp

from constructions import Transformer
from constructions.expressions import N
from constructions.head_thresholds import unconditional_generation_error, unconditional_generation_holds
from constructions.thresholds import embedding_threshold
from proofs import theorem_1
from proofs.decide import (
    Decision,
    Expr,
    ObligationFailed,
    natural,
    nonnegative,
    positive,
    prove_equal,
    prove_nonnegative,
    prove_positive,
    require,
)
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.selection import logit_gap
from proofs.sums import total
from proofs.symbolic import (
    Given,
    Vector,
    affine,
    anywhere,
    only,
    position,
    softmax_read,
    substituted,
    trichotomy,
)

#: Sizes and numbers at which the formulas are compared with the functions that the package uses.
COMPARED = (2, 5)
NUMBERS = (Fraction(0), Fraction(1, 3), Fraction(7, 2))


def _hidden(
    transformer: Transformer,
    i: Expr,
    place: Expr,
    qs: tuple[Expr, Expr],
    *,
    contents: Callable[[Expr], Expr],
    given: Given,
) -> Expr:
    """Return coordinate ``place`` of the attention layer's output at position ``i``, which sees keys ``0..i``.

    ``contents(j)`` is coordinate ``place`` of the embedding half of position ``j``; ``qs`` are the ``q`` of heads
    "self" and "first".
    """
    attention, *_ = one_layer(transformer)
    size = substituted(transformer.embedding.shape[0], given)

    def key(j: Expr) -> Vector:
        return position(transformer, j, only(contents(j), place, size), given)

    at = anywhere(transformer, i, "u", given)
    own, first = heads(attention, "self", "first")
    return softmax_read(own, at, key, place, qs[0], visible=i + 1, given=given) + softmax_read(
        first, at, key, place, qs[1], visible=i + 1, given=given
    )


def _summed(hidden: Expr, value: Expr) -> Expr:
    """Return ``hidden`` with ``value`` for the sum of the contents of all visible positions, which must occur once."""
    found = hidden.atoms(sp.Sum)
    if len(found) != 1:
        raise ObligationFailed(f"false: head first sums the contents of the visible positions, once: {len(found)} sums")
    return hidden.xreplace({found.pop(): value})


def _leaks(transformer: Transformer) -> Iterator[Decision]:
    q_self, q_first, content, whole = positive("q"), positive("p"), sp.Function("content"), sp.Dummy("S")
    index = natural("j")
    for order, i, place, given in trichotomy(N):
        r = order.replace("j", "r")
        hidden = _hidden(transformer, i, place, (q_self, q_first), contents=content, given=given)
        everything = total(content(index), index, i + 1)
        for found in hidden.atoms(sp.Sum):
            place_of, *limits = found.limits[0]
            renamed = sp.Sum(found.function.subs(place_of, index), (index, *limits))
            yield prove_equal(f"what is summed is all t contents, {r}", renamed, everything)
        own = {"r = i": q_self / (q_self + i), "r > i": sp.S.Zero, "r < i": 1 / (q_self + i)}[r]
        wanted = own + ((q_first - 1) * content(0) + whole) / (q_first + i)
        yield prove_equal(f"h_r, {r}", _summed(hidden, whole), wanted)
        grown = _summed(hidden, whole + positive("w")) - _summed(hidden, whole)
        yield prove_positive(f"h_r grows with every content, {r}", grown)


def _before(
    transformer: Transformer, order: str, qs: tuple[Expr, Expr], share: Expr, noise: Callable[[Expr], Expr]
) -> tuple[Expr, Expr]:
    """Return ``c = t - 1``, and a coordinate of layer select before its ReLU.

    Args:
        transformer: the weights.
        order: of the coordinate ``r`` and the position ``i``, as ``trichotomy`` calls it.
        qs: ``q`` of heads "self" and "first".
        share: the virtual token's content there.
        noise: the sum of the ``c`` other contents there, given ``c``.

    """
    _, select, _, _ = one_layer(transformer)
    i, place, given = {name.replace("j", "r"): found for name, *found in trichotomy(N)}[order]
    content = sp.Function("content")
    hidden = _hidden(transformer, i, place, qs, contents=content, given=given)
    hidden = _summed(hidden, share + noise(i)).subs(content(0), share)
    width = substituted(select.weight.shape[1], given)
    return i, affine(select, (only(hidden, place, width),), place, given=given)


def _error(c: Expr, qs: tuple[Expr, Expr], read: Expr) -> Expr:
    """Return ``l_self + l_first read``."""
    return c / (qs[0] + c) + c / (qs[1] + c) * read


def _threshold(transformer: Transformer) -> Iterator[Decision]:
    _, select, _, _ = one_layer(transformer)
    yield require("layer select has a ReLU", holds=select.has_relu)
    yield from _functions()
    yield from _tie(transformer)
    qs, M, more_noise = (positive("q"), positive("p")), nonnegative("M"), nonnegative("w")
    y, rest = natural("y"), natural("v")
    size = y + 1 + rest
    half, largest = 1 / (2 * size), (size - 1) / size
    # the selected coordinate
    c, least = _before(transformer, "r = i", qs, y / size, lambda c: -c * M)
    wanted = y / size - _error(c, qs, y / size + M)
    yield prove_equal("x = y/V - (l_self + l_first (y/V + M)) with -M in all embeddings", least, wanted)
    worst, longer = _error(c, qs, largest + M), c + natural("n")
    c_same, above = _before(transformer, "r = i", qs, y / size, lambda c: -c * M + more_noise)
    yield prove_nonnegative("no embedding makes x smaller", above.subs(c_same, c) - least)
    yield prove_nonnegative(
        "the error is largest at y = V-1, t = N", _error(longer, qs, largest + M) - _error(c, qs, y / size + M)
    )
    c_same, most = _before(transformer, "r = i", qs, y / size, lambda c: c * M)
    yield prove_nonnegative(
        "y/V + 1/(2V) - x >= 1/(2V) - error, with M in all embeddings",
        y / size + half - most.subs(c_same, c) - (half - worst),
    )
    # the other coordinates, whose content of the virtual token is y/V
    for order in ("r > i", "r < i"):
        c, other = _before(transformer, order, qs, y / size, lambda c: c * M)
        slack = half - _error(c, qs, largest + M)
        yield prove_nonnegative(f"1 - h_r >= 1/(2V) - error, with M in all embeddings, {order}", -other - slack)
        # the same dummies as before, so that the two can be compared
        silent = _before(transformer, order, qs, sp.S.Zero, lambda c: -c * M)[1]
        yield prove_positive(f"layer select clips h_r - 1 to 0 for s_r = 0, -M in all embeddings, {order}", -silent)


def _tie(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    qs, M, q = (positive("q"), positive("p")), nonnegative("M"), positive("q")
    token = natural("m") + 1
    size = token + 1
    c, x = _before(transformer, "r = i", qs, token / size, lambda c: -c * M)
    slack = 1 / (2 * size) - _error(c, qs, token / size + M)
    yield prove_equal(
        "logit_(V-1) - logit_(V-2) = (2/V) (1/(2V) - error) with -M in all embeddings",
        logit_gap(readout, x, token, token - 1, size),
        2 / size * slack,
    )
    clipped = logit_gap(readout, sp.S.Zero, token, token - 1, size)
    yield prove_positive("V-2 beats V-1 where the ReLU clips x to 0", -clipped)
    same = 2 * size * (q + c) * slack.subs(dict.fromkeys(qs, q))
    wanted = q - c * (4 * size - 3 + 2 * size * M)
    yield prove_equal("2V (q+c) (1/(2V) - error) = q - (t-1)(4V-3+2VM) with one q", same, wanted)


def _functions() -> Iterator[Decision]:
    names = ("unconditional_generation_error", "unconditional_generation_holds", "embedding_threshold")
    agree = dict.fromkeys(names, True)
    for v, n, M in itertools.product(COMPARED, COMPARED, NUMBERS):
        threshold = Fraction((n - 1) * (4 * v - 3 + 2 * v * M))
        agree["embedding_threshold"] &= embedding_threshold(v, n, lowest=-M, highest=M) == threshold
        for q_self, q_first in itertools.product((Fraction(1, 2), threshold, threshold + 1), repeat=2):
            leaks = [(n - 1) / (q + n - 1) for q in (q_self, q_first)]
            errors = [leaks[0] + leaks[1] * (Fraction(y, v) + M) for y in range(v)]
            given = {"q_self": q_self, "q_first": q_first, "magnitude": M}
            found = [unconditional_generation_error(v, y, n, **given) for y in range(v)]
            agree["unconditional_generation_error"] &= found == errors
            holds = unconditional_generation_holds(v, n, **given)
            agree["unconditional_generation_holds"] &= holds == (errors[-1] < Fraction(1, 2 * v))
    for name, agrees in agree.items():
        yield require(f"{name} is what is proved here, for V, N in {COMPARED}", holds=agrees)


def _range(transformer: Transformer) -> Iterator[Decision]:
    _, select, _, readout = one_layer(transformer)
    yield require("layer select has a ReLU", holds=select.has_relu)
    agree = all(
        embedding_threshold(v, n, lowest=-low, highest=high)
        == (n - 1) * max(4 * v - 3 + 2 * v * low, 2 * v * (high - 1) - 1)
        for v, n, low, high in itertools.product(COMPARED, COMPARED, NUMBERS, NUMBERS)
    )
    yield require(f"embedding_threshold is the larger of the two at t = N, for V, N in {COMPARED}", holds=agree)
    q, m, M = positive("q"), nonnegative("m"), nonnegative("M")
    y, rest, more = natural("y"), natural("v"), natural("n")
    size = y + 1 + rest
    # the selected coordinate is too small, or too large
    c, least = _before(transformer, "r = i", (q, q), y / size, lambda c: -c * m)
    too_small = c * (2 * (size + y) - 1 + 2 * size * m)
    gap = 1 / (2 * size) - (y / size - least)
    yield prove_equal(
        "2V (q+c) (x - y/V + 1/(2V)) = q - (t-1)(2(V+y)-1+2Vm), -m in all embeddings",
        2 * size * (q + c) * gap,
        q - too_small,
    )
    hardest = (c + more) * (4 * size - 3 + 2 * size * m)
    yield prove_nonnegative("which is largest at y = V-1, t = N", hardest - too_small)
    c, most = _before(transformer, "r = i", (q, q), y / size, lambda c: c * M)
    too_large = c * (2 * size * (M - 1) - 1 - 2 * y)
    gap = 1 / (2 * size) - (most - y / size)
    yield prove_equal(
        "2V (q+c) (y/V + 1/(2V) - x) = q - (t-1)(2V(M-1)-1-2y), M in all embeddings",
        2 * size * (q + c) * gap,
        q - too_large,
    )
    yield prove_nonnegative("which is largest at y = 0", c * (2 * size * (M - 1) - 1) - too_large)
    x = most.subs(y, 0)
    two = rest + 1  # V for the token 0
    yield prove_equal(
        "logit_0 - logit_1 = (q - (t-1)(2V(M-1)-1)) / (V^2 (q+t-1)) for y = 0, M in all embeddings",
        logit_gap(readout, x.subs(rest, rest + 1), sp.S.Zero, sp.S.One, two + 1),
        (q - c * (2 * (two + 1) * (M - 1) - 1)) / ((two + 1) ** 2 * (q + c)),
    )
    yield from _others(transformer)


def _others(transformer: Transformer) -> Iterator[Decision]:
    """Decide that no other coordinate is left above the larger of the two bounds on q, for V >= 2."""
    q, M, w, rest, y = positive("q"), nonnegative("M"), nonnegative("w"), natural("v"), natural("y")
    size = y + 1 + rest
    for order in ("r > i", "r < i"):
        c, other = _before(transformer, order, (q, q), y / size, lambda c: c * M)
        enough = size * c * (M - 1) + size
        clipped = -other * size * (q + c) - (q - enough)
        yield prove_nonnegative(f"V (q+c) (1 - h_r) >= q - V(t-1)(M-1) - V, {order}", clipped)
    two, c = natural("v") + 2, natural("c") + 1
    border = 3 - 1 / two
    for what, bound, largest in (
        ("(t-1)(4V-3), M <= 3 - 1/V", c * (4 * two - 3), border - w),
        ("(t-1)(2V(M-1)-1), M >= 3 - 1/V", c * (2 * two * (border + w - 1) - 1), border + w),
    ):
        enough = two * c * (largest - 1) + two
        yield prove_nonnegative(f"V(t-1)(M-1) + V <= {what}", bound - enough)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{theorem_1.CLAIM}.head-leaks",
        "With any embedding, the causal mask and a q for each head, softmax attention hands the MLP the own position's"
        " code and the contents c_j of the embedding halves (c_0 = s), leaked head by head; the result grows with each"
        " content.",
        r"h_r = \frac{[r < i] + (q_{\mathrm{self}} - [r < i])\,\delta_{ri}}{q_{\mathrm{self}}+t-1}"
        r" + \frac{(q_{\mathrm{first}}-1)\, s_r + \sum_{j<t} c_{jr}}{q_{\mathrm{first}}+t-1}, \qquad t = i + 1",
        _leaks,
        theorem_1.subject,
    ),
    Obligation(
        f"{theorem_1.CLAIM}.head-threshold",
        "With the causal mask, softmax and a q for each head, every target is decoded for every embedding of entries"
        " |E| <= M if and only if l_self + l_first ((V-1)/V + M) < 1/(2V), l_h = (N-1)/(q_h+N-1), for V >= 2; at"
        " equality V-1 and V-2 tie. With one q for both that is q > (N-1)(4V-3+2VM).",
        r"\frac{N-1}{q_{\mathrm{self}}+N-1} + \frac{N-1}{q_{\mathrm{first}}+N-1}\Bigl(\frac{V-1}V + M\Bigr)"
        r" < \frac1{2V} \iff \text{all targets, all } |E| \le M \quad (V \ge 2)",
        _threshold,
        theorem_1.subject,
    ),
    Obligation(
        f"{theorem_1.CLAIM}.embedding-threshold",
        "With the causal mask and softmax, one q for both heads, every target is decoded for every embedding of entries"
        " from -m <= 0 to M >= 0 if and only if q > (N-1) max(4V-3+2Vm, 2V(M-1)-1), for V >= 2; at equality two tokens"
        " tie. For 0 <= E <= M <= 3 - 1/V it is the threshold of E = 0.",
        r"q > (N-1) \max\bigl(4V-3+2Vm,\ 2V(M-1)-1\bigr) \iff \text{all targets, all } -m \le E \le M"
        r" \quad (V \ge 2)",
        _range,
        theorem_1.subject,
    ),
)
