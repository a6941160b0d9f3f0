"""GPT-NeoX: rotary positions in a part of each head, LayerNorm, gelu; attention and MLP side by side by default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, final

from constructions.activations import GELU
from verify.huggingface.families.base import COMMON_FIELDS, Family, Sizes


@final
class GptNeox(Family):
    """``GPTNeoXForCausalLM``: queries, keys and values of one head after another in one tensor."""

    name = "gpt-neox"
    model_class = "GPTNeoXForCausalLM"
    config_class = "GPTNeoXConfig"
    rotary = True
    parallel = True
    default_activation = GELU
    fields: ClassVar = {
        **COMMON_FIELDS,
        "hidden": "intermediate_size",
        "activation": "hidden_act",
        "eps": "layer_norm_eps",
        "parallel": "use_parallel_residual",
    }
    names: ClassVar = {
        "embedding": "gpt_neox.embed_in",
        "attention norm": "gpt_neox.layers.{block}.input_layernorm",
        "query": "gpt_neox.layers.{block}.attention.query_key_value",
        "key": "gpt_neox.layers.{block}.attention.query_key_value",
        "value": "gpt_neox.layers.{block}.attention.query_key_value",
        "output": "gpt_neox.layers.{block}.attention.dense",
        "mlp norm": "gpt_neox.layers.{block}.post_attention_layernorm",
        "up": "gpt_neox.layers.{block}.mlp.dense_h_to_4h",
        "down": "gpt_neox.layers.{block}.mlp.dense_4h_to_h",
        "norm": "gpt_neox.final_layer_norm",
        "readout": "lm_head",
    }

    def options(self, sizes: Sizes) -> dict[str, Any]:
        """Return them; the part of a head that is turned is left alone where no head asks for one."""
        turned = {"rotary_pct": _share(sizes.turned, sizes.head_size)} if sizes.turned else {}
        return {**super().options(sizes), **turned}

    def sizes(self, config: Any) -> Sizes:
        """Return them, with the part of each head that is turned."""
        found = super().sizes(config)
        share = config.rope_parameters.get("partial_rotary_factor", 1.0)
        return replace(found, turned=int(found.head_size * share))

    def row(self, part: str, head: int, sizes: Sizes) -> int:
        """Return the first row: of each head its queries, its keys and its values."""
        third = {"query": 0, "key": 1, "value": 2}.get(part)
        return 0 if third is None else (3 * head + third) * sizes.head_size

    def rotary_module(self, model: Any) -> Any:
        """Return the module that all blocks share."""
        return model.gpt_neox.rotary_emb


def _share(turned: int, head_size: int) -> float:
    """Return a share of a head of which the class, which rounds down, makes this number of coordinates."""
    share = turned / head_size
    return share if int(head_size * share) == turned else (turned + 0.5) / head_size
