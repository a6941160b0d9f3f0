"""Single tokens of stock models: counted as brute force counts, and gone on with after a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import InvalidArgument
from tests.huggingface.counted_models import CERTAIN, LENGTH, Killed, V, killed_at, resealed, results, small
from verify.huggingface.completions import generating, hard_completions
from verify.huggingface.completions.generating import Sizes, greedy

transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.extras


def brute_force(model: Any, length: int) -> list[list[int]]:
    """Return the completion of every token: a full pass for each step, without a cache, one prompt at a time."""
    made = []
    for token in range(V):
        tokens = [token]
        for _ in range(length):
            with torch.no_grad():
                tokens.append(int(model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
        made.append(tokens[1:])
    return made


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt", "gpt_neox"])
def test_single_tokens_are_counted_as_brute_force_counts_them(name: str, tmp_path: Path) -> None:
    model = small(name)
    made = hard_completions(model, length=LENGTH, batch=7, file=tmp_path / "tokens.jsonl")
    expected = brute_force(model, LENGTH)
    assert made.closest is not None
    assert made.closest > CERTAIN
    assert [result["completion"] for result in results(tmp_path / "tokens.jsonl")] == expected
    assert (made.prompts, made.unique, made.tied) == (V, len(set(map(tuple, expected))), 0)
    assert 1 < made.unique < V or name != "gpt2"  # neither trivial count
    assert (made.alone.prompts, made.alone.differ, made.batch) == (V, (), 7)
    assert hard_completions(model, length=LENGTH).unique == made.unique  # all at once


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt", "gpt_neox"])
def test_completions_are_those_of_generate_without_its_own_settings(name: str) -> None:
    model = small(name)
    options = {"do_sample": False, "max_new_tokens": LENGTH, "pad_token_id": 0}
    made = greedy(model, torch.arange(V), LENGTH)
    with torch.no_grad():
        by_library = model.generate(
            torch.arange(V)[:, None], attention_mask=torch.ones(V, 1, dtype=torch.long), **options
        )
    # generate() reads float64 logits as float32: the gaps must be certain there too
    certain = made.margins > 100 * 2.0**-23
    assert certain.sum() > V // 2
    assert np.array_equal(made.tokens[certain], by_library[:, 1:].numpy()[certain])
    virtual = torch.randn(5, Sizes.of(model).size, dtype=torch.float64)
    soft = greedy(model, virtual, LENGTH)
    with torch.no_grad():
        by_library = model.generate(inputs_embeds=virtual[:, None], **options)
    certain = soft.margins > 100 * 2.0**-23
    assert certain.any()
    assert np.array_equal(soft.tokens[certain], by_library.numpy()[certain])


def test_keys_and_values_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = small("llama"), []

    def hook(_: Any, args: Any, given: dict[str, Any]) -> None:
        seen.append(tuple((given["input_ids"] if "input_ids" in given else given["inputs_embeds"]).shape[:2]))

    model.register_forward_pre_hook(hook, with_kwargs=True)
    greedy(model, torch.arange(V), LENGTH)
    assert seen == [(V, 1)] * LENGTH
    greedy(model, torch.randn(4, 32, dtype=torch.float64), LENGTH)
    assert seen[LENGTH:] == [(4, 1)] * LENGTH
    monkeypatch.setattr(generating, "_CACHES", ())
    greedy(model, torch.arange(2), LENGTH)
    assert seen[2 * LENGTH :] == [(2, 1), (2, 2), (2, 3)]


def test_an_end_token_ends_nothing() -> None:
    model = small("gpt2")
    before = hard_completions(model, length=LENGTH)
    model.generation_config.eos_token_id = list(range(V))
    model.config.eos_token_id = 3
    assert hard_completions(model, length=LENGTH) == before


def test_a_model_that_knows_no_cache_runs_in_full() -> None:
    model = small("gpt2")
    plain = type(model).forward

    class Full(type(model)):  # type: ignore[misc] # a class at run time
        def forward(self, input_ids: Any = None, inputs_embeds: Any = None, **options: Any) -> Any:
            assert options == {"use_cache": False}
            return plain(self, input_ids=input_ids, inputs_embeds=inputs_embeds, use_cache=False)

    made = greedy(model, torch.arange(V), LENGTH)
    virtual = torch.randn(5, 32, dtype=torch.float64)
    soft = greedy(model, virtual, LENGTH)
    assert min(made.margins.min(), soft.margins.min()) > CERTAIN
    model.__class__ = Full
    assert np.array_equal(greedy(model, torch.arange(V), LENGTH).tokens, made.tokens)
    assert np.array_equal(greedy(model, virtual, LENGTH).tokens, soft.tokens)


def test_ties_are_counted_and_go_to_the_first_token() -> None:
    model = small("gpt2")
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    made = hard_completions(model, length=2)
    assert (made.unique, made.tied, made.closest) == (1, V, 0.0)
    assert greedy(model, torch.arange(2), 2).tokens.tolist() == [[0, 0], [0, 0]]


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    model, file, whole = small("gpt2"), tmp_path / "part.jsonl", tmp_path / "whole.jsonl"
    with pytest.raises(Killed):
        hard_completions(model, length=LENGTH, batch=8, file=file, progress=killed_at(24))
    done = len(results(file))
    assert 0 < done <= 24
    made = hard_completions(model, length=LENGTH, batch=8, file=file)
    expected = hard_completions(model, length=LENGTH, batch=8, file=whole)
    assert made.taken_over == done
    assert file.read_text(encoding="utf-8").splitlines()[:-1] == whole.read_text(encoding="utf-8").splitlines()[:-1]
    assert (made.unique, made.alone) == (expected.unique, expected.alone)
    again = hard_completions(model, length=LENGTH, batch=8, file=file)  # a finished run reads its results
    assert (again.taken_over, again.unique) == (V, made.unique)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text(path.read_text()[:-200]), "output: expected a file of results but"),
        (lambda path: path.write_text(path.read_text().replace("12", "13")), "it was damaged or edited"),
        (lambda path: path.write_text(""), "output: expected a file of results but"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "output: expected a file of results but"),
        (lambda path: resealed(path, lambda lines: lines[0]["run"].update(length=4)), "differs in length; remove it"),
        (lambda path: resealed(path, lambda lines: lines[0]["run"].update(weights="0")), "differs in weights"),
        (lambda path: resealed(path, lambda lines: lines.__setitem__(0, {"run": 5})), "does not say of which run"),
        (lambda path: resealed(path, lambda lines: lines[3].update(token=9)), "tokens in order but line 4 of"),
        (lambda path: resealed(path, lambda lines: lines[3].update(completion=[V, 0, 0])), "line 4 of"),
        (lambda path: resealed(path, lambda lines: lines[3].update(completion=[0, 0])), "line 4 of"),
        (lambda path: resealed(path, lambda lines: lines[3].update(margin=-1.0)), "line 4 of"),
        (lambda path: resealed(path, lambda lines: lines.append(lines[1])), "it has 51 results of 50"),
    ],
)
def test_a_file_that_is_damaged_edited_or_of_another_run_is_refused(
    damage: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    model, file = small("gpt2"), tmp_path / "tokens.jsonl"
    hard_completions(model, length=LENGTH, file=file)
    damage(file)
    with pytest.raises(InvalidArgument, match=message):
        hard_completions(model, length=LENGTH, file=file)


def test_a_forged_completion_is_met_when_prompts_run_again_alone(tmp_path: Path) -> None:
    model, file = small("gpt2"), tmp_path / "tokens.jsonl"
    hard_completions(model, length=LENGTH, file=file)
    resealed(file, lambda lines: lines[8].update(completion=[V - 1, V - 1, V - 1]))
    made = hard_completions(model, length=LENGTH, file=file)
    assert made.alone.differ == (7,)  # fewer than REPLAYED prompts: all of them ran again
    assert made.remarks()[-1] == "single tokens: another completion alone than in their batch: prompts 7"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length: expected an integer >= 1 but got 0"),
        ({"length": 17}, "length: expected at most 16 tokens, the positions of GPT2LMHeadModel, but got 17"),
        ({"batch": 0}, "batch: expected an integer >= 1 but got 0"),
        ({"tokens": V + 1}, "tokens: expected an integer <= 50 but got 51"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        hard_completions(small("gpt2"), **options)


def test_memory_that_does_not_hold_a_batch_is_told_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("gpt2")
    each = Sizes.of(model).generating(LENGTH)
    monkeypatch.setattr(generating, "memory", lambda _: 3 * each)
    assert hard_completions(model, length=LENGTH).batch == 3
    assert hard_completions(model, length=LENGTH, batch=3).batch == 3
    with pytest.raises(InvalidArgument, match="batch: expected at most 3 prompts, which fit in memory, but got 4"):
        hard_completions(model, length=LENGTH, batch=4)
    monkeypatch.setattr(generating, "memory", lambda _: each - 1)
    with pytest.raises(InvalidArgument, match="model: expected a vocabulary and a length that fit in memory"):
        hard_completions(model, length=LENGTH)


def test_logits_that_are_not_finite_are_refused() -> None:
    model = small("llama")
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = torch.inf
    with pytest.raises(InvalidArgument, match="expected finite logits but prompt 2 of its batch has others at step 0"):
        hard_completions(model, length=LENGTH, batch=5)
    with torch.no_grad():
        model.get_input_embeddings().weight[0] = torch.nan
    with pytest.raises(InvalidArgument, match="model: expected finite logits but those behind token 0 are not"):
        hard_completions(model, length=LENGTH)


def test_a_model_that_writes_tokens_that_it_does_not_read_is_refused() -> None:
    model = small("llama")
    model.lm_head = torch.nn.Linear(32, V + 3, bias=False, dtype=torch.float64)
    with pytest.raises(InvalidArgument, match="the 53 tokens that it writes but it reads 50"):
        hard_completions(model, length=LENGTH)
    model.lm_head = torch.nn.Linear(32, V - 3, bias=False, dtype=torch.float64)
    assert hard_completions(model, length=LENGTH).prompts == V


def test_a_single_output_has_no_margin() -> None:
    config = transformers.GPT2Config(vocab_size=1, n_embd=8, n_layer=1, n_head=1, n_positions=4)
    model = transformers.GPT2LMHeadModel(config)
    made = hard_completions(model, length=2)
    assert (made.prompts, made.unique, made.tied, made.closest) == (1, 1, 0, None)
