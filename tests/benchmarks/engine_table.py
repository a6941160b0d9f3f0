"""How fast the engine runs Theorem 1 on one core, beside a C engine and the other arithmetics, in interleaved rounds.

``python -m tests.benchmarks.engine_table`` measures, and writes its table into ``docs/how-to/exhaust-fast.md``; one row
needs the extra ``huggingface``. Times are of the processor, and every row is a ratio to the C engine in the same round:
a busy machine slows both alike.
"""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from constructions import ResidualGeneration, UnconditionalGeneration
from constructions.formats import FORMATS
from constructions.temperature import Softmax
from verify import EngineArithmetic, Runner, StructuredTorchArithmetic, TorchArithmetic, exhaust
from verify.arithmetic import Arithmetic
from verify.device.loops import PlainLoop
from verify.huggingface import to_multitask

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "exhaust-fast.md"
SIZES = ((94, 20), (10, 6), (4, 8), (10, 9))
#: Seconds of one measurement, at least, and how many there are of each.
SECONDS = 1.0
ROUNDS = 3
#: Targets of a whole run of the engine, which takes ten seconds or more on the machine that this was written on.
WHOLE = {(94, 20): 3 * 10**7, (10, 9): 4 * 10**8}
#: Sequences of a batch of decoding loops, which no larger one makes faster.
BATCH = 2**10


@lru_cache(maxsize=1)
def c_engine() -> Callable[[int, int, float, int, int], int]:
    """Return the C engine, compiled."""
    source = Path(__file__).with_name("c_engine.c")
    target = Path(tempfile.mkdtemp()) / "c_engine.so"
    command = ["gcc", "-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC", str(source), "-lm", "-o"]
    subprocess.run([*command, str(target)], check=True)  # our own source
    function = ctypes.CDLL(str(target)).wrong_sequences
    function.restype = ctypes.c_long
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_double, ctypes.c_long, ctypes.c_long]
    return function


@dataclass(frozen=True)
class Timed:
    """A way to run the first so many targets: called with their number; 0 where it is not measured."""

    name: str
    run: Callable[[int], None]
    cases: int


def ways(vocab_size: int, length: int) -> list[Timed]:
    """Return the C engine, and then the others, ready to run."""
    construction = UnconditionalGeneration(vocab_size, length)
    temperature = construction.temperature_for(FORMATS["float32"])
    assert isinstance(temperature, Softmax)
    run_c, space = c_engine(), construction.targets.size

    def in_c(cases: int) -> None:
        assert run_c(vocab_size, length, temperature.inverse_temperature, 0, cases) == 0

    arithmetic = EngineArithmetic("float32")
    arithmetic.expect(10**9)  # as in a long run: the kernel is compiled
    runner = Runner(construction, arithmetic)

    def at_once(cases: int) -> None:
        ranks = runner.prepared._at_once  # type: ignore[attr-defined] # what it holds of the last call is not measured
        if ranks is not None:
            ranks._held = None
        found = runner.prepared.tally_ranks(0, cases)
        assert found is not None
        assert (found.cases, found.failure) == (cases, None)

    def exhausting(arithmetic: Arithmetic[Any, Any, Any]) -> Callable[[int], None]:
        def run(cases: int) -> None:
            assert exhaust(construction, arithmetic, limit=cases).counterexample is None

        return run

    loop = PlainLoop(construction, "float32", "cpu")

    def by_loop(cases: int) -> None:
        targets = construction.targets.unrank_range(0, cases)
        prompts = torch.from_numpy(construction.virtual_tokens(targets).to_float(FORMATS["float32"])).float()[:, 0]
        assert torch.equal(loop.run(prompts), torch.from_numpy(targets))

    return [
        Timed("C engine", in_c, min(space, 2**20)),
        Timed("engine, ranks at once", at_once, min(space, 2**23)),
        Timed("engine, whole `exhaust`", exhausting(EngineArithmetic("float32")), WHOLE.get((vocab_size, length), 0)),
        Timed("structured, whole `exhaust`", exhausting(StructuredTorchArithmetic("float32")), min(space, 2**17)),
        Timed("dense, whole `exhaust`", exhausting(TorchArithmetic("float32")), min(space, 2**14)),
        Timed("a plain loop that keeps keys and values", by_loop, min(space, BATCH)),
        Timed("Hugging Face's `generate` under peft", under_peft(vocab_size, length), min(space, BATCH)),
    ]


def under_peft(vocab_size: int, length: int) -> Callable[[int], None]:
    """Return what generates targets by GPT-2's class of transformers, one virtual token of peft each.

    Its weights are those of Theorem 1 in a residual stream, as the stock class has one.
    """
    construction = ResidualGeneration(vocab_size, length, start_token=True)
    held: dict[int, Any] = {}

    def run(cases: int) -> None:
        targets = construction.targets.unrank_range(0, cases)
        if cases not in held:
            held[cases] = to_multitask(construction, targets)
        ids = torch.zeros(cases, 1, dtype=torch.long)
        found = held[cases].generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), task_ids=torch.arange(cases), do_sample=False
        )
        assert torch.equal(found[:, 1:], torch.from_numpy(targets))

    return run


def rate(way: Timed) -> float:
    """Return the cases of a second of the processor; 0 where it is not measured."""
    if not way.cases:
        return 0.0
    done, started = 0, time.process_time()
    while done == 0 or time.process_time() - started < SECONDS:
        way.run(way.cases)
        done += way.cases
    return done / (time.process_time() - started)


def table(rounds: int = ROUNDS) -> str:
    """Measure every way at every size; return the table. The first round makes the kernels, and is left out."""
    lines = ["| targets/s, one core | " + " | ".join(f"({v}, {n})" for v, n in SIZES) + " |"]
    lines.append("|---" * (len(SIZES) + 1) + "|")
    columns = []
    for size in SIZES:
        made = ways(*size)
        rates = [[rate(way) for way in made] for _ in range(rounds + 1)][1:]
        columns.append([_cell([one[place] for one in rates], [one[0] for one in rates]) for place in range(len(made))])
    names = [way.name for way in ways(2, 1)]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, *cells in zip(names, *columns, strict=True)]
    return "\n".join(lines)


def _cell(rates: list[float], in_c: list[float]) -> str:
    if not all(rates):
        return ""
    ratios = sorted(own / other for own, other in zip(rates, in_c, strict=True))
    beside = f", x {statistics.median(ratios):.2g} ({ratios[0]:.2g} to {ratios[-1]:.2g})" if rates != in_c else ""
    return f"{statistics.median(rates):.3g}{beside}"


def written(text: str, measured: str) -> str:
    """Return a page with a new table between its two marks."""
    before, _, rest = text.partition("<!-- engine table -->\n")
    _, _, after = rest.partition("<!-- end of engine table -->")
    return f"{before}<!-- engine table -->\n{measured}\n<!-- end of engine table -->{after}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = table()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    sys.stdout.write(f"{found}\n")
