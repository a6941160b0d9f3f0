"""Single tokens and trained virtual tokens of stock models: counted as brute force counts, and gone on with."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")

import torch  # noqa: E402 # after the libraries that may not be there
from safetensors.torch import load_file  # noqa: E402

from constructions import InvalidArgument, TargetSpace  # noqa: E402
from verify.huggingface.completions import (  # noqa: E402
    Counted,
    Training,
    generating,
    hard_completions,
    soft_completions,
)
from verify.huggingface.completions.generating import Sizes, greedy  # noqa: E402
from verify.huggingface.completions.training import train  # noqa: E402

pytestmark = pytest.mark.extras

V, LENGTH = 50, 3
#: In float64 the logits of these models, below 100 in size and sums of fewer than 10^4 products, are known to within
#: 10^4 x 2^-53 x 100 = 1.2e-10: a gap beyond that is the same for every kernel.
CERTAIN = 1.2e-10


def small(name: str, **options: Any) -> Any:
    """Return a stock model with random weights, the same for the same name."""
    none = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "vocab_size": V}
    wide = {"hidden_size": 32, "num_attention_heads": 2, "max_position_embeddings": 16}
    configs: dict[str, Callable[[], Any]] = {
        "gpt2": lambda: transformers.GPT2Config(
            n_embd=32, n_layer=1, n_head=2, n_positions=16, initializer_range=0.3, **none, **options
        ),
        "llama": lambda: transformers.LlamaConfig(
            num_hidden_layers=1, intermediate_size=48, initializer_range=0.3, **wide, **none, **options
        ),
        "opt": lambda: transformers.OPTConfig(
            num_hidden_layers=2, ffn_dim=48, word_embed_proj_dim=16, init_std=0.3, **wide, **none, **options
        ),
        "gpt_neox": lambda: transformers.GPTNeoXConfig(
            num_hidden_layers=2, intermediate_size=48, initializer_range=0.3, **wide, **none, **options
        ),
    }
    torch.manual_seed(1)
    return transformers.AutoModelForCausalLM.from_config(configs[name](), dtype=torch.float64).eval()


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


def results(path: Path) -> list[Any]:
    """Return the results in a file, without its first and last line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][1:-1]


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


class Killed(Exception):
    """Stands for a kill."""


def killed_at(count: int) -> Callable[[int, int], None]:
    """Return a progress that is killed as soon as this many are done."""

    def progress(done: int, total: int) -> None:
        if done >= count:
            raise Killed

    return progress


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


