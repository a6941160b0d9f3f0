"""The emulated kernels against exact rationals, and the size at which evenly spaced values end."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch

from constructions.formats import FORMATS, Format, round_to_format
from constructions.validation import InvalidArgument
from verify.arithmetic.emulated import fused_multiply_add, to_tf32
from verify.arithmetic.tensors import TorchArithmetic
from verify.frontier import evenly_spaced_values

NARROW = ("float32", "bfloat16", "float16")


def _numbers(dtype: str, count: int, seed: int) -> torch.Tensor:
    """Numbers of many magnitudes, some of few bits, so that ties between neighbours occur."""
    generator = np.random.default_rng(seed)
    values = np.ldexp(generator.integers(-(2**8), 2**8, count).astype(np.float64), generator.integers(-12, 2, count))
    values[::2] = generator.normal(size=(count + 1) // 2)
    return torch.from_numpy(values).to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", NARROW)
def test_fused_multiply_add_rounds_once(dtype: str) -> None:
    left, right, added = (_numbers(dtype, 2_000, seed) for seed in (1, 2, 3))
    left, right = left.clamp(-100, 100), right.clamp(-100, 100)  # products that float16 holds
    added[::3] = (-(left * right) + left * 2.0**-9)[::3]  # sums that cancel
    found = fused_multiply_add(left, right, added).double().tolist()
    triples = zip(left.double().tolist(), right.double().tolist(), added.double().tolist(), strict=True)
    exact = [Fraction(a) * Fraction(b) + Fraction(c) for a, b, c in triples]
    assert found == [round_to_format(value, FORMATS[dtype]) for value in exact]
    twice = (left * right + added).double().tolist()
    assert found != twice  # a test that both would pass tells nothing


def test_tf32_rounds_to_eleven_bits(correctly_rounded: Callable[[Fraction, float, str], bool]) -> None:
    values = torch.cat([_numbers("float32", 1_000, 5), 1 + torch.arange(1024, dtype=torch.float32) * 2.0**-13])
    found = to_tf32(values)
    for value, result in zip(values.tolist(), found.tolist(), strict=True):
        assert correctly_rounded(Fraction(value), result, "float16") or abs(value) < 2.0**-14
        assert round_to_format(Fraction(value), Format("tf32", 11, 127)) == result
    assert torch.equal(to_tf32(found), found)
    odd = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, -0.0])
    assert torch.equal(to_tf32(odd).nan_to_num(7.0), odd.nan_to_num(7.0))


@pytest.mark.parametrize("dtype", NARROW)
def test_the_kernels_of_a_bias(dtype: str) -> None:
    x, weight, bias = (_numbers(dtype, size, seed).abs() for size, seed in ((64, 1), (64, 2), (64, 3)))
    rows, weight, bias = x.reshape(-1, 1, 1), weight.reshape(-1, 1), -bias.reshape(-1, 1)
    separate = TorchArithmetic(dtype, bias="separate").linear(rows, weight, bias)
    fused = TorchArithmetic(dtype, bias="fma").linear(rows, weight, bias)
    products = x[:, None] * weight[:, 0]
    assert torch.equal(separate[:, 0], products + bias[:, 0])
    exact = (x.double()[:, None] * weight[:, 0].double() + bias[:, 0].double()).reshape(-1)
    assert not torch.equal(separate, fused)
    assert (fused.reshape(-1).double() - exact).abs().sum() < (separate.reshape(-1).double() - exact).abs().sum()


def test_the_kernels_that_are_not_there() -> None:
    with pytest.raises(InvalidArgument, match="bias"):
        TorchArithmetic("float32", bias="other")  # type: ignore[arg-type] # what is tested
    with pytest.raises(InvalidArgument, match="bias: expected linear or separate in float64"):
        TorchArithmetic("float64", bias="fma")
    with pytest.raises(InvalidArgument, match="tf32_factors: expected float32"):
        TorchArithmetic("bfloat16", tf32_factors=True)


def test_tf32_factors_change_products() -> None:
    value = torch.full((1, 1, 1), 1 + 2.0**-12)
    weight = torch.ones(1, 1)
    assert TorchArithmetic("float32").linear(value, weight).item() == value.item()
    assert TorchArithmetic("float32", tf32_factors=True).linear(value, weight).item() == 1
    name = TorchArithmetic("float32", bias="separate", tf32_factors=True).name
    assert name == "torch float32 separate tf32-factors"


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_evenly_spaced_values(dtype: str) -> None:
    fmt = FORMATS[dtype]
    values = evenly_spaced_values(fmt)
    assert values == 2**fmt.precision + 1
    scale = Fraction(1, 2**8)  # float16 does not reach 2^11 times much
    last = (values - 1) * scale
    assert Fraction(round_to_format(last, fmt)) == last  # the value of the last token is held
    for odd in (1, 3, 5, 7):
        beyond = values * scale * Fraction(odd, 8)
        assert Fraction(round_to_format(beyond, fmt)) != beyond  # one more is not, at any spacing
