"""Stock models as a back end of evidence: exhausted, fuzzed, falsified, and never trusted after a change."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
import transformers

from constructions import (
    Domain,
    InvalidArgument,
    ResidualConditional,
    ResidualGeneration,
    UnconditionalGeneration,
    specify,
)
from verify import exhaust, fuzz
from verify.huggingface import HuggingFaceBackend, to_huggingface

pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore:Position ids are not supported")]


@pytest.mark.parametrize("through", ["peft", "inputs_embeds"])
def test_all_cases_are_exhausted(through: Any) -> None:
    construction = ResidualGeneration(3, 3, start_token=True)
    verdict = exhaust(construction, HuggingFaceBackend(to_huggingface(construction), through=through))
    assert (verdict.holds, verdict.cases, verdict.space) == (True, 81, 81)
    assert verdict.margin is not None
    assert verdict.margin > 0
    libraries = f"transformers {transformers.__version__}"
    assert verdict.arithmetic.startswith(f"GPT2LMHeadModel float32, sdpa attention ({libraries}")
    assert ("peft" in verdict.arithmetic) == (through == "peft")
    assert verdict.parameters["through"] == through
    assert verdict.parameters["use_cache"] is (through == "inputs_embeds")
    assert verdict.assumptions is not None
    assert "casts logits to float32" in verdict.assumptions


def test_theorem_2_in_llama_is_exhausted_and_fuzzed() -> None:
    construction = ResidualConditional(3, architecture="llama")
    backend = HuggingFaceBackend(to_huggingface(construction, dtype="float64", attn_implementation="eager"))
    verdict = exhaust(construction, backend)
    assert (verdict.holds, verdict.cases) == (True, 81)
    assert "LlamaForCausalLM float64, eager attention" in verdict.arithmetic
    assert fuzz(st.just(construction), backend, examples=20, claim="theorem-2").holds


@pytest.mark.parametrize("through", ["peft", "inputs_embeds"])
def test_a_wrong_weight_is_falsified(through: Any) -> None:
    construction = ResidualGeneration(3, 3)
    model = to_huggingface(construction)
    with torch.no_grad():
        model.lm_head.weight[:2] = model.lm_head.weight[:2].flip(0)
    verdict = exhaust(construction, HuggingFaceBackend(model, through=through))
    assert verdict.holds is False
    assert verdict.counterexample is not None


def test_defaults_of_the_model_that_change_its_tokens_are_seen() -> None:
    construction = ResidualGeneration(3, 3)
    model = to_huggingface(construction)
    model.generation_config.suppress_tokens = [1]
    verdict = exhaust(construction, HuggingFaceBackend(model))
    assert verdict.holds is False
    assert verdict.parameters["generation_config"] == {"suppress_tokens": [1]}
    assert "generation_config" not in exhaust(construction, HuggingFaceBackend(to_huggingface(construction))).parameters
    ended = to_huggingface(construction)
    ended.generation_config.eos_token_id = 2
    ended.generation_config.pad_token_id = 2
    with pytest.raises(InvalidArgument, match="to generate 3 tokens but it ended after 2; its eos_token_id is 2"):
        exhaust(construction, HuggingFaceBackend(ended))


def test_a_model_that_changes_is_not_shown() -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)

    def meddle(*_: Any) -> None:
        with torch.no_grad():
            model.transformer.wpe.weight[0, 0] += 2.0**-40  # no token changes by this

    verdict = exhaust(construction, HuggingFaceBackend(model), progress=meddle)
    assert verdict.holds is None
    assert "are not what they were" in str(verdict.reason)


def test_a_logit_that_is_no_number_never_verifies() -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)
    with torch.no_grad():
        model.lm_head.weight[2] = torch.nan
    assert exhaust(construction, HuggingFaceBackend(model)).holds is not True


def test_any_stock_model_is_held_against_any_promise() -> None:
    """A model that was not made here: its blocks add nothing, so that it says its last token again."""
    config = transformers.GPT2Config(
        vocab_size=4, n_embd=4, n_layer=1, n_head=1, n_positions=3, bos_token_id=None, eos_token_id=None
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "ln_" not in name:
                parameter.zero_()
        model.transformer.wte.weight.copy_(torch.eye(4))
    promise = specify(Domain.of(4, 3), lambda x: x[:, -1:])
    verdict = exhaust(promise, HuggingFaceBackend(model))
    assert (verdict.holds, verdict.cases) == (True, 64)
    assert exhaust(specify(Domain.of(4, 3), lambda x: x[:, :1]), HuggingFaceBackend(model)).holds is False


def test_arguments_are_refused_in_words() -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)
    for call, said in (
        (lambda: HuggingFaceBackend(torch.nn.Linear(1, 1)), "model: expected one of GPT2LMHeadModel"),
        (lambda: HuggingFaceBackend(model.train()), "model: expected one in evaluation mode but got one in training"),
        (lambda: HuggingFaceBackend(model.eval(), through="lora"), "through: expected one of peft, inputs_embeds"),  # type: ignore[arg-type]
        (lambda: HuggingFaceBackend(model, use_cache="no"), "use_cache: expected True or False but got 'no'"),  # type: ignore[arg-type]
        (
            lambda: exhaust(ResidualGeneration(4, 2), HuggingFaceBackend(model)),
            "model: expected one with the 4 tokens of the promise, read and written, but got one with 3",
        ),
        (
            lambda: exhaust(UnconditionalGeneration(3, 2), HuggingFaceBackend(model)),
            "backend: expected GPT2LMHeadModel float32, sdpa attention",
        ),
    ):
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)


def test_an_empty_batch_is_no_case() -> None:
    construction = ResidualGeneration(3, 2)
    prepared = HuggingFaceBackend(to_huggingface(construction)).prepare(construction)
    made = prepared.run(None, np.zeros((0, 0), dtype=np.int64))
    assert made.answers.shape == (0, 2)
