"""Whether the layers of a transformer fit each other; a message names layer, head, matrix, and both shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, TypeGuard

from constructions.exact_matrix import ExactMatrix
from constructions.validation import InvalidArgument

if TYPE_CHECKING:  # the transformer imports this
    from constructions.transformer import ExactAttention, ExactLinear


def check_layers(embedding: tuple[int, int], context_size: int, layers: Sequence[ExactAttention | ExactLinear]) -> None:
    """Refuse layers that do not fit the one before them, or that cannot be told apart by their names.

    Args:
        embedding: the embedding's shape, embedding size x vocabulary size.
        context_size: number of positions, each with a coordinate of its own below the embedding.
        layers: from the input to the logits.

    Raises:
        InvalidArgument: they do not fit.

    """
    _check_names(layers)
    if not layers or not _is_linear(layers[-1]) or layers[-1].relu:
        raise InvalidArgument("layers: expected the last layer to be a Linear without ReLU, the readout")
    width = embedding[0] + context_size
    origin = f"{_count(embedding[0], 'coordinate')} of the embedding and {_count(context_size, 'position')}"
    for layer in layers:
        if _is_attention(layer):
            width = _check_attention(layer, width, origin)
        elif _is_linear(layer):
            rows = layer.weight.shape[0]
            _check(f"weight of layer {layer.name}", layer.weight, (rows, width), f"its input is {width} wide: {origin}")
            _check(f"bias of layer {layer.name}", layer.bias, (rows, 1), "one number for each row of the weight")
            width = rows
        origin = f"what comes from {layer.name}"
    tokens, readout = embedding[1], layers[-1]
    if width != tokens:
        _misfit(
            f"weight of layer {readout.name}",
            f"have {_count(tokens, 'row')}, one logit for each token (a column of the embedding),",
            readout.weight,
        )


def _is_linear(layer: ExactAttention | ExactLinear) -> TypeGuard[ExactLinear]:
    return hasattr(layer, "relu")


def _is_attention(layer: ExactAttention | ExactLinear) -> TypeGuard[ExactAttention]:
    return hasattr(layer, "heads")


def _check_attention(layer: ExactAttention, width: int, origin: str) -> int:
    """Return the width of an attention layer's output."""
    if not layer.heads:
        raise InvalidArgument(f"layers: expected {layer.name} to have at least one head")
    outputs = layer.heads[0].value.shape[0]
    wide = f"its input is {width} wide: {origin}"
    for head in layer.heads:
        where = f"head {head.name} in layer {layer.name}"
        keys = head.query.shape[0]
        _check(f"query of {where}", head.query, (keys, width), wide)
        reason = wide if head.key.shape[0] == keys else f"it has as many rows as the query, and {wide}"
        _check(f"key of {where}", head.key, (keys, width), reason)
        reason = wide if head.value.shape[0] == outputs else f"the outputs of heads are added up, and {wide}"
        _check(f"value of {where}", head.value, (outputs, width), reason)
    return outputs


def _check_names(layers: Sequence[ExactAttention | ExactLinear]) -> None:
    _check_distinct("layers", [layer.name for layer in layers])
    names = ["embedding"]
    for layer in layers:
        if _is_attention(layer):
            _check_distinct(f"heads of layer {layer.name}", [head.name for head in layer.heads])
            names += [f"{layer.name}.{head.name}.{part}" for head in layer.heads for part in ("query", "key", "value")]
        else:
            names += [f"{layer.name}.{part}" for part in ("weight", "bias")]
    _check_distinct("names of matrices", names)  # "a.b" with head "c", and "a" with head "b.c"


def _check_distinct(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        repeated = ", ".join(name for name, count in Counter(names).items() if count > 1)
        raise InvalidArgument(f"{what}: expected distinct names but got {', '.join(names)} ({repeated} twice)")


def _check(what: str, matrix: ExactMatrix, shape: tuple[int, int], reason: str) -> None:
    if matrix.shape != shape:
        _misfit(what, f"be {shape[0]} x {shape[1]}", matrix, f"; {reason}")


def _misfit(what: str, expected: str, matrix: ExactMatrix, reason: str = "") -> NoReturn:
    rows, columns = matrix.shape
    raise InvalidArgument(f"layers: expected {what} to {expected} but it is {rows} x {columns}{reason}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
