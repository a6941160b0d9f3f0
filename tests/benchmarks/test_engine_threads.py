"""The engine on one thread, on several and in several processes: a short round, whose cases are all right."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.benchmarks.engine_threads import KERNELS, Running, row, spent

pytestmark = [
    pytest.mark.benchmark_tier,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="a kernel in C needs a C compiler"),
]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_row_is_measured(kernel: str) -> None:
    ratios = r" \| ".join([r"\d+\.\d\d \(\d+\.\d\d to \d+\.\d\d\)"] * 4)
    found = row(kernel, KERNELS[kernel].sizes[-1], 2, rounds=1)
    assert re.fullmatch(rf"\| {kernel} \| \(10, 9\) \| \S+ \| {ratios} \|", found), found


def test_what_processes_spend_is_added() -> None:
    """They run at the same time: the longest counts."""
    with Running("not compiled", 1, (4, 4)) as first, Running("not compiled", 1, (4, 4)) as second:
        found = spent([first, second], 128)
    assert (found.cases, found.processor > 0, found.wall > 0) == (128, True, True)
