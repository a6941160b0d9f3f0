"""The identities of section 4 in stock classes: every layer and head within its bound, at fair positions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

from proofs.attention import BIAS, RESCALING
from tests.huggingface.attention.small import SIZES, TOKENS, adapted, fill, model, saved
from verify import Verdict
from verify.huggingface import fuzz_attention, prefix_report
from verify.huggingface.attention.known import DESIGNS, KNOWN, Sizes, known_attention
from verify.huggingface.models import quiet
from verify.huggingface.prefix_report import PrefixReport

pytestmark = pytest.mark.extras

KINDS = ("PrefixTuningConfig", "PromptTuningConfig")
EACH = pytest.mark.parametrize("design", DESIGNS)
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


def bounds(report: PrefixReport, claim: str) -> Iterator[float]:
    for layer in report.layers:
        for found in layer.deviations(claim):
            yield float(np.max(np.asarray(found.bound)))


def deviations(report: PrefixReport, claim: str) -> Iterator[float]:
    for layer in report.layers:
        for found in layer.deviations(claim):
            yield float(np.abs(found.left - found.right).max())


@EACH
@EACH_KIND
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_all_layers_hold_within_bounds_that_say_something(design: str, kind: str, dtype: str) -> None:
    report = prefix_report(adapted(model(design, dtype), kind), None, TOKENS)
    assert report.holds
    assert [verdict.claim for verdict in report.verdicts] == [RESCALING, BIAS]
    for verdict in report.verdicts:
        assert (verdict.method, verdict.cases, verdict.arithmetic) == ("evaluated", SIZES.layers, f"torch {dtype}")
        assert verdict.margin is not None
        assert 0 < verdict.margin < 1 - 1 / 100  # the worst deviation uses a hundredth of its bound at least
        assert Verdict.from_json(verdict.to_json()) == verdict
        assert ("held in float32" in str(verdict.assumptions)) == ("16" in dtype)
    assert all(layer.objection is None for layer in report.layers)
    # the prefix is no formality, and the deeper layers read other rows without it
    assert max(made.strength.max() for made in report.layers[0].heads) > 1 / 2
    assert report.layers[0].plain_rescaling <= max(bounds(report, RESCALING))
    if "16" not in dtype:
        assert max(layer.plain_rescaling for layer in report.layers[1:]) > 100 * max(bounds(report, RESCALING))


@EACH_KIND
def test_gpt2_in_float64_is_within_bounds_below_1e_14(kind: str) -> None:
    """The bounds, not the deviations alone: in a model of ordinary weights they are a few units of roundoff."""
    made = adapted(model("gpt2", "float64", Sizes(16, 4, 4, 4, 16, 32), spread=0.1), kind)
    report = prefix_report(made, None, [*TOKENS, *TOKENS[:5]])
    assert report.holds
    for claim in (RESCALING, BIAS):
        assert 0 < max(deviations(report, claim)) <= max(bounds(report, claim)) < 1e-14
    wide = prefix_report(adapted(model("gpt2", "float64"), kind), None, TOKENS)
    assert max(*deviations(wide, RESCALING), *deviations(wide, BIAS)) < 1e-14


@pytest.mark.parametrize("design", [name for name in DESIGNS if name != "gpt2"])
def test_a_softmax_in_float32_sets_the_bound_of_a_float64_model(design: str) -> None:
    report = prefix_report(adapted(model(design, "float64")), None, TOKENS)
    unit = 2.0**-24
    assert unit < max(bounds(report, RESCALING)) < 1000 * unit
    assert max(deviations(report, RESCALING)) > unit / 16  # far above the roundings of float64


@EACH
@pytest.mark.parametrize("prefix", [1, 5])
@pytest.mark.parametrize("count", [1, 9])
def test_any_prefix_and_any_content(design: str, prefix: int, count: int) -> None:
    report = prefix_report(adapted(model(design), prefix=prefix), None, (TOKENS * 2)[:count])
    assert report.holds
    made = report.head(0, 3)
    assert made.with_prefix.shape == (count, prefix + count)
    assert made.attention.shape == made.renormalised().shape == (count, count)
    assert (made.prefix, report.prefix) == (prefix, prefix)
    if prefix == 1:
        assert np.array_equal(made.bias, made.strength[:, None] * made.values[0])


@pytest.mark.parametrize("design", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("config", "options", "kind"),
    [
        ("PromptEncoderConfig", {"encoder_reparameterization_type": "MLP"}, "prompt tuning"),
        ("PromptEncoderConfig", {"encoder_reparameterization_type": "LSTM"}, "prompt tuning"),
        ("PrefixTuningConfig", {"prefix_projection": True}, "prefix tuning"),
    ],
    ids=["P-tuning MLP", "P-tuning LSTM", "projected prefix"],
)
def test_an_encoder_of_virtual_tokens(
    design: str, config: str, options: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    """Its results are virtual tokens like others, and they alone are saved."""
    import peft

    with quiet():
        chosen = getattr(peft, config)(
            task_type="CAUSAL_LM", num_virtual_tokens=2, encoder_hidden_size=SIZES.width, **options
        )
        made = peft.get_peft_model(model(design), chosen)
        fill(made, "default", 8)
        made.eval().save_pretrained(tmp_path)
    reports = prefix_report(made, None, TOKENS), prefix_report(model(design), tmp_path, TOKENS)
    for report in reports:
        assert report.holds
        assert (report.kind, report.prefix) == (kind, 2)
        assert max(head.strength.max() for head in report.layers[0].heads) > 1 / 8


@EACH
def test_a_prefix_that_takes_all_attention(design: str) -> None:
    """Strengths round to 1: what is compared is ``(1 - alpha) A``, and not a quotient."""
    for dtype in ("float32", "bfloat16"):
        report = prefix_report(adapted(model(design, dtype), spread=100.0), None, TOKENS)
        assert report.holds
        assert max(made.strength.max() for layer in report.layers for made in layer.heads) > 1 - 2.0**-20


def test_numbers_that_are_not_finite_show_nothing() -> None:
    made = model("gpt2")
    with torch.no_grad():
        made.transformer.h[1].attn.c_attn.weight[0, -1] = torch.nan
    report = prefix_report(adapted(made), None, TOKENS)
    assert [verdict.holds for verdict in report.verdicts] == [None, None]
    assert all("layer 1" in str(verdict.reason) for verdict in report.verdicts)


def test_a_layer_whose_values_are_all_zero() -> None:
    """As in constructions that leave a layer's attention out: it adds nothing, and that is what is found."""
    made = model("gpt2")
    with torch.no_grad():
        made.transformer.h[1].attn.c_attn.weight[:, 2 * SIZES.width :] = 0
        made.transformer.h[1].attn.c_attn.bias[2 * SIZES.width :] = 0
    report = prefix_report(adapted(made, "PromptTuningConfig"), None, TOKENS)
    assert report.holds
    assert not any(found.left.any() or found.right.any() for found in report.layers[1].bias)


