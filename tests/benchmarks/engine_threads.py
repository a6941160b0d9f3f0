"""Whether the engine gains from threads or from processes: ``python -m tests.benchmarks.engine_threads``.

``--arithmetic engine`` runs on one thread, and ``--jobs`` starts more processes. Here the same ranges of Theorem 1 are
run by one process on one thread, by one whose torch has as many threads as there are cores, and by as many processes on
one thread each. Every way is in processes of its own, which have made their kernels before anything is measured; rounds
are interleaved, and the first one is not counted. What is shown is the ratio to one thread in the same round: how many
times as many cases a second (which is worth something on a machine with free cores alone), and how many times the
processor's time for each case.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch

from constructions import UnconditionalGeneration
from verify import EngineArithmetic, Runner
from verify.cores import free_cores
from verify.engine import arithmetic as engine
from verify.engine.compiling import Compiler


class Kernel(NamedTuple):
    """How kernels are made: what a verdict says of it, and the sizes that are measured."""

    said: str
    sizes: Sequence[tuple[int, int]]


#: Kinds of kernels; torch's compiler takes minutes for a large one.
KERNELS = {
    "in C": Kernel("compiled by a C compiler", ((94, 20), (10, 9))),
    "by torch's compiler": Kernel("compiled by torch", ((10, 9),)),
    "not compiled": Kernel("not compiled", ((94, 20), (10, 9))),
}
#: Cases of the first call, which makes the kernels, where there are so many.
FIRST = 2**12
#: Seconds of one measurement, at least, and how many rounds there are.
SECONDS = 1.0
ROUNDS = 5


@dataclass(frozen=True)
class Spent:
    """What so many cases took, in seconds."""

    cases: int
    wall: float
    processor: float

    def __add__(self, other: Spent) -> Spent:
        """Return what both took, which ran at the same time."""
        return Spent(self.cases + other.cases, max(self.wall, other.wall), self.processor + other.processor)


class Running:
    """A process that runs ranges when it is told to."""

    def __init__(self, kernel: str, threads: int, size: tuple[int, int]) -> None:
        """Start it; it makes its kernels."""
        words = [sys.executable, "-m", "tests.benchmarks.engine_threads", "one", kernel, str(threads), *map(str, size)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Running:
        """Wait until it is ready."""
        self.answer()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()  # closes its pipes, too

    def ask(self, cases: int) -> None:
        """Let it run the first so many cases."""
        assert self.process.stdin is not None, "it has a pipe"
        self.process.stdin.write(f"{cases}\n")
        self.process.stdin.flush()

    def answer(self) -> Spent:
        """Return what that took."""
        assert self.process.stdout is not None, "it has a pipe"
        return Spent(*json.loads(self.process.stdout.readline()))


def serve(kernel: str, threads: int, size: tuple[int, int]) -> None:
    """Run ranges by one kind of kernel, as the lines of standard input say."""

    @contextmanager
    def running() -> Iterator[None]:
        torch.set_num_threads(threads)
        with torch.no_grad(), np.errstate(all="ignore"):
            yield

    with ExitStack() as patches:
        patches.enter_context(patch.object(engine, "_running", running))
        if kernel == "by torch's compiler":
            patches.enter_context(patch.object(Compiler, "_written", return_value=None))
            folder = patches.enter_context(tempfile.TemporaryDirectory())  # its prices are not those of users' runs
            patches.enter_context(patch.dict(os.environ, {"XDG_CACHE_HOME": folder}))
        chosen = EngineArithmetic("float32")
        chosen.expect(1 if kernel == "not compiled" else 10**9)  # so few, or so many, that compiling pays
        construction = UnconditionalGeneration(*size)
        runner: Any = Runner(construction, chosen)
        run(runner, min(FIRST, construction.targets.size))  # the engine never ends beyond the last case
        assert KERNELS[kernel].said in chosen.assumptions(), chosen.assumptions()
        sys.stdout.write("[0, 0, 0]\n")
        sys.stdout.flush()
        for line in sys.stdin:
            spent = run(runner, int(line))
            sys.stdout.write(f"{json.dumps([spent.cases, spent.wall, spent.processor])}\n")
            sys.stdout.flush()


def run(runner: Any, cases: int) -> Spent:
    """Run the first so many cases, all of which are right."""
    if runner.prepared._at_once is not None:
        runner.prepared._at_once._held = None  # what it holds of the last call is not measured
    started = time.perf_counter(), time.process_time()
    found = runner.prepared.tally_ranks(0, cases)
    assert (found.cases, found.failure) == (cases, None)
    return Spent(cases, time.perf_counter() - started[0], time.process_time() - started[1])


def spent(some: Sequence[Running], cases: int) -> Spent:
    """Return what some processes take for so many cases, each for its part."""
    for each in some:
        each.ask(cases // len(some))
    found = [each.answer() for each in some]
    return sum(found[1:], found[0])


def row(kernel: str, size: tuple[int, int], cores: int, *, rounds: int = ROUNDS) -> str:
    """Measure one kind of kernel at one size; return a row of the table."""
    with ExitStack() as stack:
        one, threads = (stack.enter_context(Running(kernel, count, size)) for count in (1, cores))
        processes = [stack.enter_context(Running(kernel, 1, size)) for _ in range(cores)]
        space = UnconditionalGeneration(*size).targets.size
        cases = min(FIRST, space)
        while spent([one], cases).processor < SECONDS and 2 * cases <= space:
            cases *= 2
        ways = ([one], [threads], processes)
        found = [[spent(way, cases) for way in ways] for _ in range(rounds + 1)][1:]
    cells = [f"{statistics.median(base.cases / base.processor for base, *_ in found):.3g}"]
    for place in (1, 2):
        # for each case, as the cores may not divide them
        shares = [each[place].cases / each[0].cases for each in found]
        faster = [share * each[0].wall / each[place].wall for share, each in zip(shares, found, strict=True)]
        dearer = [each[place].processor / each[0].processor / share for share, each in zip(shares, found, strict=True)]
        cells += [_shown(faster), _shown(dearer)]
    return f"| {kernel} | ({size[0]}, {size[1]}) | {' | '.join(cells)} |"


def _shown(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def table() -> Iterator[str]:
    """Yield the lines of the table."""
    cores = free_cores()
    ways = [f"{cores} threads: {what}" for what in ("cases a second", "processor")]
    ways += [f"{cores} processes: {what}" for what in ("cases a second", "processor")]
    yield f"| kernel | size | targets/s of the processor, one thread | {' | '.join(ways)} |"
    yield "|---" * 7 + "|"
    for kernel, made in KERNELS.items():
        for size in made.sizes:
            yield row(kernel, size, cores)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        serve(sys.argv[2], int(sys.argv[3]), (int(sys.argv[4]), int(sys.argv[5])))
    else:
        for text in table():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
