"""GPT-2: learned positions, LayerNorm, gelu with tanh by default; its linear maps are held input x output."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, final

from constructions.activations import TANH_GELU
from verify.huggingface.families.base import Family, Sizes, activation_called, activation_name


@final
class Gpt2(Family):
    """``GPT2LMHeadModel``: queries, keys and values side by side in one ``Conv1D``."""

    name = "gpt2"
    model_class = "GPT2LMHeadModel"
    config_class = "GPT2Config"
    learned_positions = True
    default_activation = TANH_GELU
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

    def options(self, sizes: Sizes) -> dict[str, Any]:
        """Return them."""
        return {
            "vocab_size": sizes.vocab,
            "n_embd": sizes.width,
            "n_layer": sizes.blocks,
            "n_head": sizes.heads,
            "n_inner": sizes.hidden,
            "n_positions": sizes.positions,
            "activation_function": activation_name(sizes.activation),
            "layer_norm_epsilon": float(sizes.eps),
            "tie_word_embeddings": sizes.tied,
        }

    def sizes(self, config: Any) -> Sizes:
        """Return them."""
        return Sizes(
            vocab=config.vocab_size,
            width=config.n_embd,
            blocks=config.n_layer,
            heads=config.n_head,
            groups=config.n_head,
            head_size=config.n_embd // config.n_head,
            hidden=4 * config.n_embd if config.n_inner is None else config.n_inner,
            positions=config.n_positions,
            activation=activation_called(config.activation_function),
            eps=Fraction(config.layer_norm_epsilon),
            tied=config.tie_word_embeddings,
        )

    def row(self, part: str, head: int, sizes: Sizes) -> int:
        """Return the first row: all queries, all keys, all values."""
        third = {"query": 0, "key": 1, "value": 2}.get(part, 0)
        return third * sizes.width + super().row(part, head, sizes)
