"""Throughput at V = 94, N = 20 on one core, beside the notebook's loops. Tokens are asserted, times are not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks import speed
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.running.model import bind_construction, forward

pytestmark = pytest.mark.benchmark_tier

_HERE = Path(__file__).parent
_ENGINES = (
    "notebook port",
    "rational, greedy",
    "torch module float32, greedy",
    "torch module float64, greedy",
    "structured float32, greedy",
    "structured float64, greedy",
    "structured float32, one pass",
    "structured float64, one pass",
)


@pytest.fixture(scope="module")
def engines() -> dict[str, Any]:
    return {engine.name: engine for engine in speed.engines()}


def test_every_engine_is_measured(engines: dict[str, Any]) -> None:
    assert tuple(engines) == _ENGINES


@pytest.mark.parametrize("name", _ENGINES)
def test_a_batch_is_generated(benchmark: BenchmarkFixture, engines: dict[str, Any], name: str) -> None:
    assert torch.get_num_threads() == 1
    engine = engines[name]
    batch = engine.batches[-1]
    targets = speed.CONSTRUCTION.targets.sample(batch, seed=0)
    benchmark.extra_info["sequences in a round"] = batch
    np.testing.assert_array_equal(benchmark(engine.run, targets), targets)


def test_a_wrong_token_is_not_measured(engines: dict[str, Any]) -> None:
    def last_token_wrong(targets: Any) -> Any:
        produced = engines["structured float32, greedy"].run(targets).copy()
        produced[-1, -1] = (produced[-1, -1] + 1) % 94
        return produced

    with pytest.raises(AssertionError, match="Mismatched elements: 1 /"):
        speed.rounds(speed.Engine("wrong", last_token_wrong, (8,)), 8, at_least=0)


def test_the_one_pass_sees_an_error_at_the_position_of_the_error(engines: dict[str, Any]) -> None:
    """The one pass reads the targets as visible tokens: a virtual token of another target must still show."""
    targets = speed.CONSTRUCTION.targets.sample(4, seed=1)
    other = speed.CONSTRUCTION.targets.sample(4, seed=2)
    arithmetic = StructuredTorchArithmetic("float32")
    model = bind_construction(speed.CONSTRUCTION, arithmetic)
    prompt = arithmetic.prompt(speed.CONSTRUCTION.virtual_tokens(other))
    rows = arithmetic.below(prompt, arithmetic.embed(model.embedding, targets[:, :-1]))
    produced = arithmetic.argmax(forward(model, rows, 20))
    np.testing.assert_array_equal(produced, other)
    assert (produced != targets).any()
    np.testing.assert_array_equal(engines["structured float32, one pass"].run(targets), targets)


def test_the_table_of_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    """Print the table, from a process of its own: here every call's shapes are checked, which takes time."""
    shown = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.speed"],
        cwd=_HERE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with capsys.disabled():
        sys.stdout.write(f"\n{shown}")
    rows = shown.splitlines()[2:]
    assert {row[:30].rstrip() for row in rows} == {*_ENGINES, "notebook port, fastest"}
