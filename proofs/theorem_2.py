"""The obligations of Theorem 2, about the weights of ``ConditionalGeneration``, for symbolic V."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from constructions import ConditionalGeneration, Transformer
from constructions.expressions import V
from proofs.decide import Decision, Expr, natural, positive, prove_equal, prove_positive, require
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.selection import SHARE, mixed, selection_obligations
from proofs.symbolic import (
    Given,
    Piece,
    Vector,
    anywhere,
    column,
    entry_of,
    position,
    read,
    score,
    softmax_read,
    substituted,
    trichotomy,
)

CLAIM = "theorem-2"

#: The positions of the virtual token and of the user's token.
_VIRTUAL, _USER = sp.S.Zero, sp.S.One


def subject() -> Transformer:
    """Return the transformer of Theorem 2; its vocabulary size is a symbol."""
    return ConditionalGeneration(1).transformer


def _virtual(transformer: Transformer, given: Given) -> Vector:
    size = substituted(transformer.embedding.shape[0], given)
    return position(transformer, _VIRTUAL, Piece(size, SHARE), given)


def _user(transformer: Transformer, token: Expr, given: Given) -> Vector:
    return position(transformer, _USER, column(transformer.embedding, token, given), given)


def _scores(transformer: Transformer, which: int, key: Expr) -> Iterator[Decision]:
    """Decide that a head at the user's token has score 1 on ``key`` and 0 on the other position, and reads there."""
    attention, *_ = one_layer(transformer)
    head = heads(attention, "self", "first")[which]
    yield require("there are two positions", holds=transformer.context_size == 2)
    given = {V: natural("v") + 1}
    at = anywhere(transformer, _USER, "u1", given)
    scores = {j: score(head, at, anywhere(transformer, j, f"u{j}", given), given=given) for j in (_VIRTUAL, _USER)}
    for j, scored in scores.items():
        yield prove_equal(f"score of head {head.name} at position 1 with position {j}", scored, int(j == key))
    yield prove_positive(
        f"head {head.name} scores position {key} above the other: hardmax reads exactly it",
        scores[key] - scores[1 - key],
    )


def _self_scores(transformer: Transformer) -> Iterator[Decision]:
    yield from _scores(transformer, 0, _USER)


def _first_scores(transformer: Transformer) -> Iterator[Decision]:
    yield from _scores(transformer, 1, _VIRTUAL)


def _reads(transformer: Transformer) -> Iterator[Decision]:
    attention, *_ = one_layer(transformer)
    own, first = heads(attention, "self", "first")
    for order, token, place, given in trichotomy(V):
        r = order.replace("j", "r").replace("i", "X")
        one_hot = read(own, _user(transformer, token, given), place, given=given)
        prompt = read(first, _virtual(transformer, given), place, given=given)
        yield prove_equal(f"head self reads onehot(X) from x_1, {r}", one_hot, sp.KroneckerDelta(place, token))
        yield prove_equal(f"head first reads s from x_0, {r}", prompt, SHARE(place))
        yield prove_equal(f"the heads add up to onehot(X) + s, {r}", one_hot + prompt, mixed(token)(place))


def hidden(transformer: Transformer, token: Expr, place: Expr, qs: tuple[Expr, Expr], *, given: Given) -> Expr:
    """Return coordinate ``place`` of the attention layer's output at the user's token, softmax.

    Args:
        transformer: the weights.
        token: the user's token.
        place: below V.
        qs: ``q`` of heads "self" and "first".
        given: what the symbols of the weights stand for.

    """
    attention, *_ = one_layer(transformer)
    embedding = substituted(transformer.embedding, given)

    def key(j: Expr) -> Vector:
        def content(row: Expr) -> Expr:
            virtual = sp.KroneckerDelta(j, _VIRTUAL)
            return virtual * SHARE(row) + (1 - virtual) * entry_of(embedding, row, token)

        return position(transformer, j, Piece(embedding.shape[0], content), given)

    at = anywhere(transformer, _USER, "u1", given)
    return sp.Add(
        *(
            softmax_read(head, at, key, place, q, visible=_USER + 1, given=given)
            for head, q in zip(heads(attention, "self", "first"), qs, strict=True)
        )
    )


def _softmax(transformer: Transformer) -> Iterator[Decision]:
    q = positive("q")
    for order, token, place, given in trichotomy(V):
        r = order.replace("j", "r").replace("i", "X")
        wanted = mixed(token)(place)
        found = hidden(transformer, token, place, (q, q), given=given)
        yield prove_equal(f"h_r = (onehot(X) + s)_r at every q > 0, {r}", found, wanted)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.self-scores",
        "At the user's token head self has score 1 on that position and 0 on the virtual token, whatever the"
        " embeddings are; hardmax attention is all on it.",
        r"\langle W_Q x_1, W_K x_j \rangle = \delta_{j1}",
        _self_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.first-scores",
        "At the user's token head first has score 1 on the virtual token and 0 on its own position, whatever the"
        " embeddings are; hardmax attention is all on it.",
        r"\langle W_Q x_1, W_K x_j \rangle = \delta_{j0}",
        _first_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.reads",
        "Head self reads onehot(X) from the user's token and head first the virtual token s; the layer's output is"
        " onehot(X) + s.",
        r"W_V x_1 = e_X, \qquad W_V x_0 = s, \qquad x_0 = [s; e_0],\ x_1 = [E e_X; e_1]",
        _reads,
        subject,
    ),
    Obligation(
        f"{CLAIM}.softmax",
        "With the same q in both heads the leaks of the two heads cancel: the layer's output is onehot(X) + s at every"
        " q > 0.",
        r"\frac{q\, e_X + s}{q+1} + \frac{e_X + q\, s}{q+1} = e_X + s \quad (q > 0)",
        _softmax,
        subject,
    ),
    *selection_obligations(CLAIM, subject),
)
