"""The obligations of Theorem 1 at hardmax, about the weights of ``UnconditionalGeneration``, for symbolic V and N."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sympy as sp

from constructions import Transformer, UnconditionalGeneration
from constructions.expressions import N, V
from proofs.decide import Decision, Expr, natural, prove_equal, prove_positive
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.selection import SHARE, mixed, selection_obligations
from proofs.symbolic import Given, Piece, Vector, anywhere, column, position, read, score, substituted, trichotomy

CLAIM = "theorem-1"


def subject() -> Transformer:
    """Return the transformer of Theorem 1; its sizes are symbols."""
    return UnconditionalGeneration(1, 1).transformer


def virtual(transformer: Transformer, given: Given) -> Vector:
    """Return the input ``[s; e_0]``, ``s`` any numbers of ``[0, 1)``."""
    size = substituted(transformer.embedding.shape[0], given)
    return position(transformer, sp.S.Zero, Piece(size, SHARE), given)


def _scores(transformer: Transformer, which: int, wanted: Callable[[Expr, Expr], Expr]) -> Iterator[Decision]:
    attention, *_ = one_layer(transformer)
    head = heads(attention, "self", "first")[which]
    for order, i, j, given in trichotomy(N):
        at, key = anywhere(transformer, i, "u", given), anywhere(transformer, j, "w", given)
        yield prove_equal(f"score of head {head.name}, {order}", score(head, at, key, given=given), wanted(i, j))


def _self_scores(transformer: Transformer) -> Iterator[Decision]:
    yield from _scores(transformer, 0, sp.KroneckerDelta)


def _first_scores(transformer: Transformer) -> Iterator[Decision]:
    yield from _scores(transformer, 1, lambda _, j: sp.KroneckerDelta(j, 0))


def _hardmax(transformer: Transformer) -> Iterator[Decision]:
    attention, *_ = one_layer(transformer)
    own, first = heads(attention, "self", "first")
    for order, i, j, given in trichotomy(N):
        at, key = anywhere(transformer, i, "u", given), anywhere(transformer, j, "w", given)
        if i != j:
            lead = score(own, at, at, given=given) - score(own, at, key, given=given)
            yield prove_positive(f"head self scores i above j, {order}", lead)
        # j + 1 runs through the positions that are not 0; one more position makes room for it
        room = {N: given[N] + 1}
        at, key = anywhere(transformer, i, "u", room), anywhere(transformer, j + 1, "w", room)
        lead = score(first, at, virtual(transformer, room), given=room) - score(first, at, key, given=room)
        yield prove_positive(f"head first scores 0 above j + 1, {order}", lead)


def _reads(transformer: Transformer) -> Iterator[Decision]:
    attention, *_ = one_layer(transformer)
    own, first = heads(attention, "self", "first")
    token, rest = natural("y"), natural("v")
    for order, i, place, position_given in trichotomy(N):
        given = {**position_given, V: token + 1 + rest}
        r = order.replace("j", "r")
        embedded = position(transformer, i, column(transformer.embedding, token, given), given)
        code = read(own, embedded, place, given=given)
        prompt = read(first, virtual(transformer, given), place, given=given)
        yield prove_equal(f"head self reads e_i from [E e_y; e_i], {r}", code, sp.KroneckerDelta(place, i))
        yield prove_equal(f"head first reads s from [s; e_0], {r}", prompt, SHARE(place))
        yield prove_equal(f"the heads add up to e_i + s, {r}", code + prompt, mixed(i)(place))
    # at position 0 head self reads the virtual token's own position; E is free: no embedding half changes what it reads
    for order, i, place, given in trichotomy(N):
        code = read(own, anywhere(transformer, i, "u", given), place, given=given)
        yield prove_equal(
            f"head self reads e_i whatever the embedding half is, {order.replace('j', 'r')}",
            code,
            sp.KroneckerDelta(place, i),
        )


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.self-scores",
        "Head self has score 1 of every position with itself and 0 with every other, whatever the embeddings are.",
        r"\langle W_Q x_i, W_K x_j \rangle = \delta_{ij} \quad (0 \le i, j < N)",
        _self_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.first-scores",
        "Head first has score 1 of every position with position 0 and 0 with every other, whatever the embeddings are.",
        r"\langle W_Q x_i, W_K x_j \rangle = \delta_{j0} \quad (0 \le i, j < N)",
        _first_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.hardmax",
        "The key with the largest score is unique: position i in head self, position 0 in head first. Hardmax"
        " attention is all on it, with or without the causal mask.",
        r"\langle W_Q x_i, W_K x_{k} \rangle > \langle W_Q x_i, W_K x_j \rangle \quad (j \ne k),"
        r" \qquad k_{\mathrm{self}} = i,\ k_{\mathrm{first}} = 0",
        _hardmax,
        subject,
    ),
    Obligation(
        f"{CLAIM}.reads",
        "From these keys head self reads e_i and head first reads the virtual token s; the layer's output is e_i + s.",
        r"W_V x_i = e_i, \qquad W_V x_0 = s, \qquad x_0 = [s; e_0],\ x_i = [E e_y; e_i]",
        _reads,
        subject,
    ),
    *selection_obligations(CLAIM, subject),
)
