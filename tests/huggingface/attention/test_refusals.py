"""What a report refuses, each in one plain line, and models that it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

from constructions import InvalidArgument
from tests.huggingface.attention.small import SIZES, TOKENS, adapted, model, saved
from verify.huggingface import PrefixReport, draw_model, drawn_report, fuzz_attention, load_model, prefix_report
from verify.huggingface.attention import drawn
from verify.huggingface.attention.known import DESIGNS, Sizes
from verify.huggingface.models import quiet

pytestmark = pytest.mark.extras

PREFIX, PROMPT = "PrefixTuningConfig", "PromptTuningConfig"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("gpt2"), "gpt2", (PREFIX, PROMPT))


def refused(message: str, *given: Any, **more: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}") as found:
        prefix_report(*given, **more)
    assert "\n" not in str(found.value)


def test_attention_weights_that_are_not_given(folder: Path) -> None:
    import transformers

    with quiet():
        made = transformers.AutoModelForCausalLM.from_pretrained(folder / "model", attn_implementation="sdpa")
    told = "model: expected attention weights, which sdpa does not give; load the model with attn_implem"
    refused(told, made.eval(), folder / PREFIX, TOKENS)
    refused(told, adapted(made), None, TOKENS)


def test_attention_that_is_computed_in_another_way() -> None:
    made = model("gpt2")
    for block in made.transformer.h:
        block.attn.reorder_and_upcast_attn = True
    refused("model: expected transformer.h.0.attn to compute its attention as its class", adapted(made), None, TOKENS)


def test_a_model_in_training(folder: Path) -> None:
    refused("model: expected it in evaluation mode", model("gpt2").train(), folder / PREFIX, TOKENS)
    refused("model: expected it in evaluation mode", adapted(model("gpt2")).train(), None, TOKENS)


def test_one_layer_in_training() -> None:
    """Its dropout would draw the weights anew in each pass."""
    made = adapted(model("gpt2"))
    made.get_base_model().transformer.h[1].attn.train()
    refused("model: expected it in evaluation mode", made, None, TOKENS)


def test_an_adapter_without_virtual_tokens() -> None:
    made = adapted(model("gpt2"), PROMPT, 1)
    made.peft_config["default"].num_virtual_tokens = 0
    made.prompt_encoder["default"].embedding = torch.nn.Embedding(0, made.config.hidden_size)
    made.prompt_tokens["default"] = torch.arange(0)
    refused("num_virtual_tokens: expected an integer >= 1 but got 0", made, None, TOKENS)


@pytest.mark.parametrize("kind", [PREFIX, PROMPT])
def test_an_adapter_of_another_model(folder: Path, kind: str) -> None:
    deep = model("gpt2", sizes=Sizes(16, 4, 4, 4, 8, 16))
    refused("adapter: expected one of this model, with num_layers 4, but got num_layers 3", deep, folder / kind, TOKENS)
    wide = model("gpt2", sizes=Sizes(16, 3, 4, 4, 6, 16))
    refused("adapter: expected one of this model, with token_dim 24, but got token_dim 32", wide, folder / kind, TOKENS)
    headed = model("gpt2", sizes=Sizes(16, 3, 2, 2, 16, 16))
    if kind == PREFIX:
        refused("adapter: expected one of this model, with num_attention_heads 2", headed, folder / kind, TOKENS)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_prefix_that_is_not_finite_shows_nothing(number: float) -> None:
    made = adapted(model("llama"))
    with torch.no_grad():
        made.prompt_encoder["default"].embedding.weight[0] = number
    report = prefix_report(made, None, TOKENS)
    assert [verdict.holds for verdict in report.verdicts] == [None, None]
    assert report.layers[0].objection == "the scores with the prefix are not finite"


@pytest.mark.parametrize("given", [5, "x", [[2, 3], [2, 3]], (0, 1, 2, 3, 4, 5, 6), 2.5])
def test_positions_that_are_no_fair_ones(given: Any) -> None:
    refused("position_ids: expected 2..8, where the content", adapted(model("gpt2")), None, TOKENS, position_ids=given)


@pytest.mark.parametrize("given", [range(2, 9), tuple(range(2, 9)), [list(range(2, 9))], torch.arange(2, 9)])
def test_fair_positions_in_any_form(given: Any) -> None:
    assert prefix_report(adapted(model("gpt2")), None, TOKENS, position_ids=given).holds


def test_embeddings_that_are_narrower_than_the_layers(tmp_path: Path) -> None:
    """Virtual tokens of a prompt are as wide as embeddings; peft takes the layers' width where it is not told."""
    import peft
    import transformers

    sizes = {"vocab_size": 16, "hidden_size": 32, "ffn_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.OPTConfig(
        **sizes, word_embed_proj_dim=16, do_layer_norm_before=False, attn_implementation="eager"
    )
    made = transformers.OPTForCausalLM(config).eval()
    told = "adapter: expected one of this model, with token_dim 16, but got token_dim 32"
    refused(told, adapted(made, PROMPT), None, TOKENS)
    with quiet():
        right = peft.get_peft_model(
            made, peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2, token_dim=16)
        )
        right.save_pretrained(tmp_path)
    assert prefix_report(right.eval(), None, TOKENS).holds
    assert prefix_report(made, tmp_path, TOKENS).holds


