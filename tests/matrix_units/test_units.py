"""Matrix units by themselves: formats, special numbers, chains of blocks, shapes, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from constructions import InvalidArgument
from tests.matrix_units.patterns import drawn
from verify import MatrixUnit
from verify.matrix_units import GENERATIONS, truncated_to_tf32
from verify.matrix_units.blocks import AlignedBlock
from verify.matrix_units.formats import INPUT_FORMATS, Singles
from verify.matrix_units.generations.base import Evidence

ONE = np.ones(1, dtype=np.float32)
EVERY = [(name, form) for name, found in GENERATIONS.items() for form in found.formats]


def _single(*numbers: float) -> Singles:
    return np.array(numbers, dtype=np.float32)


def _torch(dtype: torch.dtype, bits: int) -> Singles:
    codes = torch.arange(2**bits, dtype=torch.int32).to(torch.uint8 if bits == 8 else torch.uint16)
    numbers: Singles = codes.view(dtype).float().numpy()
    return numbers


@pytest.mark.parametrize(
    ("generation", "form", "dtype", "bits"),
    [
        ("hopper", "fp16", torch.float16, 16),
        ("hopper", "bf16", torch.bfloat16, 16),
        ("hopper", "fp8-e4m3", torch.float8_e4m3fn, 8),
        ("hopper", "fp8-e5m2", torch.float8_e5m2, 8),
        ("cdna3", "fp8-e4m3", torch.float8_e4m3fnuz, 8),
        ("cdna3", "fp8-e5m2", torch.float8_e5m2fnuz, 8),
    ],
)
def test_a_format_holds_exactly_what_torch_s_has(generation: str, form: str, dtype: torch.dtype, bits: int) -> None:
    """All its bit patterns, none of the float32 numbers beside them, none of those halfway to the next, none beyond."""
    held = MatrixUnit(generation, form).values
    numbers = _torch(dtype, bits)
    assert held.holds(numbers).all()
    finite = np.unique(numbers[np.isfinite(numbers)])
    assert finite[-1] == held.largest
    beside = np.concatenate([np.nextafter(finite, np.float32(np.inf)), finite[1:] / 2 + finite[:-1] / 2])
    with np.errstate(over="ignore"):
        beside = np.append(beside, np.array([held.largest * 1.5, held.largest * 2], dtype=np.float32))
    beside = beside[np.isfinite(beside) & ~np.isin(beside, finite)]
    assert len(beside) >= len(finite)
    assert not held.holds(beside).any()
    assert bool(held.holds(_single(np.inf))[0]) is bool(np.isinf(numbers).any())
    assert bool(held.holds(_single(-0.0))[0]) is bool((np.signbit(numbers) & (numbers == 0)).any())


def test_tf32_holds_what_has_ten_fraction_bits() -> None:
    held = INPUT_FORMATS["tf32"]
    numbers = np.random.default_rng(1).integers(0, 2**32, 10**5, dtype=np.uint64).astype(np.uint32).view(np.float32)
    numbers = np.append(numbers, truncated_to_tf32(numbers))
    expected = ((numbers.view(np.uint32) & 0x1FFF) == 0) | np.isnan(numbers)
    np.testing.assert_array_equal(held.holds(numbers), expected)


def test_truncation_to_tf32_is_toward_zero() -> None:
    place = 2.0**-10
    given = _single(1 + 1.75 * place, -1 - 1.75 * place, 1 + place, np.inf, 2.0**-149, -0.0)
    np.testing.assert_array_equal(truncated_to_tf32(given), _single(1 + place, -1 - place, 1 + place, np.inf, 0, -0.0))
    assert np.isnan(truncated_to_tf32(np.array([0x7F800001], dtype=np.uint32).view(np.float32))).all()


@pytest.mark.parametrize(("generation", "form"), EVERY)
def test_more_products_are_a_chain_of_blocks(generation: str, form: str) -> None:
    """The blocks one after the other, each with the sum before it, and zeros in place of what a last one lacks."""
    unit = MatrixUnit(generation, form)
    size = unit.block.products
    a, b, c = drawn(unit, 2 * size + size // 2, 140, seed=5)
    whole = unit.multiply_add(a, b, c)
    total = c
    for start in range(0, a.shape[1], size):
        total = unit.multiply_add(a[:, start : start + size], b[:, start : start + size], total)
    np.testing.assert_array_equal(whole, total)
    missing = np.zeros((len(a), size - size // 2), dtype=np.float32)
    np.testing.assert_array_equal(whole, unit.multiply_add(np.hstack([a, missing]), np.hstack([b, missing]), c))


@pytest.mark.parametrize("rows", [1, 5, 3000])
def test_rows_broadcast_to_a_product_of_matrices(rows: int) -> None:
    """Also where there are more of them than are added at a time."""
    unit = MatrixUnit("hopper", "bf16")
    rng = np.random.default_rng(2)
    a = rng.integers(-9, 9, (rows, 40)).astype(np.float32)
    b = rng.integers(-9, 9, (7, 40)).astype(np.float32)
    found = unit.multiply_add(a[:, None], b[None], np.zeros(7, dtype=np.float32))
    np.testing.assert_array_equal(found, a @ b.T)
    np.testing.assert_array_equal(unit.multiply_add(a[0], b[0], np.array(1, dtype=np.float32)), a[0] @ b[0] + 1)
    assert unit.multiply_add(a[:0], a[:0], a[:0, 0]).shape == (0,)


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        (-0.0, 1.0, -0.0, 0x00000000),  # a negative zero becomes positive
        (2.0**-75, 2.0**-75, -(2.0**-149), 0x00000000),  # -2^-150 is cut to zero
        (2.0**-126, 2.0**-23, 2.0**-149, 0x00000002),
        (np.inf, 1.0, 1.0, 0x7F800000),
        (np.inf, 0.0, 1.0, 0x7FFFFFFF),  # the NaN that the hardware writes
        (-np.inf, 1.0, np.inf, 0x7FFFFFFF),
        (np.nan, 1.0, 0.0, 0x7FFFFFFF),
        (0.0, 1.0, np.nan, 0x7FFFFFFF),
    ],
)
def test_special_numbers(a: float, b: float, c: float, expected: int) -> None:
    found = MatrixUnit("hopper", "bf16").multiply_add(_single(a), _single(b), _single(c))
    assert found.view(np.uint32).tolist() == [expected]


def test_products_may_be_beyond_the_range_of_the_result() -> None:
    unit = MatrixUnit("hopper", "bf16")
    huge = 2.0**127
    assert unit.multiply_add(_single(huge, huge), _single(4, -4), _single(3)).tolist() == [0.0]
    assert unit.multiply_add(_single(huge, huge), _single(4, -2), _single(3)).tolist() == [np.inf]
    assert MatrixUnit("cdna3", "bf16").multiply_add(_single(huge, huge), _single(4, -4), _single(3)).tolist() != [0.0]


def test_a_float16_result_overflows_as_rounding_to_nearest_does() -> None:
    """65,519 still rounds to the largest number, 65,520 does not."""
    unit = MatrixUnit("hopper", "fp16", "fp16")
    assert unit.multiply_add(_single(65504, 15), _single(1, 1), _single(0)).tolist() == [65504.0]
    assert unit.multiply_add(_single(65504, 16), _single(1, 1), _single(0)).tolist() == [np.inf]


def test_a_float32_result_is_cut_at_the_largest_number() -> None:
    """The sum of the largest number and a part of its last place is that number; the last place more is infinite."""
    unit, most = MatrixUnit("hopper", "bf16"), float(np.finfo(np.float32).max)
    assert unit.multiply_add(_single(2.0**102), _single(1.0), _single(most)).tolist() == [most]
    assert unit.multiply_add(_single(2.0**104), _single(1.0), _single(most)).tolist() == [np.inf]


@pytest.mark.parametrize(("generation", "form"), EVERY)
def test_a_description_can_be_read(generation: str, form: str) -> None:
    found = GENERATIONS[generation].formats[form]
    assert found.values is MatrixUnit(generation, form).values
    assert found.block.products & (found.block.products - 1) == 0
    assert found.block.summation
    for output in found.block.outputs:
        unit = MatrixUnit(generation, form, output.result.name)
        assert unit.output is output
        assert output.precision <= output.result.format.precision
        assert output.to_nearest is (output.result.name == "fp16" or generation.startswith("cdna"))
        assert isinstance(unit.evidence, Evidence)
        assert unit.evidence.kind in {"recorded", "code"}
    amd_or_turing = generation.startswith("cdna") or generation == "turing"
    fp8_elsewhere = generation == "blackwell" and form.startswith("fp8")
    assert (found.evidence.kind == "code") is (amd_or_turing or fp8_elsewhere)


def test_a_zero_above_the_least_number_is_refused() -> None:
    block = MatrixUnit("hopper", "bf16").block
    (output,) = block.outputs
    with pytest.raises(InvalidArgument, match="zero_exponent: expected an exponent <= -126 but got -125"):
        AlignedBlock(16, (type(output)(output.result, 24, to_nearest=False, zero_exponent=-125),), 25)


def _asked(a: object, b: object, c: object) -> Callable[[], object]:
    return lambda: MatrixUnit("hopper", "bf16").multiply_add(a, b, c)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MatrixUnit("pascal", "fp16"), "generation: expected one of volta, turing, .*, cdna3 but got 'pascal'"),
        (
            lambda: MatrixUnit("hopper", "fp4"),
            "format: expected one of fp16, bf16, tf32, fp8-e4m3, fp8-e5m2 but got 'fp4'",
        ),
        (lambda: MatrixUnit("volta", "bf16"), "format of volta: expected one of fp16 but got 'bf16'"),
        (lambda: MatrixUnit("hopper", "bf16", "fp16"), "result of hopper in bf16: expected one of fp32 but got 'fp16'"),
        (lambda: MatrixUnit("hopper", "bf16", "fp64"), "result: expected one of fp32, fp16 but got 'fp64'"),
        (_asked(_single(1.001), ONE, ONE), r"a: expected a float32 array of bf16 numbers but got 1\.00100"),
        (_asked(ONE, [1.0], ONE), r"b: expected a float32 array of bf16 numbers but got \[1.0\] \(type list\)"),
        (_asked(ONE, np.ones(1), ONE), "b: expected a float32 array of bf16 numbers but got array"),
        (_asked(ONE, ONE, 0), "c: expected a float32 array of fp32 numbers but got 0"),
        (_asked(np.float32(1), ONE, ONE), "a: expected a float32 array of bf16 numbers but got"),
        (_asked(np.array(1, dtype=np.float32), ONE, ONE), "a: expected an axis of products but got"),
        (_asked(ONE, _single(1, 1), ONE), r"b: expected 1 numbers along its last axis, as many as a but got \(2,\)"),
        (
            _asked(np.ones((2, 4), dtype=np.float32), np.ones((2, 4), dtype=np.float32), _single(1, 2, 3)),
            r"c: expected rows of a shape that goes with \(2,\) but got \(3,\)",
        ),
        (
            _asked(np.ones((2, 4), dtype=np.float32), np.ones((3, 4), dtype=np.float32), ONE),
            r"b: expected rows of a shape that goes with \(2,\) but got \(3,\)",
        ),
        (
            lambda: MatrixUnit("hopper", "fp16", "fp16").multiply_add(ONE, ONE, _single(65505)),
            "c: expected a float32 array of fp16 numbers but got 65505.0",
        ),
        (
            lambda: MatrixUnit("cdna3", "fp8-e4m3").multiply_add(_single(448), ONE, ONE),
            "a: expected a float32 array of fp8-e4m3-fnuz numbers but got 448.0",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
