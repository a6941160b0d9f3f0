"""Attention of OPT: three projections; queries are scaled before they are scored."""

from __future__ import annotations

from typing import Any

from verify.huggingface.attention.known.base import KnownAttention, Projections, Sizes, options_of, separate


class OptAttention(KnownAttention):
    """It scales the queries, and scores with a factor of 1."""

    name = "opt"
    names = ("transformers.models.opt.modeling_opt.OPTAttention",)

    def projections(self, module: Any) -> Projections:
        """Return the three projections, and the scale of the queries."""
        return separate(module, size=module.head_dim, query_scale=module.scaling)

    def small(self, transformers: Any, sizes: Sizes) -> Any:
        """Return a small model of this design."""
        return transformers.OPTForCausalLM(
            transformers.OPTConfig(**options_of(sizes), word_embed_proj_dim=sizes.width, ffn_dim=sizes.width)
        )
