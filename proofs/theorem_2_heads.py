"""The obligations of Theorem 2 with a ``q`` for each head: how far the two heads' leaks are from cancelling.

All inequalities are shown as sums: the wanted difference is the slack of the criterion plus something
that is at least 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import sympy as sp

from constructions import Transformer
from constructions.expressions import V
from constructions.head_thresholds import conditional_generation_difference, conditional_generation_holds
from proofs import theorem_2
from proofs.decide import (
    Decision,
    Expr,
    natural,
    nonnegative,
    positive,
    prove_equal,
    prove_nonnegative,
    prove_positive,
    require,
)
from proofs.layers import one_layer
from proofs.obligations import Obligation
from proofs.selection import SHARE, logit_gap
from proofs.symbolic import affine, only, substituted, trichotomy

#: Sizes and numbers at which the formulas are compared with the functions that the package uses.
COMPARED = range(2, 7)
NUMBERS = tuple(Fraction(n) for n in ("1/3", "1", "3", "7/2", "99"))


def _difference(q_self: Expr, q_first: Expr) -> Expr:
    return 1 / (1 + q_self) - 1 / (1 + q_first)


def _leaks(transformer: Transformer) -> Iterator[Decision]:
    q_self, q_first = positive("q"), positive("p")
    d = _difference(q_self, q_first)
    for order, token, place, given in trichotomy(V):
        r = order.replace("j", "r").replace("i", "X")
        hidden = theorem_2.hidden(transformer, token, place, (q_self, q_first), given=given)
        wanted = (1 - d) * sp.KroneckerDelta(place, token) + (1 + d) * SHARE(place)
        yield prove_equal(f"h_r = (1-d) onehot(X)_r + (1+d) s_r, {r}", hidden, wanted)


def _decoded(transformer: Transformer) -> Iterator[Decision]:
    """Decide every coordinate of layer select before its ReLU, for any content ``s_r`` of ``[0, 1)``."""
    _, select, _, _ = one_layer(transformer)
    yield require("layer select has a ReLU", holds=select.has_relu)
    q_self, q_first = positive("q"), positive("p")
    d = _difference(q_self, q_first)
    for order, token, place, given in trichotomy(V):
        r = order.replace("j", "r").replace("i", "X")
        hidden = theorem_2.hidden(transformer, token, place, (q_self, q_first), given=given)
        width = substituted(select.weight.shape[1], given)
        before = affine(select, (only(hidden, place, width),), place, given=given)
        wanted = _selected(SHARE(place), d) if r == "r = X" else _other(SHARE(place), d)
        yield prove_equal(f"layer select before its ReLU, {r}", before, wanted)


def _selected(share: Expr, d: Expr) -> Expr:
    """Return the selected coordinate before the ReLU: ``s - d (1-s)``."""
    return share - d * (1 - share)


def _other(share: Expr, d: Expr) -> Expr:
    """Return another coordinate before the ReLU: ``(1+d) s - 1``."""
    return (1 + d) * share - 1


def _threshold(transformer: Transformer) -> Iterator[Decision]:
    yield from _functions()
    yield from _ties(transformer)
    yield from _decoded(transformer)
    y, rest, d, less = natural("y"), natural("v"), nonnegative("d"), positive("g")
    size = y + 2 + rest  # V >= 2; the token y is not V-1
    for token in (y, y + 1):
        share = token / size
        # d >= 0: too small, but for token 0
        slack = (1 - 1 / size) * (1 / (2 * (size - 1)) - d)
        if token != y:
            yield prove_nonnegative(
                "x - y/V + 1/(2V) >= (1-1/V) (1/(2(V-1)) - d) for d >= 0, y >= 1",
                _selected(share, d) - share + 1 / (2 * size) - slack,
            )
        yield prove_nonnegative("1 - h_r >= 2 (1-1/V) (1/(2(V-1)) - d) for d >= 0", -_other(share, d) - 2 * slack)
        # d < 0: too large
        yield prove_nonnegative(
            "y/V + 1/(2V) - x >= 1/(2V) + d for d < 0",
            share + 1 / (2 * size) - _selected(share, -less) - (1 / (2 * size) - less),
        )
        yield prove_nonnegative("h_r <= 1 for d < 0", -_other(share, -less))
    yield prove_nonnegative("x <= y/V for d >= 0", y / size - _selected(y / size, d))
    yield prove_nonnegative("x >= y/V for d < 0", _selected(y / size, -less) - y / size)
    yield prove_nonnegative("token 0 is clipped to 0 for d >= 0", -_selected(sp.S.Zero, d))


def _ties(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    d, less, size = nonnegative("d"), positive("g"), natural("v") + 2
    one, zero = sp.S.One, sp.S.Zero
    yield prove_equal(
        "logit_1 - logit_0 = 2(V-1)/V^2 (1/(2(V-1)) - d) at m(X) = 1, d >= 0",
        logit_gap(readout, _selected(1 / size, d), one, zero, size),
        2 * (size - 1) / size**2 * (1 / (2 * (size - 1)) - d),
    )
    yield prove_positive("0 beats 1 where the ReLU clips x to 0", logit_gap(readout, zero, zero, one, size))
    yield prove_equal(
        "logit_0 - logit_1 = (2/V) (1/(2V) + d) at m(X) = 0, d < 0",
        logit_gap(readout, _selected(zero, -less), zero, one, size),
        2 / size * (1 / (2 * size) - less),
    )
    yield prove_nonnegative("h_r <= 1 for s_r = 0, d >= 0", -_other(zero, d))
    yield prove_nonnegative("h_r <= 1 for s_r = 0, d < 0", -_other(zero, -less))


def _functions() -> Iterator[Decision]:
    differences = holding = True
    for q_self, q_first in itertools.product(NUMBERS, repeat=2):
        d = 1 / (1 + q_self) - 1 / (1 + q_first)
        differences &= conditional_generation_difference(q_self=q_self, q_first=q_first) == d
        for v in COMPARED:
            holds = conditional_generation_holds(v, q_self=q_self, q_first=q_first)
            holding &= holds == (-Fraction(1, 2 * v) < d < Fraction(1, 2 * (v - 1)))
    yield require("conditional_generation_difference is 1/(1+q_self) - 1/(1+q_first)", holds=differences)
    yield require(f"conditional_generation_holds is what is proved here, for V in {COMPARED}", holds=holding)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{theorem_2.CLAIM}.head-leaks",
        "With a q for each head the layer's output is (1-d) onehot(X) + (1+d) s, d = 1/(1+q_self) - 1/(1+q_first):"
        " there are two keys, and each head leaks the one that the other looks for.",
        r"h = (1-d)\, e_X + (1+d)\, s, \qquad d = \frac1{1+q_{\mathrm{self}}} - \frac1{1+q_{\mathrm{first}}}",
        _leaks,
        theorem_2.subject,
    ),
    Obligation(
        f"{theorem_2.CLAIM}.head-threshold",
        "With a q for each head every map is answered for every user token if and only if -1/(2V) < d < 1/(2(V-1)), for"
        " V >= 2; at equality the tokens 0 and 1 tie.",
        r"-\frac1{2V} < d < \frac1{2(V-1)} \iff \text{all maps, all } X \quad (V \ge 2)",
        _threshold,
        theorem_2.subject,
    ),
)
