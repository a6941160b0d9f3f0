"""Random decoders in stock classes: every logit within the bound of the format, and every wrong conversion outside."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
import transformers

from constructions import Construction
from tests.huggingface.bounds import bounds, strays, widest
from tests.huggingface.models import CONTEXT, EPS, HEADS, VOCAB, WIDTH, random_model
from verify.huggingface import FAMILIES, different_tensors, stock_rotary, to_huggingface
from verify.huggingface.families.gpt_neox import _share

pytestmark = pytest.mark.extras

TOKENS = np.array([[3, 1, 4, 1, 5], [2, 0, 5, 3, 3]])
ROTARY: dict[str, Any] = {
    "llama": lambda: transformers.LlamaConfig(hidden_size=WIDTH, num_attention_heads=HEADS),
    "gpt-neox": lambda: transformers.GPTNeoXConfig(hidden_size=WIDTH, num_attention_heads=HEADS, rotary_pct=1.0),
}
#: Float64 is float64 throughout in these: elsewhere eager attention has a softmax in float32, and Llama its norm.
THROUGHOUT = [("gpt2", "eager"), ("gpt2", "sdpa"), ("opt", "sdpa"), ("gpt-neox", "sdpa")]


@cache
def model_of(family: str, blocks: int = 2) -> Construction:
    made = ROTARY.get(family)
    return random_model(family, 1, None if made is None else stock_rotary(made(), CONTEXT), blocks)


@cache
def bounds_of(family: str, computed_in: str, blocks: int = 2) -> Any:
    return bounds(model_of(family, blocks), TOKENS, computed_in)


def logits(model: Any) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return np.asarray(model(input_ids=torch.from_numpy(TOKENS)).logits.double().numpy())


class DoubleNorm(torch.nn.Module):
    """Llama's norm in the format of its input, for tests of everything but the norm."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.eps = norm.weight, norm.variance_epsilon

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.weight * torch.nn.functional.rms_norm(rows, rows.shape[-1:], eps=self.eps)
        return made


def in_float64(model: Any) -> np.ndarray[Any, Any]:
    """Return the logits of a float64 model, its norms too."""
    for path, part in list(model.named_modules()):
        if type(part).__name__ == "LlamaRMSNorm":
            outer, _, name = path.rpartition(".")
            setattr(model.get_submodule(outer), name, DoubleNorm(part))
    return logits(model)


@pytest.mark.parametrize(("family", "attention"), THROUGHOUT)
def test_float64_logits_of_two_blocks_are_within_the_bound(family: str, attention: str) -> None:
    model = to_huggingface(model_of(family), family, dtype="float64", attn_implementation=attention)
    assert type(model).__name__ == FAMILIES[family].model_class
    assert different_tensors(model_of(family), model) == ()
    found, allowed = logits(model), bounds_of(family, "float64")
    assert found.shape == (*TOKENS.shape, VOCAB)
    assert strays(allowed, found) == 0
    assert widest(allowed) < float(np.std(found)) / 10**6  # the bound says something


def test_llama_with_its_norms_in_float64_is_within_the_bound() -> None:
    model = to_huggingface(model_of("llama"), "llama", dtype="float64")
    assert different_tensors(model_of("llama"), model) == ()
    assert strays(bounds_of("llama", "float64"), in_float64(model)) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_a_block_are_within_the_bound_of_float32(family: str, attention: str, dtype: str) -> None:
    construction = model_of(family, 1)
    model = to_huggingface(construction, family, dtype=dtype, attn_implementation=attention)
    assert different_tensors(construction, model) == ()
    found, allowed = logits(model), bounds_of(family, "float32", 1)
    assert strays(allowed, found) == 0
    assert widest(allowed) < float(np.std(found)) / 4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_found_for_a_construction(family: str) -> None:
    assert type(to_huggingface(model_of(family))).__name__ == FAMILIES[family].model_class


def test_keys_stay_shared_where_the_class_shares_them() -> None:
    config = to_huggingface(model_of("llama")).config
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 2, 2)


# wrong conversions ---------------------------------------------------------------------------------------------------


def _transposed(held: dict[str, Any]) -> None:
    weight = held["transformer.h.0.attn.c_proj.weight"]
    weight.copy_(weight.T.clone())


def _offset_forgotten(held: dict[str, Any]) -> None:
    table = held["model.decoder.embed_positions.weight"]
    table.copy_(torch.roll(table, -2, dims=0))


