"""OPT: learned positions of which the first two rows are for padding, LayerNorm, relu."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, final

from constructions.validation import reject
from verify.huggingface.families.base import COMMON_FIELDS, Family, Sizes

#: Rows of the table before that of position 0, as ``OPTLearnedPositionalEmbedding`` has it.
OFFSET = 2

#: The eps of its norms, which is ``torch.nn.LayerNorm``'s own: the configuration has none.
EPS = Fraction(1e-5)


@final
class Opt(Family):
    """``OPTForCausalLM``."""

    name = "opt"
    model_class = "OPTForCausalLM"
    config_class = "OPTConfig"
    learned_positions = True
    fixed_eps = EPS
    fields: ClassVar = {**COMMON_FIELDS, "hidden": "ffn_dim", "activation": "activation_function"}
    names: ClassVar = {
        "embedding": "model.decoder.embed_tokens",
        "positions": "model.decoder.embed_positions",
        "attention norm": "model.decoder.layers.{block}.self_attn_layer_norm",
        "query": "model.decoder.layers.{block}.self_attn.q_proj",
        "key": "model.decoder.layers.{block}.self_attn.k_proj",
        "value": "model.decoder.layers.{block}.self_attn.v_proj",
        "output": "model.decoder.layers.{block}.self_attn.out_proj",
        "mlp norm": "model.decoder.layers.{block}.final_layer_norm",
        "up": "model.decoder.layers.{block}.fc1",
        "down": "model.decoder.layers.{block}.fc2",
        "norm": "model.decoder.final_layer_norm",
        "readout": "lm_head",
    }
    fixed: ClassVar = {"do_layer_norm_before": True, "_remove_final_layer_norm": False}

    def check(self, config: Any) -> None:
        """Refuse also embeddings of another width than the stream, which are projected."""
        super().check(config)
        if config.word_embed_proj_dim != config.hidden_size:
            reject(
                "word_embed_proj_dim of config", f"{config.hidden_size}, the hidden_size", config.word_embed_proj_dim
            )

    def column(self, part: str, head: int, sizes: Sizes) -> int:
        """Return the first column, which for positions is after those of padding."""
        return OFFSET if part == "positions" else super().column(part, head, sizes)
