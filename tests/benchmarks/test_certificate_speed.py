"""How long certificates of the stated sizes take; verdicts are asserted, times are not."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from constructions import ConditionalGeneration, Construction, UnconditionalGeneration
from verify.certificates import certificate_arithmetic, certify

pytestmark = pytest.mark.benchmark_tier


@pytest.mark.parametrize(
    ("construction", "kind"),
    [
        (UnconditionalGeneration(94, 20), "rounded"),
        (UnconditionalGeneration(94, 20), "ball"),
        (UnconditionalGeneration(1000, 64), "rounded"),
        (ConditionalGeneration(94), "rounded"),
        (ConditionalGeneration(94), "ball"),
    ],
    ids=repr,
)
def test_a_certificate(benchmark: BenchmarkFixture, construction: Construction, kind: str) -> None:
    run = lambda: certify(construction, certificate_arithmetic(kind))  # noqa: E731 # one line
    verdict = benchmark.pedantic(run, rounds=1)  # type: ignore[no-untyped-call] # the plugin annotates nothing
    assert verdict.holds is True
    benchmark.extra_info["cells and assumptions"] = verdict.reason
