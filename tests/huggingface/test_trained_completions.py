"""Trained virtual tokens of stock models: counted from their files, and gone on with after a kill."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import InvalidArgument, TargetSpace
from tests.huggingface.counted_models import CERTAIN, LENGTH, Killed, V, killed_at, resealed, results, small
from verify.huggingface.completions import Counted, Training, soft_completions
from verify.huggingface.completions.training import train

safetensors_torch = pytest.importorskip("safetensors.torch")

pytestmark = pytest.mark.extras


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
        virtual = safetensors_torch.load_file(path)["virtual_tokens"][line["row"]]
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
            lambda folder: resealed(folder / "trained.jsonl", lambda lines: lines[1].update(file="../x.safetensors")),
            "expected the place of each virtual token",
        ),
        (
            lambda folder: resealed(folder / "trained.jsonl", lambda lines: lines[2].update(row=0)),
            "expected the place of each virtual token",
        ),
        (
            lambda folder: resealed(folder / "trained.jsonl", lambda lines: lines[2].update(target=[0, 0, 0])),
            "expected results of this run's targets but line 3 has another",
        ),
        (
            lambda folder: resealed(folder / "trained.jsonl", lambda lines: lines.pop()),
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
    assert torch.isfinite(safetensors_torch.load_file(tmp_path / "trained-00000.safetensors")["virtual_tokens"]).all()


def test_half_precision_is_trained_in_float32_and_saved_as_it_runs(tmp_path: Path) -> None:
    model = small("llama").to(torch.bfloat16)
    made = trained(tmp_path, model, training=Training(steps=60))
    assert made.reached is not None
    assert made.reached > 5
    assert safetensors_torch.load_file(tmp_path / "trained-00000.safetensors")["virtual_tokens"].dtype == torch.bfloat16
