"""The three forward passes of a report, at fair positions, and the check that they are fair.

- with the prefix, as peft runs it: the content stands behind ``m`` virtual tokens, at positions ``m..m+n-1``;
- without it, each layer's attention on the rows that it reads in the first pass: the identities speak of a layer;
- without it, each layer on its own rows: from the second layer on these are others, as what the prefix adds changes
  them. Nothing is promised of this pass; it says how far a prefix moves the deeper layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from constructions.validation import InvalidArgument, check_tokens, reject
from verify.huggingface.attention.opened import CACHED, Opened
from verify.huggingface.attention.recording import Call, Layer, recording


@dataclass(frozen=True, eq=False)
class LayerCalls:
    """The calls of one layer.

    Attributes:
        layer: which one.
        joined: with the prefix.
        alone: without it, on the same rows.
        plain: without it, on its own rows.
        held: the keys and values that an adapter put into the cache, key-value heads x prefix x head size each;
            ``None`` where the prefix came as rows.

    """

    layer: Layer
    joined: Call
    alone: Call
    plain: Call
    held: tuple[Tensor, Tensor] | None


def check_input(input_ids: Any, model: Opened) -> Tensor:
    """Return the tokens of one sequence as a tensor of batch 1.

    Raises:
        InvalidArgument: no tokens, several sequences, tokens that the model does not have, or too many positions.

    """
    given = input_ids.detach().cpu().numpy() if isinstance(input_ids, Tensor) else np.asarray(input_ids)
    if given.ndim == 2 and len(given) == 1:
        given = given[0]
    if given.ndim != 1 or given.size == 0:
        reject("input_ids", "the tokens of one sequence, at least one", input_ids)
    config = model.base.config.get_text_config()
    tokens = check_tokens("input_ids", given, config.vocab_size, given.shape)
    room = config.max_position_embeddings - model.prefix
    if len(tokens) > room:
        raise InvalidArgument(
            f"input_ids: expected at most {room} tokens, as {model.prefix} of {config.max_position_embeddings}"
            f" positions are the prefix's, but got {len(tokens)}"
        )
    return torch.from_numpy(tokens)[None].to(model.base.device)


def fair_positions(prefix: int, count: int) -> list[int]:
    """Return the positions of the content where it stands behind a prefix."""
    return list(range(prefix, prefix + count))


def check_positions(position_ids: Any, prefix: int, count: int) -> None:
    """Refuse positions of the content that are not those behind the prefix: the two passes would not be comparable."""
    if position_ids is None:
        return
    given = list(position_ids) if isinstance(position_ids, (range, tuple)) else position_ids
    given = given.tolist() if hasattr(given, "tolist") else given
    fair = fair_positions(prefix, count)
    if given not in (fair, [fair]):
        raise InvalidArgument(
            f"position_ids: expected {prefix}..{prefix + count - 1}, where the content stands behind the prefix, as any"
            f" other comparison is unfair, but got {given}"
        )


def run_three(model: Opened, tokens: Tensor) -> list[LayerCalls]:
    """Run the three passes, and return the calls of each layer.

    Raises:
        InvalidArgument: the passes are not comparable, see :func:`check_fair`, or the model computes its attention in a
            way that is not known here.

    """
    count, layers = tokens.shape[1], model.layers
    positions = torch.tensor([fair_positions(model.prefix, count)], device=tokens.device)
    with torch.no_grad(), torch.autocast(tokens.device.type, enabled=False):
        with recording(layers) as joined:
            model.adapted(input_ids=tokens)
        rows = {name: call.rows[None, -count:] for name, call in joined.items()}
        with recording(layers, rows) as alone:
            model.base(input_ids=tokens, position_ids=positions)
        with recording(layers) as plain:
            model.base(input_ids=tokens, position_ids=positions)
        held = _held(model)
    found = [
        LayerCalls(layer, joined[layer.name], alone[layer.name], plain[layer.name], cached)
        for layer, cached in zip(layers, held, strict=True)
    ]
    check_lengths(found, model.prefix, count)
    check_fair(found)
    return found


def _held(model: Opened) -> Sequence[tuple[Tensor, Tensor] | None]:
    if model.kind != CACHED:
        return [None] * len(model.layers)
    cache = model.adapted.get_prompt(batch_size=1)
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def check_lengths(calls: list[LayerCalls], prefix: int, count: int) -> None:
    """Refuse passes in which a layer does not read the prefix and the content, or the content alone.

    Raises:
        InvalidArgument: with a prefix that never reached the layer, or is hidden from all of the content, both
            identities would hold of nothing.

    """
    for layer in calls:
        for call, wanted in ((layer.joined, prefix + count), (layer.alone, count), (layer.plain, count)):
            if call.key.shape[1] != wanted or call.value.shape[1] != wanted:
                raise InvalidArgument(
                    f"adapter: expected {layer.layer.name} to read {wanted} keys, {prefix} of the prefix and {count} of"
                    f" the content where there is one, but it reads {call.key.shape[1]}"
                )
        if not layer.joined.visible[-count:, :prefix].any():
            raise InvalidArgument(
                f"adapter: expected {layer.layer.name} to see the prefix from some position of the content, but it"
                " sees it from none"
            )


def check_fair(calls: list[LayerCalls]) -> None:
    """Refuse passes in which the content stands at other positions, or sees other content.

    Learned positions are in the rows that the first layer reads; rotary ones are in the cosines and sines that each
    layer's attention is given. Both must be the same in both passes, bit for bit, as one lookup and one sum make them.

    Raises:
        InvalidArgument: they are not.

    """
    first = calls[0]
    count = len(first.plain.layer_rows)
    if not torch.equal(first.joined.layer_rows[-count:], first.plain.layer_rows):
        _unfair("the first layer reads other rows")
    for layer in calls:
        for other in (layer.alone, layer.plain):
            if (layer.joined.positions is None) != (other.positions is None):
                _unfair(f"{layer.layer.name} has rotary positions in one pass alone")
            if layer.joined.positions is not None and other.positions is not None:
                pairs = zip(layer.joined.positions, other.positions, strict=True)
                if not all(torch.equal(one[-count:], two) for one, two in pairs):
                    _unfair(f"{layer.layer.name} has the content at other positions")
            if not np.array_equal(layer.joined.visible[-count:, -count:], other.visible):
                _unfair(f"{layer.layer.name} shows other content")


def _unfair(how: str) -> None:
    raise InvalidArgument(f"position_ids: expected the same content at the same positions in both passes, but {how}")
