"""Attention of GPT-NeoX: one matrix gives, head by head, its query, its key and its value; rotary positions."""

from __future__ import annotations

from typing import Any

from verify.huggingface.attention.known.base import (
    KnownAttention,
    Projection,
    Projections,
    Sizes,
    options_of,
    projection,
)


class GptNeoxAttention(KnownAttention):
    """Rotary positions turn the first ``rotary_ndims`` coordinates of a head alone."""

    name = "gpt-neox"
    names = ("transformers.models.gpt_neox.modeling_gpt_neox.GPTNeoXAttention",)

    def projections(self, module: Any) -> Projections:
        """Return the three parts of each head's rows of ``query_key_value``."""
        size = module.head_size
        packed = projection(module.query_key_value.weight, module.query_key_value.bias, 3 * size)
        query, key, value = (
            Projection(packed.weight[:, start : start + size], packed.bias[:, start : start + size])
            for start in (0, size, 2 * size)
        )
        return Projections(query, key, value)

    def small(self, transformers: Any, sizes: Sizes) -> Any:
        """Return a small model of this design."""
        return transformers.GPTNeoXForCausalLM(
            transformers.GPTNeoXConfig(**options_of(sizes), intermediate_size=sizes.width)
        )
