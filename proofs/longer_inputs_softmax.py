"""The obligations of longer inputs at a finite temperature: the leaks of the first block, the threshold of the last.

``q`` is the factor that a score of 1 has over a score of 0, the same in both heads; causal mask, add lift.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from constructions import Transformer
from constructions.expressions import BLOCK, V, n_X
from constructions.thresholds import longer_inputs_sufficient_q, two_inputs_threshold
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
from proofs.layers import attention_of, heads, one_layer
from proofs.longer_inputs import last_block
from proofs.obligations import Obligation
from proofs.restoring import CLAIM, subject
from proofs.selection import SHARE, logit_gap, mixed
from proofs.symbolic import (
    Given,
    Piece,
    Vector,
    affine,
    entry_of,
    one_hot,
    only,
    position,
    softmax_read,
    substituted,
    trichotomy,
    unknown,
)

#: Sizes at which the formula is compared with the functions that the package uses.
COMPARED = range(2, 7)


def _cancel(transformer: Transformer) -> Iterator[Decision]:
    """Decide the input of block 1's MLP at the first token's position, which sees two keys."""
    own, look = heads(attention_of(transformer, "attention of the first block"), "self", "look")
    q = positive("q")
    for order, token, place, bound in trichotomy(V):
        given = {**bound, n_X: natural("n") + 2, BLOCK: sp.S.One}
        embedding = substituted(transformer.embedding, given)

        def key(j: Expr, token: Expr = token, given: Given = given, embedding: Expr = embedding) -> Vector:
            def content(row: Expr) -> Expr:
                virtual = sp.KroneckerDelta(j, 0)
                return virtual * SHARE(row) + (1 - virtual) * entry_of(embedding, row, token)

            return position(transformer, j, Piece(embedding.shape[0], content), given)

        at = position(transformer, sp.S.One, unknown(embedding.shape[0], "u"), given)
        hidden = sp.Add(
            *(softmax_read(head, at, key, place, q, visible=sp.Integer(2), given=given) for head in (own, look))
        )
        r = order.replace("j", "r").replace("i", "x_1")
        yield prove_equal(f"block 1 selects from onehot(x_1) + s at every q > 0, {r}", hidden, mixed(token)(place))


def _before(transformer: Transformer, n: Expr, *, own: Expr, looked: Expr, others: Expr, q: Expr) -> Expr:
    """Return a coordinate of the last block's layer select at the answer's position, before its ReLU.

    Args:
        transformer: the last block.
        n: ``n_X``.
        own: the coordinate of the own token's one-hot.
        looked: the coordinate of the row that head "look" looks for.
        others: the sum of the coordinates of all other tokens and rows at the ``n + 1`` visible positions.
        q: of both heads.

    """
    attention, select, _, _ = one_layer(transformer)
    r = natural("r")
    given: Given = {V: r + 1 + natural("v"), n_X: n, BLOCK: n}
    size, positions = given[V], n + 1
    row, token = sp.Function("row"), sp.Function("token")

    def key(j: Expr) -> Vector:
        return only(row(j), r, size), only(token(j), r, size), one_hot(positions, j)

    at = (unknown(size, "own_row"), unknown(size, "own_token"), one_hot(positions, n))
    hidden = sp.Add(
        *(
            softmax_read(head, at, key, r, q, visible=positions, given=given)
            for head in heads(attention, "self", "look")
        )
    )
    sums = hidden.atoms(sp.Sum)
    if {found.function.func for found in sums} != {row, token} or len(sums) != len((row, token)):
        raise ObligationFailed(f"false: the heads sum all tokens and all rows, once each: {len(sums)} sums")
    # tokens sum to the own one and a part of the others; rows to the one that is looked for and the rest of the others
    parts = {found: own + others if found.function.func == token else looked for found in sums}
    hidden = hidden.xreplace(parts).subs({token(n): own, row(n - 1): looked})
    return affine(select, (only(hidden, r, size),), r, given=given)


def _threshold(transformer: Transformer) -> Iterator[Decision]:
    agree = all(two_inputs_threshold(v) == 2 * (4 * v - 3) for v in COMPARED)
    yield require(f"two_inputs_threshold is n_X (4V-3) at n_X = 2, for V in {COMPARED}", holds=agree)
    enough = all(
        longer_inputs_sufficient_q(v, n, causal=True, lift="add") > n * (4 * v - 3) for v in (2, 3) for n in (2, 3)
    )
    yield require("longer_inputs_sufficient_q is more than that for V, n_X in (2, 3)", holds=enough)
    block = last_block(transformer)
    _, select, _, readout = one_layer(block)
    yield require("layer select has a ReLU", holds=select.has_relu)
    n, y, rest, q, excess = natural("n") + 2, natural("y"), natural("v"), positive("q"), positive("e")
    one, zero = sp.S.One, sp.S.Zero
    token = natural("m") + 1
    vocabulary = token + 1
    x = _before(block, n, own=one, looked=token / vocabulary, others=zero, q=q)
    yield prove_equal(
        "logit_(V-1) - logit_(V-2) = (q - n(4V-3)) / (V^2 (q+n)) with no other part",
        logit_gap(readout, x, token, token - 1, vocabulary),
        (q - n * (4 * vocabulary - 3)) / (vocabulary**2 * (q + n)),
    )
    clipped = logit_gap(readout, zero, token, token - 1, vocabulary)
    yield prove_positive("V-2 beats V-1 where the ReLU clips x to 0", -clipped)
    most_leaked = n / (3 * n + nonnegative("f") + n)
    yield prove_nonnegative("a one-hot leaks at most 1/4 from q = 3 n_X on", sp.Rational(1, 4) - most_leaked)
    size = y + 1 + rest
    share, largest, half = y / size, (size - 1) / size, 1 / (2 * size)
    least = _before(block, n, own=one, looked=share, others=zero, q=q)
    yield prove_equal("x = c - n(1+c)/(q+n) with no other part", least, share - n * (1 + share) / (q + n))
    grown = _before(block, n, own=one, looked=share, others=excess, q=q) - least
    yield prove_positive("x grows with the other tokens and rows", grown)
    needed = n * (4 * size - 3)
    above = {q: needed + excess}
    yield prove_positive("c - x < 1/(2V) above n(4V-3)", (least - share + half).subs(above))
    everything = n + n * largest  # n other tokens, and n other rows of entries up to (V-1)/V
    most = _before(block, n, own=one, looked=share, others=everything, q=q)
    yield prove_positive(
        "x - c < 1/(2V) above n(4V-3), all other parts at their largest", (share + half - most).subs(above)
    )
    other = _before(block, n, own=zero, looked=share, others=everything, q=q)
    yield prove_nonnegative("every other coordinate is clipped to 0 above n(4V-3)", -other.subs(above))


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.softmax-first-block",
        "With the add lift, the causal mask and one q, the leaks of the two heads of block 1 cancel where the first"
        " token is read, as in Theorem 2: block 1 selects from onehot(x_1) + s at every q > 0.",
        r"\frac{q\, e_{x_1} + s}{q+1} + \frac{e_{x_1} + q\, s}{q+1} = e_{x_1} + s \quad (q > 0)",
        _cancel,
        subject,
    ),
    Obligation(
        f"{CLAIM}.softmax-last-block",
        "With the causal mask and one q, the last block decodes every answer from exact rows and one-hots when"
        " q > n_X (4V-3); and V-1 is not decoded otherwise when no other token or row has a part in its coordinate."
        " With the first block that decides two user tokens: q > 2(4V-3), for q >= 6, where one-hots are restored"
        " exactly.",
        r"|x - c| < \frac1{2V} \iff q > n_X(4V-3) \quad \Bigl(c = \tfrac{V-1}V,\ \text{no other part}\Bigr)",
        _threshold,
        subject,
    ),
)
