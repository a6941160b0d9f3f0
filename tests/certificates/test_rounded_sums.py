"""What real kernels compute lies inside the box, in every order of summation that can be forced: none outside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from constructions.formats import get_format
from constructions.temperature import Softmax
from tests.certificates.own import rounded
from verify.certificates.floats.arithmetic import RoundedArithmetic, RoundedWeight
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import grid_of, round_array

DTYPES = ("float64", "float32", "bfloat16", "float16")
_Matrix = np.ndarray[Any, Any]
_Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, kind: str) -> _Matrix:
    """Return floats of a format: of one size, of mixed exponents, integers, powers of two, subnormal, with zeros."""
    fmt = get_format(dtype)
    signs = rng.choice([-1.0, 1.0], shape)
    # products of two and their sums stay finite
    reach = min(30, fmt.max_exponent // 2 - 4)
    values = {
        "even": signs * rng.random(shape),
        "mixed": signs * np.ldexp(rng.random(shape) + 1, rng.integers(-reach, reach, shape)),
        "integers": rng.integers(-9, 10, shape).astype(float),
        "powers": signs * np.ldexp(1.0, rng.integers(-reach // 2, reach // 2, shape)),
        "subnormal": signs * np.ldexp(rng.random(shape), (fmt.min_exponent - fmt.precision // 2) // 2),
        "cancelling": np.where(rng.random(shape) < 0.5, 1.0, -1.0) * (1 + rng.integers(0, 3, shape) * 2.0**-7),
    }[kind]
    values = np.where(rng.random(shape) < 0.2, 0.0, values)
    return round_array(values, fmt)


KINDS = ("even", "mixed", "integers", "powers", "subnormal", "cancelling")


def _box(values: _Matrix, width: _Matrix, dtype: str) -> Box:
    fmt = get_format(dtype)
    low, high = (round_array(values + sign * width, fmt) for sign in (-1, 1))
    grid = np.minimum(grid_of(low), grid_of(high)).min(axis=(0, 1))
    # everything between two floats is a multiple of the smallest number above 0
    grid = np.where((low == high).all(axis=(0, 1)), grid, fmt.min_exponent - fmt.precision + 1)
    wide = rounded(dtype).rounded(np.zeros(1, dtype=np.longdouble if dtype == "float64" else float), up=True).dtype
    return Box(low.astype(wide), high.astype(wide), grid.astype(np.int64))


def _weight(values: _Matrix, arithmetic: RoundedArithmetic) -> RoundedWeight:
    held = np.asarray(values, dtype=np.longdouble if arithmetic.fmt.name == "float64" else np.float64)
    return RoundedWeight(held, grid_of(values), exact=True)


def _sequential(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    total = bias.expand(*x.shape[:-1], -1).clone()
    for place in range(x.shape[-1]):
        total = total + x[..., place, None] * weight[:, place]
    return total


def _fused(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return the sum by fused multiply-adds, emulated: exact in float64 but for the last rounding, to odd first."""
    total = bias.expand(*x.shape[:-1], -1).double().numpy().copy()
    fmt = get_format(str(x.dtype).removeprefix("torch."))
    for place in range(x.shape[-1]):
        product = x[..., place, None].double().numpy() * weight[:, place].double().numpy()  # 48 bits at most
        sums = total + product
        part = sums - total
        error = (total - (sums - part)) + (product - part)
        even = (np.frexp(sums)[0] * 2.0**53).astype(np.int64) % 2 == 0
        outward = np.nextafter(sums, np.where(error > 0, np.inf, -np.inf))
        total = round_array(np.where((error != 0) & even, outward, sums), fmt)
    return torch.from_numpy(total)


def _pairwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    terms = [x[..., place, None] * weight[:, place] for place in range(x.shape[-1])]
    terms.append(bias.expand_as(terms[0]))
    while len(terms) > 1:
        terms = [sum(terms[at + 1 : at + 2], terms[at]) for at in range(0, len(terms), 2)]
    return terms[0]


