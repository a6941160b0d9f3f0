"""A folder that is no causal language model, or not a whole one, is one clear line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")

import torch  # noqa: E402 # after the libraries that may not be there
from safetensors.torch import load_file, save_file  # noqa: E402

from constructions import InvalidArgument  # noqa: E402
from verify.huggingface.completions import hard_completions  # noqa: E402
from verify.huggingface.models import check_causal, frozen, load_model, model_sha256  # noqa: E402

pytestmark = pytest.mark.extras

NONE = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
GPT2 = {"vocab_size": 20, "n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 16, **NONE}
BERT = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
}
T5 = {"vocab_size": 20, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}


def saved(folder: Path) -> Path:
    """Save a tiny model; return its folder."""
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_saved_model_is_loaded_in_the_format_that_is_asked_for(dtype: str, tmp_path: Path) -> None:
    model = load_model(saved(tmp_path), dtype=dtype)
    assert model.dtype == getattr(torch, dtype)
    assert not model.training
    kept = load_file(tmp_path / "model.safetensors")["transformer.wpe.weight"]
    assert torch.equal(model.transformer.wpe.weight, kept.to(model.dtype))


def test_the_digest_is_of_the_weights_and_not_of_the_place(tmp_path: Path) -> None:
    first = load_model(saved(tmp_path / "first"))
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    second = load_model(tmp_path / "second")
    digest = model_sha256(first)
    assert model_sha256(second) == digest
    assert model_sha256(load_model(tmp_path / "first", dtype="bfloat16")) != digest
    with torch.no_grad():
        second.transformer.wpe.weight[3, 2] += 1
    assert model_sha256(second) != digest
    first.config.activation_function = "relu"
    assert model_sha256(first) != digest


def _dropped(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.ln_f.weight"], weights["transformer.ln_f.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _reshaped(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["transformer.ln_f.weight"] = torch.ones(9)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _more(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["transformer.h.1.ln_1.weight"] = torch.ones(8)  # of a block that the configuration does not have
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _with_an_adapter(folder: Path) -> None:
    """It names a model, wherever that is, which transformers would load in its place."""
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "elsewhere"}), encoding="utf-8")


def _pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _with_code(folder: Path) -> None:
    (folder / "own.py").write_text("raise SystemExit('this code ran')\n", encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, r"model: expected a folder with config\.json but got"),
        (lambda folder: (folder / "config.json").unlink(), r"model: expected a folder with config\.json but got"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not a valid JSON file"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "own"}'), "does not recognize"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"), "expected a causal language model"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-8]),
            "file not fully covered",
        ),
        (_dropped, "but transformer.ln_f.bias and 1 more would be random"),
        (_more, "would be left out"),
        (_with_an_adapter, "model: expected a folder without an adapter but"),
        (_reshaped, "model: expected weights of the shapes in"),
        (_pickled, "no file named model.safetensors"),
        (_with_code, "contains custom code"),
        (
            lambda folder: transformers.T5ForConditionalGeneration(transformers.T5Config(**T5)).save_pretrained(folder),
            "model: expected a causal language model in",
        ),
        (
            lambda folder: transformers.BertForMaskedLM(transformers.BertConfig(**BERT)).save_pretrained(folder),
            "model: expected a causal language model but BertLMHeadModel looks at later tokens",
        ),
    ],
)
def test_what_is_no_whole_causal_model_is_refused(
    damage: Callable[[Path], Any], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(saved(tmp_path / "model"))
    capfd.readouterr()
    with pytest.raises(InvalidArgument, match=message) as raised:
        load_model(tmp_path / "model")
    assert "\n" not in str(raised.value)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")  # the library's own reports would hide the line


def test_attention_is_computed_as_it_is_asked_for(tmp_path: Path) -> None:
    saved(tmp_path)
    found = [load_model(tmp_path, attn_implementation=chosen).config._attn_implementation for chosen in ("eager", None)]
    assert found == ["eager", "sdpa"]
    with pytest.raises(InvalidArgument, match="model: expected a causal language model in"):
        load_model(tmp_path, attn_implementation="quick")
    with pytest.raises(InvalidArgument, match=r"model: expected a folder with config\.json but got 3"):
        load_model(3)  # type: ignore[arg-type]


def test_a_model_with_one_position_has_no_later_tokens(tmp_path: Path) -> None:
    config = transformers.GPT2Config(**{**GPT2, "n_positions": 1, "vocab_size": 1})
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    assert hard_completions(load_model(tmp_path), length=1).unique == 1


def test_a_file_or_anything_but_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"model: expected a folder with config\.json but got"):
        load_model(tmp_path / "file")
    with pytest.raises(InvalidArgument, match="model: expected a causal language model of transformers"):
        check_causal(torch.nn.Linear(2, 2))


def test_a_frozen_model_is_as_it_was_afterwards(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path))
    model.train()
    model.lm_head.weight.requires_grad_(requires_grad=False)
    asked = [weight.requires_grad for weight in model.parameters()]
    with frozen(model):
        assert not model.training
        assert not any(weight.requires_grad for weight in model.parameters())
    assert model.training
    assert [weight.requires_grad for weight in model.parameters()] == asked
