"""Stock models as constructions: exact weights, and the logits of the class itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

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
    assert different_tensors(made, model) == ()  # and there and back again nothing changes
    assert strays(bounds(made, TOKENS, "float64"), in_float64(model)) == 0


def test_a_readout_that_is_no_longer_the_embedding_is_read_as_it_is() -> None:
    model = drawn(CONFIGS["gpt2"]())
    tied = from_huggingface(model, PROMISE)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().flip(0).contiguous())
    made = from_huggingface(model, PROMISE)
    assert strays(bounds(made, TOKENS, "float64"), in_float64(model)) == 0
    assert strays(bounds(tied, TOKENS, "float64"), in_float64(model)) > 0
    assert different_tensors(tied, model) == ("lm_head.weight",)


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
        (lambda: from_huggingface(model, cast("Any", None)), "specification: expected a Specification but got None"),
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


def _causal_no_more(model: Any) -> None:
    model.config.is_causal = False


def _scores_scaled(model: Any) -> None:
    model.transformer.h[1].attn.scaling *= 2


def _eps_of_a_norm(model: Any) -> None:
    model.transformer.h[0].ln_2.eps = 0.5


def _seeing_ahead(model: Any) -> None:
    model.transformer.h[0].attn.is_causal = False


def _another_activation(model: Any) -> None:
    model.transformer.h[0].mlp.act = torch.nn.ReLU()


def _hooked(model: Any) -> None:
    model.transformer.h[0].register_forward_hook(lambda module, given, made: 2 * made)


def _patched(model: Any) -> None:
    model.transformer.ln_f.forward = lambda rows: rows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_causal_no_more, "is_causal of config: expected True but got False"),
        (
            _scores_scaled,
            "model: expected scaling 0.5 in module transformer.h.1.attn, as its configuration has it, but",
        ),
        (
            _eps_of_a_norm,
            "model: expected eps 1e-05 in module transformer.h.0.ln_2, as its configuration has it, but got",
        ),
        (_seeing_ahead, "model: expected is_causal True in module transformer.h.0.attn"),
        (
            _another_activation,
            "model: expected the modules that its configuration makes but module transformer.h.0.mlp.act",
        ),
        (_hooked, "model: expected no code of its own but module transformer.h.0 has some"),
        (_patched, "model: expected no code of its own but module transformer.ln_f has some"),
    ],
)
def test_a_model_that_computes_something_else_is_refused(change: Any, said: str) -> None:
    """Its weights are the same: what is certified would not be what runs."""
    model = drawn(CONFIGS["gpt2"]())
    made = from_huggingface(model, PROMISE)
    change(model)
    for call in (lambda: from_huggingface(model, PROMISE), lambda: different_tensors(made, model)):
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)