def _blocked(size: int) -> _Kernel:
    def kernel(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        total = bias
        for start in range(0, x.shape[-1], size):
            total = total + x[..., start : start + size] @ weight[:, start : start + size].T
        return total

    return kernel


def _reversed(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return _sequential(x.flip(-1), weight.flip(-1), bias)


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.linear(x, weight, bias)


def _two_threads(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        return _linear(x, weight, bias)
    finally:
        torch.set_num_threads(before)


def _numpy(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    if x.dtype == torch.bfloat16:  # numpy has none
        return _linear(x, weight, bias)
    return torch.from_numpy(np.asarray(x.numpy() @ weight.numpy().T + bias.numpy()))


def _einsum(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    if x.dtype == torch.bfloat16:
        return _linear(x, weight, bias)
    return torch.from_numpy(np.einsum("brk,vk->brv", x.numpy(), weight.numpy()) + bias.numpy())


KERNELS: dict[str, _Kernel] = {
    "linear": _linear,
    "two threads": _two_threads,
    "matmul and bias": lambda x, weight, bias: x @ weight.T + bias,
    "sequential": _sequential,
    "reversed": _reversed,
    "pairwise": _pairwise,
    "blocks of 2": _blocked(2),
    "blocks of 5": _blocked(5),
    "numpy": _numpy,
    "numpy einsum": _einsum,
    "fused": _fused,
}


def _samples(seed: int, dtype: str, rounds: int) -> Iterator[tuple[Box, _Matrix, _Matrix, _Matrix, str]]:
    rng = np.random.default_rng(seed)
    for at in range(rounds):
        kind, other = KINDS[at % len(KINDS)], str(rng.choice(KINDS))
        inputs, outputs = int(rng.integers(1, 13)), int(rng.integers(1, 6))
        x = _numbers(rng, (4, 3, inputs), dtype, kind)
        weight = _numbers(rng, (outputs, inputs), dtype, other)
        bias = _numbers(rng, (outputs, 1), dtype, other) * rng.integers(0, 2)
        if at % 3 == 0:  # the terms of a row almost cancel
            weight[:, inputs // 2 :] = round_array(-weight[:, : inputs - inputs // 2], get_format(dtype))
            x[..., inputs // 2 :] = x[..., : inputs - inputs // 2]
        if at % 5 == 0:  # one term is larger than all the others together
            x[..., 0] = 1.5 * 2.0 ** min(20, get_format(dtype).max_exponent // 2 - 3)
        width = np.abs(x) * 2.0 ** -int(rng.integers(2, 12)) * rng.integers(0, 2)
        yield _box(x, width, dtype), x, weight, bias, kind


def outside(dtype: str, kernels: dict[str, _Kernel], *, rounds: int, seed: int) -> tuple[int, int]:
    """Return how many numbers the kernels computed, and how many of them were outside their boxes."""
    with np.errstate(all="ignore"):  # as in a certificate; what overflows may be anything
        return _outside(dtype, kernels, rounds=rounds, seed=seed)


def _outside(dtype: str, kernels: dict[str, _Kernel], *, rounds: int, seed: int) -> tuple[int, int]:
    arithmetic = rounded(dtype)
    torch_dtype = getattr(torch, dtype)
    count = wrong = 0
    for box, x, weight, bias, _ in _samples(seed, dtype, rounds):
        found = arithmetic.linear(box, _weight(weight, arithmetic), _weight(bias, arithmetic))
        tensors = [torch.from_numpy(np.ascontiguousarray(part)).to(torch_dtype) for part in (x, weight, bias[:, 0])]
        for name, kernel in kernels.items():
            if name == "fused" and dtype == "float64":
                continue  # float64 cannot hold its products
            values = kernel(*tensors).double().numpy()
            inside = (found.low <= values) & (values <= found.high) | np.isinf(found.low)
            count += inside.size
            wrong += int((~inside).sum())
            wrong += int((grid_of(np.where(np.isfinite(values), values, 0)) < found.grid).sum())
    return count, wrong


@pytest.mark.share(2)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_products_lie_inside_their_boxes(dtype: str) -> None:
    count, wrong = outside(dtype, KERNELS, rounds=30, seed=1)
    assert wrong == 0
    assert count > 8_000


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_million_sums_lie_inside_their_boxes(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    count, wrong = outside(dtype, KERNELS, rounds=720, seed=2)
    with capsys.disabled():
        sys.stdout.write(f"\n{dtype}: {count:,} sums of products, {wrong} outside\n")
    assert wrong == 0
    assert count >= 250_000  # in each of four formats


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_smaller_box_would_not_hold_them(dtype: str) -> None:
    # halved rounding errors are refuted: the bound is not merely large
    arithmetic = rounded(dtype)
    torch_dtype = getattr(torch, dtype)
    wrong = 0
    for box, x, weight, bias, kind in _samples(1, dtype, 60):
        if kind == "subnormal":
            continue
        terms, _ = arithmetic.linear_terms(Box(box.low, box.low, box.grid), _weight(weight, arithmetic), None)
        exact = terms.low  # of the point, in float64: far more precise
        point = torch.from_numpy(box.low.astype(float)).to(torch_dtype)
        values = (point @ torch.from_numpy(weight).to(torch_dtype).T).double().numpy()
        wrong += int((np.abs(values - exact) > float(arithmetic.kernel.unit) / 2 * np.abs(exact)).sum())
        assert x.shape == box.shape
        assert bias.shape[1] == 1
    assert wrong > 0


def _attended(dtype: str, temperature: float, rng: np.random.Generator) -> tuple[int, int]:
    """Return how many weights and outputs of softmax attention were computed, and how many were outside."""
    arithmetic, torch_dtype = rounded(dtype), getattr(torch, dtype)
    keys, width = int(rng.integers(1, 24)), int(rng.integers(1, 4))
    kind = str(rng.choice(["integers", "even", "dyadic", "one"]))
    shape = (2, 3, keys)
    values = {
        "integers": rng.integers(-2, 3, shape).astype(float),
        "even": _numbers(rng, shape, dtype, "even"),
        "dyadic": rng.integers(-8, 9, shape) / 8,
        "one": (np.arange(keys) == int(rng.integers(keys))).astype(float) * np.ones(shape),
    }[kind]
    spread = values * 2.0**-9 * (0 if kind in {"integers", "one"} else rng.integers(0, 2))
    box = _box(values, np.abs(spread), dtype)
    visible = np.ones((3, keys), dtype=np.bool_)
    visible[:, 1:] = rng.random((3, keys - 1)) < 0.8
    weights = arithmetic.attention(box, visible, Softmax(temperature), key_size=1)
    content = _numbers(rng, (2, keys, width), dtype, str(rng.choice(["even", "integers", "powers"])))
    mixed = arithmetic.mix(weights, _box(content, np.zeros_like(content), dtype))

    scores = torch.from_numpy(round_array(values, get_format(dtype))).to(torch_dtype)
    hidden = torch.from_numpy(~visible)
    masked = scores.masked_fill(hidden, -torch.inf)
    scaled = masked * temperature
    found = [torch.softmax(scaled, -1)]
    shifted = (scaled - scaled.amax(-1, keepdim=True)).exp()
    early = ((masked - masked.amax(-1, keepdim=True)) * temperature).exp()
    for factors in (shifted, early):
        total = factors.sum(-1, keepdim=True)
        found += [factors / total, factors * (1 / total), factors / factors.flip(-1).cumsum(-1)[..., -1:]]
    if dtype != "bfloat16":
        rows = masked.numpy()
        with np.errstate(under="ignore"):
            numerators = np.exp((rows - rows.max(-1, keepdims=True)) * rows.dtype.type(temperature))
        total = numerators.sum(-1, keepdims=True, dtype=rows.dtype)
        found.append(torch.from_numpy(np.asarray(numerators / total)))
    held = torch.from_numpy(content).to(torch_dtype)
    count = wrong = 0
    for softmax in found:
        outputs = [softmax @ held, (softmax[..., None] * held[:, None]).sum(-2)]
        backwards = torch.zeros_like(outputs[0])
        for key in reversed(range(keys)):
            backwards = backwards + softmax[..., key, None] * held[:, None, key]
        outputs.append(backwards)
        for box_found, numbers in [(weights, softmax), *((mixed, output) for output in outputs)]:
            exact = torch.as_tensor(numbers).double().numpy()
            inside = (box_found.low <= exact) & (exact <= box_found.high)
            count += inside.size
            wrong += int((~inside).sum())
    return count, wrong


def _attention(dtype: str, *, rounds: int, seed: int) -> tuple[int, int]:
    rng = np.random.default_rng(seed)
    count = wrong = 0
    for _ in range(rounds):
        temperature = float(np.exp(rng.uniform(-3, 5.5)))
        with np.errstate(all="ignore"):  # as in a certificate
            more = _attended(dtype, temperature, rng)
        count, wrong = count + more[0], wrong + more[1]
    return count, wrong


@pytest.mark.share(2)
@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_and_its_mix_lie_inside_their_boxes(dtype: str) -> None:
    count, wrong = _attention(dtype, rounds=24, seed=5)
    assert wrong == 0
    assert count > 4_000


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_million_numbers_of_attention_lie_inside_their_boxes(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    count, wrong = _attention(dtype, rounds=350, seed=6)
    with capsys.disabled():
        sys.stdout.write(f"\n{dtype}: {count:,} attention weights and outputs, {wrong} outside\n")
    assert wrong == 0
    assert count >= 250_000  # in each of four formats
