"""The obligations of the three-layer MLP that Theorem 1, Theorem 2 and longer responses share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from constructions import Linear, Transformer
from constructions.expressions import V
from proofs.decide import Decision, Expr, natural, nonnegative, prove_equal, prove_nonnegative, prove_positive, require
from proofs.layers import one_layer
from proofs.obligations import Obligation
from proofs.symbolic import Piece, affine, fraction_below_1, output, substituted, trichotomy

#: Contents of the virtual token: numbers of ``[0, 1)``.
SHARE = fraction_below_1("p")


def mixed(index: Expr) -> Callable[[Expr], Expr]:
    """Return the coordinates of ``e_index + s``, which every construction hands to its selection MLP."""
    return lambda place: sp.KroneckerDelta(place, index) + SHARE(place)


def selected(index: Expr) -> Callable[[Expr], Expr]:
    """Return the coordinates of ``s_index e_index``."""
    return lambda place: sp.KroneckerDelta(place, index) * SHARE(place)


def share_as(expr: Expr, index: Expr, token: Expr, vocab_size: Expr) -> Expr:
    """Return ``expr`` at ``s_index = token / vocab_size``."""
    (unknown_share,) = SHARE(index).atoms(AppliedUndef)
    return expr.subs(unknown_share, token / (vocab_size - token))


def logit_gap(readout: Linear, x: Expr, y: Expr, w: Expr, size: Expr) -> Expr:
    """Return ``logit_y - logit_w`` at the decoded scalar ``x``, with ``V = size``."""
    scalar = (Piece(sp.S.One, lambda _: x),)
    return affine(readout, scalar, y, given={V: size}) - affine(readout, scalar, w, given={V: size})


def _width(layer: Linear) -> Any:
    return layer.weight.shape[1]


def _select(transformer: Transformer) -> Iterator[Decision]:
    _, select, _, _ = one_layer(transformer)
    y, z = natural("y"), natural("z")
    yield prove_nonnegative("y/V >= 0 for a token y", y / (y + 1 + z))
    yield prove_positive("y/V < 1 for a token y", 1 - y / (y + 1 + z))
    for order, index, place, given in trichotomy(_width(select)):
        hidden = (Piece(substituted(_width(select), given), mixed(index)),)
        yield prove_equal(
            f"ReLU(h_r - 1) = s_r [r = i], {order.replace('j', 'r')}",
            output(select, hidden, place, given=given),
            selected(index)(place),
        )


def _sum(transformer: Transformer) -> Iterator[Decision]:
    _, _, summed, _ = one_layer(transformer)
    index, rest = natural("i"), natural("z")
    given = {_width(summed): index + 1 + rest}
    hidden = (Piece(index + 1 + rest, selected(index)),)
    yield prove_equal("x = s_i", output(summed, hidden, sp.S.Zero, given=given), SHARE(index))
    yield require("the sum is one number", holds=summed.weight.shape[0] == 1)


def _readout(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    x, v = sp.Dummy("x", real=True), natural("v")
    yield require("the readout has no ReLU", holds=not readout.has_relu)
    yield require("the readout has V logits", holds=readout.weight.shape[0] == V)
    z = natural("z")
    size = v + 1 + z
    logit_v = affine(readout, (Piece(sp.S.One, lambda _: x),), v, given={V: size})
    common = logit_v + (x - v / size) ** 2
    yield prove_equal("logit_v + (x - v/V)^2 = x^2 - x + 1/4", common, x**2 - x + sp.Rational(1, 4))


def _two_tokens() -> Iterator[tuple[str, Expr, Expr, Expr]]:
    """Yield every order of two different tokens y and w: its name, y, w and V."""
    low, gap, rest = natural("y"), natural("a"), natural("z")
    high = low + 1 + gap
    yield "w > y", low, high, high + 1 + rest
    yield "w < y", high, low, high + 1 + rest


def _margin(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    for order, y, w, size in _two_tokens():
        gap = logit_gap(readout, y / size, y, w, size)
        yield prove_equal(f"logit_y - logit_w = ((y-w)/V)^2 at x = y/V, {order}", gap, ((y - w) / size) ** 2)
        yield prove_nonnegative(f"logit_y - logit_w >= 1/V^2 at x = y/V, {order}", gap - 1 / size**2)


def _nearest(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    above, below = nonnegative("m"), nonnegative("n")
    share = (above - below) / (1 + above + below)  # every number of (-1, 1)
    for order, y, w, size in _two_tokens():
        x = y / size + share / (2 * size)
        yield prove_positive(f"logit_y > logit_w when |x - y/V| < 1/(2V), {order}", logit_gap(readout, x, y, w, size))


def selection_obligations(claim: str, subject: Callable[[], Transformer]) -> tuple[Obligation, ...]:
    """Return the obligations of the selection MLP at the end of a construction of one attention layer.

    Args:
        claim: the claim's id, in front of the obligations' own.
        subject: the construction's transformer.

    """
    return (
        Obligation(
            f"{claim}.select",
            "Layer select leaves s_i in coordinate i of e_i + s and 0 in every other, for any s with entries in [0, 1),"
            " such as y/V for a token y.",
            r"0 \le s_r < 1 \implies \mathrm{ReLU}(\delta_{ri} + s_r - 1) = s_r\, \delta_{ri}",
            _select,
            subject,
        ),
        Obligation(
            f"{claim}.sum",
            "Layer sum reduces s_i e_i to the scalar s_i.",
            r"\mathrm{ReLU}\Bigl(\sum_r s_r \delta_{ri}\Bigr) = s_i",
            _sum,
            subject,
        ),
        Obligation(
            f"{claim}.readout",
            "The logit of v is -(x - v/V)^2 up to a term that is the same for every token.",
            r"\mathrm{logit}_v = -(x - v/V)^2 + g(x), \quad g(x) = x^2 - x + \tfrac14",
            _readout,
            subject,
        ),
        Obligation(
            f"{claim}.margin",
            "At x = y/V the logit of y is larger than that of every other token w, by ((y-w)/V)^2 >= 1/V^2.",
            r"x = y/V \implies \mathrm{logit}_y - \mathrm{logit}_w = ((y-w)/V)^2 \ge 1/V^2 \quad (w \ne y)",
            _margin,
            subject,
        ),
        Obligation(
            f"{claim}.nearest",
            "The token whose grid value y/V is nearer to x than half a step has the largest logit.",
            r"|x - y/V| < 1/(2V) \implies \mathrm{logit}_y > \mathrm{logit}_w \quad (w \ne y)",
            _nearest,
            subject,
        ),
    )
