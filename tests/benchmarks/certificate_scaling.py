"""How the time and memory of certificates grow with the sizes; ``python -m tests.benchmarks.certificate_scaling``.

Every certificate runs in a process of its own, which is warm: a small certificate and the exact weights come first.
Its time is that of the processor, the median of several rounds, interleaved with those of all other sizes. Its memory
is the largest of the whole process, libraries included. ``write`` puts the table into the docs.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Construction,
    DigitGeneration,
    Hardmax,
    UnconditionalGeneration,
)
from constructions.encodings import largest_band_size
from constructions.vocabularies import carrying
from verify.certificates import certificate_arithmetic, certify

PAGE = Path(__file__).parents[2] / "docs" / "mathematics" / "sharing.md"
BEGIN, END = "<!-- table of certificate_scaling -->", "<!-- end of the table -->"
_ROUNDS = 3
#: Certificates of one process, whose median is taken.
_REPEATS = 3
#: Seconds in one process after which no further one starts: a long certificate is as exact by itself.
_ENOUGH = 5

#: Series of sizes in which one grows, by what grows.
SERIES: Mapping[str, Sequence[tuple[str, int, int]]] = {
    "N": [("theorem-1", 1000, n) for n in (32, 64, 128, 256, 512)],
    "V": [("theorem-1", v, 64) for v in (300, 600, 1200, 2500)],
    "V of Theorem 2": [("theorem-2", v, 0) for v in (125, 250, 500, 1000)],
    "V of Theorem 2, centred": [("theorem-2, centred", v, 0) for v in (750, 1500, 3000)],
    "V of one input for all": [("theorem-2, one input for all", v, 0) for v in (65536, 131072, 262144)],
    "V of bands": [("theorem-1 in bands", v, 1) for v in (16384, 32768, 65536, 131072, 262144)],
    "V of digits": [("digits in bfloat16", v, 1) for v in (32768, 65536, 131072)],
}
#: Sizes beside these.
OTHERS: Sequence[tuple[str, int, int]] = (("theorem-1", 94, 20), ("theorem-2", 94, 0))
#: Cells that a certificate may look at: the ``V^2`` of the largest Theorem 2 whose inputs are all looked at. Where
#: there are more, one input stands for all.
_BUDGET = 3000**2


def _in_bands(vocab: int, context: int) -> Construction:
    _, _, coding = carrying(vocab, context, FORMATS["float32"])
    return UnconditionalGeneration(vocab, context, **coding)


def _centred(vocab: int, _: int) -> Construction:
    """Return Theorem 2 in numbers that float32 tells apart at 3,000 tokens; the paper's own tie there."""
    return ConditionalGeneration(vocab, encoding="integer", readout="centred")


def _one_for_all(vocab: int, _: int) -> Construction:
    """Return Theorem 2 whose readout's numbers float32 holds at any of these sizes; attention is one-hot."""
    band = largest_band_size(FORMATS["float32"])
    return ConditionalGeneration(vocab, encoding="integer", readout="banded", band_size=band, temperature=Hardmax())


#: Constructions by what the table calls them, from ``V`` and ``N``, and the formats of their certificates.
MADE: Mapping[str, tuple[Callable[[int, int], Construction], str]] = {
    "theorem-1": (UnconditionalGeneration, "float32"),
    "theorem-2": (lambda vocab, _: ConditionalGeneration(vocab), "float32"),
    "theorem-2, centred": (_centred, "float32"),
    "theorem-2, one input for all": (_one_for_all, "float32"),
    "theorem-1 in bands": (_in_bands, "float32"),
    "digits in bfloat16": (lambda vocab, size: DigitGeneration(vocab, size, 3, temperature=Hardmax()), "bfloat16"),
}


def measure(claim: str, vocab: int, context: int) -> tuple[float, float]:
    """Return the seconds of a certificate in this process, and the process' largest memory in MiB.

    Raises:
        AssertionError: it does not hold.

    """
    made, dtype = MADE[claim]
    arithmetic = certificate_arithmetic("rounded", dtype)
    assert certify(made(4, 3), arithmetic).holds
    construction = made(vocab, context)
    _ = construction.transformer.lowered
    taken: list[float] = []
    while len(taken) < _REPEATS and sum(taken) < _ENOUGH:
        started = time.process_time()
        verdict = certify(construction, arithmetic, budget=_BUDGET)
        taken.append(time.process_time() - started)
        assert verdict.holds, verdict.reason
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return statistics.median(taken), peak


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the power of the size that fits the times best, in logarithms.

    Example:
        >>> round(exponent([1, 2, 4], [3, 12, 48]), 9)
        2.0

    """
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)


def _in_processes(sizes: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], list[tuple[float, float]]]:
    found: dict[tuple[str, int, int], list[tuple[float, float]]] = {size: [] for size in sizes}
    for _ in range(_ROUNDS):
        for size in sizes:
            command = [sys.executable, "-m", "tests.benchmarks.certificate_scaling", "one", json.dumps(size)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[size].append(tuple(json.loads(done.stdout)))
    return found


def table() -> Iterator[str]:
    """Yield the lines of the table, and of the exponents, in Markdown."""
    sizes = list(dict.fromkeys([*OTHERS, *(size for series in SERIES.values() for size in series)]))
    found = _in_processes(sizes)
    medians = {size: statistics.median(seconds for seconds, _ in rounds) for size, rounds in found.items()}
    yield "| certificate | V | N | seconds | from | to | MiB |"
    yield "|---|---|---|---|---|---|---|"
    for claim, vocab, context in sorted(sizes, key=lambda size: (size[0], size[2] or 2, size[1])):
        rounds = found[claim, vocab, context]
        ends = [end(seconds for seconds, _ in rounds) for end in (min, max)]
        peak = max(peak for _, peak in rounds)
        yield (
            f"| {claim} | {vocab:,} | {context or 2} | {medians[claim, vocab, context]:.3g} | {ends[0]:.3g} |"
            f" {ends[1]:.3g} | {math.ceil(peak)} |"
        )
    yield ""
    for name, series in SERIES.items():
        grown = [context if name == "N" else vocab for _, vocab, context in series]
        fitted = exponent(grown, [medians[size] for size in series])
        others = f"V = {series[0][1]:,}" if name == "N" else f"N = {series[0][2] or 2}"
        what = f"{name[0]} from {grown[0]:,} to {grown[-1]:,}, {series[0][0]} at {others}"
        yield f"- {what}: fitted exponent {fitted:.2f}."


def write(lines: Sequence[str]) -> None:
    """Put the table into the docs."""
    text = PAGE.read_text(encoding="utf-8")
    start, stop = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(f"{text[:start]}\n\n" + "\n".join(lines) + f"\n\n{text[stop:]}", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        sys.stdout.write(json.dumps(measure(*json.loads(sys.argv[2]))))
    else:
        made_lines = list(table())
        sys.stdout.write("\n".join(made_lines) + "\n")
        if sys.argv[1:] == ["write"]:
            write(made_lines)