def _resealed(path: Path, change: Callable[[list[Any]], None]) -> None:
    """Change the lines of a file and give it the digest of what it has then, as a forger would."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:-1]
    change(lines)
    body = "".join(json.dumps(line) + "\n" for line in lines)
    seal = {"saved": "2026-01-01T00:00:00+00:00", "sha256": hashlib.sha256(body.encode()).hexdigest()}
    path.write_text(body + json.dumps(seal) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text(path.read_text()[:-200]), "output: expected a file of results but"),
        (lambda path: path.write_text(path.read_text().replace("12", "13")), "it was damaged or edited"),
        (lambda path: path.write_text(""), "output: expected a file of results but"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "output: expected a file of results but"),
        (lambda path: _resealed(path, lambda lines: lines[0]["run"].update(length=4)), "differs in length; remove it"),
        (lambda path: _resealed(path, lambda lines: lines[0]["run"].update(weights="0")), "differs in weights"),
        (lambda path: _resealed(path, lambda lines: lines.__setitem__(0, {"run": 5})), "does not say of which run"),
        (lambda path: _resealed(path, lambda lines: lines[3].update(token=9)), "tokens in order but line 4 of"),
        (lambda path: _resealed(path, lambda lines: lines[3].update(completion=[V, 0, 0])), "line 4 of"),
        (lambda path: _resealed(path, lambda lines: lines[3].update(completion=[0, 0])), "line 4 of"),
        (lambda path: _resealed(path, lambda lines: lines[3].update(margin=-1.0)), "line 4 of"),
        (lambda path: _resealed(path, lambda lines: lines.append(lines[1])), "it has 51 results of 50"),
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
    _resealed(file, lambda lines: lines[8].update(completion=[V - 1, V - 1, V - 1]))
    made = hard_completions(model, length=LENGTH, file=file)
    assert made.alone.differ == (7,)  # fewer than REPLAYED prompts: all of them ran again
    assert made.remarks()[-1] == "single tokens: another completion alone than in their batch: prompts 7"


def trained(folder: Path, model: Any, **options: Any) -> Counted:
    """Train for a few targets, which takes about a second."""
    given = {"targets": 40, "length": LENGTH, "batch": 16, "training": Training(steps=150, seed=5), **options}
    return soft_completions(model, folder, **given)


def test_trained_virtual_tokens_are_counted_from_their_files(tmp_path: Path) -> None:
    model = small("llama")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    made = trained(tmp_path, model)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())
    lines = results(tmp_path / "trained.jsonl")
    wanted = TargetSpace(V, (LENGTH,)).sample(40, seed=5).tolist()
    assert [line["target"] for line in lines] == wanted
    reached = 0
    for line in lines:
        path = tmp_path / line["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == line["sha256"]
        virtual = load_file(path)["virtual_tokens"][line["row"]]
        assert line["margin"] > CERTAIN
        tokens: list[int] = []
        table = model.get_input_embeddings()
        for _ in range(LENGTH):  # full passes, by embeddings
            rows = torch.cat([virtual[None], table(torch.tensor(tokens, dtype=torch.long))])[None]
            with torch.no_grad():
                tokens.append(int(model(inputs_embeds=rows, use_cache=False).logits[0, -1].argmax()))
        assert tokens == line["completion"]
        assert line["reached"] is (tokens == line["target"])
        reached += line["reached"]
        assert line["reached"] is (line["steps"] < 150) or line["steps"] == 150
    assert made.reached == reached
    assert reached > 20  # it does learn: of random virtual tokens hardly any would give its target
    assert made.unique == len({tuple(line["completion"]) for line in lines})
    assert (made.prompts, made.targets, made.not_finite, made.alone.differ) == (40, 40, 0, ())
    assert made.settings["steps"] == 150
    # a tenth of the root of a mean of n squares: n + 3 roundings of float64 at most, beside an exact sum and 3
    table = before["model.embed_tokens.weight"].double().flatten().tolist()
    rate = math.sqrt(math.fsum(entry * entry for entry in table) / len(table)) / 10
    assert abs(made.settings["rate"] - rate) <= rate * (len(table) + 8) * 2.0**-53


def test_a_killed_training_goes_on_from_whole_batches(tmp_path: Path) -> None:
    model, options = small("llama"), {"training": Training(steps=40)}
    with pytest.raises(Killed):
        trained(tmp_path / "part", model, progress=killed_at(33), **options)  # in the third of three batches
    made = trained(tmp_path / "part", model, **options)
    whole = trained(tmp_path / "whole", model, **options)
    assert made.taken_over == 32
    texts = [(tmp_path / name / "trained.jsonl").read_text().splitlines()[:-1] for name in ("part", "whole")]
    assert texts[0] == texts[1]
    assert made.reached == whole.reached


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "trained-00001.safetensors").unlink(),
            "trained-00001.safetensors is gone or another",
        ),
        (lambda folder: (folder / "trained-00001.safetensors").write_bytes(b"x"), "is gone or another"),
        (
            lambda folder: _resealed(folder / "trained.jsonl", lambda lines: lines[1].update(file="../x.safetensors")),
            "expected the place of each virtual token",
        ),
        (
            lambda folder: _resealed(folder / "trained.jsonl", lambda lines: lines[2].update(row=0)),
            "expected the place of each virtual token",
        ),
        (
            lambda folder: _resealed(folder / "trained.jsonl", lambda lines: lines[2].update(target=[0, 0, 0])),
            "expected results of this run's targets but line 3 has another",
        ),
        (
            lambda folder: _resealed(folder / "trained.jsonl", lambda lines: lines.pop()),
            "expected results of whole batches of 16",
        ),
    ],
)
def test_virtual_tokens_that_are_gone_or_others_are_refused(
    damage: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    model = small("gpt2")
    options = {"training": Training(steps=2)}
    trained(tmp_path, model, **options)
    damage(tmp_path)
    with pytest.raises(InvalidArgument, match=message):
        trained(tmp_path, model, **options)


def test_another_training_is_another_run(tmp_path: Path) -> None:
    model = small("gpt2")
    trained(tmp_path, model, training=Training(steps=2))
    with pytest.raises(InvalidArgument, match="differs in training; remove it to start afresh"):
        trained(tmp_path, model, training=Training(steps=3))


def test_the_first_step_is_adams() -> None:
    model = small("gpt2")
    start = model.get_input_embeddings().weight.detach()[:4]
    targets = np.random.default_rng(0).integers(V, size=(4, LENGTH))
    assert torch.equal(train(model, targets, start, Training(steps=0)).tokens, start)
    moved = (train(model, targets, start, Training(steps=1, rate=0.25)).tokens - start).abs()
    # rate x g / (|g| + 1e-8): the rate itself wherever the gradient is not tiny
    assert (moved <= 0.25 * (1 + 1e-9)).all()
    assert (moved > 0.249).float().mean() > 0.9


def test_a_loss_that_is_not_finite_stops_its_target_and_is_told(tmp_path: Path) -> None:
    model = small("gpt2")
    made = trained(tmp_path, model, training=Training(steps=5, rate=1e200))
    assert made.not_finite == 40
    assert made.reached == 0
    assert made.remarks()[-1] == "trained virtual tokens: 40 stopped, as their loss was not finite; lower --rate"
    assert {line["loss"] for line in results(tmp_path / "trained.jsonl")} == {None}
    assert torch.isfinite(load_file(tmp_path / "trained-00000.safetensors")["virtual_tokens"]).all()


def test_half_precision_is_trained_in_float32_and_saved_as_it_runs(tmp_path: Path) -> None:
    model = small("llama").to(torch.bfloat16)
    made = trained(tmp_path, model, training=Training(steps=60))
    assert made.reached is not None
    assert made.reached > 5
    assert load_file(tmp_path / "trained-00000.safetensors")["virtual_tokens"].dtype == torch.bfloat16


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
