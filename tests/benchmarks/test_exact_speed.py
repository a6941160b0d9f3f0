"""Exact rationals at once beside one by one, and whole calls of ``exhaust``. Findings are asserted, times are not."""

from __future__ import annotations

import statistics
import sys
import time
from fractions import Fraction

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from constructions import ConditionalGeneration, Construction, UnconditionalGeneration
from tests.exact_engine.given import EXACT, one_by_one, size_of
from verify import Runner, exhaust

pytestmark = pytest.mark.benchmark_tier

#: A construction, how many cases of it run at once in a round, and how many one by one.
_SIZES: tuple[tuple[Construction, int, int], ...] = (
    (UnconditionalGeneration(94, 20), 2**16, 8),
    (UnconditionalGeneration(10, 7), 2**19, 64),
    (UnconditionalGeneration(10, 6), 2**19, 64),
    (UnconditionalGeneration(4, 8), 4**8, 64),
    (ConditionalGeneration(6), 2**17, 64),
)
_ROUNDS = 5


@pytest.mark.parametrize(("construction", "many", "few"), _SIZES, ids=repr)
def test_at_once_beside_one_by_one(
    construction: Construction, many: int, few: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Print cases a second, medians of interleaved rounds with their spread, and the median of the ratios."""
    runner = Runner(construction, EXACT)
    start = (size_of(construction) - many) // 2
    together, alone = [], []
    for _ in range(_ROUNDS):
        began = time.process_time()
        found = runner.prepared.tally_ranks(start, start + many)
        together.append(many / (time.process_time() - began))
        began = time.process_time()
        assert one_by_one(runner, start, start + few).failure is None
        alone.append(few / (time.process_time() - began))
        assert found is not None
        assert (found.cases, found.failure) == (many, None)
    ratio = statistics.median(one / other for one, other in zip(together, alone, strict=True))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{construction}: {_spread(together)} at once, {_spread(alone)} one by one, {ratio:,.0f} x\n"
        )


def _spread(speeds: list[float]) -> str:
    return f"{statistics.median(speeds):,.0f}/s ({min(speeds):,.0f} to {max(speeds):,.0f})"


def test_a_whole_run(benchmark: BenchmarkFixture) -> None:
    construction = UnconditionalGeneration(10, 6)
    verdict = benchmark.pedantic(exhaust, (construction, EXACT), rounds=3)  # type: ignore[no-untyped-call] # of the plugin
    benchmark.extra_info["cases"] = size_of(construction)
    assert verdict.holds is True
    assert (verdict.cases, verdict.margin) == (10**6, Fraction(1, 19100))


def test_ten_million_targets(benchmark: BenchmarkFixture) -> None:
    construction = UnconditionalGeneration(10, 7)
    verdict = benchmark.pedantic(exhaust, (construction, EXACT), rounds=1)  # type: ignore[no-untyped-call] # the same
    assert verdict.holds is True
    assert (verdict.cases, verdict.margin) == (10**7, Fraction(1, 22900))
