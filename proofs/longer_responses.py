"""The obligations of longer responses, about the weights of ``LongerResponses``, for symbolic V and N0."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from constructions import LongerResponses, Transformer
from constructions.expressions import N0, V
from proofs.decide import Decision, Expr, natural, prove_equal
from proofs.layers import heads, one_layer
from proofs.obligations import Obligation
from proofs.selection import SHARE, mixed, selection_obligations
from proofs.symbolic import Given, Piece, anywhere, column, position, read, score, substituted, trichotomy

CLAIM = "longer-responses"


def subject() -> Transformer:
    """Return the transformer of longer responses; its sizes are symbols."""
    return LongerResponses(1, 1).transformer


def _places() -> Iterator[tuple[str, Expr, Expr, Given]]:
    """Yield step p of the response, read at position ``N0 + p``, with every kind of key j: all ``0 <= j < 2 N0``."""
    for order, step, other, given in trichotomy(N0):
        size = given[N0]
        yield f"prompt position j, {order.replace('i', 'p')}", step, other, given
        yield f"reply position j = N0 + c, {order.replace('j', 'c').replace('i', 'p')}", step, size + other, given


def _back_scores(transformer: Transformer) -> Iterator[Decision]:
    back, _ = heads(one_layer(transformer)[0], "back", "user")
    for name, step, j, given in _places():
        at = anywhere(transformer, given[N0] + step, "u", given)
        scored = score(back, at, anywhere(transformer, j, "w", given), given=given)
        yield prove_equal(f"score of head back at N0 + p, {name}", scored, int(j == step))


def _user_scores(transformer: Transformer) -> Iterator[Decision]:
    _, user = heads(one_layer(transformer)[0], "back", "user")
    for name, step, j, given in _places():
        at = anywhere(transformer, given[N0] + step, "u", given)
        scored = score(user, at, anywhere(transformer, j, "w", given), given=given)
        yield prove_equal(f"score of head user at N0 + p, {name}", scored, sp.KroneckerDelta(j, given[N0]))


def _reads(transformer: Transformer) -> Iterator[Decision]:
    back, user = heads(one_layer(transformer)[0], "back", "user")
    step, rest = natural("p"), natural("z")
    for order, token, place, vocabulary in trichotomy(V):
        given = {**vocabulary, N0: step + 1 + rest}
        r = order.replace("j", "r").replace("i", "X")
        size = substituted(transformer.embedding.shape[0], given)
        virtual = position(transformer, step, Piece(size, SHARE), given)
        asked = position(transformer, given[N0], column(transformer.embedding, token, given), given)
        prompt, one_hot = read(back, virtual, place, given=given), read(user, asked, place, given=given)
        yield prove_equal(f"head back reads s_p from position p, {r}", prompt, SHARE(place))
        yield prove_equal(f"head user reads onehot(X) from position N0, {r}", one_hot, sp.KroneckerDelta(place, token))
        yield prove_equal(f"the heads add up to onehot(X) + s_p, {r}", prompt + one_hot, mixed(token)(place))


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.back-scores",
        "At position N0 + p, where response token p is read, head back has score 1 on virtual token p and 0 on every"
        " other position, whatever the embeddings are; hardmax attention is all on it.",
        r"\langle W_Q x_{N_0+p}, W_K x_j \rangle = \delta_{jp} \quad (0 \le p < N_0,\ 0 \le j < 2N_0)",
        _back_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.user-scores",
        "At position N0 + p head user has score 1 on the user's token at position N0 and 0 on every other position,"
        " whatever the embeddings are; hardmax attention is all on it.",
        r"\langle W_Q x_{N_0+p}, W_K x_j \rangle = \delta_{jN_0} \quad (0 \le p < N_0,\ 0 \le j < 2N_0)",
        _user_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.reads",
        "Head back reads virtual token s_p and head user onehot(X); the layer's output is onehot(X) + s_p.",
        r"W_V x_p = s_p, \qquad W_V x_{N_0} = e_X, \qquad x_p = [s_p; e_p],\ x_{N_0} = [E e_X; e_{N_0}]",
        _reads,
        subject,
    ),
    *selection_obligations(CLAIM, subject),
)