def test_no_prefix_and_no_adapter(folder: Path, tmp_path: Path) -> None:
    made = model("gpt2")
    refused("adapter: expected the folder of an adapter but got none, so that there is no prefix", made, None, TOKENS)
    refused("adapter: expected a folder with adapter_config.json but got 'nowhere'", made, "nowhere", TOKENS)
    (tmp_path / "adapter_config.json").write_text((folder / PREFIX / "adapter_config.json").read_text())
    refused("adapter: expected a folder with adapter_model.safetensors but got", made, tmp_path, TOKENS)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"no tensors")
    refused("adapter: expected one of this model in", made, tmp_path, TOKENS)
    refused("adapter: expected one of default but got 'other'", adapted(made), "other", TOKENS)


def test_an_adapter_that_is_no_prefix(tmp_path: Path) -> None:
    """Peft would put it into the layers of the model, which is to be left as it was."""
    import peft

    told = "adapter: expected one of PREFIX_TUNING, PROMPT_TUNING, P_TUNING but got 'LORA'"
    with quiet():
        made = peft.get_peft_model(model("llama"), peft.LoraConfig(task_type="CAUSAL_LM"))
        made.save_pretrained(tmp_path)
    refused(told, made.eval(), None, TOKENS)
    plain = model("llama")
    before = str(plain)
    refused(told, plain, tmp_path, TOKENS)
    assert str(plain) == before


def test_no_model(tmp_path: Path) -> None:
    refused("model: expected a causal language model of transformers but got 3", 3, "nowhere", TOKENS)
    with pytest.raises(InvalidArgument, match=r"^model: expected a folder with config\.json but got"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InvalidArgument, match=r"^model: expected a causal language model in "):
        load_model(tmp_path)


def test_damaged_weights(folder: Path, tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).write_bytes((folder / "model" / file).read_bytes())
    whole = (tmp_path / "model.safetensors").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no tensors"):
        (tmp_path / "model.safetensors").write_bytes(damaged)
        with pytest.raises(InvalidArgument, match=r"^model: expected a causal language model in "):
            load_model(tmp_path)


@pytest.mark.parametrize("change", ["left out", "another shape"])
def test_weights_that_transformers_would_draw_at_random(folder: Path, tmp_path: Path, change: str) -> None:
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_bytes((folder / "model" / "config.json").read_bytes())
    weights = load_file(folder / "model" / "model.safetensors")
    name = next(name for name in weights if name.endswith("h.1.attn.c_attn.weight"))
    gone = weights.pop(name)
    if change == "another shape":
        weights[name] = gone[:, 1:].contiguous()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidArgument, match=r"^model: expected .*"):
        load_model(tmp_path)


def test_weights_that_are_no_safetensors(tmp_path: Path) -> None:
    made = model("gpt2")
    made.config.save_pretrained(tmp_path)
    torch.save(made.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InvalidArgument, match=r"^model: expected a causal language model in .*safetensors"):
        load_model(tmp_path)


