"""How fast Theorem 1 runs at V = 94, N = 20 on one core, against the loops of the paper's notebook in the same run.

``python -m tests.benchmarks.speed`` prints the table. Every engine takes targets and returns tokens: the encoding of
the virtual tokens is inside the measurement, the making of the weights is outside, in every engine alike.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from constructions import UnconditionalGeneration
from tests.benchmarks.notebook_port import NotebookPort
from verify.arithmetic import Arithmetic, RationalArithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.running.model import bind_construction, forward, generate
from verify.running.torch_module import to_torch

_Tokens = np.ndarray[Any, np.dtype[np.int64]]

CONSTRUCTION = UnconditionalGeneration(94, 20)

#: Seconds that one row of the table is measured for, at least.
_SECONDS = 1.0
_FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Engine:
    """A way to turn a batch of targets into tokens; ``batches`` are the batch sizes to measure."""

    name: str
    run: Callable[[_Tokens], _Tokens]
    batches: tuple[int, ...]


def engines() -> tuple[Engine, ...]:
    """Return every engine, the notebook's loops first, with weights made."""
    port = NotebookPort(CONSTRUCTION.vocab_size, CONSTRUCTION.context_size)
    return (
        Engine("notebook port", lambda targets: np.array([port.generate(target) for target in targets]), (1,)),
        Engine("rational, greedy", _one_by_one(RationalArithmetic()), (1,)),
        Engine("torch module float32, greedy", _module("float32"), (256, 1024, 4096)),
        Engine("torch module float64, greedy", _module("float64"), (1024,)),
        Engine("structured float32, greedy", _greedy(StructuredTorchArithmetic("float32")), (256, 1024, 2048, 4096)),
        Engine("structured float64, greedy", _greedy(StructuredTorchArithmetic("float64")), (2048,)),
        Engine("structured float32, one pass", _one_pass("float32"), (256, 1024, 2048, 4096)),
        Engine("structured float64, one pass", _one_pass("float64"), (2048,)),
    )


def _greedy(arithmetic: Arithmetic[Any, Any, Any]) -> Callable[[_Tokens], _Tokens]:
    model = bind_construction(CONSTRUCTION, arithmetic)

    def run(targets: _Tokens) -> _Tokens:
        prompt = arithmetic.prompt(CONSTRUCTION.virtual_tokens(targets))
        user = np.zeros((*targets.shape[:-1], 0), dtype=np.int64)
        return generate(model, prompt, 1, user, CONSTRUCTION.context_size).tokens

    return run


def _one_by_one(arithmetic: Arithmetic[Any, Any, Any]) -> Callable[[_Tokens], _Tokens]:
    run = _greedy(arithmetic)
    return lambda targets: np.array([run(target) for target in targets])


def _module(dtype: str) -> Callable[[_Tokens], _Tokens]:
    module = to_torch(CONSTRUCTION, dtype)
    return lambda targets: module.generate(module.prompt(targets)).numpy()


def _one_pass(dtype: str) -> Callable[[_Tokens], _Tokens]:
    """Return the predictions at all positions with the target as the visible tokens.

    They are the target iff greedy generation produces the target: by induction over positions, the first wrong
    prediction is the same in both.
    """
    arithmetic = StructuredTorchArithmetic(dtype)
    model = bind_construction(CONSTRUCTION, arithmetic)

    def run(targets: _Tokens) -> _Tokens:
        prompt = arithmetic.prompt(CONSTRUCTION.virtual_tokens(targets))
        rows = arithmetic.below(prompt, arithmetic.embed(model.embedding, targets[:, :-1]))
        with torch.no_grad():
            return arithmetic.argmax(forward(model, rows, CONSTRUCTION.context_size))

    return run


def rounds(engine: Engine, batch: int, *, at_least: float = _SECONDS) -> list[float]:
    """Return the times of single batches; every token of the batch is checked first.

    Raises:
        AssertionError: a wrong token.

    """
    targets = CONSTRUCTION.targets.sample(batch, seed=batch)
    np.testing.assert_array_equal(engine.run(targets), targets)
    taken: list[float] = []
    while len(taken) < _FEWEST_ROUNDS or sum(taken) < at_least:
        start = time.perf_counter()
        engine.run(targets)
        taken.append(time.perf_counter() - start)
    return taken


def table(*, at_least: float = _SECONDS) -> str:
    """Measure every engine at every batch size and return the table, with the ratio to the notebook's loops.

    Rows give the median. The ratio is to the FASTEST round of the notebook's loops, which are measured again before
    every row: on a shared machine a slow moment of theirs must not become our speed.
    """
    notebook, *others = engines()
    loops: list[float] = []
    rows: list[tuple[str, int, float]] = []
    for engine in others:
        for batch in engine.batches:
            loops += rounds(notebook, 1, at_least=at_least / 4)
            rows.append((engine.name, batch, statistics.median(rounds(engine, batch, at_least=at_least))))
    rows = [(notebook.name, 1, statistics.median(loops)), (f"{notebook.name}, fastest", 1, min(loops)), *rows]
    lines = [f"{'engine':<30} {'batch':>5} {'ms/batch':>9} {'sequences/s':>12} {'x notebook':>11}"]
    for name, batch, taken in rows:
        rate = batch / taken
        lines.append(f"{name:<30} {batch:>5} {taken * 1e3:>9.2f} {rate:>12,.0f} {rate * min(loops):>11,.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(f"V = 94, N = 20, one core, torch {torch.__version__}, numpy {np.__version__}\n{table()}\n")
