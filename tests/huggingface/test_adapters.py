"""Real adapters of peft: one target, several, beams, padding, and what a plain call of ``generate`` returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch

from constructions import InvalidArgument, LongerResponses, ResidualConditional, ResidualGeneration
from tests.huggingface.theorems import FAMILIES
from verify.huggingface import to_huggingface, to_multitask, to_peft

pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore:Position ids are not supported")]

TARGET = [5, 0, 6, 2, 2]


def construction(family: str = "gpt2") -> ResidualGeneration:
    return ResidualGeneration(7, 5, architecture=family, start_token=True)  # type: ignore[arg-type] # the same names


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_generate_without_an_argument_returns_the_target(family: str, dtype: str) -> None:
    made = to_peft(construction(family), TARGET, dtype=dtype)
    assert type(made).__name__ == "PeftModelForCausalLM"
    assert made.peft_config["default"].num_virtual_tokens == 1
    assert made.generate(do_sample=False)[0].tolist() == [0, *TARGET]
    # the virtual token is (y_0/V, ...), correctly rounded, and nothing else
    held = made.prompt_encoder["default"].embedding.weight
    assert held.dtype == getattr(torch, dtype)
    assert held[0, :5].tolist() == [float(np.array(y / 7, dtype=dtype)) for y in TARGET]
    assert held.shape[0] == 1


def test_any_token_may_come_first() -> None:
    made = to_peft(construction(), TARGET)
    for token in range(7):
        ids = torch.tensor([[token]])
        found = made.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False)
        assert found[0].tolist() == [token, *TARGET]


def test_a_batch_of_different_targets() -> None:
    made = construction()
    targets = made.targets.sample(50, seed=3)
    model = to_multitask(made, targets)
    ids = torch.zeros(50, 1, dtype=torch.long)
    chosen = torch.from_numpy(np.random.default_rng(0).permutation(50))
    found = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), task_ids=chosen, do_sample=False)
    assert (found[:, 1:].numpy() == targets[chosen.numpy()]).all()


@pytest.mark.parametrize("options", [{"num_beams": 4}, {"num_beams": 2, "num_return_sequences": 1}, {"top_k": 1}])
def test_other_ways_to_decode_return_it_too(options: dict[str, Any]) -> None:
    made = to_peft(construction(), TARGET)
    assert made.generate(do_sample=False, **options)[0, 1:].tolist() == TARGET


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_on_the_left_changes_nothing(family: str) -> None:
    made = to_peft(construction(family), TARGET)
    ids = torch.tensor([[3, 3, 1], [3, 4, 1], [2, 4, 1]])[:, -2:]
    mask = torch.tensor([[0, 1], [0, 1], [0, 1]])
    if family == "gpt2":  # under peft it counts the padding as positions too; the others do not see it
        ids, mask = ids[:, -1:], mask[:, -1:]
    found = made.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=5)
    assert found[:, ids.shape[1] :].tolist() == [TARGET] * 3


def test_several_adapters_on_one_model() -> None:
    made = construction()
    others = [[1, 2, 3, 4, 5], [6, 6, 6, 0, 0]]
    model = to_peft(made, TARGET)
    for name, other in zip(("b", "c"), others, strict=True):
        assert to_peft(made, other, model=model, name=name) is model
    for name, target in zip(("default", "b", "c", "b"), (TARGET, *others, others[0]), strict=True):
        model.set_adapter(name)
        assert model.generate(do_sample=False)[0, 1:].tolist() == target


def test_a_map_answers_every_token() -> None:
    made = ResidualConditional(7)
    chosen = [3, 3, 0, 6, 1, 2, 5]
    ids = torch.arange(7)[:, None]
    model = to_peft(made, chosen)
    found = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False)
    assert found[:, 1:].flatten().tolist() == chosen


def test_without_the_adapter_the_model_knows_no_target() -> None:
    model = to_huggingface(construction())
    assert model.generate(do_sample=False)[0, 1:].tolist() != TARGET


def test_arguments_are_refused_in_words() -> None:
    made = construction()
    model = to_peft(made, TARGET)
    cases: list[tuple[Any, str]] = [
        (lambda: to_peft(made, [TARGET, TARGET]), "target: expected a single target but got a batch of shape (2,)"),
        (lambda: to_peft(made, [7, 0, 0, 0, 0]), "target: expected"),
        (lambda: to_multitask(made, TARGET), "targets: expected a batch of targets but got one of shape ()"),
        (lambda: to_multitask(made, np.zeros((0, 5), dtype=np.int64)), "targets: expected a batch of targets but got"),
        (lambda: to_peft(made, TARGET, model=model), "name: expected one that no adapter has but got 'default'"),
        (lambda: to_peft(made, TARGET, model=model, dtype="float64"), "dtype: expected none with a model"),
        (lambda: to_peft(made, TARGET, model="gpt2"), "model: expected one of GPT2LMHeadModel"),
        (
            lambda: to_peft(made, TARGET, model=to_huggingface(ResidualGeneration(7, 6))),
            "model: expected one whose residual stream is 15 wide, as the virtual tokens are, but got 17",
        ),
        (lambda: to_peft(LongerResponses(2, 2), [[[0, 0]] * 2]), "target: expected"),
    ]
    for call, said in cases:
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)
