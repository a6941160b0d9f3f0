"""Attention of GPT-2: one matrix of width x outputs gives all queries, then all keys, then all values."""

from __future__ import annotations

from typing import Any

from verify.huggingface.attention.known.base import KnownAttention, Projections, Sizes, options_of, projection


class Gpt2Attention(KnownAttention):
    """``c_attn`` is a ``Conv1D``, whose weight is the transpose of a linear layer's."""

    name = "gpt2"
    names = ("transformers.models.gpt2.modeling_gpt2.GPT2Attention",)

    def projections(self, module: Any) -> Projections:
        """Return the three parts of ``c_attn``."""
        weights, biases = module.c_attn.weight.t().chunk(3), module.c_attn.bias.chunk(3)
        query, key, value = (
            projection(weight, bias, module.head_dim) for weight, bias in zip(weights, biases, strict=True)
        )
        return Projections(query, key, value)

    def small(self, transformers: Any, sizes: Sizes) -> Any:
        """Return a small model of this design."""
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**options_of(sizes)))
