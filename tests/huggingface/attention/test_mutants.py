"""Layers that break an identity, and comparisons that are unfair: none is reported to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

from constructions import FORMATS, InvalidArgument
from proofs.attention import BIAS, RESCALING
from tests.huggingface.attention.small import TOKENS, adapted, model
from verify.huggingface import prefix_report
from verify.huggingface.attention import runs
from verify.huggingface.attention.known import DESIGNS
from verify.huggingface.attention.measured import LayerReport, measure
from verify.huggingface.attention.opened import opened
from verify.huggingface.attention.recording import Call
from verify.huggingface.attention.runs import LayerCalls, check_input, run_three
from verify.prefixes.tally import Tally

pytestmark = pytest.mark.extras

KINDS = ("PrefixTuningConfig", "PromptTuningConfig")
COUNT, PREFIX = len(TOKENS), 2
FMT = FORMATS["float32"]
#: Far below what a comparison with a usual tolerance would see: a few units of roundoff more than the bounds.
SMALL = 2.0**-16


@cache
def calls_of(design: str, kind: str) -> list[LayerCalls]:
    with opened(adapted(model(design), kind, PREFIX), None) as found:
        return run_three(found, check_input(TOKENS, found))


def broken(report: LayerReport, claim: str) -> bool:
    """Whether the layer alone is kept from a verdict that holds."""
    tally = Tally(broken=report.objection)
    tally.add(report.deviations(claim), "here", "now")
    return not (tally.cases == 1 and tally.found is None and tally.broken is None)


def changed(calls: LayerCalls, **parts: Callable[[torch.Tensor], torch.Tensor]) -> LayerCalls:
    """The calls with some tensors of the pass with the prefix changed."""
    made: dict[str, Any] = {name: change(getattr(calls.joined, name)) for name, change in parts.items()}
    return replace(calls, joined=replace(calls.joined, **made))


def without_prefix(weights: torch.Tensor) -> torch.Tensor:
    kept = weights.clone()
    kept[..., :PREFIX] = 0
    return kept / kept.sum(-1, keepdim=True)


def nudged(weights: torch.Tensor) -> torch.Tensor:
    found = weights.clone()
    found[0, -1, -1] += SMALL
    return found


#: Patterns that are altered by hand, and the claims that they break.
PATTERNS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], tuple[str, ...]]] = {
    "attention of another head": (lambda weights: weights.flip(0), (RESCALING, BIAS)),
    "the prefix dropped": (without_prefix, (BIAS,)),
    "keys shifted by one": (lambda weights: weights.roll(1, -1), (RESCALING, BIAS)),
    "queries shifted by one": (lambda weights: weights.roll(1, -2), (RESCALING, BIAS)),
    "one weight changed slightly": (nudged, (RESCALING,)),
    "one weight not finite": (lambda weights: weights.index_fill(-1, torch.tensor([0]), torch.nan), (RESCALING, BIAS)),
}


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_themselves_are_not_refused(design: str, kind: str) -> None:
    for index, calls in enumerate(calls_of(design, kind)):
        report = measure(index, calls, FMT)
        assert not broken(report, RESCALING)
        assert not broken(report, BIAS)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_that_is_altered_by_hand_is_refused(design: str, kind: str, name: str) -> None:
    change, claims = PATTERNS[name]
    for index, calls in enumerate(calls_of(design, kind)):
        report = measure(index, changed(calls, weights=change), FMT)
        for claim in claims:
            assert broken(report, claim)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_outputs_of_another_token_are_refused(design: str, kind: str) -> None:
    def swapped(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values[:, [1, 0]], values[:, PREFIX:]], dim=1)

    for index, calls in enumerate(calls_of(design, kind)):
        report = measure(index, changed(calls, value=swapped), FMT)
        assert report.objection is not None
        assert broken(replace(report, objection=None), BIAS)  # the identity itself sees it too
        assert broken(measure(index, changed(calls, output=lambda rows: rows.roll(1, 1)), FMT), BIAS)
        assert broken(measure(index, changed(calls, output=lambda rows: rows + SMALL), FMT), BIAS)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["query", "key", "value", "exponents", "rows"])
def test_numbers_that_are_not_the_layers_own_are_refused(design: str, kind: str, part: str) -> None:
    """A bound starts at them: with other ones in both passes it would be about another layer."""
    for index, calls in enumerate(calls_of(design, kind)):
        for place in ("joined", "alone"):
            call: Call = getattr(calls, place)
            moved = getattr(call, part) + SMALL * getattr(call, part).abs().max() * 8
            other: dict[str, Any] = {place: replace(call, **dict[str, Any]({part: moved}))}
            report = measure(index, replace(calls, **other), FMT)
            assert report.objection is not None
            assert broken(report, RESCALING)


def test_the_prefix_must_be_the_adapters() -> None:
    calls = calls_of("llama", "PrefixTuningConfig")[0]
    assert calls.held is not None
    other = replace(calls, held=(calls.held[0], calls.held[1].nextafter(torch.tensor(9.0))))
    assert "values of the prefix are not those of the adapter" in str(measure(0, other, FMT).objection)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [0, PREFIX - 1, PREFIX + 1])
def test_an_unfair_comparison_is_refused(design: str, kind: str, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = adapted(model(design), kind, PREFIX)
    given = list(range(start, start + COUNT))
    with pytest.raises(InvalidArgument, match=r"^position_ids: expected 2\.\.8, where the content stands behind the"):
        prefix_report(made, None, TOKENS, position_ids=given)
    assert prefix_report(made, None, TOKENS, position_ids=torch.arange(PREFIX, PREFIX + COUNT)[None]).holds

    # and what is not said is seen: the second pass runs at other positions in spite of what it is told
    monkeypatch.setattr(runs, "fair_positions", lambda prefix, count: given)
    with pytest.raises(InvalidArgument, match=r"^position_ids: expected the same content at the same positions"):
        prefix_report(made, None, TOKENS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_that_never_arrives_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a library drops what another hands it: both identities would hold of nothing."""
    made = adapted(model("gpt2"), kind, PREFIX)
    monkeypatch.setattr(made, "forward", lambda input_ids: made.get_base_model()(input_ids=input_ids))
    with pytest.raises(InvalidArgument, match=r"^adapter: expected transformer\.h\.0\.attn to read 9 keys, 2 of the"):
        prefix_report(made, None, TOKENS)


