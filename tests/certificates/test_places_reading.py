"""What many places read of a layer at once is what each reads by itself, and a product alone is a sum of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from constructions import FORMATS, Ratios
from tests.certificates.own import rounded
from verify.certificates import RoundedArithmetic
from verify.certificates.floats import directed, linear, places_reading
from verify.certificates.floats.boxes import Box, RoundedWeight
from verify.certificates.floats.branched_rows import _numbers
from verify.certificates.floats.directed import grid_of, grids_between, only_entries, round_array
from verify.certificates.floats.places_reading import readings
from verify.certificates.floats.sparse_weight import SparseWeight


def _weight(rng: np.random.Generator, rows: int, columns: int, kept: float) -> RoundedWeight:
    values = rng.integers(-3, 4, (rows, columns)) * (rng.random((rows, columns)) < kept) * 0.25
    return RoundedWeight(values, grid_of(values), exact=bool(rng.random() < 0.5))


@pytest.mark.parametrize("seed", range(60))
def test_what_places_read_is_what_each_reads(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, width, count = (int(rng.integers(1, 9)) for _ in range(3))
    weight = (
        _weight(rng, rows, width, 0.5)
        if seed % 2
        else RoundedWeight(np.eye(width), np.eye(width, dtype=int), exact=True)
    )
    rows = weight.shape[0]
    bias = _weight(rng, rows, 1, 0.9) if rng.random() < 0.5 else None
    size = int(rng.integers(1, width + 1))
    differing = [np.sort(rng.choice(width, size, replace=False)) for _ in range(count)]
    differing = [each for each in differing if len(weight.rows_reading(each))]
    if not differing:
        return
    moving = rng.random((len(differing), width)) < 0.7
    found = readings(weight, bias, differing, moving)
    each = []
    for coordinates, moves in zip(differing, moving, strict=True):
        touched = weight.rows_reading(coordinates)
        each.append((touched, np.flatnonzero(moves & weight.read_by(touched))))
    if len({(len(touched), len(read)) for touched, read in each}) > 1:
        assert found is None
        return
    assert found is not None
    for at, (touched, read) in enumerate(each):
        assert found.touched[at].tolist() == touched.tolist()
        assert found.read[at].tolist() == read.tolist()
        assert found.factors[at].contents == weight.part(touched, read).contents
        if bias is None:
            assert found.shifts is None
        else:
            assert found.shifts is not None
            assert found.shifts[at].contents == bias.part(touched, np.zeros(1, dtype=np.int64)).contents


def test_places_of_different_sizes_are_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = RoundedWeight(np.eye(4), np.eye(4, dtype=np.int64), exact=True)
    everywhere = np.ones((2, 4), dtype=np.bool_)
    assert readings(weight, None, [np.array([0]), np.array([1, 2])], everywhere) is None
    alike = [np.array([0]), np.array([3])]
    assert readings(weight, None, alike, everywhere) is not None
    held = SparseWeight((4, 4), (4,), (np.arange(4), np.arange(4)), np.ones(4), exact=True)
    assert readings(held, None, alike, everywhere) is None
    monkeypatch.setattr(places_reading, "_ENTRIES", 7)
    assert readings(weight, None, alike, everywhere) is None


@pytest.mark.parametrize("fmt", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("seed", range(20))
def test_one_product_is_the_sum_of_it_and_zeros(seed: int, fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    for products in ("either", "fused", "separate"):
        arithmetic = rounded(fmt, products, tf32=fmt == "float32" and bool(seed % 2))
        width, outputs = int(rng.integers(1, 7)), int(rng.integers(1, 7))
        values = np.zeros((outputs, width))
        values[np.arange(outputs), rng.integers(0, width, outputs)] = rng.integers(-5, 6, outputs) / 8
        ends = np.sort(rng.integers(-9, 10, (2, 2, 3, width)), axis=0) * (rng.random(width) < 0.8)
        rows = arithmetic.prompt_between(*(Ratios(end, int(rng.choice([7, 8]))) for end in ends[:, :]))
        weight = RoundedWeight(values.astype(rows.low.dtype), grid_of(values), exact=True)
        shift = rng.integers(-1, 2, (outputs, 1)) / 3
        bias = RoundedWeight(shift.astype(rows.low.dtype), grid_of(shift), exact=False) if seed % 3 else None
        _check_alone(arithmetic, rows, weight, bias, monkeypatch)


def _check_alone(
    arithmetic: RoundedArithmetic,
    rows: Box,
    weight: RoundedWeight,
    bias: RoundedWeight | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hold products of single entries against the same sums, as products of matrices give them."""
    with np.errstate(all="ignore"):
        alone = arithmetic.linear(rows, weight, bias)
        with monkeypatch.context() as patched:
            for module in (linear, directed):
                patched.setattr(module, "only_entries", lambda values: None)
            whole = arithmetic.linear(rows, weight, bias)
    assert (alone.low == whole.low).all()
    assert (alone.high == whole.high).all()
    assert (alone.grid == whole.grid).all()
    assert alone.exact == whole.exact


