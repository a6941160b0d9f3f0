"""The layers of a residual transformer by their names, its shape in words, and rows of its stream by their blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import sympy as sp

from constructions import (
    Attention,
    Chain,
    Gated,
    LayerNorm,
    Linear,
    Norm,
    Residual,
    RMSNorm,
    Stream,
    Sum,
    Transformer,
)
from constructions.layers import Layer
from proofs.decide import Expr, ObligationFailed
from proofs.symbolic import Given, Piece, image, unknown

#: For a block of a stream its entry at a place; blocks that are left out hold anything.
Row = Mapping[str, Callable[[Expr], Expr]]

_KNOWN = frozenset({Attention, Chain, Gated, LayerNorm, Linear, RMSNorm, Residual, Sum})


def shape_of(layer: Layer[Any]) -> str:
    """Return a layer's shape in words: its class, what is inside it, and whatever it has beside weights and names."""
    if type(layer) not in _KNOWN:  # a class made from one of these may compute anything
        return f"other {type(layer).__name__}"
    more = "".join(f" with {name}" for name, _, _ in layer.own_weights if name != "weight" or isinstance(layer, Norm))
    if isinstance(layer, Linear):
        return f"{layer.name} ({layer.function}){more}"
    if isinstance(layer, Norm):
        return f"{type(layer).__name__}{more}"
    if isinstance(layer, Attention):
        plain = len(layer.heads) == 1 and layer.heads[0].is_plain and layer.mask is None
        return f"{layer.name} ({'a plain head' if plain else 'others'}){more}"
    return f"{type(layer).__name__}[{', '.join(map(shape_of, cast('Any', layer.own_parts)))}]"


def leaf(transformer: Transformer, name: str, kind: type) -> Any:
    """Return the one layer of a name that holds no other.

    Raises:
        ObligationFailed: there is none, or it is of another class.

    """
    found = [layer for layer in transformer.leaves if layer.name == name]
    if len(found) != 1 or type(found[0]) is not kind:
        raise ObligationFailed(f"false: there is one {kind.__name__} layer {name}")
    return found[0]


def linear(transformer: Transformer, name: str) -> Linear:
    """Return a linear layer by its name; raises as :func:`leaf` does."""
    found: Linear = leaf(transformer, name, Linear)
    if found.bias is not None:
        raise ObligationFailed(f"false: layer {name} has no bias")
    return found


def pieces(stream: Stream, row: Row, given: Given) -> list[Piece]:
    """Return a row of a stream, its blocks in their order; nothing is known of those that are left out."""
    return [
        unknown(size.xreplace(dict(given)), f"any_{name}")
        if name not in row
        else Piece(size.xreplace(dict(given)), row[name])
        for name, size in stream.blocks
    ]


def value(expr: Any) -> Callable[[Expr], Expr]:
    """Return the entries of a block that holds one number everywhere."""
    return lambda _: sp.sympify(expr)


def entry(weight: Any, written: tuple[Stream, str], source: Stream, row: Row, place: Expr, *, given: Given) -> Expr:
    """Return one number of the product of a weight and a row: that at a place of a block.

    Args:
        weight: from ``source`` to ``written``.
        written: the blocks of its rows, and one of them.
        source: the blocks of its columns.
        row: what they hold.
        place: in the block, 0-based.
        given: what the symbols of the weight stand for.

    """
    stream, block = written
    index = stream.names.index(block)
    return image(weight, pieces(source, row, given), place, given=given, where=block, block=index)
