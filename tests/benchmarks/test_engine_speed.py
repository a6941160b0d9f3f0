"""The engine beside the C engine and the other arithmetics, on one core. Findings are asserted, times are not."""

from __future__ import annotations

import shutil

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.engine_table import PAGE, SIZES, ways, written

pytestmark = [
    pytest.mark.benchmark_tier,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="the C engine needs a C compiler"),
]


def test_the_table_is_written_between_its_marks() -> None:
    page = PAGE.read_text(encoding="utf-8")
    new = written(page, "| a |")
    assert "<!-- engine table -->\n| a |\n<!-- end of engine table -->" in new
    assert written(new, "| a |") == new
    assert len(new.splitlines()) <= len(page.splitlines()) + 1


WAYS = ("c", "ranks", "engine", "structured", "dense", "loop", "peft")


@pytest.mark.parametrize("place", range(len(WAYS)), ids=WAYS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_speed(size: tuple[int, int], place: int, benchmark: BenchmarkFixture) -> None:
    """In a run with ``--benchmark-only`` each is measured; otherwise each runs once, on few targets."""
    if WAYS[place] == "peft":
        pytest.importorskip("peft", reason="it needs the extra huggingface")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        way = ways(*size)[place]
        cases = min(way.cases, 2**12) if benchmark.disabled else way.cases
        if not cases:
            pytest.skip("too few targets for a run of ten seconds")
        benchmark.extra_info["cases"] = cases
        benchmark(way.run, cases)
    finally:
        torch.set_num_threads(before)