_UNITS = (("fp16", "volta"), ("tf32", "ampere"), ("bf16", "hopper"), ("fp16", "cdna2"))
_KERNELS = {
    **{f"{fmt}, {products}": rounded(fmt, products) for fmt in FORMATS for products in ("either", "fused", "separate")},
    "tf32": rounded(tf32=True),
    **{f"{dtype} on {unit}": RoundedArithmetic.of(dtype, unit=unit) for dtype, unit in _UNITS},
}


@pytest.mark.parametrize("name", _KERNELS)
def test_one_product_is_the_sum_of_it_at_the_ends_of_a_format(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that underflow or overflow, powers of two, negative zeros, and what may be anything."""
    arithmetic, rng = _KERNELS[name], np.random.default_rng(0)
    fmt = arithmetic.fmt
    for _ in range(60):
        batch, count, width, outputs = rng.integers(1, 5, 4)

        def numbers(*shape: int) -> Any:
            bits = rng.choice([1, 3, fmt.precision], shape[-1])
            exponents = rng.integers(fmt.min_exponent - fmt.precision, fmt.max_exponent, shape) // rng.choice(
                [1, 8, 64]
            )
            size = np.ldexp(
                rng.integers(2 ** (bits - 1), 2**bits, shape).astype(arithmetic._dtype), exponents - bits + 1
            )
            signs = rng.choice([-1, -0.0, 0, 1], shape).astype(arithmetic._dtype)
            return round_array(signs * size, fmt)

        first = numbers(batch, count, width)
        second = np.where(rng.random(width) < 0.5, first, numbers(*first.shape))
        wild = rng.random(first.shape) < rng.choice([0, 0.1])
        low = np.where(wild, -np.inf, np.minimum(first, second))
        high = np.where(wild, np.inf, np.maximum(first, second))
        grid = grids_between(low, high, fmt).min(axis=(0, 1))
        values = np.where(np.arange(width) == rng.integers(0, width, (outputs, 1)), numbers(outputs, width), -0.0)
        weight, bias = (RoundedWeight(held, grid_of(held), exact=True) for held in (values, numbers(outputs, 1)))
        _check_alone(arithmetic, Box(low, high, grid), weight, bias if rng.random() < 0.5 else None, monkeypatch)


def test_only_entries_are_those_of_rows_that_have_no_other() -> None:
    assert only_entries(np.array([[0.0, 2.0], [0.0, 0.0], [-1.0, 0.0]])).tolist() == [1, 0, 0]  # type: ignore[union-attr]
    assert only_entries(np.array([[1.0, 2.0], [0.0, 1.0]])) is None
    assert only_entries(np.zeros((2, 0))) is None


def test_python_s_integers_are_told_apart_by_what_they_are() -> None:
    large = np.array([2**70, 1], dtype=object)
    assert _numbers(large) == _numbers(np.array([2**70, 1], dtype=object))
    assert _numbers(large) != _numbers(np.array([2**70 + 1, 1], dtype=object))


def test_equal_boxes_and_matrices_are_told_apart_by_everything_that_rules_read() -> None:
    zero, one = np.zeros((1, 1, 1)), np.ones((1, 1, 1))
    grid = np.zeros(1, dtype=np.int64)
    boxes = [
        Box(zero, one, grid), Box(zero, zero, grid), Box(one, one, grid), Box(zero, one, grid - 1),
        Box(zero, one, grid, exact=False), Box(zero[:, :0], one[:, :0], grid),
    ]  # fmt: skip
    assert len({box.contents for box in boxes}) == len(boxes)
    assert Box(zero.copy(), one.copy(), grid.copy()).contents == boxes[0].contents
    weights = [
        RoundedWeight(values, grid_of(values) + more, exact)
        for values in (np.zeros((1, 2)), np.ones((1, 2)), np.ones((2, 1)))
        for more in (0, -1)
        for exact in (False, True)
    ]
    assert len({weight.contents for weight in weights}) == len(weights)
