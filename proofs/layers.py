"""The layers of a transformer that an obligation is about, looked up by name; unexpected layers are refused."""

from __future__ import annotations

from typing import Any

from constructions import Attention, Head, Linear, Transformer
from constructions.transformer import Layer
from proofs.decide import ObligationFailed


def heads(attention: Attention, *names: str) -> tuple[Head, ...]:
    """Return the heads of an attention layer, which must have exactly these names, in this order.

    Raises:
        ObligationFailed: it has others, more or fewer.

    """
    found = tuple(head.name for head in attention.heads)
    if found != names:
        raise ObligationFailed(f"false: the heads of {attention.name} are {found}, not {names}")
    return attention.heads


def one_layer(transformer: Transformer) -> tuple[Attention, Linear, Linear, Linear]:
    """Return the four layers of a transformer of one attention layer and the three-layer selection MLP.

    Raises:
        ObligationFailed: it has others, more or fewer, or another one of them has no ReLU.

    """
    _check_plain(transformer)
    found = tuple(layer.name for layer in transformer.layers)
    if found != ("attention", "select", "sum", "readout"):
        raise ObligationFailed(f"false: the layers are {found}")
    attention, select, summed, readout = transformer.layers
    if not isinstance(attention, Attention) or any(not isinstance(x, Linear) for x in (select, summed, readout)):
        raise ObligationFailed("false: the layers are an attention layer and three linear ones")
    return attention, select, summed, readout  # type: ignore[return-value] # the line above narrows a generator


def _of_family(transformer: Transformer, family: str, kind: type) -> Any:
    """Return the layer that stands for a family; raises when there is none, or when its layers are not all the same."""
    _check_plain(transformer)
    found = [layer for layer in transformer.layers if layer.family == family]
    if not found or not isinstance(found[0], kind):
        raise ObligationFailed(f"false: there is a {kind.__name__} layer {family}")
    if any(_weights(layer) != _weights(found[0]) for layer in found):
        raise ObligationFailed(f"false: the layers of the family {family} are the same expressions")
    return found[0]


def _check_plain(transformer: Transformer) -> None:
    """Refuse an architecture that the obligations do not speak of: they read queries, keys, values and biases alone."""
    if not transformer.is_plain:
        raise ObligationFailed("false: the transformer is of the paper's architecture, with nothing beside its weights")


def _weights(layer: Layer) -> tuple[Any, ...]:
    nameless = layer.changed(name=layer.family)
    return nameless.describe(), *nameless.matrices()


def attention_of(transformer: Transformer, family: str) -> Attention:
    """Return the attention layer of a family.

    Raises:
        ObligationFailed: there is none, or its layers are not all the same expressions.

    """
    found: Attention = _of_family(transformer, family, Attention)
    return found


def linear_of(transformer: Transformer, family: str) -> Linear:
    """Return the MLP layer of a family; raises as :func:`attention_of` does."""
    found: Linear = _of_family(transformer, family, Linear)
    return found
