"""The one forward pass and greedy generation, over any arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
from jaxtyping import Int

from constructions.construction import Construction, Layout
from constructions.temperature import PerHeadSoftmax, Temperature, Temperatures, head_temperature
from constructions.transformer import ExactAttention, ExactTransformer, Mask, Transformer
from constructions.validation import InvalidArgument, check_choice, check_integer, reject
from verify.arithmetic.base import Arithmetic, RowsT, ScoresT, Visible, WeightT
from verify.running.trace import Trace


@dataclass(frozen=True)
class BoundHead(Generic[WeightT]):
    """A head's weights in an arithmetic, and its temperature."""

    name: str
    query: WeightT
    key: WeightT
    value: WeightT
    key_size: int
    temperature: Temperature


@dataclass(frozen=True)
class BoundAttention(Generic[WeightT]):
    """An attention layer's weights in an arithmetic."""

    name: str
    heads: tuple[BoundHead[WeightT], ...]


@dataclass(frozen=True)
class BoundLinear(Generic[WeightT]):
    """An MLP layer's weights in an arithmetic."""

    name: str
    weight: WeightT
    bias: WeightT
    relu: bool


@dataclass(frozen=True)
class Model(Generic[WeightT, RowsT, ScoresT]):
    """A transformer whose weights are held in an arithmetic, ready to run.

    Attributes:
        arithmetic: the number system.
        embedding: ``E``.
        layers: from the input to the logits.
        context_size: number of positions.
        mask: ``causal`` or ``none``.
        temperature: the one given, for all heads or by head; every head holds its own.

    """

    arithmetic: Arithmetic[WeightT, RowsT, ScoresT]
    embedding: WeightT
    layers: tuple[BoundAttention[WeightT] | BoundLinear[WeightT], ...]
    context_size: int
    mask: Mask
    temperature: Temperatures


@dataclass
class Cache(Generic[RowsT]):
    """Keys and values of the positions seen so far, by layer and head, and how many they are."""

    length: int = 0
    held: dict[tuple[str, str], tuple[RowsT, RowsT]] = field(default_factory=dict)


@dataclass(frozen=True)
class Generation(Generic[RowsT]):
    """What greedy decoding produced.

    Attributes:
        tokens: int64, shape ``(*batch, steps)``.
        logits: for every step the logits at the last position, rows of one position.

    """

    tokens: Int[np.ndarray, "*batch steps"]
    logits: tuple[RowsT, ...]


def bind(
    transformer: ExactTransformer,
    arithmetic: Arithmetic[WeightT, RowsT, ScoresT],
    temperature: Temperatures,
    weights: Mapping[str, WeightT] | None = None,
    *,
    mask: Mask,
) -> Model[WeightT, RowsT, ScoresT]:
    """Return the model of a transformer in an arithmetic.

    Args:
        transformer: exact weights.
        arithmetic: the number system.
        temperature: of all heads, or of each by its name.
        weights: the weights by name if they are held already (as the buffers of a torch module are); otherwise each
            is made from its exact matrix.
        mask: what attention sees: the construction's own, as a transformer has none.

    Raises:
        InvalidArgument: not a mask, temperatures for other heads than the transformer has, or in an arithmetic that
            has one for all.

    """
    check_choice("mask", mask, ("causal", "none"))
    if isinstance(temperature, PerHeadSoftmax):
        attentions = [layer for layer in transformer.layers if isinstance(layer, ExactAttention)]
        temperature.check_heads(head.name for layer in attentions for head in layer.heads)
        if not arithmetic.per_head:
            raise InvalidArgument(
                f"q: expected one for all heads in {arithmetic.name} arithmetic, which has one symbol for it, but got"
                f" {temperature!r}"
            )
    if weights is None:
        weights = {name: arithmetic.weight(matrix) for name, matrix in transformer.matrices().items()}
    layers: list[BoundAttention[WeightT] | BoundLinear[WeightT]] = []
    for layer in transformer.layers:
        if isinstance(layer, ExactAttention):
            heads = tuple(
                BoundHead(
                    head.name,
                    weights[f"{layer.name}.{head.name}.query"],
                    weights[f"{layer.name}.{head.name}.key"],
                    weights[f"{layer.name}.{head.name}.value"],
                    head.key_size,
                    head_temperature(temperature, head.name),
                )
                for head in layer.heads
            )
            layers.append(BoundAttention(layer.name, heads))
        else:
            name = layer.name
            layers.append(BoundLinear(name, weights[f"{name}.weight"], weights[f"{name}.bias"], layer.relu))
    return Model(arithmetic, weights["embedding"], tuple(layers), transformer.context_size, mask, temperature)


def check_transformer(construction: Construction) -> None:
    """Refuse a transformer of another vocabulary than its construction's, or of too few positions for its layout.

    Raises:
        InvalidArgument: that, or no transformer, or no layout, at all.

    """
    transformer, layout, name = construction.transformer, construction.layout, type(construction).__name__
    if not isinstance(transformer, Transformer):
        reject(f"transformer of {name}", "a Transformer", transformer)
    if not isinstance(layout, Layout):
        reject(f"layout of {name}", "a Layout", layout)
    exact = transformer.lowered
    if exact.vocab_size != construction.vocab_size:
        raise InvalidArgument(
            f"transformer: expected {construction.vocab_size} tokens, the vocab_size of {name}, but it has"
            f" {exact.vocab_size} (the embedding is {exact.embedding_size} x {exact.vocab_size})"
        )
    if exact.context_size < layout.context_size:
        raise InvalidArgument(
            f"transformer of {name}: expected a context_size of at least {layout.context_size}, the positions that"
            f" {layout} fills, but got {exact.context_size}"
        )


