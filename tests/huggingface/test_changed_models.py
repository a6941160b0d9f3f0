"""Models that look like stock ones: shared or added tensors, settings, code and modes that change what runs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
import transformers

from constructions import InvalidArgument, ResidualGeneration
from tests.huggingface.bounds import bounds, strays
from tests.huggingface.test_families import TOKENS, in_float64
from tests.huggingface.test_reading import CONFIGS, PROMISE, drawn
from verify import exhaust
from verify.huggingface import (
    HuggingFaceBackend,
    different_tensors,
    from_huggingface,
    to_huggingface,
    to_multitask,
    to_peft,
)

pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore:Position ids are not supported")]


@pytest.mark.parametrize("part", ["mlp.c_fc.bias", "ln_1.weight", "mlp.c_fc.weight", "attn.c_attn.bias"])
def test_a_tensor_that_two_blocks_share_is_read_in_both(part: str) -> None:
    model = drawn(CONFIGS["gpt2"]())
    apart = from_huggingface(model, PROMISE)
    module, _, name = part.rpartition(".")
    first, second = (block.get_submodule(module) for block in model.transformer.h)
    setattr(second, name, getattr(first, name))
    made = from_huggingface(model, PROMISE)
    assert strays(bounds(made, TOKENS, "float64"), in_float64(model)) == 0
    assert different_tensors(made, model) == ()
    assert different_tensors(apart, model) == (f"transformer.h.1.{part}",)


def test_a_norm_that_shares_its_weight_is_not_taken_for_ones() -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)
    with torch.no_grad():
        model.transformer.h[0].ln_1.weight.mul_(2)
    model.transformer.ln_f.weight = model.transformer.h[0].ln_1.weight
    assert different_tensors(construction, model) == ("transformer.h.0.ln_1.weight", "transformer.ln_f.weight")


class Scaled(torch.nn.Parameter):
    """A parameter that hides what is computed with it."""


def _readout_bias(model: Any) -> None:
    model.lm_head.bias = torch.nn.Parameter(torch.arange(6.0, dtype=torch.float64))


def _no_bias(model: Any) -> None:
    model.transformer.ln_f.bias = None


def _in_training(model: Any) -> None:
    model.train()


def _dropping(model: Any) -> None:
    model.transformer.drop.train()


def _on_meta(model: Any) -> None:
    model.to("meta")


def _own_tensor(model: Any) -> None:
    model.transformer.ln_f.weight = Scaled(model.transformer.ln_f.weight.detach())


def _other_config(model: Any) -> None:
    model.transformer.config = copy.deepcopy(model.config)
    model.transformer.config.is_causal = False


def _window(model: Any) -> None:
    model.config.sliding_window = 2


def _chunks(model: Any) -> None:
    model.config.attention_chunk_size = 2


def _own_generate(model: Any) -> None:
    model.generate = lambda **given: given["input_ids"]


def _own_inputs(model: Any) -> None:
    model.prepare_inputs_for_generation = lambda *_, **__: {}


def _compiled(model: Any) -> None:
    model.compile(backend="eager")


def _under_lora(model: Any) -> None:
    peft = pytest.importorskip("peft")
    peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["c_fc"], fan_in_fan_out=True), model)
    model.eval()


CHANGES: list[tuple[Callable[[Any], None], str]] = [
    (_readout_bias, "model: expected the tensors that its configuration makes but got lm_head.bias of shape (6,)"),
    (_no_bias, "model: expected the tensors that its configuration makes but transformer.ln_f.bias is not there"),
    (_in_training, "model: expected one in evaluation mode but"),
    (_dropping, "model: expected one in evaluation mode but module transformer.drop is in training; call model.eval()"),
    (_on_meta, "model: expected weights but transformer.wte.weight is on the meta device, without numbers"),
    (_own_tensor, "model: expected plain tensors but transformer.ln_f.weight is a Scaled"),
    (_other_config, "model: expected one configuration but module transformer has another than the model"),
    (_window, "config: expected a cache of all positions, without a sliding_window or an attention_chunk_size, but"),
    (_chunks, "config: expected a cache of all positions, without a sliding_window or an attention_chunk_size, but"),
    (_own_generate, "model: expected no code of its own but the model has some, such as a hook"),
    (_own_inputs, "model: expected no code of its own but the model has some, such as a hook"),
    (_compiled, "model: expected no code of its own but the model has some, such as a hook"),
    (_under_lora, "model: expected the modules that its configuration makes but module"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_what_computes_something_else_is_refused_everywhere(change: Any, said: str) -> None:
    model = drawn(CONFIGS["gpt2"]())
    made = from_huggingface(model, PROMISE)
    change(model)
    for call in (
        lambda: from_huggingface(model, PROMISE),
        lambda: different_tensors(made, model),
        lambda: HuggingFaceBackend(model),
    ):
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)
        assert "\n" not in str(raised.value)


def test_a_bias_that_the_norm_of_the_class_does_not_read_is_refused() -> None:
    model = drawn(CONFIGS["llama"]())
    model.model.norm.bias = torch.nn.Parameter(torch.ones(8, dtype=torch.float64))
    with pytest.raises(InvalidArgument, match=r"makes but got model\.norm\.bias of shape"):
        from_huggingface(model, PROMISE)


def test_hooks_on_all_modules_of_the_process_are_refused() -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, given, made: None)
    try:
        with pytest.raises(InvalidArgument, match="model: expected no hooks on all modules of the process"):
            different_tensors(construction, model)
    finally:
        handle.remove()
    assert different_tensors(construction, model) == ()


def test_code_that_was_put_into_a_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)
    own = type(model.transformer.h[0].mlp).forward

    def forward(self: Any, rows: Any) -> Any:
        return 2 * own(self, rows)

    monkeypatch.setattr(type(model.transformer.h[0].mlp), "forward", forward)
    with pytest.raises(InvalidArgument, match=r"no code of its own but module transformer\.h\.0\.mlp has some"):
        different_tensors(construction, model)


def test_attention_that_a_user_registered_is_not_read_as_ours() -> None:
    def own(*given: Any, **more: Any) -> Any:
        return transformers.AttentionInterface()["sdpa"](*given, **more)

    transformers.AttentionInterface.register("own", own)
    model = to_huggingface(ResidualGeneration(3, 2), attn_implementation="own")
    assert "own attention" in HuggingFaceBackend(model).name  # what runs is called by its name
    with pytest.raises(InvalidArgument, match="model: expected attention of transformers, such as eager or sdpa, but"):
        from_huggingface(model, PROMISE)


def test_angles_that_are_no_numbers_are_refused_where_all_scores_are_0_too() -> None:
    """The product of 0 and NaN is NaN: no logit is a number."""
    construction = ResidualGeneration(3, 2, architecture="llama")
    model = to_huggingface(construction)
    model.model.rotary_emb.inv_freq.fill_(torch.nan)
    with pytest.raises(InvalidArgument, match="model: expected finite angles of its rotary positions but inv_freq"):
        different_tensors(construction, model)


def _halved(model: Any) -> None:
    model.half()


def _eager(model: Any) -> None:
    model.set_attn_implementation("eager")


def _hooked(model: Any) -> None:
    model.lm_head.register_forward_hook(lambda module, given, made: made)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_halved, "GPT2LMHeadModel float32, sdpa attention"),
        (_eager, "GPT2LMHeadModel float32, eager attention"),
        (_dropping, "would be refused now: model: expected one in evaluation mode"),
        (_hooked, "would be refused now: model: expected no code of its own"),
    ],
)
@pytest.mark.parametrize("when", ["before the run", "in the run"])
def test_a_verdict_never_describes_what_the_model_was(change: Any, said: str, when: str) -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)
    backend = HuggingFaceBackend(model)
    if when == "before the run":
        change(model)
        with pytest.raises(InvalidArgument, match="model: expected it as it was when the backend was made but") as met:
            exhaust(construction, backend)
        assert said in str(met.value)
    else:
        prepared = backend.prepare(construction)
        change(model)
        assert prepared.changed() is not None


def test_a_run_leaves_the_model_as_it_was() -> None:
    construction = ResidualGeneration(3, 2)
    model = to_huggingface(construction)
    assert exhaust(construction, HuggingFaceBackend(model, through="peft")).holds
    assert all(weight.requires_grad for weight in model.parameters())
    assert exhaust(construction, HuggingFaceBackend(model)).holds  # it is still the stock model


def test_reduced_products_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = to_huggingface(ResidualGeneration(3, 2))
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert HuggingFaceBackend(model).name.startswith("GPT2LMHeadModel float32 at precision high, sdpa attention")


def test_a_model_of_other_weights_gets_no_adapter() -> None:
    """Its stream is as wide: the adapter would select something, but nothing that is promised."""
    pytest.importorskip("peft")
    construction = ResidualGeneration(5, 5)
    model = to_huggingface(construction)
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    for call in (to_peft, to_multitask):
        target: Any = [1, 2, 3, 4, 0] if call is to_peft else [[1, 2, 3, 4, 0]]
        with pytest.raises(
            InvalidArgument, match=r"model: expected the exact weights of .* but lm_head\.weight differs"
        ):
            call(construction, target, model=model)
        with pytest.raises(InvalidArgument, match=r"model: expected one of .* but it is another: config: expected"):
            call(construction, target, model=to_huggingface(ResidualGeneration(4, 5, width=15)))
        with pytest.raises(InvalidArgument, match="construction: expected a Construction but got a int"):
            call(3, target)  # type: ignore[arg-type]
