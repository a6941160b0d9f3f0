"""Llama: rotary positions, RMSNorm, an MLP with a gate, grouped keys, no biases unless they are asked for."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, final

from constructions.activations import SILU
from constructions.layers import RMSNorm
from verify.huggingface.families.base import Family, Sizes, activation_called, activation_name


@final
class Llama(Family):
    """``LlamaForCausalLM``."""

    name = "llama"
    model_class = "LlamaForCausalLM"
    config_class = "LlamaConfig"
    norm = RMSNorm
    gated = True
    rotary = True
    grouped = True
    free_head_size = True
    default_activation = SILU
    names: ClassVar = {
        "embedding": "model.embed_tokens",
        "attention norm": "model.layers.{block}.input_layernorm",
        "query": "model.layers.{block}.self_attn.q_proj",
        "key": "model.layers.{block}.self_attn.k_proj",
        "value": "model.layers.{block}.self_attn.v_proj",
        "output": "model.layers.{block}.self_attn.o_proj",
        "mlp norm": "model.layers.{block}.post_attention_layernorm",
        "gate": "model.layers.{block}.mlp.gate_proj",
        "up": "model.layers.{block}.mlp.up_proj",
        "down": "model.layers.{block}.mlp.down_proj",
        "norm": "model.norm",
        "readout": "lm_head",
    }

    def options(self, sizes: Sizes) -> dict[str, Any]:
        """Return them."""
        return {
            "vocab_size": sizes.vocab,
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.blocks,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": sizes.groups,
            "head_dim": sizes.head_size,
            "intermediate_size": sizes.hidden,
            "max_position_embeddings": sizes.positions,
            "hidden_act": activation_name(sizes.activation),
            "rms_norm_eps": float(sizes.eps),
            "tie_word_embeddings": sizes.tied,
        }

    def sizes(self, config: Any) -> Sizes:
        """Return them."""
        return Sizes(
            vocab=config.vocab_size,
            width=config.hidden_size,
            blocks=config.num_hidden_layers,
            heads=config.num_attention_heads,
            groups=config.num_key_value_heads,
            head_size=config.head_dim,
            hidden=config.intermediate_size,
            positions=config.max_position_embeddings,
            activation=activation_called(config.hidden_act),
            eps=Fraction(config.rms_norm_eps),
            tied=config.tie_word_embeddings,
            turned=config.head_dim,
        )

    def rotary_module(self, model: Any) -> Any:
        """Return the module that all blocks share."""
        return model.model.rotary_emb