def bind_construction(
    construction: Construction, arithmetic: Arithmetic[WeightT, RowsT, ScoresT]
) -> Model[WeightT, RowsT, ScoresT]:
    """Return a construction's model with its own mask and temperature, or at the default of the number format.

    Raises:
        InvalidArgument: the format cannot hold what the weights rely on, or the weights are of another vocabulary.

    """
    check_transformer(construction)
    if arithmetic.fmt is not None:
        construction.check_format(arithmetic.fmt)
    lowered, temperature = construction.transformer.lowered, construction.temperature_for(arithmetic.fmt)
    try:
        return bind(lowered, arithmetic, temperature, mask=construction.mask)
    except OverflowError as error:
        raise InvalidArgument(f"dtype: {error}") from None


def forward(
    model: Model[WeightT, RowsT, ScoresT],
    embedded: RowsT,
    count: int,
    *,
    cache: Cache[RowsT] | None = None,
    trace: Trace | None = None,
    last_only: bool = False,
) -> RowsT:
    """Return the logits at ``count`` new positions.

    Args:
        model: the transformer.
        embedded: the embedding halves of the new positions (virtual tokens, or ``E[:, token]``).
        count: how many there are.
        cache: keys and values of the positions before them, extended in place; needs a causal mask. ``None``: the new
            positions are all there are.
        trace: records every intermediate.
        last_only: return the logits at the last position alone. Its keys and values are all that the last attention
            layer needs of the others, so that their own queries and what follows are left out.

    Raises:
        InvalidArgument: more positions than the context has.

    """
    ar = model.arithmetic
    start = cache.length if cache else 0
    if start + count > model.context_size:
        raise InvalidArgument(
            f"sequence: expected at most {model.context_size} positions, the context size, but got {start + count}"
        )
    trace = trace if trace is not None else Trace(enabled=False)
    rows = ar.beside(embedded, ar.positions(model.context_size, start, start + count))
    trace.record("input", ar, rows)
    visible = _visible(model.mask, start, count)
    attentions = [index for index, layer in enumerate(model.layers) if isinstance(layer, BoundAttention)]
    narrowed = max(attentions, default=0) if last_only else None
    for index, layer in enumerate(model.layers):
        asking = ar.last(rows) if index == narrowed else rows
        if index == narrowed:
            visible = visible[-1:]
        if isinstance(layer, BoundAttention):
            outputs = []
            for head in layer.heads:
                keys, values = ar.linear(rows, head.key), ar.linear(rows, head.value)
                if cache is not None:
                    held = cache.held.get((layer.name, head.name))
                    if held is not None:
                        keys, values = ar.below(held[0], keys), ar.below(held[1], values)
                    cache.held[layer.name, head.name] = (keys, values)
                scores = ar.scores(ar.linear(asking, head.query), keys)
                weights = ar.attention(scores, visible, head.temperature, key_size=head.key_size)
                outputs.append(ar.mix(weights, values))
                trace.record(f"{layer.name}.{head.name}.scores", ar, scores)
                trace.record(f"{layer.name}.{head.name}.weights", ar, weights)
                trace.record(f"{layer.name}.{head.name}.output", ar, outputs[-1])
            rows = ar.total(outputs)
        else:
            rows = ar.linear(asking, layer.weight, layer.bias)
            rows = ar.relu(rows) if layer.relu else rows
        trace.record(layer.name, ar, rows)
    if cache is not None:
        cache.length += count
    return ar.last(rows) if last_only else rows  # not narrowed yet where there is no layer at all


def generate(
    model: Model[WeightT, RowsT, ScoresT],
    prompt: RowsT,
    virtual: int,
    user_tokens: Int[np.ndarray, "*batch user"],
    steps: int,
    *,
    trace: Trace | None = None,
) -> Generation[RowsT]:
    """Return the greedy continuation: at every step the first token of the largest logit, fed back.

    With a causal mask, earlier positions never change and their keys and values are kept; without one, every step is
    a full pass over all positions.

    Args:
        model: the transformer.
        prompt: the virtual tokens' rows.
        virtual: how many they are.
        user_tokens: int64, shape ``(*batch, user)``.
        steps: how many tokens to generate, at least 1.
        trace: records every intermediate of the LAST step.

    """
    check_integer("steps", steps, 1)
    ar = model.arithmetic
    user = user_tokens.shape[-1]
    new = ar.below(prompt, ar.embed(model.embedding, user_tokens)) if user else prompt
    length, count = virtual + user, virtual + user
    cache: Cache[RowsT] | None = Cache() if model.mask == "causal" else None
    tokens: list[Int[np.ndarray, "*batch 1"]] = []
    logits: list[RowsT] = []
    while True:
        last = len(tokens) == steps - 1
        rows = forward(model, new, count, cache=cache, trace=trace if last else None)
        logits.append(ar.last(rows))
        # a model whose logits do not depend on its prompt may have computed them once for the whole batch
        tokens.append(np.broadcast_to(ar.argmax(logits[-1]), (*user_tokens.shape[:-1], 1)).copy())
        if last:
            return Generation(np.concatenate(tokens, axis=-1), tuple(logits))
        token = ar.embed(model.embedding, tokens[-1])
        length += 1
        new, count = (token, 1) if cache is not None else (ar.below(new, token), length)


def _visible(mask: Mask, start: int, count: int) -> Visible:
    keys = start + count
    if mask == "none":
        return np.ones((count, keys), dtype=np.bool_)
    return np.arange(keys)[None, :] <= np.arange(start, keys)[:, None]


def exact_logits(arithmetic: Arithmetic[Any, Any, Any], generation: Generation[Any]) -> np.ndarray[Any, Any]:
    """Return the logits of every step as one array of shape ``(*batch, steps, vocab)``."""
    return np.concatenate([arithmetic.numbers(step) for step in generation.logits], axis=-2)
