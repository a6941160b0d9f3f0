"""Products of matrices on a unit against a sum at a time, and against those of torch on a GPU.

``data/library_h200.npz`` has products of an NVIDIA H200 under torch 2.11 and CUDA 13.0, for each format, K and kind of
factors: ``d`` is ``a @ b.T``, ``lin`` is ``torch.nn.functional.linear(a, b, bias)``, both in the format of the factors
(float32 for tf32, with TF32 allowed).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import InvalidArgument
from constructions.formats import get_format, round_to_format
from verify.arithmetic.emulated import to_tf32
from verify.matrix_units import GENERATIONS, MatrixUnit
from verify.matrix_units.products import FACTORS, RETURNED, Products

LIBRARY = Path(__file__).parent / "data" / "library_h200.npz"
DTYPES = {"fp16": "float16", "bf16": "bfloat16", "tf32": "float32"}
#: Every unit with a format that libraries return.
UNITS = [(unit, fmt) for unit, found in GENERATIONS.items() for fmt in found.formats if fmt in DTYPES]


def held(values: Any, fmt: str) -> Any:
    """Return float64 numbers rounded to the format of the results, by torch."""
    return torch.from_numpy(np.asarray(values)).to(getattr(torch, DTYPES[fmt])).float().numpy()


def drawn(rng: np.random.Generator, shape: tuple[int, ...], fmt: str) -> Any:
    """Return numbers of a format over a range of exponents, zeros among them."""
    values = rng.normal(size=shape) * 2.0 ** rng.integers(-9, 6, shape)
    return held(np.where(rng.random(shape) < 0.2, 0.0, values), fmt)


def rounded_once(value: Any, fmt: str) -> Any:
    """Return one float32 number rounded to a format, by exact fractions."""
    if not np.isfinite(value) or value == 0:
        return np.float32(value)
    try:
        return np.float32(round_to_format(Fraction(float(value)), get_format(DTYPES[fmt])))
    except OverflowError:
        return np.copysign(np.float32(np.inf), value)


def parts_of(products: Products, length: int) -> Iterator[slice]:
    """Yield the parts of K, by the words of the documentation."""
    lanes = products.unit.block.products
    blocks = max(1, -(-length // lanes))
    size = products.slice_size or lanes * -(-blocks // products.split)
    for start in range(0, max(1, length), size):
        yield slice(start, start + size)


def slowly(products: Products, left: Any, right: Any, bias: Any = None) -> Any:
    """Return the product of two matrices, a sum at a time."""
    fmt = products.unit.format
    found = np.empty((len(left), len(right)), dtype=np.float32)
    for row, a in enumerate(left):
        for column, b in enumerate(right):
            total = None
            for part in parts_of(products, len(a)):
                one, other = a[None, part], b[None, part]
                if fmt == "tf32":
                    one, other = (FACTORS[products.factors].read(values) for values in (one, other))
                found_part = products.unit.multiply_add(one, other, np.zeros(1, dtype=np.float32))[0]
                if products.reduced:
                    found_part = rounded_once(found_part, fmt)
                total = found_part if total is None else np.float32(total + found_part)
            total = total if bias is None else np.float32(total + bias[column])
            found[row, column] = rounded_once(total, fmt)
    return found


def same(one: Any, other: Any) -> None:
    """Check that arrays are equal bit for bit, but for the bits of a NaN."""
    assert one.dtype == other.dtype == np.float32
    assert one.shape == other.shape
    nan = np.isnan(one)
    assert (nan == np.isnan(other)).all()
    assert one[~nan].tobytes() == other[~nan].tobytes()


@pytest.mark.share(7)
@pytest.mark.parametrize(("unit", "fmt"), UNITS)
def test_products_are_those_of_the_unit_a_sum_at_a_time(unit: str, fmt: str) -> None:
    rng = np.random.default_rng(UNITS.index((unit, fmt)))
    for length in (3, 37):
        products = Products(MatrixUnit(unit, fmt))
        left, right = (drawn(rng, (batch, rows, length), fmt) for batch, rows in ((2, 2), (1, 3)))
        bias = drawn(rng, (3,), fmt)
        for given in (None, bias):
            found = products.multiplied(left, right, given)
            for case in range(2):
                same(found[case], slowly(products, left[case], right[0], given))


@pytest.mark.share(4)
@pytest.mark.parametrize(
    "options",
    [
        {"split": 2},
        {"split": 3, "reduced": True},
        {"split": 100},
        {"slice_size": 4},
        {"slice_size": 5, "reduced": True},
        {"slice_size": 32},
    ],
    ids=str,
)
@pytest.mark.parametrize("fmt", ["bf16", "fp16"])
def test_parts_are_chains_of_their_own(fmt: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    products = Products(MatrixUnit("ampere", fmt), **options)
    for length in (7, 50, 64):
        left, right = drawn(rng, (1, 2, length), fmt), drawn(rng, (1, 3, length), fmt)
        same(products.multiplied(left, right)[0], slowly(products, left[0], right[0]))


@pytest.mark.parametrize("factors", FACTORS)
def test_factors_of_tf32(factors: str) -> None:
    rng = np.random.default_rng(6)
    products = Products(MatrixUnit("hopper", "tf32"), slice_size=4, factors=factors)
    left, right = drawn(rng, (1, 5, 24), "tf32"), drawn(rng, (1, 5, 24), "tf32")
    same(products.multiplied(left, right)[0], slowly(products, left[0], right[0]))


def test_each_option_changes_a_sum() -> None:
    rng = np.random.default_rng(7)
    left, right = drawn(rng, (1, 40, 64), "tf32"), drawn(rng, (1, 40, 64), "tf32")
    options: list[dict[str, Any]] = [{}, {"split": 2}, {"slice_size": 4}, {"factors": "away"}, {"factors": "truncated"}]
    unit = MatrixUnit("hopper", "tf32")
    # factors that lie half way between two numbers of TF32
    left = ((left.view(np.int32) & ~0x1FFF) | 0x1000).view(np.float32)
    found = {Products(unit, **given).multiplied(left, right).tobytes() for given in options}
    assert len(found) == len(options)
    left, right, unit = held(left, "bf16"), held(right, "bf16"), MatrixUnit("hopper", "bf16")
    found = {Products(unit, slice_size=4, reduced=given).multiplied(left, right).tobytes() for given in (False, True)}
    assert len(found) == 2


def test_infinities_and_nan_go_through() -> None:
    products = Products(MatrixUnit("hopper", "fp16"))
    left = np.array([[[np.inf, 0], [np.nan, 0], [1, 1], [60000, 60000]]], dtype=np.float32).astype(np.float16)
    right = np.array([[[1, 1], [0, 0], [-1, 0], [2, 2]]], dtype=np.float32)
    with np.errstate(all="raise"):
        found = products.multiplied(left.astype(np.float32), right)[0]
    same(found, slowly(products, left[0].astype(np.float32), right[0]))
    assert np.isnan(found[0, 1])  # infinity times 0, where a column of zeros might be skipped
    assert found[3, 3] == np.inf  # 240,000 is beyond float16, not beyond the accumulator


def test_sums_of_nothing_and_for_nobody() -> None:
    products = Products(MatrixUnit("hopper", "bf16"))
    empty = np.zeros((1, 3, 0), dtype=np.float32)
    same(products.multiplied(empty, empty), np.zeros((1, 3, 3), dtype=np.float32))
    bias = np.array([1, 2, 3], dtype=np.float32)
    same(products.multiplied(empty, empty, bias), np.broadcast_to(bias, (1, 3, 3)).copy())
    nobody, somebody = np.zeros((0, 3, 5), dtype=np.float32), np.ones((1, 2, 5), dtype=np.float32)
    assert products.multiplied(nobody, somebody).shape == (0, 3, 2)
    assert products.multiplied(somebody, nobody).shape == (0, 2, 3)


@pytest.mark.parametrize(("unit", "fmt"), UNITS)
def test_a_last_block_that_is_not_full_is_filled_with_zeros(unit: str, fmt: str) -> None:
    rng = np.random.default_rng(12)
    products = Products(MatrixUnit(unit, fmt))
    left, right = drawn(rng, (1, 3, 64), fmt), drawn(rng, (1, 3, 64), fmt)
    for length in (3, 7, 21):
        left[..., length:] = 0
        same(products.multiplied(left[..., :length], right[..., :length]), products.multiplied(left, right))
        left = drawn(rng, (1, 3, 64), fmt)


def test_equal_rows_are_multiplied_once_and_change_nothing() -> None:
    rng = np.random.default_rng(8)
    products = Products(MatrixUnit("ampere", "bf16"))
    left, right = drawn(rng, (6, 3, 20), "bf16"), drawn(rng, (6, 4, 20), "bf16")
    left[3:], right[3:] = left[:3], right[:3]
    left[0, 0], left[1, 0] = 0.0, -0.0
    found = products.multiplied(left, right)
    for case in range(6):
        same(found[case], products.multiplied(left[case : case + 1], right[case : case + 1])[0])


def test_many_rows_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    products = Products(MatrixUnit("hopper", "bf16"))
    left, right = drawn(rng, (4, 9, 20), "bf16"), drawn(rng, (4, 7, 20), "bf16")
    whole = products.multiplied(left, right), products.multiplied(left, right[:1])
    monkeypatch.setattr("verify.matrix_units.products._AT_ONCE", 50)
    same(products.multiplied(left, right), whole[0])
    same(products.multiplied(left, right[:1]), whole[1])


# rounding ------------------------------------------------------------------------------------------------------------


def _patterns(seed: int) -> Any:
    """Return float32 numbers of random bits, and all ends of binades of 16 bits around them."""
    bits = np.random.default_rng(seed).integers(0, 2**32, 100_000, dtype=np.uint32)
    edges = (np.arange(2**16, dtype=np.uint32) << 16)[:, None] + np.array([0, 1, 0x7FFF, 0x8000, 0x8001], np.uint32)
    return np.concatenate([bits, edges.ravel(), bits & 0xFFFFE000 | 0x1000]).view(np.float32)


@pytest.mark.parametrize("fmt", ["bf16", "fp16"])
def test_results_are_rounded_as_torch_rounds(fmt: str) -> None:
    values = _patterns(10)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        same(Products(MatrixUnit("hopper", fmt)).nearest(values), held(values, fmt))


def test_factors_are_rounded_as_the_emulation_rounds() -> None:
    values = _patterns(11)
    with np.errstate(invalid="ignore"):
        same(FACTORS["even"].read(values), to_tf32(torch.from_numpy(values)).numpy())


@pytest.mark.parametrize(
    ("value", "even", "away", "truncated"),
    [
        (1 + 2**-11, 1, 1 + 2**-10, 1),  # half way
        (1 + 3 * 2**-11, 1 + 2**-9, 1 + 2**-9, 1 + 2**-10),
        (-1 - 2**-11, -1, -1 - 2**-10, -1),
        (1 + 2**-11 - 2**-23, 1, 1, 1),  # just below
        (1 + 2**-11 + 2**-23, 1 + 2**-10, 1 + 2**-10, 1),  # just beyond
        (2 - 2**-23, 2, 2, 2 - 2**-10),  # a carry into the exponent
        (2.0**-149, 0, 0, 0),
        (-(2.0**-149), -0.0, -0.0, -0.0),
        (2.0**-137, 0, 2.0**-136, 0),
        (float(np.finfo(np.float32).max), np.inf, np.inf, (2 - 2**-10) * 2.0**127),
        (np.inf, np.inf, np.inf, np.inf),
        (np.nan, np.nan, np.nan, np.nan),
    ],
)
def test_ways_to_make_a_factor(value: float, even: float, away: float, truncated: float) -> None:
    for word, expected in (("even", even), ("away", away), ("truncated", truncated)):
        with np.errstate(over="ignore"):
            same(FACTORS[word].read(np.array([value], dtype=np.float32)), np.array([expected], dtype=np.float32))


# what a GPU did ------------------------------------------------------------------------------------------------------


def library(fmt: str) -> Iterator[dict[str, Any]]:
    """Yield the recorded products of a format."""
    with np.load(LIBRARY) as recorded:
        for name in recorded.files:
            if name.startswith(f"{fmt}.") and name.endswith(".a"):
                stem = name.removesuffix("a")
                yield {part: recorded[stem + part] for part in ("a", "b", "bias", "d", "lin")}


def differing(products: Products, case: dict[str, Any], name: str) -> int:
    """Return how many recorded products are others here."""
    bias = case["bias"] if name == "lin" else None
    found = products.multiplied(case["a"][None], case["b"][None], bias)[0]
    return int((found.view(np.int32) != case[name].view(np.int32)).sum())


@pytest.mark.parametrize("fmt", ["bf16", "fp16"])
def test_16_bit_products_are_those_of_torch_on_an_h200(fmt: str) -> None:
    products, cases = Products(MatrixUnit("hopper", fmt)), list(library(fmt))
    assert sum(case[name].size for case in cases for name in ("d", "lin")) == 4608
    assert [differing(products, case, name) for case in cases for name in ("d", "lin")] == [0] * 18


def test_tf32_products_are_those_of_torch_on_an_h200() -> None:
    unit, cases = MatrixUnit("hopper", "tf32"), list(library("tf32"))
    for case in cases:
        size = 32 if case["a"].shape[1] % 32 == 0 else 4
        assert differing(Products(unit), case, "lin") == 0
        assert differing(Products(unit, slice_size=size), case, "d") == 0


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"slice_size": 16}, "lin"),
        ({"split": 2}, "lin"),
        ({"factors": "truncated"}, "lin"),
        ({"factors": "away"}, "lin"),
        ({}, "d"),
        ({"slice_size": 8}, "d"),
    ],
    ids=str,
)
def test_another_order_or_rounding_is_not_what_the_gpu_did(wrong: dict[str, Any], name: str) -> None:
    products = Products(MatrixUnit("hopper", "tf32"), **wrong)
    assert sum(differing(products, case, name) for case in library("tf32")) > 0


# bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fmt", "options", "message"),
    [
        ("bf16", {"split": 0}, "split: expected an integer >= 1 but got 0 (type int)"),
        ("bf16", {"split": True}, "split: expected an integer >= 1 but got True (type bool)"),
        ("bf16", {"slice_size": 0}, "slice_size: expected an integer >= 1 but got 0 (type int)"),
        ("bf16", {"slice_size": 4, "split": 2}, "slice_size: expected no split with it, but got 4 with 2 parts"),
        ("bf16", {"reduced": 1}, "reduced: expected True or False but got 1 (type int)"),
        ("bf16", {"reduced": True}, "reduced: expected fp16 or bf16 with a split of at least 2 or a slice_size, whose"),
        ("tf32", {"reduced": True, "split": 2}, "but got tf32 with 2 parts of whole blocks"),
        ("bf16", {"factors": "truncated"}, "factors: expected tf32, whose factors are float32 numbers, but got bf16"),
        ("tf32", {"factors": "odd"}, "factors: expected one of even, away, truncated but got 'odd' (type str)"),
        ("fp8-e4m3", {}, "format: expected one of fp16, bf16, tf32 but got 'fp8-e4m3' (type str)"),
    ],
)
def test_bad_options_are_refused(fmt: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Products(MatrixUnit("hopper", fmt), **options)
    assert message in str(refused.value)


def test_a_number_that_the_format_does_not_hold_is_refused() -> None:
    one = np.ones((1, 1, 2), dtype=np.float32)
    with pytest.raises(InvalidArgument, match="expected a float32 array of bf16 numbers"):
        Products(MatrixUnit("hopper", "bf16")).multiplied(one * np.float32(1.001), one)


def test_the_formats_of_results_are_the_house_s() -> None:
    assert {word: result.format.name for word, result in RETURNED.items()} == DTYPES
