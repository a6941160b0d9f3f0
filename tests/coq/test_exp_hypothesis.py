"""What the Coq theorems on float softmax assume of ``exp``, checked on this machine's kernels.

``theorem_1_ieee_softmax`` assumes that ``exp`` is 1 at 0 and 0 at minus the inverse temperature;
``theorem_1_binary32_softmax`` that it is correctly rounded there, for temperatures from 105 on: ``e^-105`` is below
half the smallest subnormal number, ``2^-150``, and rounds to 0.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from flint import arb

#: The least inverse temperature of the theorem, and others up to the largest that float32 holds.
TEMPERATURES = [105.0, 106.0, 150.0, 1000.0, 65504.0, float(np.finfo(np.float32).max)]
#: Where e^-T is still above half the smallest subnormal number, so that a correctly rounded exp is not 0.
TOO_SMALL = 103.0


def test_the_bound_of_the_theorem_in_rigorous_arithmetic() -> None:
    assert arb(-105).exp() < arb(2) ** -150
    assert arb(-TOO_SMALL).exp() > arb(2) ** -150


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_exp_of_numpy_and_torch_is_one_at_zero_and_zero_below(temperature: float) -> None:
    exponents = np.array([0.0, -temperature] * 9, dtype=np.float32)  # more than a vector register, with a remainder
    wanted = np.array([1.0, 0.0] * 9, dtype=np.float32)
    np.testing.assert_array_equal(np.exp(exponents), wanted)
    np.testing.assert_array_equal(torch.exp(torch.from_numpy(exponents)).numpy(), wanted)


def test_just_beyond_the_bound_exp_is_not_zero() -> None:
    assert np.exp(np.float32(-TOO_SMALL)) > 0
    assert torch.exp(torch.tensor(-TOO_SMALL)) > 0


@pytest.mark.parametrize("keys", [2, 3, 20, 64, 1000])
def test_softmax_of_torch_is_exactly_one_hot_at_the_bound(keys: int) -> None:
    scores = torch.zeros(keys)
    scores[keys // 2] = 1
    weights = torch.softmax(scores * TEMPERATURES[0], dim=-1)
    assert torch.equal(weights, scores)
    assert not torch.equal(torch.softmax(scores * TOO_SMALL, dim=-1), scores)


@pytest.mark.gpu
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_exp_on_a_gpu(temperature: float) -> None:
    exponents = torch.tensor([0.0, -temperature] * 40, device="cuda")
    assert torch.exp(exponents).tolist() == [1.0, 0.0] * 40
