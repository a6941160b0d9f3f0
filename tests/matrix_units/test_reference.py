"""Matrix units against rational arithmetic, on sums that Hypothesis chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.matrix_units import reference
from tests.matrix_units.reference import F16, F32, Rules
from verify.matrix_units.formats import InputFormat
from verify.matrix_units.unit import MatrixUnit

Reference = Callable[[Sequence[float], Sequence[float], float], float]
_LEAST = {"fp16": -14, "bf16": -126, "tf32": -126, "fp8-e4m3": -6, "fp8-e5m2": -14}


def _tensor(form: str, products: int, bits: int, zero: int, kept: int = 24) -> Reference:
    result = F16 if kept == 11 else F32
    rules = Rules(_LEAST[form], products, bits, zero, kept, result)
    return lambda a, b, c: reference.tensor_core(rules, a, b, c)


#: What docs/mathematics/matrix-units.md says of each unit, written down once more.
UNITS: dict[tuple[str, str, str], Reference] = {
    ("volta", "fp16", "fp32"): _tensor("fp16", 4, 23, -131),
    ("volta", "fp16", "fp16"): _tensor("fp16", 4, 23, -19, 11),
    ("turing", "fp16", "fp32"): _tensor("fp16", 8, 24, -132),
    ("turing", "fp16", "fp16"): _tensor("fp16", 8, 24, -20, 11),
    ("ampere", "fp16", "fp32"): _tensor("fp16", 8, 24, -132),
    ("ampere", "bf16", "fp32"): _tensor("bf16", 8, 24, -132),
    ("ampere", "tf32", "fp32"): _tensor("tf32", 4, 24, -132),
    ("ada", "fp16", "fp16"): _tensor("fp16", 8, 24, -20, 11),
    ("ada", "fp8-e4m3", "fp32"): _tensor("fp8-e4m3", 16, 13, -132, 14),
    ("ada", "fp8-e5m2", "fp16"): _tensor("fp8-e5m2", 16, 13, -20, 11),
    ("hopper", "fp16", "fp16"): _tensor("fp16", 16, 25, -21, 11),
    ("hopper", "bf16", "fp32"): _tensor("bf16", 16, 25, -133),
    ("hopper", "tf32", "fp32"): _tensor("tf32", 8, 25, -133),
    ("hopper", "fp8-e5m2", "fp32"): _tensor("fp8-e5m2", 32, 13, -133, 14),
    ("blackwell", "bf16", "fp32"): _tensor("bf16", 16, 25, -133),
    ("blackwell", "fp8-e4m3", "fp32"): _tensor("fp8-e4m3", 32, 25, -133),
    ("cdna1", "fp16", "fp32"): lambda a, b, c: reference.exact(4, a, b, c),
    ("cdna1", "bf16", "fp32"): lambda a, b, c: reference.exact(2, a, b, c),
    ("cdna2", "fp16", "fp32"): lambda a, b, c: reference.flushing(-14, a, b, c),
    ("cdna2", "bf16", "fp32"): lambda a, b, c: reference.flushing(-126, a, b, c),
    ("cdna3", "fp16", "fp32"): lambda a, b, c: reference.floored(-14, 8, a, b, c, apart=False),
    ("cdna3", "tf32", "fp32"): lambda a, b, c: reference.floored(-126, 4, a, b, c, apart=False),
    ("cdna3", "fp8-e4m3", "fp32"): lambda a, b, c: reference.floored(-7, 16, a, b, c, apart=True),
}


def _numbers(
    held: InputFormat, draw: st.DrawFn, count: int, middle: int | None, *, special: bool = False
) -> list[float]:
    """Draw numbers, with exponents near ``middle`` where that is given: four bytes make one, which is fast."""
    drawn = np.frombuffer(draw(st.binary(min_size=4 * count, max_size=4 * count)), dtype=np.uint16).reshape(count, 2)
    low, high = held.min_exponent - held.precision + 1, math.frexp(held.largest)[1] - 1
    if middle is not None:
        low, high = (min(max(middle + step, low), high) for step in (-14, 14))
    one = 2 ** (held.precision - 1)
    odd = [0.0, math.nan] + ([math.inf, -math.inf] if held.infinities else [])
    numbers = []
    for first, second in drawn.tolist():
        exponent = low + (first >> 1) % (high - low + 1)
        significand = one + second * max(one >> 16, 1) % one
        last = max(exponent, held.min_exponent) - held.precision + 1
        number = math.ldexp(int(math.ldexp(significand, exponent - held.precision + 1 - last)), last)
        numbers.append(min(number, held.largest) * (-1) ** (first & 1) + 0.0)
        if special and second % 16 == 15:
            numbers[-1] = odd[(second >> 4) % len(odd)]
    return numbers


@st.composite
def sums(draw: st.DrawFn, unit: MatrixUnit, *, special: bool = False) -> tuple[list[float], list[float], float]:
    """Draw a sum of up to two blocks and a half; its exponents are close, or anything."""
    length = draw(st.integers(1, 5 * unit.block.products // 2))
    middle = draw(st.none() | st.integers(unit.values.min_exponent, math.frexp(unit.values.largest)[1]))
    a, b = (_numbers(unit.values, draw, length, middle, special=special) for _ in "ab")
    around = None if middle is None else 2 * middle
    (c,) = _numbers(unit.output.result.values, draw, 1, around, special=special)
    return a, b, draw(st.sampled_from([c, 0.0]))


@pytest.mark.share(8)
@pytest.mark.parametrize("name", UNITS, ids=" ".join)
def test_a_unit_is_the_reference(name: tuple[str, str, str]) -> None:
    unit = MatrixUnit(*name)

    @given(sums(unit))
    def is_the_reference(drawn: tuple[list[float], list[float], float]) -> None:
        a, b, c = drawn
        expected = UNITS[name](a, b, c)
        found = unit.multiply_add(*(np.array(part, dtype=np.float32) for part in drawn))
        if math.isfinite(expected):  # beyond, the reference of AMD's units says nothing about what follows
            assert found == expected

    is_the_reference()


@pytest.mark.share(3)
@pytest.mark.parametrize("name", [name for name in UNITS if name[0] in {"volta", "ampere", "hopper"}], ids=" ".join)
def test_special_numbers_are_those_of_the_reference(name: tuple[str, str, str]) -> None:
    unit = MatrixUnit(*name)

    @given(sums(unit, special=True))
    def is_the_reference(drawn: tuple[list[float], list[float], float]) -> None:
        expected = UNITS[name](*drawn)
        a, b, c = (np.array(part, dtype=np.float32) for part in drawn)
        np.testing.assert_equal(unit.multiply_add(a, b, c), np.float32(expected))

    is_the_reference()
