"""What ``--products`` assumes of a kernel is what is bounded: chains and trees of additions, emulated exactly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions.formats import FORMATS, Format, round_to_format
from tests.certificates.own import rounded
from verify.certificates.floats.arithmetic import RoundedWeight
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import from_ordinal, grid_of, grids_between, ordinal, round_array
from verify.certificates.floats.kernel import Products
from verify.certificates.floats.margins import rounded_margins

_Array = np.ndarray[Any, Any]
#: Weights and bias of every output, numbers of every row; the sums, rows x outputs.
_Kernel = Callable[[np.random.Generator, _Array, _Array, _Array, Format], _Array]

#: Formats whose products float64 holds.
NARROW = ("float32", "bfloat16", "float16")


def added(left: _Array, right: _Array, fmt: Format) -> _Array:
    """Return sums of float64 numbers rounded once, to a format of at most 24 bits: by way of rounding to odd."""
    total = left + right
    part = total - left
    error = (left - (total - part)) + (right - part)
    even = (np.frexp(total)[0] * 2.0**53).astype(np.int64) % 2 == 0
    outward = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return round_array(np.where((error != 0) & even, outward, total), fmt)


def chain(rng: np.random.Generator, x: _Array, weight: _Array, bias: _Array, fmt: Format) -> _Array:
    """Return chains of fused multiply-adds that start from the bias, products in a drawn order."""
    total = np.broadcast_to(bias, (len(x), len(weight)))
    for place in rng.permutation(x.shape[1]):
        total = added(x[:, place, None] * weight[:, place], total, fmt)
    return total


def from_zero(rng: np.random.Generator, x: _Array, weight: _Array, bias: _Array, fmt: Format) -> _Array:
    """Return chains that start from 0, to which the bias is added last."""
    return added(chain(rng, x, weight, 0 * bias, fmt), np.broadcast_to(bias, (len(x), len(weight))), fmt)


def _summed(rng: np.random.Generator, terms: list[tuple[_Array, bool]], fmt: Format, held: Format) -> _Array:
    """Return the sum of terms in a drawn tree, the unrounded ones rounded first or not; a kernel holds what it sums."""
    terms = list(terms)
    while len(terms) > 1:
        (left, exact), (right, also) = (terms.pop(int(rng.integers(len(terms)))) for _ in range(2))
        inner = fmt if rng.random() < 0.3 else held  # 0.3 of them stored in between
        if exact and (also or rng.random() < 0.5):  # a fused multiply-add has one product
            left = round_array(left, inner)
        elif also and rng.random() < 0.5:
            right = round_array(right, inner)
        terms.append((added(left, right, inner), False))
    return round_array(terms[0][0], fmt)


def _products(x: _Array, weight: _Array) -> list[tuple[_Array, bool]]:
    return [(x[:, place, None] * weight[:, place], True) for place in range(x.shape[1])]


def _held(rng: np.random.Generator, fmt: Format) -> Format:
    return FORMATS["float32"] if fmt.precision < 24 and rng.random() < 0.5 else fmt


def tree(rng: np.random.Generator, x: _Array, weight: _Array, bias: _Array, fmt: Format) -> _Array:
    """Return sums in any order, the bias anywhere."""
    whole = (np.broadcast_to(bias, (len(x), len(weight))), False)
    return _summed(rng, [*_products(x, weight), whole], fmt, _held(rng, fmt))


def bias_last(rng: np.random.Generator, x: _Array, weight: _Array, bias: _Array, fmt: Format) -> _Array:
    """Return the rounded sums of products, plus the bias."""
    total = _summed(rng, _products(x, weight), fmt, _held(rng, fmt))
    return _summed(rng, [(total, False), (np.broadcast_to(bias, total.shape), False)], fmt, _held(rng, fmt))


def accumulated(rng: np.random.Generator, x: _Array, weight: _Array, bias: _Array, fmt: Format) -> _Array:
    """Return sums held in float32 with the bias, rounded at the end, as kernels of 16-bit formats compute them."""
    if fmt.precision >= 24:
        return chain(rng, x, weight, bias, fmt)
    inner = FORMATS["float32"]
    terms = [(round_array(part, inner), False) for part, _ in _products(x, weight)]
    whole = np.broadcast_to(bias, (len(x), len(weight)))
    total = terms.pop(int(rng.integers(len(terms))))[0] if rng.random() < 0.5 else whole
    for part, _ in terms if total is whole else [*terms, (whole, False)]:
        total = added(total, part, inner)
    return round_array(total, fmt)


#: What each assumption allows.
ALLOWED: dict[Products, tuple[_Kernel, ...]] = {
    "fused": (chain, accumulated),
    "separate": (bias_last,),
    "either": (chain, from_zero, tree, bias_last, accumulated),
}


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> _Array:
    """Return numbers of a format: of all bits, small integers whose sums tie, powers of two, subnormal, zeros."""
    kind = rng.integers(6)
    signs = rng.choice([-1.0, 1.0], shape)
    if kind < 2:
        values = signs * np.ldexp(rng.integers(2 ** (fmt.precision - 1), 2**fmt.precision, shape), -fmt.precision)
    elif kind == 2:
        values = rng.integers(-9, 10, shape).astype(float)
    elif kind == 3:
        values = signs * (1 + rng.integers(0, 4, shape) * 2.0 ** (1 - fmt.precision))
    elif kind == 4:
        values = signs * np.ldexp(rng.random(shape), rng.integers(-8, 8, shape))
    else:
        values = signs * np.ldexp(rng.random(shape), (fmt.min_exponent - fmt.precision // 2) // 2)
    return round_array(np.where(rng.random(shape) < 0.1, 0.0, values), fmt)


def _case(rng: np.random.Generator, fmt: Format, rows: int) -> tuple[_Array, _Array, _Array]:
    """Return numbers, weights and biases whose sums almost cancel, or lie beside a tie."""
    width, outputs = int(rng.integers(1, 7)), int(rng.integers(2, 7))
    x, weight = _numbers(rng, (rows, width), fmt), _numbers(rng, (outputs, width), fmt)
    bias = _numbers(rng, (outputs,), fmt)
    how = rng.integers(5)
    if how == 0:
        bias = np.zeros(outputs)
    elif how == 1:  # what a row has, taken off again
        bias = round_array(-(x[0] * weight).sum(axis=1), fmt)
    elif how == 2 and width > 1:  # a product as a power of two cannot be
        x[:, 0], weight[:, 0] = 1, round_array(-(x[0, 1] * weight[:, 1]), fmt)
        bias = bias * rng.integers(0, 2, outputs)
    elif how == 3:  # half a unit away
        bias = round_array(
            (x[0] * weight).sum(axis=1) * 2.0 ** int(rng.integers(fmt.precision - 2, fmt.precision + 2)), fmt
        )
    return x, weight, np.where(np.isfinite(bias), bias, 0.0)


def _weight(values: _Array) -> RoundedWeight:
    return RoundedWeight(values, grid_of(values), exact=True)


def _boxed(rng: np.random.Generator, x: _Array, fmt: Format) -> Box:
    """Return a box around every number, of a few floats, or of one."""
    reach = rng.integers(0, 4, x.shape) * rng.integers(0, 2)
    low, high = (from_ordinal(ordinal(x, fmt) + sign * reach, fmt) for sign in (-1, 1))
    grid = np.where((reach == 0).all(axis=0), grid_of(x).min(axis=0), grids_between(low, high, fmt).min(axis=0))
    return Box(low[:, None], high[:, None], grid)


def contradictions(
    products: Products, kernels: tuple[_Kernel, ...], dtype: str, *, rounds: int, seed: int, rows: int = 96
) -> tuple[int, int]:
    """Return how many sums were computed, and how many were outside their bounds or below a certified margin."""
    rng, fmt, arithmetic = np.random.default_rng(seed), FORMATS[dtype], rounded(dtype, products)
    count = wrong = 0
    with np.errstate(all="ignore"):
        for _ in range(rounds):
            x, weight, bias = _case(rng, fmt, rows)
            box, held = _boxed(rng, x, fmt), (_weight(weight), _weight(bias[:, None]))
            found = arithmetic.linear(box, *held)
            expected = (x @ weight.T + bias).argmax(axis=1)
            lower = rounded_margins(arithmetic, box, *held, expected, points=64).lower
            first, last = ordinal(box.low[:, 0], fmt), ordinal(box.high[:, 0], fmt)
            for kernel in kernels:
                inside = from_ordinal(rng.integers(first, last + 1), fmt)
                sums = kernel(rng, inside, weight, bias, fmt)
                low, high = found.low[:, 0], found.high[:, 0]
                wrong += int((~((low <= sums) & (sums <= high)) & np.isfinite(low)).sum())
                wrong += int((grid_of(np.where(np.isfinite(sums), sums, 0)) < found.grid).sum())
                own = np.take_along_axis(sums, expected[:, None], axis=1)
                others = np.where(np.arange(len(bias)) == expected[:, None], -np.inf, sums)
                margins = own[:, 0] - others.max(axis=1)
                wrong += int((~(margins >= lower) & np.isfinite(lower)).sum())
                count += sums.size
    return count, wrong


@pytest.mark.share(3)
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("products", ALLOWED)
def test_what_is_assumed_of_products_is_bounded(products: Products, dtype: str) -> None:
    kernels = ALLOWED[products]
    count, wrong = contradictions(products, kernels, dtype, rounds=45 // len(kernels), seed=11)
    assert wrong == 0
    assert count > 11_200  # over 10^5 in all


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("products", ALLOWED)
def test_a_million_sums_of_products(products: Products, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    kernels = ALLOWED[products]
    count, wrong = contradictions(products, kernels, dtype, rounds=450 // len(kernels), seed=12)
    with capsys.disabled():
        sys.stdout.write(f"\n{dtype}, products {products}: {count:,} sums, {wrong} outside their bounds\n")
    assert wrong == 0
    assert count > 112_000  # over 10^6 in all


@pytest.mark.share(3)
@pytest.mark.parametrize(
    ("dtype", "products", "kernel"),
    [*((dtype, "fused", kernel) for dtype in NARROW for kernel in (from_zero, tree)), ("bfloat16", "separate", chain)],
)
def test_what_is_not_assumed_is_not_bounded(products: Products, kernel: _Kernel, dtype: str) -> None:
    """Chains from 0 with the bias last, and other trees, leave the bounds of ``fused``: it covers what it says."""
    _, wrong = contradictions(products, (kernel,), dtype, rounds=30 if products == "fused" else 120, seed=13)
    assert wrong > 0


@pytest.mark.parametrize("dtype", NARROW)
def test_the_emulation_is_exact(dtype: str) -> None:
    rng, fmt = np.random.default_rng(14), FORMATS[dtype]
    for _ in range(60):
        x, weight, bias = _case(rng, fmt, 2)
        order = np.random.default_rng(5).permutation(x.shape[1])
        found = chain(np.random.default_rng(5), x, weight, bias, fmt)
        for row, output in np.ndindex(found.shape):
            total = Fraction(float(bias[output]))
            for place in order:
                product = Fraction(float(x[row, place])) * Fraction(float(weight[output, place]))
                total = Fraction(round_to_format(product + total, fmt))
            assert found[row, output] == float(total)


def _exact_chain(x: _Array, weight: _Array, start: float, fmt: Format) -> float:
    """Return one chain of fused multiply-adds, by exact rationals."""
    total = Fraction(start)
    for number, factor in zip(x, weight, strict=True):
        total = Fraction(round_to_format(Fraction(float(number)) * Fraction(float(factor)) + total, fmt))
    return float(total)


@pytest.mark.share(1)
@pytest.mark.parametrize("products", ["fused", "either"])
def test_chains_of_float64_are_bounded(products: Products) -> None:
    rng, fmt, arithmetic = np.random.default_rng(15), FORMATS["float64"], rounded("float64", products)
    count = 0
    for _ in range(120):
        x, weight, bias = _case(rng, fmt, 2)
        with np.errstate(all="ignore"):
            held = (_weight(part.astype(np.longdouble)) for part in (weight, bias[:, None]))
            found = arithmetic.linear(Box.point(x[:, None], fmt), *held)
        low, high = (np.broadcast_to(part[:, 0], (len(x), len(weight))) for part in (found.low, found.high))
        for row, output in np.ndindex(low.shape):
            order = rng.permutation(x.shape[1])
            chosen = x[row, order], weight[output, order]
            value = _exact_chain(*chosen, float(bias[output]), fmt)
            assert low[row, output] <= value <= high[row, output]
            if products == "either":  # the bias last, too
                last = Fraction(_exact_chain(*chosen, 0.0, fmt)) + Fraction(float(bias[output]))
                value = round_to_format(last, fmt)
                assert low[row, output] <= value <= high[row, output]
            count += 1
    assert count > 600
