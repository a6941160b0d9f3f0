"""The counts of fuzzed cases that the project states, over every size up to the stated ones."""

from __future__ import annotations

import pytest

from tests.heavy.drawn import fuzz_up_to
from verify import Verdict, get_arithmetic

pytestmark = pytest.mark.long

#: One in so many examples may repeat an earlier case: small sizes come often, and their spaces are small.
_REPEATED = 5

_FLOATS = pytest.mark.parametrize("dtype", ["float32", "float64"])


def _fuzz(
    claim: str, arithmetic: str, dtype: str, distinct: int, *, repeated: int = _REPEATED, **bounds: int
) -> Verdict:
    # the formats carry few sizes of longer inputs, and the small ones have few maps: one example in three comes again
    examples = distinct + distinct // (2 if claim == "longer-inputs" else repeated)
    number_system = get_arithmetic(arithmetic, dtype=dtype)
    return fuzz_up_to(claim, number_system, bounds, examples=examples)


@_FLOATS
def test_ten_thousand_cases_of_theorem_1(dtype: str) -> None:
    verdict = _fuzz("theorem-1", "torch", dtype, 10_000, repeated=10, vocab=300, context=64)
    assert verdict.holds is True, verdict.counterexample
    assert verdict.cases >= 10_000


@_FLOATS
@pytest.mark.parametrize(
    ("claim", "distinct", "bounds"),
    [
        ("theorem-2", 1_000, {"vocab": 300}),
        ("longer-responses", 1_000, {"vocab": 60, "response": 16}),
        ("longer-inputs", 600, {"vocab": 13, "input": 4}),
        ("digits", 1_000, {"vocab": 300, "context": 16, "digits": 3}),
        ("residual-theorem-1", 1_000, {"vocab": 94, "context": 20}),
        ("residual-theorem-2", 1_000, {"vocab": 94}),
    ],
)
def test_cases_of_the_other_claims(claim: str, distinct: int, bounds: dict[str, int], dtype: str) -> None:
    verdict = _fuzz(claim, "torch", dtype, distinct, **bounds)
    assert verdict.holds is True, verdict.counterexample
    assert verdict.cases >= distinct


@pytest.mark.parametrize(
    ("claim", "bounds"),
    [
        ("theorem-1", {"vocab": 60, "context": 24}),
        ("theorem-2", {"vocab": 60}),
        ("longer-responses", {"vocab": 20, "response": 6}),
        ("longer-inputs", {"vocab": 8, "input": 4}),
        ("digits", {"vocab": 60, "context": 8, "digits": 3}),
    ],
)
def test_a_thousand_exact_cases_of_every_claim(claim: str, bounds: dict[str, int]) -> None:
    verdict = _fuzz(claim, "rational", "float64", 1_000, **bounds)
    assert verdict.holds is True, verdict.counterexample
    assert verdict.cases >= 1_000
