"""The errors of single operations of attention, where sums and softmax are in other formats than their numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import torch

from constructions.formats import FORMATS, round_to_format
from verify.prefixes.rounding import Near, OperationError, attended, attended_as_read

OF = {name: OperationError.of(fmt) for name, fmt in FORMATS.items()}
HALVES = {name: OperationError.of(FORMATS[name], FORMATS["float32"]) for name in ("bfloat16", "float16")}


def rounded(values: Any, dtype: str) -> Any:
    """Numbers of a format, as float64."""
    return torch.from_numpy(np.asarray(values)).to(getattr(torch, dtype)).double().numpy()


def test_without_an_accumulator_a_sum_errs_by_gamma() -> None:
    of = OF["float32"]
    assert of.summed(3, np.array(2.0), np.array(0.5)) == of.gamma(3) * 2 + 3 * of.underflow
    assert of.summed(2**24, np.array(1.0), np.array(1.0)) == np.inf  # as many roundings as there are units


@pytest.mark.parametrize("dtype", HALVES)
def test_a_sum_that_is_held_in_float32_is_within_its_bound(dtype: str) -> None:
    """Products are summed one after another in float32, rounded, and a bias that may cancel them is added."""
    fmt, of, worst = FORMATS[dtype], HALVES[dtype], 0.0
    draw = np.random.default_rng(0)
    for _ in range(300):
        count = int(draw.integers(1, 40))
        left, right = (rounded(draw.normal(size=count), dtype) for _ in range(2))
        bias = rounded(-float(left @ right) + draw.normal() * draw.integers(2), dtype)
        held = np.float32(0)
        for one, two in zip(left, right, strict=True):
            held += np.float32(one) * np.float32(two)
        made = round_to_format(Fraction(round_to_format(Fraction(float(held)), fmt)) + Fraction(float(bias)), fmt)
        exact = sum(Fraction(one) * Fraction(two) for one, two in zip(left, right, strict=True))
        magnitude = np.array(np.abs(left) @ np.abs(right) + abs(bias))
        bound = float(of.summed(count + 1, magnitude, np.array(abs(float(exact)) + abs(bias))))
        off = float(abs(Fraction(made) - exact - Fraction(float(bias))))
        assert off <= bound
        worst = max(worst, off / bound)
    assert worst > 1 / 10


def _exact(row: Any, seen: Any) -> list[flint.arb]:
    factors = [flint.arb(float(value)).exp() if shown else flint.arb(0) for value, shown in zip(row, seen, strict=True)]
    total = sum(factors, flint.arb(0))
    return [factor / total for factor in factors]


@pytest.mark.parametrize(
    ("numbers", "softmax"),
    [
        ("float64", "float64"),
        ("float64", "float32"),
        ("float32", "float32"),
        ("bfloat16", "float32"),
        ("float16", "float32"),
    ],
)
def test_weights_of_exponents_as_read_are_within_their_bound(numbers: str, softmax: str) -> None:
    """Torch's softmax in one format, on exponents of another, handed on in that; against balls of 200 bits."""
    draw, worst = np.random.default_rng(1), 0.0
    around, of = HALVES.get(numbers, OF[numbers]), OF[softmax]
    with flint.ctx.workprec(200):
        for _ in range(40):
            count, keys = (int(part) for part in draw.integers(1, 20, size=2))
            exponents = rounded(draw.normal(size=(count, keys)) * 2.0 ** draw.integers(-2, 5), numbers)
            visible = draw.random((count, keys)) < 0.7
            visible[:, 0] = True
            masked = torch.from_numpy(np.where(visible, exponents, -np.inf)).to(getattr(torch, numbers))
            given = torch.softmax(masked, dim=-1, dtype=getattr(torch, softmax)).to(masked.dtype).double().numpy()
            near = attended_as_read(Near(exponents, np.zeros_like(exponents)), visible, of, around)
            for i, row in enumerate(exponents):
                for j, weight in enumerate(_exact(row, visible[i])):
                    off = float(abs(weight - given[i, j]).upper())
                    assert off <= near.error[i, j]
                    worst = max(worst, off / near.error[i, j] if off else 0.0)
    assert 1 / 100 < worst <= 1


def test_another_pass_is_as_far_as_its_exponents() -> None:
    """What was measured between two passes enters as a whole, and hidden keys have no allowance."""
    of = OF["float64"]
    exponents, visible = np.array([[1.0, 2.0, 3.0]]), np.array([[True, True, False]])
    moved = attended_as_read(Near(exponents, np.array([[0.0, 0.25, 9.0]])), visible, of, of)
    shifted = np.exp([1.0, 2.25]) / np.exp([1.0, 2.25]).sum()
    plain = np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum()
    assert (np.abs(shifted - plain) < moved.error[0, :2]).all()
    assert (moved.error[0, 2], moved.value[0, 2]) == (0, 0)
    unmoved = attended_as_read(Near(exponents, np.zeros((1, 3))), visible, of, of)
    assert (unmoved.error < attended(Near(exponents, np.zeros((1, 3))), 1.0, visible, of).error + of.underflow).all()
