"""Stock models as constructions: exact weights, and the logits of the class itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
import transformers

from constructions import Domain, InvalidArgument, ResidualGeneration, specify
from tests.huggingface.bounds import bounds, strays
from tests.huggingface.test_families import TOKENS, bounds_of, in_float64, model_of
from tests.huggingface.theorems import FAMILIES
from verify.certificates import certificate_arithmetic, certify
from verify.huggingface import different_tensors, from_huggingface, to_huggingface
from verify.huggingface.reading import exact_matrix

pytestmark = pytest.mark.extras

PROMISE = specify(Domain.of(6, 5), lambda x: x[:, -1:])
#: small configurations with everything that may be chosen, at sizes that differ from each other
CONFIGS: dict[str, Any] = {
    "gpt2": lambda: transformers.GPT2Config(vocab_size=6, n_embd=8, n_layer=2, n_head=2, n_positions=7),
    "opt": lambda: transformers.OPTConfig(
        vocab_size=6, hidden_size=8, num_hidden_layers=2, num_attention_heads=4, ffn_dim=5, max_position_embeddings=7
    ),
    "llama": lambda: transformers.LlamaConfig(
        vocab_size=6,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=6,
        intermediate_size=5,
        max_position_embeddings=7,
        attention_bias=True,
        mlp_bias=True,
    ),
    "gpt-neox": lambda: transformers.GPTNeoXConfig(
        vocab_size=6,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=5,
        max_position_embeddings=7,
        rotary_pct=0.5,
        hidden_act="gelu_new",
    ),
    "gpt-neox, one after the other": lambda: transformers.GPTNeoXConfig(
        vocab_size=6,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=5,
        max_position_embeddings=7,
        use_parallel_residual=False,
    ),
}


def drawn(config: Any, seed: int = 0) -> Any:
    """Return a stock model of a configuration whose weights, biases and norms are all drawn."""
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float64).eval()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            around = 1 if "norm" in name.lower() or "ln_" in name else 0
            parameter.copy_(
                torch.from_numpy(rng.normal(0, 0.3, tuple(parameter.shape)) + around * (parameter.ndim == 1))
            )
        if config.model_type == "opt":
            model.model.decoder.embed_positions.weight[:2] = 0  # rows of padding, which no other position reads
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_a_drawn_stock_model_is_read_with_all_its_weights(name: str) -> None:
    model = drawn(CONFIGS[name]())
    made = from_huggingface(model, PROMISE)
    assert strays(bounds(made, TOKENS, "float64"), in_float64(model)) == 0
    assert different_tensors(made, model) == ()  # and there and back again nothing changes


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_again(family: str) -> None:
    made = from_huggingface(to_huggingface(model_of(family), family, dtype="float64"), PROMISE)
    assert strays(bounds_of(family, "float64"), in_float64(to_huggingface(made, family, dtype="float64"))) == 0


def test_a_theorem_is_read_back_from_its_stock_class() -> None:
    construction = ResidualGeneration(5, 3)
    model = to_huggingface(construction, dtype="float64")
    made = from_huggingface(model, specify(Domain.of(5, 3), lambda x: x[:, -1:]))
    assert different_tensors(made, model) == ()
    assert made.transformer.lowered.matrices()["up 0.weight"].shape == (4, 11)


def test_a_stock_model_is_certified() -> None:
    """It says its last token again: a promise for all 64 inputs, shown from the weights by balls."""
    config = transformers.GPT2Config(vocab_size=4, n_embd=4, n_layer=1, n_head=1, n_positions=3)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "ln_" not in name:
                parameter.zero_()
        model.transformer.wte.weight.copy_(torch.eye(4))
    promised = specify(Domain.of(4, 3), lambda x: x[:, -1:])
    verdict = certify(from_huggingface(model, promised), certificate_arithmetic("ball"))
    assert (verdict.holds, verdict.cases) == (True, 64)
    with torch.no_grad():
        model.transformer.wte.weight[2] = model.transformer.wte.weight[1]
    assert certify(from_huggingface(model, promised), certificate_arithmetic("ball")).holds is not True


def test_floats_are_exact() -> None:
    numbers = np.array([[0.1, 0.0], [2.0**-1074, -3.0]])
    found = exact_matrix(numbers).to_fractions()
    assert found == [[Fraction(0.1), Fraction(0)], [Fraction(1, 2**1074), Fraction(-3)]]
    assert exact_matrix(np.zeros((2, 3))).to_fractions() == [[Fraction(0)] * 3] * 2


def test_arguments_are_refused_in_words() -> None:
    model = drawn(CONFIGS["gpt2"]())
    with torch.no_grad():
        broken = drawn(CONFIGS["gpt2"]())
        broken.lm_head.weight[0, 0] = torch.inf
    odd = CONFIGS["gpt2"]()
    odd.activation_function = "quick_gelu"
    cases: list[tuple[Any, str]] = [
        (lambda: from_huggingface("gpt2", PROMISE), "model: expected one of GPT2LMHeadModel"),
        (
            lambda: from_huggingface(broken, PROMISE),
            "model: expected weights that are numbers but transformer.wte.weight",
        ),
        (lambda: from_huggingface(model, None), "specification: expected a Specification but got None"),
        (
            lambda: from_huggingface(model, specify(Domain.of(6, 8), lambda x: x[:, -1:])),
            "specification: expected at most 7 positions, those of the model, but got 8",
        ),
        (lambda: from_huggingface(drawn(odd), PROMISE), "config: expected an activation that this package has"),
    ]
    for call, said in cases:
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)
