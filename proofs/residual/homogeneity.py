"""That no scale matters: a norm's factor passes every weight, a mean none, and an argmax sees neither.

The factor of a norm is ``1/sqrt(v + eps)`` with a variance or a mean square ``v >= 0``: positive, and one number for
the whole row. A ReLU passes a positive factor; a weight does as it is linear. A mean is passed by no weight whose rows
sum to 0. All that is left at the end is one positive factor of every logit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from constructions import Attention, Linear, Stream, Transformer
from proofs.decide import Decision, Expr, natural, nonnegative, positive, prove_equal, prove_positive, relu, require
from proofs.residual.reading import leaf, linear, shape_of
from proofs.symbolic import Given, Piece, image

#: A row is ``f (x - m 1)`` after a norm.
_FACTOR, _MEAN = positive("f"), sp.Dummy("m", real=True)


def layers(wanted: str, working: tuple[str, ...], transformer: Transformer) -> Iterator[Decision]:
    """Decide that the layers are those of an architecture, and that all weights but those that obligations read are 0.

    Args:
        wanted: the layers in words, as :func:`shape_of` tells them.
        working: the linear layers that other obligations are about.
        transformer: of symbolic sizes.

    """
    found = "; ".join(map(shape_of, transformer.layers))
    yield require(f"the layers are {wanted}", holds=found == wanted)
    for attention in transformer.attentions:
        for head in attention.heads:
            uniform = _is_zero(head.query) and _is_zero(head.own_key)
            yield require(f"queries and keys of {attention.name} are 0, so that it is uniform", holds=uniform)
            idle = attention.name == "fetch" or _is_zero(head.own_value)
            yield require(f"{attention.name} fetches or adds nothing", holds=idle)
    for layer in transformer.leaves:
        if isinstance(layer, Linear):
            idle = layer.name in working or _is_zero(layer.weight)
            yield require(f"{layer.name} is spoken of or 0", holds=idle)


def _is_zero(weight: Any) -> bool:
    blocks = list(weight.blocks) if isinstance(weight, sp.BlockMatrix) else [weight]
    return all(block.is_ZeroMatrix for block in blocks)


def norms(stream: Stream, reading: tuple[str, ...], *, centred: bool, transformer: Transformer) -> Iterator[Decision]:
    """Decide that the layers that read a norm pass its factor, and a mean not at all.

    Args:
        stream: the residual stream.
        reading: the linear layers that read a norm.
        centred: whether norms take a mean off.
        transformer: of symbolic sizes.

    """
    factor = 1 / sp.sqrt(nonnegative("v") + positive("eps"))
    yield prove_positive("a norm's factor is positive", factor)
    at = nonnegative("x")
    for sign, x in (("x >= 0", at), ("x <= 0", -at)):
        passed = relu("f x", _FACTOR * x)
        yield prove_equal(f"ReLU(f x) = f ReLU(x), {sign}", passed, _FACTOR * relu("x", x))
    fetch: Attention = leaf(transformer, "fetch", Attention)
    weights = [(f"value of {head.name}", head.own_value) for head in fetch.heads]
    weights += [(name, linear(transformer, name).weight) for name in reading]
    mean = _MEAN if centred else sp.S.Zero
    for name, weight in weights:
        for block in range(weight.blocks.shape[0]):
            row, given = any_row(weight.blocks[block, 0].shape[0])
            where = f"{name}, block {block} of rows"
            before, after = (
                image(weight, _row(stream, given, factor, off), row, given=given, where=where, block=block)
                for factor, off in ((sp.S.One, sp.S.Zero), (_FACTOR, mean))
            )
            yield prove_equal(f"W f (x - m 1) = f W x, {where}", after, _FACTOR * before)


def _row(stream: Stream, given: Given, factor: Expr, mean: Expr) -> list[Piece]:
    """Return ``factor (x - mean)`` with an ``x`` of which nothing is known."""

    def piece(index: int, size: Expr) -> Piece:
        x = sp.Function(f"x{index}")
        return Piece(size.xreplace(dict(given)), lambda place: factor * x(place) - factor * mean)

    return [piece(index, size) for index, (_, size) in enumerate(stream.blocks)]


def any_row(rows: Expr) -> tuple[Expr, Given]:
    """Return any row of a block, and sizes at which it is one: the block has it, and any number of rows after it."""
    sizes = rows.free_symbols
    if not sizes:
        return natural("row") if rows != 1 else sp.S.Zero, {}
    row, rest = natural("row"), natural("rest")
    (size,) = sizes
    return row, {size: row + 1 + rest + (size - rows)}
