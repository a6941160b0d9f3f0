"""Attention of OPT: three projections; queries are scaled before they are scored."""

from __future__ import annotations

from typing import Any

from verify.huggingface.attention.known.base import KnownAttention, Projections, Sizes, separate


class OptAttention(KnownAttention):
    """It scales the queries, and scores with a factor of 1."""

    name = "opt"
    names = ("transformers.models.opt.modeling_opt.OPTAttention",)

    def projections(self, module: Any) -> Projections:
        """Return the three projections, and the scale of the queries."""
        return separate(module, size=module.head_dim, query_scale=module.scaling)

    def small(self, transformers: Any, sizes: Sizes) -> Any:
        """Return a small model of this design."""
        config = transformers.OPTConfig(
            vocab_size=sizes.vocab,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            hidden_size=sizes.width,
            max_position_embeddings=sizes.positions,
            word_embed_proj_dim=sizes.width,
            ffn_dim=sizes.width,
            attn_implementation="eager",
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
        )
        return transformers.OPTForCausalLM(config)