@EACH
@EACH_KIND
def test_patterns_are_those_of_output_attentions(design: str, kind: str) -> None:
    made = adapted(model(design), kind)
    report = prefix_report(made, None, TOKENS)
    with torch.no_grad(), quiet():
        given = made(input_ids=torch.tensor([TOKENS]), output_attentions=True).attentions
    for layer, weights in zip(report.layers, given, strict=True):
        for head, found in enumerate(layer.heads):
            assert found.with_prefix.tolist() == weights[0, head, -len(TOKENS) :].double().tolist()


@EACH
def test_the_model_is_left_as_it_was(design: str, tmp_path: Path) -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    saved(tmp_path, design, KINDS[:1])
    made = model(design)
    before = {name: parameter.clone() for name, parameter in made.named_parameters()}
    hooks = sum(len(module._forward_pre_hooks) for module in made.modules())
    assert prefix_report(made, tmp_path / KINDS[0], TOKENS).holds
    assert all(torch.equal(parameter, before[name]) for name, parameter in made.named_parameters())
    assert all(parameter.requires_grad for parameter in made.parameters())
    assert sum(len(module._forward_pre_hooks) for module in made.modules()) == hooks
    assert "eager" not in ALL_ATTENTION_FUNCTIONS


def test_one_of_several_adapters_is_chosen_and_the_active_one_stays() -> None:
    import peft

    made = adapted(model("llama"))
    with quiet():
        made.add_adapter("other", peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    fill(made, "other", 9)
    first, other, again = (prefix_report(made, name, TOKENS) for name in (None, "other", "default"))
    assert (first.adapter, other.adapter, made.active_adapter) == ("default", "other", "default")
    assert first.head(0, 0).with_prefix.tolist() == again.head(0, 0).with_prefix.tolist()
    assert first.head(0, 0).attention.tolist() == other.head(0, 0).attention.tolist()  # what it is without any
    assert first.head(0, 0).with_prefix.tolist() != other.head(0, 0).with_prefix.tolist()
    assert other.holds


@pytest.mark.parametrize("name", ["Mistral", "Qwen2"])
def test_classes_of_the_same_design(name: str) -> None:
    """Mistral hides what is behind a window; Qwen2 adds biases to queries, keys and values."""
    import transformers

    config = getattr(transformers, f"{name}Config")(
        vocab_size=SIZES.vocab,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        hidden_size=SIZES.width,
        intermediate_size=SIZES.width,
        attn_implementation="eager",
        **({"sliding_window": 4} if name == "Mistral" else {}),
    )
    made = getattr(transformers, f"{name}ForCausalLM")(config)
    draw = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.from_numpy(draw.normal(0, 0.3, tuple(parameter.shape))))
    for kind in KINDS:
        report = prefix_report(adapted(made.eval(), kind), None, TOKENS)
        assert report.holds
        hidden = report.head(0, 0).attention[-1] == 0
        assert hidden.any() == (name == "Mistral")


def test_a_class_made_from_a_known_one_is_not_known() -> None:
    class Changed(type(model("gpt2").transformer.h[0].attn)):  # type: ignore[misc] # a class at run time
        pass

    found = model("gpt2").transformer.h[0].attn
    assert known_attention(found) is not None
    found.__class__ = Changed
    assert known_attention(found) is None
    assert all(name.rpartition(".")[2].endswith("Attention") for name in KNOWN)


@EACH
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_drawn_models_hold(design: str, dtype: str) -> None:
    for verdict in fuzz_attention(design, dtype=dtype, examples=6, seed=3):
        assert (verdict.holds, verdict.method, verdict.cases, verdict.seed) == (True, "fuzzed", 6, 3)


@pytest.mark.gpu
@EACH
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_drawn_models_hold_on_a_gpu(design: str, dtype: str) -> None:
    for verdict in fuzz_attention(design, dtype=dtype, device="cuda", examples=20):
        assert (verdict.holds, verdict.device) == (True, "cuda")


@pytest.mark.heavy
@EACH
@pytest.mark.parametrize(("dtype", "examples"), [("float64", 340), ("float32", 330), ("bfloat16", 330)])
def test_a_thousand_drawn_models_of_each_class_hold(design: str, dtype: str, examples: int) -> None:
    for verdict in fuzz_attention(design, dtype=dtype, examples=examples):
        assert (verdict.holds, verdict.cases) == (True, examples)
        assert isinstance(verdict.margin, float)
        assert 0 < verdict.margin < 1 - 1 / 100
