"""The blocks of a decoder, found in a tree of layers: attention, MLP and norms as stock classes have them.

This is the one place that knows which trees of layers are such blocks. Any other layer is refused by its name; the
message says what stock classes have in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from constructions.activations import Activation
from constructions.construction import Construction
from constructions.exact_matrix import ExactMatrix
from constructions.layers import Added, Attention, Chain, Gated, Head, Linear, Norm, Residual, Rotary, Sum, Unmarked
from constructions.layers.masks import MASKS
from constructions.transformer import ExactTransformer, Transformer
from constructions.validation import InvalidArgument


@dataclass(frozen=True, eq=False)
class AttentionPart:
    """An attention layer with the norm before it."""

    norm: Norm[ExactMatrix]
    layer: Attention[ExactMatrix]


@dataclass(frozen=True, eq=False)
class MlpPart:
    """An MLP with the norm before it: up, activation (or a gate with the activation, times up), down."""

    norm: Norm[ExactMatrix]
    up: Linear[ExactMatrix]
    down: Linear[ExactMatrix]
    gate: Linear[ExactMatrix] | None = None

    @property
    def active(self) -> Linear[ExactMatrix]:
        """The layer that has the activation."""
        return self.up if self.gate is None else self.gate

    @property
    def activation(self) -> Activation:
        """The activation."""
        return self.active.function


@dataclass(frozen=True, eq=False)
class Block:
    """What one residual connection, or two, add to the stream; a part that is not there adds nothing.

    Attributes:
        attention: read first, unless ``parallel``.
        mlp: reads the stream with the attention's output in it, unless ``parallel``.
        parallel: both read the stream as it was.

    """

    attention: AttentionPart | None = None
    mlp: MlpPart | None = None
    parallel: bool = False


@dataclass(frozen=True, eq=False)
class Decoder:
    """A decoder of pre-norm blocks.

    Attributes:
        exact: the transformer that it is.
        positions: the table that is added to embeddings, embedding size x positions, if there is one.
        steps: the blocks as they were written, one for each residual connection.
        norm: before the readout.
        readout: the last layer.

    """

    exact: ExactTransformer
    positions: ExactMatrix | None
    steps: tuple[Block, ...]
    norm: Norm[ExactMatrix]
    readout: Linear[ExactMatrix]

    @property
    def width(self) -> int:
        """The width of the stream."""
        return self.exact.embedding_size

    @property
    def parallel(self) -> bool:
        """Whether attention and MLP read the same stream in any block."""
        return any(step.parallel for step in self.steps)

    def blocks(self, *, parallel: bool) -> tuple[Block, ...]:
        """Return the blocks of a stock class.

        Args:
            parallel: whether the class has both parts read the same stream; a part by itself is then a block of its
                own. Otherwise an MLP that follows an attention is in one block with it.

        """
        made: list[Block] = []
        for step in self.steps:
            last = made[-1] if made else Block()
            if not parallel and step.mlp is not None and last.attention is not None and last.mlp is None:
                made[-1] = Block(last.attention, step.mlp)
            else:
                made.append(step)
        return tuple(made)


def check_construction(construction: object) -> None:
    """Refuse anything but a construction; raises InvalidArgument."""
    if not isinstance(construction, Construction):
        raise InvalidArgument(f"construction: expected a Construction but got a {type(construction).__name__}")


def decoder_of(construction: Construction) -> Decoder:
    """Return a construction's transformer as a decoder of pre-norm blocks.

    Raises:
        InvalidArgument: it is not one; the message names the layer.

    """
    check_construction(construction)
    exact = construction.transformer.lowered
    if type(exact) is not Transformer:
        _refuse(f"the transformer is a {type(exact).__name__}", "a Transformer itself, and no subclass of it")
    positions = exact.positions
    if type(positions) not in (Added, Unmarked):
        _refuse(
            f"positions are given by {type(positions).__name__}", "a table added to the embedding, or none (Unmarked)"
        )
    *layers, readout = _flat(exact.layers)
    if type(readout) is not Linear:
        _refuse(f"layer {readout.name} is a {type(readout).__name__}", "a Linear for a readout")
    if not layers or not isinstance(layers[-1], Norm):
        _refuse(f"no norm comes before layer {readout.name}", "a norm between the last block and the readout")
    *blocks, norm = layers
    steps = tuple(_step(layer, construction.mask) for layer in blocks)
    table = positions.table if isinstance(positions, Added) else None
    return Decoder(exact, table, steps, norm, readout)


def _flat(layers: Sequence[Any]) -> Iterator[Any]:
    """Yield layers, those of a chain in its place."""
    for layer in layers:
        if type(layer) is Chain:
            yield from _flat(layer.layers)
        else:
            yield layer


def _step(layer: Any, mask: str) -> Block:
    if type(layer) is not Residual:
        _refuse(
            f"layer {layer.name} is a {type(layer).__name__} outside a residual connection",
            "pre-norm blocks, Residual((norm, ...)), with one norm and the readout after them",
        )
    first, *rest = _flat(layer.layers)
    if isinstance(first, Norm):
        branches = _branches(rest[0]) if len(rest) == 1 else None
        if branches is None:
            return _block([_part(layer.name, first, rest, mask)])
        parts = [_part(layer.name, first, list(_flat([branch])), mask) for branch in branches]
    else:
        branches = None if rest else _branches(first)
        if branches is None:
            _refuse(
                f"layer {layer.name} begins with {first.name}, a {type(first).__name__}",
                "a norm at the beginning of a residual connection (pre-norm)",
            )
        parts = []
        for branch in branches:
            norm, *inner = _flat([branch])
            parts.append(_part(layer.name, norm, inner, mask))
    if len(parts) != 2 or {type(part) for part in parts} != {AttentionPart, MlpPart}:
        _refuse(f"layer {layer.name} adds {len(parts)} branches", "one attention and one MLP side by side")
    return _block(parts)


def _branches(layer: Any) -> tuple[Any, ...] | None:
    return layer.branches if type(layer) is Sum else None


def _block(parts: list[AttentionPart | MlpPart]) -> Block:
    attention = next((part for part in parts if isinstance(part, AttentionPart)), None)
    mlp = next((part for part in parts if isinstance(part, MlpPart)), None)
    return Block(attention, mlp, parallel=len(parts) == 2)


def _part(where: str, norm: Any, layers: list[Any], mask: str) -> AttentionPart | MlpPart:
    kinds = [type(layer) for layer in layers]
    if isinstance(norm, Norm) and kinds == [Attention]:
        _check_attention(layers[0], mask)
        return AttentionPart(norm, layers[0])
    if isinstance(norm, Norm) and kinds in ([Linear, Linear], [Gated, Linear]):
        first, down = layers
        gate, up = (first.gate, first.value) if type(first) is Gated else (None, first)
        if type(up) is Linear and type(gate) in (Linear, type(None)):
            _check_linear(down)
            if gate is not None:
                _check_linear(up)
            return MlpPart(norm, up, down, cast("Linear[ExactMatrix] | None", gate))
    names = ", ".join(layer.name for layer in (norm, *layers))
    return _refuse(
        f"layer {where} has {names}",
        "a norm and attention, or a norm and two linear layers of which the first has an activation or a gate",
    )


def _check_linear(layer: Linear[ExactMatrix]) -> None:
    if not layer.is_readout:
        _refuse(f"layer {layer.name} has the activation {layer.function}", "a linear map without one there")


def _check_attention(layer: Attention[ExactMatrix], mask: str) -> None:
    seen = MASKS[mask] if layer.mask is None else layer.mask
    if seen is not MASKS["causal"]:
        _refuse(f"attention of layer {layer.name} has the mask {seen.name!r}", "a causal mask")
    for head in layer.heads:
        where = f"head {head.name} of layer {layer.name}"
        if type(head) is not Head or type(head.rotary) not in (Rotary, type(None)):
            _refuse(f"{where} is of a class of its own", "heads as this package has them")
        if head.score_bias is not None:
            _refuse(f"{where} has a score bias", "scores of queries and keys alone")


def _refuse(found: str, expected: str) -> NoReturn:
    raise InvalidArgument(f"construction: expected {expected}, as stock classes have it, but {found}")
