"""The main evidence on a CUDA device: kernels of another maker, and the formats that it multiplies in."""

from __future__ import annotations

from typing import Any

import pytest

from constructions import ConditionalGeneration, Construction, LongerInputs, LongerResponses, UnconditionalGeneration
from tests.heavy.drawn import fuzz_up_to
from verify import Verdict, exhaust, get_arithmetic, sweep

pytestmark = [pytest.mark.heavy, pytest.mark.gpu]

_WIDE = pytest.mark.parametrize(("dtype", "tf32"), [("float64", False), ("float32", False)])
_NARROW = pytest.mark.parametrize(("dtype", "tf32"), [("float32", True), ("bfloat16", False), ("float16", False)])
_SPACES: list[tuple[Construction, int]] = [
    (UnconditionalGeneration(4, 8), 65_536),
    (UnconditionalGeneration(10, 5), 100_000),
    (ConditionalGeneration(5), 3_125 * 5),
    (LongerResponses(3, 2), 729 * 3),
]
_SMALL: list[tuple[Construction, int]] = [(LongerInputs(2, 2), 16 * 4)]


def _cuda(dtype: str, *, tf32: bool) -> Any:
    return get_arithmetic("torch", dtype=dtype, device="cuda", tf32=tf32)


def _on_cuda(verdict: Verdict, *, tf32: bool) -> None:
    assert verdict.device.startswith("cuda")
    assert verdict.arithmetic.endswith(" with TF32") is tf32


@_WIDE
@pytest.mark.parametrize(("construction", "cases"), [*_SPACES, *_SMALL, (LongerInputs(3, 2), 19_683 * 9)], ids=str)
def test_every_case_holds(construction: Construction, cases: int, dtype: str, tf32: bool) -> None:  # noqa: FBT001 # a parameter of the test
    verdict = exhaust(construction, _cuda(dtype, tf32=tf32))
    _on_cuda(verdict, tf32=tf32)
    assert verdict.holds is True, verdict.counterexample
    assert verdict.cases == verdict.space == cases


@_NARROW
@pytest.mark.parametrize(("construction", "cases"), [*_SPACES, *_SMALL], ids=str)
def test_every_case_of_small_sizes_holds_in_narrow_formats(
    construction: Construction,
    cases: int,
    dtype: str,
    tf32: bool,  # noqa: FBT001 # a parameter of the test
) -> None:
    verdict = exhaust(construction, _cuda(dtype, tf32=tf32))
    _on_cuda(verdict, tf32=tf32)
    assert verdict.holds is True, verdict.counterexample
    assert verdict.cases == verdict.space == cases


@_WIDE
@pytest.mark.parametrize(
    ("claim", "bounds"),
    [
        ("theorem-1", {"vocab": 300, "context": 64}),
        ("theorem-2", {"vocab": 300}),
        ("longer-responses", {"vocab": 60, "response": 16}),
        ("longer-inputs", {"vocab": 13, "input": 4}),
    ],
)
def test_drawn_cases_hold(claim: str, bounds: dict[str, int], dtype: str, tf32: bool) -> None:  # noqa: FBT001 # a parameter of the test
    verdict = fuzz_up_to(claim, _cuda(dtype, tf32=tf32), bounds, examples=500)
    _on_cuda(verdict, tf32=tf32)
    assert verdict.holds is True, verdict.counterexample
    assert verdict.cases > 400


@_NARROW
def test_a_narrow_format_stops_and_says_where(dtype: str, tf32: bool) -> None:  # noqa: FBT001 # a parameter of the test
    # TF32 keeps 11 bits of a factor, so in [1/2, 1) a format of p bits (11 for TF32) has 2^(p-1) virtual tokens
    arithmetic = _cuda(dtype, tf32=tf32)
    precision = 11 if tf32 else arithmetic.fmt.precision
    verdict = sweep(ConditionalGeneration, arithmetic, max_vocab_size=2**precision + 2, claim="theorem-2")
    _on_cuda(verdict, tf32=tf32)
    assert verdict.holds is False
    assert verdict.counterexample is not None
    assert verdict.reason is not None
    assert verdict.reason.startswith("holds up to vocab_size ")