def _scale_of_a_head(held: dict[str, Any]) -> None:
    held["gpt_neox.layers.0.attention.query_key_value.weight"][:2].mul_(2**0.5)


def _dropped_bias(held: dict[str, Any]) -> None:
    held["model.decoder.layers.1.fc1.bias"].zero_()


def _keys_for_queries(held: dict[str, Any]) -> None:
    weight = held["transformer.h.1.attn.c_attn.weight"]
    weight[:, : 2 * WIDTH].copy_(weight[:, : 2 * WIDTH].roll(WIDTH, dims=1).clone())


def _not_by_heads(held: dict[str, Any]) -> None:
    """All queries, all keys, all values, as in GPT-2, in the place of q, k and v of one head after another."""
    weight = held["gpt_neox.layers.0.attention.query_key_value.weight"]
    parts = weight.clone().reshape(HEADS, 3, -1, WIDTH).transpose(0, 1)
    weight.copy_(parts.reshape(weight.shape))


def _gate_for_up(held: dict[str, Any]) -> None:
    gate, up = (held[f"model.layers.0.mlp.{name}_proj.weight"] for name in ("gate", "up"))
    kept = gate.clone()
    gate.copy_(up)
    up.copy_(kept)


def _other_norm(held: dict[str, Any]) -> None:
    held["model.norm.weight"].fill_(1)


def _interleaved_pairs(held: dict[str, Any]) -> None:
    held["model.layers.0.self_attn.q_proj.weight"].copy_(
        held["model.layers.0.self_attn.q_proj.weight"].reshape(HEADS, 2, WIDTH).flip(1).reshape(-1, WIDTH)
    )


MUTANTS = {
    "gpt2 transposed": ("gpt2", _transposed),
    "gpt2 keys for queries": ("gpt2", _keys_for_queries),
    "opt offset forgotten": ("opt", _offset_forgotten),
    "opt bias dropped": ("opt", _dropped_bias),
    "llama gate for up": ("llama", _gate_for_up),
    "llama norm without weight": ("llama", _other_norm),
    "llama pairs of rows swapped": ("llama", _interleaved_pairs),
    "gpt-neox scale of a head": ("gpt-neox", _scale_of_a_head),
    "gpt-neox not by heads": ("gpt-neox", _not_by_heads),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_conversion_is_told_from_the_right_one(name: str) -> None:
    family, change = MUTANTS[name]
    model = to_huggingface(model_of(family), family, dtype="float64")
    with torch.no_grad():
        change(dict(model.named_parameters()))
    assert len(different_tensors(model_of(family), model)) > 0
    assert strays(bounds_of(family, "float64"), in_float64(model)) > 0


def test_a_weight_in_its_last_place_is_told() -> None:
    model = to_huggingface(model_of("gpt2"), "gpt2")
    with torch.no_grad():
        held = model.transformer.h[1].mlp.c_fc.weight
        held[0, 0] = torch.nextafter(held[0, 0], torch.tensor(9.0))
    assert different_tensors(model_of("gpt2"), model) == ("transformer.h.1.mlp.c_fc.weight",)


# given configurations ------------------------------------------------------------------------------------------------


def test_a_larger_configuration_is_filled_with_nothing() -> None:
    construction = model_of("gpt2")
    config = transformers.GPT2Config(
        vocab_size=VOCAB, n_embd=WIDTH, n_layer=5, n_head=4, n_positions=9, tie_word_embeddings=False
    )
    model = to_huggingface(construction, config=config, dtype="float64")
    assert (model.config.n_layer, model.config.n_positions, model.transformer.h[0].mlp.c_fc.nf) == (5, 9, 4 * WIDTH)
    assert strays(bounds_of("gpt2", "float64"), logits(model)) == 0
    assert (config.eos_token_id, model.config.eos_token_id) == (50256, None)  # the user's own stays as it is
    assert config.layer_norm_epsilon == EPS


def test_keys_are_repeated_where_a_configuration_does_not_share_them() -> None:
    config = to_huggingface(model_of("llama")).config
    config.num_key_value_heads = 4
    model = to_huggingface(model_of("llama"), config=config, dtype="float64")
    assert model.model.layers[0].self_attn.k_proj.weight.shape == (8, WIDTH)
    assert strays(bounds_of("llama", "float64"), in_float64(model)) == 0


def test_any_part_of_a_head_may_be_turned() -> None:
    for head_size in range(1, 130):
        for turned in range(1, head_size + 1):
            assert int(head_size * _share(turned, head_size)) == turned