def test_a_layer_that_sees_other_content_is_refused() -> None:
    calls = calls_of("gpt2", "PrefixTuningConfig")
    visible = calls[1].alone.visible.copy()
    visible[-1, 0] = False
    other = [calls[0], replace(calls[1], alone=replace(calls[1].alone, visible=visible)), *calls[2:]]
    with pytest.raises(InvalidArgument, match=r"transformer\.h\.1\.attn shows other content"):
        runs.check_fair(other)


def test_a_model_whose_scores_depend_on_the_prefix_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are sharpened by the number of keys, which a prefix changes: no rounding explains that."""
    from transformers.models.gpt2 import modeling_gpt2

    own = modeling_gpt2.eager_attention_forward

    def sharpened(module: Any, query: Any, key: Any, value: Any, mask: Any, **more: Any) -> Any:
        return own(module, query * (1 + SMALL * key.shape[2]), key, value, mask, **more)

    monkeypatch.setattr(modeling_gpt2, "eager_attention_forward", sharpened)
    report = prefix_report(adapted(model("gpt2")), None, TOKENS)
    assert all(verdict.holds is not True for verdict in report.verdicts)
    assert "the scores with the prefix are not those" in str(report.layers[0].objection)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("design", DESIGNS)
def test_scores_that_are_scaled_by_the_number_of_keys_are_not_shown(design: str, kind: str) -> None:
    """The factor is a thousandth larger with the prefix: each pass is right by its own factor, and they differ."""
    made = adapted(model(design), kind, PREFIX)
    for module in made.get_base_model().modules():
        if hasattr(module, "scaling"):

            def scaled(at: Any, _: Any, given: dict[str, Any], own: float = module.scaling) -> None:
                at.scaling = own * (1.001 if given["attention_mask"].shape[-1] > COUNT else 1)

            module.register_forward_pre_hook(scaled, with_kwargs=True)
    report = prefix_report(made, None, TOKENS)
    assert [verdict.holds for verdict in report.verdicts] == [None, None]
    assert all(layer.objection is not None for layer in report.layers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_that_a_layer_hides_is_refused(kind: str) -> None:
    made = adapted(model("llama"), kind, PREFIX)

    def hidden(_: Any, args: Any, given: dict[str, Any]) -> Any:
        mask = given["attention_mask"].clone()
        if mask.shape[-1] > COUNT:
            mask[..., -COUNT:, :PREFIX] = torch.finfo(mask.dtype).min
        return args, {**given, "attention_mask": mask}

    made.get_base_model().model.layers[1].self_attn.register_forward_pre_hook(hidden, with_kwargs=True)
    with pytest.raises(InvalidArgument, match=r"^adapter: expected model\.layers\.1\.self_attn to see the prefix"):
        prefix_report(made, None, TOKENS)


def test_a_counterexample_names_layer_head_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.gpt2 import modeling_gpt2

    own = modeling_gpt2.eager_attention_forward

    def changed_output(module: Any, *parts: Any, **more: Any) -> Any:
        output, weights = own(module, *parts, **more)
        longer = weights.shape[-1] > weights.shape[-2]
        return output + SMALL * longer * (module.layer_idx == 2), weights

    monkeypatch.setattr(modeling_gpt2, "eager_attention_forward", changed_output)
    report = prefix_report(adapted(model("gpt2")), None, TOKENS, reproduce="this command")
    rescaling, bias = report.verdicts
    assert (rescaling.holds, bias.holds) == (True, False)
    assert bias.refutation is not None
    assert "t^pt of layer 2, head 0" in bias.refutation.place
    assert bias.refutation.reproduce == "this command"
    assert bias.margin is not None
    assert bias.margin < 0
    assert not report.holds


def test_two_softmaxes_or_none_are_not_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.opt import modeling_opt

    own = modeling_opt.eager_attention_forward

    def twice(*parts: Any, **more: Any) -> Any:
        own(*parts, **more)
        return own(*parts, **more)

    monkeypatch.setattr(modeling_opt, "eager_attention_forward", twice)
    with pytest.raises(InvalidArgument, match=r"expected one softmax in model\.decoder\.layers\.0\.self_attn"):
        prefix_report(adapted(model("opt")), None, TOKENS)
    assert "eager" not in ALL_ATTENTION_FUNCTIONS
