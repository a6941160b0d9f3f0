"""Every experiment from end to end in its smallest preset, and the files that a run leaves and goes on from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("matplotlib")

import torch  # after the libraries that may not be there

from constructions import InvalidArgument
from tests.experiments.small import Small, small
from verify.cli.app import run as command
from verify.experiments import EXPERIMENTS, NotFiniteError, run_experiment
from verify.experiments.running import holds

pytestmark = pytest.mark.extras


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name: str, tmp_path: Path) -> None:
    experiment = EXPERIMENTS[name]
    result = run_experiment(experiment, "tiny", tmp_path, seeds=1)
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == result
    assert set(result["shares"]) == {phase.name for phase in experiment.presets["tiny"].phases}
    for picture in result["pictures"]:
        assert (tmp_path / picture).stat().st_size > 1000
    assert not holds(result)  # nothing is judged of it
    for extra in result["after"]:
        for found in extra.get("identities", {}).values():
            assert found["holds"] is True
            assert found["altered_refused"] == found["questions"]
    judged = list(experiment.judge(results_of(result)))
    assert judged
    assert all(isinstance(check.holds, bool) for check in judged)


def results_of(result: dict[str, Any]) -> Any:
    from verify.experiments.base import Results

    return Results(result["shares"], result["after"], result["questions"])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("done")
    return out, run_experiment(Small(), small(), out, pictures=False)


def test_seeds_differ_and_stand_beside_each_other(done: tuple[Path, dict[str, Any]]) -> None:
    out, first = done
    both = run_experiment(Small(), small(), out, seeds=2, pictures=False)
    assert both["after"] == [{"seed": 0}, {"seed": 1}]
    for phase, (one, two) in both["weights"].items():
        assert [one] == first["weights"][phase]  # not trained again, and not another for being one of two
        assert one != two
    assert [len(way) for way in both["course"]["prefix"]["tasks"].values()] == [2, 2]
    assert both["course"]["prefix"]["steps"] == [0, 8, 16, 24, 32, 40]


def test_a_finished_run_is_not_done_again(done: tuple[Path, dict[str, Any]]) -> None:
    out, first = done
    lines: list[str] = []
    again = run_experiment(Small(), small(), out, pictures=False, say=lines.append)
    assert not lines
    clock = ("made", "seconds")
    assert {k: v for k, v in again.items() if k not in clock} == {k: v for k, v in first.items() if k not in clock}


def test_the_numbers_of_parameters_are_those_of_the_adaptations(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    # 2 virtual tokens with a key and a value of width 16; rank one: 16 + 64 and 64 + 16 in the MLP, 16 + 16 beside it
    assert result["parameters"]["prefix"] == 2 * 2 * 16
    assert result["parameters"]["rank-one"] == 2 * 80 + 32


def test_a_prefix_and_rank_one_have_as_many_parameters() -> None:
    for name in ("cpu", "paper"):
        preset = EXPERIMENTS["equal-parameters"].preset(name)
        width, layers = preset.sizes.width, preset.sizes.layers
        assert 6 * layers * 2 * width == layers * (5 + 5 + 2) * width
    assert 6 * 4 * 2 * 256 == 12_288


def test_another_run_is_not_gone_on_with(done: tuple[Path, dict[str, Any]]) -> None:
    out, _ = done
    with pytest.raises(InvalidArgument, match=r"expected the results of this very run but .* differs in phases"):
        run_experiment(Small(), small(steps=41), out, pictures=False)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_weights_are_refused(tmp_path: Path, damage: str) -> None:
    run_experiment(Small(), small(steps=2), tmp_path, pictures=False)
    (tmp_path / "seed-0" / "prefix.safetensors").unlink()
    path = tmp_path / "seed-0" / "pretrained.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-4]
    else:
        content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidArgument):
        run_experiment(Small(), small(steps=2), tmp_path, pictures=False)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match=r"pretrained: the loss is (nan|inf) at step \d+ of 40; lower its rate"):
        run_experiment(Small(), small(rate=1e30), tmp_path, pictures=False)
    assert not (tmp_path / "result.json").exists()


def test_the_random_numbers_of_the_caller_are_left(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run_experiment(Small(), small(steps=1), tmp_path, pictures=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with EXPERIMENTS.having(Small()):
        assert command(["experiment", "small", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "as it must be" in shown.out
    assert "seed 0, prefix, step 8 of 40: ascending" in shown.err
    assert (tmp_path / "accuracy.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["nothing"],
            "name: expected one of sorting, four-tasks, composed, equal-parameters, hard-and-soft, long-prefix but",
        ),
        (["sorting", "--preset", "huge"], "preset: expected one of cpu, paper, tiny but got 'huge'"),
        (["sorting", "--seeds", "0"], "seeds: expected an integer >= 1"),
        (["sorting", "--device", "nowhere"], "device: expected"),
        (
            ["hard-and-soft", "--preset", "paper"],
            "expected one that can run here but hard-and-soft paper: needs LLaMA-7B",
        ),
        (["long-prefix", "--preset", "paper"], "long-prefix paper: needs the public weights of GPT-2"),
    ],
)
def test_bad_input(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["experiment", *words, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
