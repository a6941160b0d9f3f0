"""Random small networks at the edge of what is certified, attacked on kernels of their own: none is contradicted.

An evaluation is the logits of one target at one step of the response on one drawn kernel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.certificates.duels import Tally, duel
from tests.certificates.emulated import FORMATS, LARGEST, Array, add, fused, held, multiply, to_format
from tests.certificates.own import Given
from tests.certificates.random_networks import Setting, network

#: How far the edges are from the true ones that the fuzzer is meant for, in units in the last place.
_NEAR = 30


def _duel(settings: int, kernels: int, seed: int) -> Tally:
    """Return a tally of a process of its own, in which shapes are not checked at every call."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.certificates.duels", str(settings), str(kernels), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    made = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=True)
    found = json.loads(made.stdout)
    return Tally(Counter(found["counts"]), found["contradicted"], found["distances"])


def _told(tally: Tally) -> str:
    near = sum(distance <= _NEAR for distance in tally.distances)
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.counts.items()))
    return f"{counts}; {near} edges within {_NEAR} units, {len(tally.contradicted)} contradicted"


def test_certified_networks_are_not_contradicted() -> None:
    tally = _duel(4, 10, 1)
    assert tally.contradicted == []
    assert tally.counts["certified"] == 4
    assert tally.counts["evaluations"] >= 2_500


@pytest.mark.parametrize(
    "count", [pytest.param(40, marks=pytest.mark.heavy), pytest.param(100, marks=pytest.mark.long)]
)
def test_a_hundred_certified_networks_are_not_contradicted(count: int) -> None:
    tally = _duel(count, 34, 102)
    assert tally.contradicted == []
    assert tally.counts["certified"] == count
    assert tally.counts["evaluations"] >= 2_000 * count


@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
def test_five_hundred_certified_networks_and_a_million_evaluations(
    part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = _duel(260, 34, 100 + part)
    with capsys.disabled():
        sys.stdout.write(f"\n{_told(tally)}\n")
    assert tally.contradicted == []
    assert tally.counts["certified"] == 260
    assert tally.counts["evaluations"] >= 500_000
    assert min(tally.counts[fmt] for fmt in FORMATS) >= 20
    assert sum(distance <= _NEAR for distance in tally.distances) >= 130


def test_what_a_contradiction_prints_is_found_again() -> None:
    # the same networks, with a certificate that takes nothing off for rounding: the fuzzer contradicts it
    from tests.mutation.certifier_networks import cancelling

    class Reckless(Setting):
        def margin(self, construction: Given) -> float | None:
            return 2.0**-149

    def draw(rng: np.random.Generator) -> Setting:
        setting = cancelling(network(rng, "bfloat16", "readout", "either"), rng)
        return Reckless(**{name: getattr(setting, name) for name in setting.__dataclass_fields__})

    tally = duel(5, 10, seed=1, draw=draw, stop=True)
    assert tally.contradicted
    assert "kernel seed" in tally.contradicted[0]
    assert "readout.weight" in tally.contradicted[0]


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_emulated_operations_round_correctly(fmt: str) -> None:
    rng, (bits, least) = np.random.default_rng(0), FORMATS[fmt]
    count = 300

    def draw() -> Array:
        whole = rng.integers(-(2**bits), 2**bits, count).astype(float)
        values = np.ldexp(whole, rng.integers(-bits - 6, 6 - bits, count))
        tiny = np.ldexp(whole, least - bits + 1 - rng.integers(0, 3))
        return np.array([held(Fraction(float(v)), fmt) for v in np.where(rng.random(count) < 0.2, tiny, values)])

    a, b, c = draw(), draw(), draw()
    with np.errstate(under="ignore"):
        c[:50] = to_format(-a[:50] * b[:50], fmt)  # what is left of a product
        made = add(a, b, fmt), multiply(a, b, fmt), fused(a, b, c, fmt)
    for at in range(count):
        x, y, z = (Fraction(float(part[at])) for part in (a, b, c))
        assert held(x + y, fmt) == made[0][at]
        assert held(x * y, fmt) == made[1][at]
        if fmt != "float64" or not x * y or abs(x * y) > Fraction(2) ** -900:  # below it is rounded first
            assert held(x * y + z, fmt) == made[2][at]
    assert to_format(np.array([LARGEST[fmt]]), fmt)[0] == LARGEST[fmt]


def test_rounding_is_that_of_an_independent_oracle(correctly_rounded: object) -> None:
    rng = np.random.default_rng(1)
    for fmt, (bits, least) in FORMATS.items():
        for _ in range(60):
            whole, shift = int(rng.integers(1, 2 ** (bits + 4))), int(rng.integers(least - bits - 4, -bits))
            value = Fraction(whole) * Fraction(2) ** shift
            assert callable(correctly_rounded)
            assert correctly_rounded(value, held(value, fmt), fmt)
