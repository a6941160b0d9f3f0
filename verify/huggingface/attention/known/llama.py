"""Attention of Llama and the classes of the same design: three projections, rotary positions, grouped queries."""

from __future__ import annotations

from typing import Any

from verify.huggingface.attention.known.base import KnownAttention, Projections, Sizes, options_of, separate


class LlamaAttention(KnownAttention):
    """Every key-value head serves a group of heads; Mistral hides keys beyond a window, Qwen2 adds biases."""

    name = "llama"
    names = (
        "transformers.models.llama.modeling_llama.LlamaAttention",
        "transformers.models.mistral.modeling_mistral.MistralAttention",
        "transformers.models.qwen2.modeling_qwen2.Qwen2Attention",
    )

    def projections(self, module: Any) -> Projections:
        """Return the three projections."""
        return separate(module, size=module.head_dim)

    def small(self, transformers: Any, sizes: Sizes) -> Any:
        """Return a small model of this design."""
        return transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                **options_of(sizes), num_key_value_heads=sizes.groups, intermediate_size=sizes.width
            )
        )
