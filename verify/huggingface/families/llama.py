"""Llama: rotary positions, RMSNorm, an MLP with a gate, grouped keys, no biases unless they are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, final

from constructions.activations import SILU
from constructions.layers import RMSNorm
from verify.huggingface.families.base import COMMON_FIELDS, Family, Sizes


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
    fields: ClassVar = {
        **COMMON_FIELDS,
        "groups": "num_key_value_heads",
        "head_size": "head_dim",
        "hidden": "intermediate_size",
        "activation": "hidden_act",
        "eps": "rms_norm_eps",
    }
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

    def sizes(self, config: Any) -> Sizes:
        """Return them; all of each head is turned."""
        found = super().sizes(config)
        return replace(found, turned=found.head_size)

    def rotary_module(self, model: Any) -> Any:
        """Return the module that all blocks share."""
        return model.model.rotary_emb
