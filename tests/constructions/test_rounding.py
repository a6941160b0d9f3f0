"""Correct rounding of rationals: against casts of numpy and torch, and against the neighbours of every result."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from constructions import FORMATS, Format, InvalidArgument, Ratios, get_format, round_to_format

Oracle = Callable[[Fraction, float, str], bool]
ALL_FORMATS = pytest.mark.parametrize("fmt", FORMATS.values(), ids=list(FORMATS))


@ALL_FORMATS
def test_the_constants_are_torchs(fmt: Format) -> None:
    info = torch.finfo(getattr(torch, fmt.name))
    assert fmt.largest == Fraction(info.max)
    assert Fraction(2) ** fmt.min_exponent == Fraction(info.smallest_normal)
    assert 2 * fmt.unit_roundoff == Fraction(info.eps)


def test_the_oracle_itself_rejects_the_neighbours(correctly_rounded: Oracle) -> None:
    third = Fraction(1, 3)
    assert correctly_rounded(third, float(np.float32(1 / 3)), "float32")
    assert not correctly_rounded(third, float(np.nextafter(np.float32(1 / 3), np.float32(1))), "float32")
    assert not correctly_rounded(third, float(np.nextafter(np.float32(1 / 3), np.float32(0))), "float32")
    assert not correctly_rounded(third, 1 / 3, "float32")  # not a float32
    assert not correctly_rounded(third, -float(np.float32(1 / 3)), "float32")
    tie = Fraction(257)  # between 256 and 258 in bfloat16
    assert correctly_rounded(tie, 256.0, "bfloat16")
    assert not correctly_rounded(tie, 258.0, "bfloat16")


def _cast(value: float, fmt: Format) -> float:
    if fmt.name == "bfloat16":
        return float(torch.tensor(value, dtype=torch.float64).to(torch.float32).to(torch.bfloat16))
    with np.errstate(over="ignore"):
        return float(np.float64(value).astype(fmt.name))


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["float64", "float32", "float16"]))
def test_casts_of_numpy(value: float, name: str) -> None:
    fmt = FORMATS[name]
    cast = _cast(value, fmt)
    if math.isinf(cast):
        with pytest.raises(OverflowError):
            round_to_format(Fraction(value), fmt)
    else:
        assert round_to_format(Fraction(value), fmt) == cast


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_casts_of_torch_to_bfloat16(value: float) -> None:
    cast = _cast(value, FORMATS["bfloat16"])
    if math.isinf(cast):
        with pytest.raises(OverflowError):
            round_to_format(Fraction(value), FORMATS["bfloat16"])
    else:
        assert round_to_format(Fraction(value), FORMATS["bfloat16"]) == cast


@given(st.fractions(), st.integers(-160, 110), st.sampled_from(list(FORMATS)))
def test_any_rational_goes_to_a_nearest_number(
    correctly_rounded: Oracle, value: Fraction, exponent: int, name: str
) -> None:
    scaled = value * Fraction(2) ** exponent
    try:
        rounded = round_to_format(scaled, FORMATS[name])
    except OverflowError:
        assert abs(scaled) > FORMATS[name].largest
    else:
        assert correctly_rounded(scaled, rounded, name)


@ALL_FORMATS
def test_ties_go_to_even(fmt: Format) -> None:
    ulp = 2 * fmt.unit_roundoff  # of numbers in [1, 2)
    nudge = Fraction(1, 2**2000)
    assert round_to_format(1 + ulp / 2, fmt) == 1.0
    assert round_to_format(1 + ulp / 2 + nudge, fmt) == 1 + ulp
    assert round_to_format(1 + 3 * ulp / 2, fmt) == 1 + 2 * ulp
    assert round_to_format(1 + 3 * ulp / 2 - nudge, fmt) == 1 + ulp
    assert round_to_format(-(1 + 3 * ulp / 2), fmt) == -(1 + 2 * ulp)
    assert round_to_format(2 - ulp / 2, fmt) == 2.0  # over the end of the binade


@ALL_FORMATS
def test_subnormals_keep_the_spacing_of_the_smallest_normal(fmt: Format) -> None:
    smallest = Fraction(2) ** (fmt.min_exponent - fmt.precision + 1)
    assert round_to_format(smallest, fmt) == smallest
    assert round_to_format(smallest / 2, fmt) == 0.0  # a tie, and 0 is even
    assert round_to_format(smallest / 2 + smallest / 2**60, fmt) == smallest
    assert round_to_format(3 * smallest / 2, fmt) == 2 * smallest
    assert round_to_format(5 * smallest / 2, fmt) == 2 * smallest
    assert round_to_format(-smallest / 3, fmt) == 0.0


@ALL_FORMATS
def test_the_edge_of_overflow(fmt: Format) -> None:
    half_ulp = Fraction(2) ** (fmt.max_exponent - fmt.precision)
    assert round_to_format(fmt.largest + half_ulp - half_ulp / 2**60, fmt) == fmt.largest
    for beyond in (fmt.largest + half_ulp, -fmt.largest - half_ulp, Fraction(10) ** 400):
        with pytest.raises(OverflowError) as caught:
            round_to_format(beyond, fmt)
        assert str(caught.value).endswith(f"is beyond the largest number of {fmt.name}")


def test_rounding_once_is_not_rounding_twice() -> None:
    value = 1 + Fraction(1, 2**24) + Fraction(1, 2**60)  # float64 loses the 2^-60, and the tie then goes down
    assert round_to_format(value, FORMATS["float32"]) == 1 + 2**-23
    assert float(np.float32(float(value))) == 1.0


def test_names_of_formats() -> None:
    assert get_format("bfloat16") is FORMATS["bfloat16"]
    for name, shown in (("int8", "'int8' (type str)"), (None, "None (type NoneType)"), ("Float32", "'Float32'")):
        with pytest.raises(InvalidArgument) as caught:
            get_format(name)  # type: ignore[arg-type] # that is the point
        assert str(caught.value).startswith(
            f"dtype: expected one of float64, float32, bfloat16, float16 but got {shown}"
        )


@ALL_FORMATS
@pytest.mark.parametrize(
    ("numerators", "denominator"),
    [
        (np.arange(95).reshape(5, 19), 94),  # the table of 0/d .. d/d
        (np.array([[3, 70_000], [69_999, 0]]), 70_001),  # beyond the table
        (np.array([-7, 5, 9]), 8),  # outside [0, 1]
        (np.array([10**29, 1, 10**30 - 1], dtype=object), 10**30),
    ],
)
def test_ratios_round_correctly(
    correctly_rounded: Oracle,
    fmt: Format,
    numerators: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    denominator: int,
) -> None:
    ratios = Ratios(numerators, denominator)
    rounded = ratios.to_float(fmt)
    assert rounded.shape == ratios.shape == numerators.shape
    assert rounded.dtype == np.float64
    for numerator, value in zip(numerators.flat, rounded.flat, strict=True):
        assert correctly_rounded(Fraction(int(numerator), denominator), float(value), fmt.name)


def test_ratios_as_fractions_and_parts() -> None:
    ratios = Ratios(np.array([[1, 2], [3, 4]]), 4)
    assert ratios.to_fractions() == [[Fraction(1, 4), Fraction(1, 2)], [Fraction(3, 4), Fraction(1)]]
    assert ratios[1].to_fractions() == [Fraction(3, 4), Fraction(1)]
    assert ratios[1, 0].to_fractions() == Fraction(3, 4)
    assert Ratios(np.zeros((0, 3), dtype=np.int64), 5).to_float(FORMATS["float32"]).shape == (0, 3)


def test_ratios_refuse() -> None:
    with pytest.raises(InvalidArgument, match=r"^denominator: expected an integer >= 1 but got 0 \(type int\)$"):
        Ratios(np.array([1]), 0)
    with pytest.raises(OverflowError):
        Ratios(np.array([70_000]), 1).to_float(FORMATS["float16"])
