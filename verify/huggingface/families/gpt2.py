"""GPT-2: learned positions, LayerNorm, gelu with tanh by default; its linear maps are held input x output."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, final

from constructions.activations import TANH_GELU
from verify.huggingface.families.base import Family, Sizes


@final
class Gpt2(Family):
    """``GPT2LMHeadModel``: queries, keys and values side by side in one ``Conv1D``."""

    name = "gpt2"
    model_class = "GPT2LMHeadModel"
    config_class = "GPT2Config"
    learned_positions = True
    default_activation = TANH_GELU
    fields: ClassVar = {
        "vocab": "vocab_size",
        "width": "n_embd",
        "blocks": "n_layer",
        "heads": "n_head",
        "hidden": "n_inner",
        "positions": "n_positions",
        "activation": "activation_function",
        "eps": "layer_norm_epsilon",
        "tied": "tie_word_embeddings",
    }
    names: ClassVar = {
        "embedding": "transformer.wte",
        "positions": "transformer.wpe",
        "attention norm": "transformer.h.{block}.ln_1",
        "query": "transformer.h.{block}.attn.c_attn",
        "key": "transformer.h.{block}.attn.c_attn",
        "value": "transformer.h.{block}.attn.c_attn",
        "output": "transformer.h.{block}.attn.c_proj",
        "mlp norm": "transformer.h.{block}.ln_2",
        "up": "transformer.h.{block}.mlp.c_fc",
        "down": "transformer.h.{block}.mlp.c_proj",
        "norm": "transformer.ln_f",
        "readout": "lm_head",
    }
    transposed = frozenset({"embedding", "positions", "query", "key", "value", "output", "up", "down"})
    fixed: ClassVar = {
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        "add_cross_attention": False,
    }

    def sizes(self, config: Any) -> Sizes:
        """Return them; an MLP is four times as wide as the stream where the configuration does not say."""
        found = super().sizes(config)
        return replace(found, hidden=4 * found.width) if config.n_inner is None else found

    def row(self, part: str, head: int, sizes: Sizes) -> int:
        """Return the first row: all queries, all keys, all values."""
        third = {"query": 0, "key": 1, "value": 2}.get(part, 0)
        return third * sizes.width + super().row(part, head, sizes)
