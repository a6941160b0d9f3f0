"""GPT-NeoX: rotary positions in a part of each head, LayerNorm, gelu; attention and MLP side by side by default."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, final

from constructions.activations import GELU
from verify.huggingface.families.base import Family, Sizes, activation_called, activation_name


@final
class GptNeox(Family):
    """``GPTNeoXForCausalLM``: queries, keys and values of one head after another in one tensor."""

    name = "gpt-neox"
    model_class = "GPTNeoXForCausalLM"
    config_class = "GPTNeoXConfig"
    rotary = True
    parallel = True
    default_activation = GELU
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
        return {
            "vocab_size": sizes.vocab,
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.blocks,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.hidden,
            "max_position_embeddings": sizes.positions,
            "hidden_act": activation_name(sizes.activation),
            "layer_norm_eps": float(sizes.eps),
            "use_parallel_residual": sizes.parallel,
            "tie_word_embeddings": sizes.tied,
            **turned,
        }

    def sizes(self, config: Any) -> Sizes:
        """Return them."""
        head_size = config.hidden_size // config.num_attention_heads
        return Sizes(
            vocab=config.vocab_size,
            width=config.hidden_size,
            blocks=config.num_hidden_layers,
            heads=config.num_attention_heads,
            groups=config.num_attention_heads,
            head_size=head_size,
            hidden=config.intermediate_size,
            positions=config.max_position_embeddings,
            activation=activation_called(config.hidden_act),
            eps=Fraction(config.layer_norm_eps),
            parallel=config.use_parallel_residual,
            tied=config.tie_word_embeddings,
            turned=int(head_size * config.rope_parameters.get("partial_rotary_factor", 1.0)),
        )

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
