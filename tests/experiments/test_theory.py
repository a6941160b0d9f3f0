"""The theory on trained models: what is refused, and what a pattern's certificate is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch  # after the libraries that may not be there

from tests.experiments.small import Small, small
from verify.experiments import theory
from verify.experiments.draws import draw
from verify.experiments.loop import Run, run_phases
from verify.experiments.models import measured
from verify.experiments.tasks import TASKS

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = Run(tmp_path_factory.mktemp("run"), {"experiment": Small.name}, small(), 0)
    run_phases(made)
    return made


def test_the_identities_hold_of_a_trained_prefix(run: Run) -> None:
    found = theory.identities(run, "prefix", "descending")
    assert found["holds"] is True
    assert [verdict["holds"] for verdict in found["verdicts"]] == [True] * 6
    (layer,) = found["layers"]
    assert 0 < layer["strength"][0] <= layer["strength"][1] < 1
    assert layer["rescaling"]["used"] <= 1
    assert layer["bias"]["used"] <= 1


def test_an_altered_pattern_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = run.finished("prefix"), theory.read_for(run, "descending")
    assert theory.altered_is_refused(model, tokens)
    # where nothing is altered, nothing is refused, and it says so
    monkeypatch.setattr(torch.Tensor, "flip", lambda self, axis: self)
    assert not theory.altered_is_refused(model, tokens)


def test_the_same_pattern_is_not_impossible(run: Run) -> None:
    found = theory.pattern_reached(run, "pretrained", "pretrained", "ascending")
    assert found["impossible"] is False
    assert found["positions_changed"] == 0


def patterns(monkeypatch: pytest.MonkeyPatch, now: Any, then: Any) -> None:
    given = {"now": [np.array([now])], "then": [np.array([then])]}
    monkeypatch.setattr(theory, "pattern_weights", lambda run, phase, task: given[phase])


@pytest.mark.parametrize(
    ("row", "impossible"),
    [
        ([0.5, 0.25, 0.25], False),  # the same
        ([0.25, 0.5, 0.25], False),  # 4 times: at the bound
        ([0.2, 0.5, 0.3], True),  # 5 times
    ],
)
def test_a_ratio_that_is_clearly_another_is_impossible(
    run: Run, monkeypatch: pytest.MonkeyPatch, row: list[float], *, impossible: bool
) -> None:
    first = [[1.0, 0, 0], [0.5, 0.5, 0]]
    patterns(monkeypatch, [*first, [0.5, 0.25, 0.25]], [*first, row])
    assert theory.pattern_reached(run, "now", "then", "ascending")["impossible"] is impossible


def test_weights_that_round_to_nothing_have_no_ratio(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [[1.0, 0, 0], [0.5, 0.5, 0]]
    for least in (0.0, 2.0**-149, 2.0**-127):
        patterns(monkeypatch, [*first, [1.0, least, least]], [*first, [least, least, 1.0]])
        assert theory.pattern_reached(run, "now", "then", "ascending")["impossible"] is False
    least = 2.0**-126
    patterns(monkeypatch, [*first, [1.0, least, least]], [*first, [least, least, 1.0]])
    assert theory.pattern_reached(run, "now", "then", "ascending")["impossible"] is True


def test_shares_are_those_of_generation(run: Run) -> None:
    """One pass over the answer decides what greedy generation gives."""
    model, sizes, adaptation = run.finished("pretrained"), run.preset.sizes, run.phase("pretrained").adaptation
    questions = draw(64, sizes.length, "here", test=True)
    made = torch.from_numpy(questions)
    with torch.no_grad():
        for _ in range(sizes.length):
            positions = torch.arange(made.shape[1]) + sizes.prefix
            logits = model(input_ids=made, position_ids=positions.expand(len(made), -1)).logits[:, -1]
            made = torch.cat([made, logits.argmax(dim=1, keepdim=True)], dim=1)
    right = (made[:, sizes.length :].numpy() == TASKS["ascending"].answer(questions)).all(axis=1).sum()
    assert measured(model, sizes, adaptation, questions, "ascending").right == right
    assert right > 0


def test_the_plane_keeps_what_lies_in_one() -> None:
    flat = np.random.default_rng(0).normal(size=(20, 2))
    points = flat @ np.array([[0.6, 0.8, 0, 0], [0, 0, 1, 0]]) + 3
    found = theory.plane(points)
    distances = [np.linalg.norm(one[:, None] - one[None], axis=2) for one in (flat, found)]
    # rounding of sums of fewer than 100 products of numbers below 10
    assert np.abs(distances[0] - distances[1]).max() < 1e-11


def test_files_of_a_run_are_its_own(run: Run, tmp_path: Path) -> None:
    assert {path.name for path in run.folder.iterdir()} == {
        "measurements.jsonl",
        "pretrained.safetensors",
        "prefix.safetensors",
        "rank-one.safetensors",
    }
