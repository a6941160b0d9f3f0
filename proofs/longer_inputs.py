"""The obligations of longer user inputs: attention, the layers' order, and the readout of the last block.

The obligations of the MLPs in between are in :mod:`proofs.restoring` and :mod:`proofs.unpacking`. Every layer is an
expression in V, n_X, its block ``l`` and its digit ``k``, and is looked up by its family; all layers of a family must
be the same expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from constructions import Transformer
from constructions.expressions import BLOCK, DIGIT, V, n_X
from proofs.decide import Decision, Expr, natural, prove_equal, require
from proofs.layers import attention_of, heads
from proofs.obligations import Obligation
from proofs.restoring import CLAIM, masked_subject, subject
from proofs.restoring import OBLIGATIONS as RESTORING
from proofs.selection import SHARE, selection_obligations
from proofs.symbolic import (
    Given,
    Piece,
    Vector,
    column,
    one_hot,
    position,
    read,
    score,
    substituted,
    trichotomy,
    unknown,
)
from proofs.unpacking import OBLIGATIONS as UNPACKING

#: The kinds of blocks: the first reads tokens, the others read the rows that the block before carried on.
_KINDS = ("first", "middle", "last")

# rows of a middle attention layer's output, as blocks of the stream
_ROW, _TOKEN, _POSITION = 0, 1, 2


def _carried(kind: str, index: Expr, name: str, given: Given) -> Vector:
    """Return the input of a block at a position: a candidate row and a token (or an embedding), then ``e_index``."""
    size = substituted(V, given)
    code = one_hot(substituted(n_X + 1, given), index)
    if kind == "first":
        return unknown(size, f"{name}_embedding"), code
    return unknown(size, f"{name}_row"), unknown(size, f"{name}_token"), code


def _self_scores(transformer: Transformer) -> Iterator[Decision]:
    positions = sp.Dummy("positions")
    for kind in _KINDS:
        own, _ = heads(attention_of(transformer, f"attention of the {kind} block"), "self", "look")
        for order, i, j, size in trichotomy(positions):
            given = {n_X: size[positions] - 1}
            at, key = _carried(kind, i, "u", given), _carried(kind, j, "w", given)
            yield prove_equal(
                f"score of head self, {kind} block, {order}", score(own, at, key, given=given), int(i == j)
            )


def _look_scores(transformer: Transformer) -> Iterator[Decision]:
    positions = sp.Dummy("positions")
    for kind in _KINDS:
        _, look = heads(attention_of(transformer, f"attention of the {kind} block"), "self", "look")
        # the position that is looked at and a key in every order; the query is any position, here the last one
        for order, target, j, size in trichotomy(positions):
            given = {n_X: size[positions] - 1, BLOCK: target + 1}
            at, key = _carried(kind, size[positions] - 1, "u", given), _carried(kind, j, "w", given)
            yield prove_equal(
                f"score of head look, {kind} block, {order.replace('i', 'l-1')}",
                score(look, at, key, given=given),
                int(target == j),
            )
        for order, i, j, size in trichotomy(positions):
            given = {n_X: size[positions] - 1}
            at, last = (_carried(kind, index, "u", given) for index in (i, size[positions] - 1))
            key = _carried(kind, j, "w", given)
            yield prove_equal(
                f"the query of head look is the same at every position, {kind} block, {order}",
                score(look, at, key, given=given),
                score(look, last, key, given=given),
            )


def _reads(transformer: Transformer) -> Iterator[Decision]:
    for kind in _KINDS:
        own, look = heads(attention_of(transformer, f"attention of the {kind} block"), "self", "look")
        r, i, rest = natural("r"), natural("i"), natural("z")
        given = {V: r + 1 + natural("v"), n_X: i + rest, BLOCK: natural("l") + 1}
        size = given[V]
        token = unknown(size, "token")
        code = one_hot(given[n_X] + 1, i)
        at = (token, code) if kind == "first" else (unknown(size, "own_row"), token, code)
        candidates = _carried(kind, natural("j"), "w", given)
        row = read(own, at, r, given=given, block=_ROW) + read(look, candidates, r, given=given, block=_ROW)
        wanted = token.entry(r) + candidates[0].entry(r)
        yield prove_equal(f"row = own token + the row (embedding) at position l-1, {kind} block", row, wanted)
        if kind == "last":
            continue
        carried = read(own, at, r, given=given, block=_TOKEN) + read(look, candidates, r, given=given, block=_TOKEN)
        yield prove_equal(f"the own token is carried on, {kind} block", carried, token.entry(r))
        for order, index, place, bound in trichotomy(n_X):
            within = {V: size, n_X: bound[n_X] - 1, BLOCK: given[BLOCK]}
            at = (*at[:-1], one_hot(within[n_X] + 1, index))
            candidates = _carried(kind, natural("j"), "w", within)
            code_read = read(own, at, place, given=within, block=_POSITION)
            code_read += read(look, candidates, place, given=within, block=_POSITION)
            yield prove_equal(f"e_i is carried on, {kind} block, {order}", code_read, int(index == place))


def _inputs(lift: Expr, transformer: Transformer) -> Iterator[Decision]:
    first = heads(attention_of(transformer, "attention of the first block"), "self", "look")
    for order, token, place, bound in trichotomy(V):
        given = {**bound, n_X: natural("n") + 2, BLOCK: sp.S.One}
        embedded = position(transformer, sp.S.One, column(transformer.embedding, token, given), given)
        virtual = position(transformer, sp.S.Zero, Piece(given[V], SHARE), given)
        row = read(first[0], embedded, place, given=given, block=_ROW)
        row += read(first[1], virtual, place, given=given, block=_ROW)
        wanted = int(token == place) - lift + SHARE(place)
        yield prove_equal(f"block 1 selects from onehot(x_1) + s - {lift}, {order.replace('j', 'r')}", row, wanted)


def _add_inputs(transformer: Transformer) -> Iterator[Decision]:
    yield from _inputs(sp.S.Zero, transformer)


def _mask_inputs(transformer: Transformer) -> Iterator[Decision]:
    yield from _inputs(sp.S.One, transformer)


def _order(transformer: Transformer) -> Iterator[Decision]:
    vocab_size, input_size = transformer.bindings[V], transformer.bindings[n_X]
    wanted: list[tuple[str, int, int]] = []
    for block in range(1, input_size):
        wanted += [(f"attention of the {'first' if block == 1 else 'middle'} block", block, 0), ("select", block, 0)]
        for digit in range(1, vocab_size ** (input_size - block) + 1):
            wanted += [("compare" if digit > 1 else "compare first", block, digit), ("step", block, digit)]
        wanted.append(("pack", block, 0))
    wanted.append(("attention of the last block", input_size, 0))
    found = [
        (layer.family, layer.bindings[BLOCK], layer.bindings.get(DIGIT, 0))
        for layer in transformer.layers
        if layer.family
    ]
    at = f"V = {vocab_size}, n_X = {input_size}"
    yield require(
        f"each block is attention, select, compare and step for every digit, pack, at {at}", holds=found == wanted
    )
    tail = [(layer.name, layer.family) for layer in transformer.layers[-3:]]
    names = [(f"block{input_size}.{name}", "") for name in ("select", "sum", "readout")]
    yield require(f"the last block ends in the selection MLP, at {at}", holds=tail == names)
    yield require("there are n_X + 1 positions", holds=transformer.context_size == n_X + 1)


def last_block(transformer: Transformer) -> Transformer:
    """Return the last attention layer and the selection MLP behind it, as a transformer of one layer."""
    renamed = []
    for layer in transformer.layers[-4:]:
        name = layer.name.split(".")[-1]
        renamed.append(layer.changed(name=name))
    return Transformer(transformer.embedding, tuple(renamed), transformer.context_size, transformer.bindings)


def _of_last_block(obligation: Obligation) -> Obligation:
    def check(transformer: Transformer) -> Iterator[Decision]:
        yield from obligation.check(last_block(transformer))

    return replace(obligation, check=check)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.layers",
        "Each block is an attention layer, select, a comparison and a step for each of its V^(n_X-l) digits, and pack;"
        " the last is attention and the selection MLP of Theorem 2. Read off one size: the number of layers depends on"
        " V, so this is no statement about all sizes.",
        r"D_l = V^{n_X-l} \text{ digits in block } l < n_X",
        _order,
        subject,
    ),
    Obligation(
        f"{CLAIM}.self-scores",
        "In every block head self has score 1 of every position with itself and 0 with every other, whatever the other"
        " coordinates are.",
        r"\langle W_Q x_i, W_K x_j \rangle = \delta_{ij} \quad (0 \le i, j \le n_X)",
        _self_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.look-scores",
        "In block l head look has score 1 of every position with position l-1 and 0 with every other, whatever the"
        " other coordinates are.",
        r"\langle W_Q x_i, W_K x_j \rangle = \delta_{j,l-1} \quad (0 \le i, j \le n_X)",
        _look_scores,
        subject,
    ),
    Obligation(
        f"{CLAIM}.reads",
        "At hardmax a block's attention adds the row held at position l-1 (in block 1 the virtual token) to the own"
        " token, and carries the own token and position on.",
        r"\mathrm{row} = \mathrm{token}_i + \mathrm{row}_{l-1}, \quad \mathrm{token} = \mathrm{token}_i, \quad"
        r" \mathrm{position} = e_i",
        _reads,
        subject,
    ),
    Obligation(
        f"{CLAIM}.inputs",
        "With the add lift block 1 selects from onehot(x_1) + s, as Theorem 2 does.",
        r"h = e_{x_1} + s",
        _add_inputs,
        subject,
    ),
    Obligation(
        f"{CLAIM}.inputs-masked",
        "With the mask lift block 1 selects from onehot(x_1) + s - 1.",
        r"h = e_{x_1} + s - 1",
        _mask_inputs,
        masked_subject,
    ),
    *RESTORING,
    *UNPACKING,
    *(_of_last_block(obligation) for obligation in selection_obligations(CLAIM, subject)),
)
