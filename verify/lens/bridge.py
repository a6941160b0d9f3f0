"""A construction under the bridge of TransformerLens, with its virtual tokens as the input."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import torch

from constructions.construction import Construction
from constructions.formats import get_format
from constructions.validation import InvalidArgument, check_tokens, reject
from verify.extras import needed
from verify.huggingface import to_huggingface

#: What needs the extra, in messages.
PURPOSE = "lens"


def to_transformer_lens(construction: Construction, family: str | None = None, **options: Any) -> Any:
    """Return the ``TransformerBridge`` of a construction, in a stock class of transformers.

    Nothing is loaded from anywhere. There is no tokenizer: the input is a tensor of tokens, or one of embeddings, such
    as :func:`embedded` makes of virtual tokens. Hooks, caches and patches then work as on any other model.

    Args:
        construction: a decoder of pre-norm blocks.
        family: see :func:`~verify.huggingface.to_huggingface`.
        options: its further options, such as ``dtype``.

    Returns:
        The bridge, in evaluation mode. Attention is computed step by step (``eager``), so that patterns can be read.
        ``generate`` keeps no keys and values unless it is asked to: transformer-lens 4.3 does not fill the cache of
        transformers 5.24 in some classes, and returns other tokens with it.

    Raises:
        InvalidArgument: what :func:`~verify.huggingface.to_huggingface` refuses, or the extra is not installed.

    Example:
        >>> from constructions import ResidualGeneration
        >>> construction = ResidualGeneration(vocab_size=4, context_size=3)
        >>> bridge = to_transformer_lens(construction)
        >>> prompt = embedded(bridge, construction, [2, 0, 3])
        >>> bridge.generate(prompt, max_new_tokens=3, do_sample=False, stop_at_eos=False, verbose=False).tolist()
        [[2, 0, 3]]

    """
    if "attn_implementation" in options:
        raise InvalidArgument("attn_implementation: expected none, as attention is eager, so that patterns can be read")
    sources = needed("transformer_lens.model_bridge.sources", PURPOSE)
    model = to_huggingface(construction, family, attn_implementation="eager", **options)
    bridge = sources.build_bridge_from_module(
        model, type(model).__name__, hf_config=copy.deepcopy(model.config), model_name=repr(construction)
    )
    bridge.__dict__["generate"] = partial(bridge.generate, use_past_kv_cache=False)
    return bridge.eval()


def embedded(bridge: Any, construction: Construction, target: object, tokens: Any = ()) -> torch.Tensor:
    """Return the input of a bridge that selects a target: its virtual tokens, and tokens behind them.

    Args:
        bridge: of :func:`to_transformer_lens`.
        construction: the same.
        target: one of its targets, or a batch of them, of shape ``(*batch, *targets.shape)``.
        tokens: the user's tokens, and those of the response that are fed back, for each target: ``(*batch, count)``.

    Returns:
        Embeddings, batch x positions x width, in the bridge's float format; a batch of one for a single target.

    Raises:
        InvalidArgument: no bridge, or one of another width; no target, no tokens of its vocabulary, or another number
            of rows of them.

    """
    if not hasattr(bridge, "original_model"):
        reject("bridge", "one that to_transformer_lens returns", bridge)
    table = bridge.original_model.get_input_embeddings().weight.detach()
    ratios = construction.virtual_tokens(target)
    numbers = ratios.to_float(get_format(str(table.dtype).removeprefix("torch.")))
    if ratios.shape[-1] != table.shape[1]:
        raise InvalidArgument(
            f"bridge: expected one whose residual stream is {ratios.shape[-1]} wide, as the virtual tokens are, but got"
            f" {table.shape[1]}"
        )
    virtual = torch.from_numpy(np.ascontiguousarray(numbers)).to(table)
    virtual = virtual[None] if virtual.ndim == 2 else virtual.flatten(0, -3)
    try:
        shape = np.shape(tokens)
    except ValueError:  # ragged
        reject("tokens", "rows of the same number of tokens", tokens)
    if 0 in shape:
        return virtual
    count = shape[-1] if shape else 1
    given = check_tokens("tokens", tokens, construction.vocab_size, (count,)).reshape(-1, count)
    if len(given) not in {1, len(virtual)}:
        raise InvalidArgument(f"tokens: expected a row for each of {len(virtual)} targets but got {len(given)}")
    rows = torch.nn.functional.embedding(torch.from_numpy(given).to(table.device), table)
    return torch.cat([virtual, rows.expand(len(virtual), -1, -1)], dim=1)