def test_a_model_of_an_unknown_class() -> None:
    import transformers

    config = transformers.BloomConfig(vocab_size=16, hidden_size=16, n_layer=1, n_head=2, attn_implementation="eager")
    made = adapted(transformers.BloomForCausalLM(config).eval())
    refused("model: expected attention of a known class (GPT2Attention, OPTAttention", made, None, TOKENS)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "input_ids: expected the tokens of one sequence, at least one but got []"),
        ([[1, 2], [3, 4]], "input_ids: expected the tokens of one sequence, at least one but got [[1, 2], [3, 4]]"),
        ([1, 16], "input_ids: expected integers from 0 to 15"),
        ([-1], "input_ids: expected integers from 0 to 15"),
        ([0.5], "input_ids: expected integers from 0 to 15"),
        ([0] * 15, "input_ids: expected at most 14 tokens, as 2 of 16 positions are the prefix's, but got 15"),
    ],
)
@pytest.mark.parametrize("design", ["gpt2", "llama"])
def test_tokens_that_the_model_does_not_have(design: str, tokens: Any, message: str) -> None:
    refused(message, adapted(model(design)), None, tokens)
    assert prefix_report(adapted(model(design)), None, [0] * 14).holds


def test_tensors_and_batches_of_one_are_tokens() -> None:
    made = adapted(model("opt"))
    found = [prefix_report(made, None, tokens) for tokens in (TOKENS, [TOKENS], torch.tensor(TOKENS)[None])]
    assert {report.tokens for report in found} == {tuple(TOKENS)}


def test_a_layer_or_a_head_that_there_is_not(tmp_path: Path) -> None:
    report = prefix_report(adapted(model("gpt2")), None, TOKENS)
    with pytest.raises(InvalidArgument, match=r"^layer: expected an integer <= 2 but got 3"):
        report.layer(SIZES.layers)
    with pytest.raises(InvalidArgument, match=r"^head: expected an integer <= 3 but got 4"):
        report.draw(tmp_path / "picture.png", 0, SIZES.heads)


def test_drawn_models_are_the_same_again_and_others_elsewhere() -> None:
    for design in DESIGNS:
        (one, tokens), (two, same) = (draw_model(design, 1, 2) for _ in range(2))
        assert tokens == same
        assert all(torch.equal(*pair) for pair in zip(one.parameters(), two.parameters(), strict=True))
        report = drawn_report(design, 1, 2)
        assert report.tokens == tuple(tokens)
        assert report.holds
    with pytest.raises(InvalidArgument, match=r"^design: expected one of gpt2, opt, llama, gpt-neox but got 'bert'"):
        draw_model("bert", 0, 0)
    with pytest.raises(InvalidArgument, match=r"^examples: expected an integer >= 1 but got 0"):
        fuzz_attention("opt", examples=0)


@pytest.mark.parametrize(("design", "dtype"), [("llama", "bfloat16"), ("gpt2", "float64")])
def test_fuzzing_checks_the_models_that_its_commands_draw(
    design: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[tuple[Any, dict[str, Any], list[int]]] = []

    def watched(made: Any, prefix: Any, tokens: list[int], **options: Any) -> PrefixReport:
        checked.append(
            (made.get_base_model(), {name: held.clone() for name, held in made.state_dict().items()}, tokens)
        )
        return prefix_report(made, prefix, tokens, **options)

    monkeypatch.setattr(drawn, "prefix_report", watched)
    assert all(verdict.holds for verdict in fuzz_attention(design, dtype=dtype, examples=12, seed=1))
    assert len({id(base) for base, _, _ in checked}) < 12  # one module is drawn into again where the sizes are the same
    for index, (_, held, tokens) in enumerate(checked):
        alone, text = draw_model(design, 1, index, dtype=dtype)
        assert text == tokens
        assert held.keys() == alone.state_dict().keys()
        for name, there in alone.state_dict().items():
            assert there.dtype == held[name].dtype
            assert torch.equal(there, held[name]), name


def test_all_sizes_are_drawn() -> None:
    found = [draw_model("llama", 0, index) for index in range(60)]
    configs = [made.get_base_model().config for made, _ in found]
    assert {config.num_hidden_layers for config in configs} == {1, 2}
    assert {config.num_attention_heads for config in configs} == {1, 2, 4}
    assert {config.num_key_value_heads for config in configs} == {1, 2}
    assert {made.peft_config["default"].num_virtual_tokens for made, _ in found} == {1, 2, 3, 4, 5}
    assert {len(tokens) for _, tokens in found} == set(range(1, 13))
