"""Weights held by their entries say what the same weights say that are held entry by entry."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from constructions import InvalidArgument, Ratios, lower
from tests.certificates.own import rounded
from verify.certificates.floats import linear, sparse_weight
from verify.certificates.floats.boxes import FEW_FROM, MOST, RoundedWeight
from verify.certificates.floats.directed import EVERYTHING, grid_of
from verify.certificates.floats.sparse_weight import SparseWeight


def _both(values: np.ndarray, rng: np.random.Generator) -> tuple[SparseWeight, RoundedWeight]:
    """Return a weight by its entries, which come in any order, some that are 0 among them, and entry by entry."""
    rows, columns = np.nonzero((values != 0) | (rng.random(values.shape) < 0.1))
    order = rng.permutation(len(rows))
    places = rows[order], columns[order]
    sparse = SparseWeight(values.shape, (values.shape[1],), places, values[places], exact=True)
    return sparse, RoundedWeight(values, grid_of(values), exact=True)


def _drawn(rng: np.random.Generator, most: int) -> np.ndarray:
    """Return a weight of at most so many entries in a row, of which some rows and columns have none."""
    rows = int(rng.integers(1, 120))
    width = int(rng.integers(1, 60)) if most > MOST else -(-FEW_FROM // rows)  # large, as few entries are picked there
    values = np.zeros((rows, width))
    for row in range(rows):
        read = rng.choice(width, min(width, int(rng.integers(0, most + 1))), replace=False)
        values[row, read] = rng.normal(size=len(read)) * 2.0 ** rng.integers(-9, 10)
    return values


@pytest.mark.parametrize("most", [0, 1, MOST, MOST + 1, 9])
def test_entries_are_those_of_the_weight(most: int) -> None:
    rng = np.random.default_rng(most)
    for _ in range(40):
        values = _drawn(rng, most)
        sparse, dense = _both(values, rng)
        assert sparse.shape == dense.shape
        assert (sparse.values == dense.values).all()
        assert (sparse.grid[values != 0] == dense.grid[values != 0]).all()
        assert (sparse.grid[values == 0] == EVERYTHING).all()
        assert sparse.largest == dense.largest
        assert (sparse.reads == dense.reads).all()
        assert (sparse.row_grids == dense.row_grids).all()
        assert sparse.most_in_a_row == (values != 0).sum(axis=1).max()
        first, last = np.sort(rng.integers(0, values.shape[1], 2))
        for mine, known in zip(sparse.between(first, last), dense.between(first, last), strict=True):
            assert (mine == known).all()


@pytest.mark.parametrize("most", [0, 1, MOST])
def test_few_entries_of_each_row_are_picked_alike(most: int) -> None:
    rng = np.random.default_rng(most)
    for _ in range(40):
        values = _drawn(rng, most)
        sparse, dense = _both(values, rng)
        assert sparse.few is not None
        assert dense.few is not None
        for mine, known in zip(sparse.few, dense.few, strict=True):
            assert mine.shape == known.shape
            assert (mine == known).all()


def test_a_row_of_more_entries_is_not_one_of_few() -> None:
    values = np.zeros((FEW_FROM, 3))
    values[7] = 1
    sparse, dense = _both(values, np.random.default_rng(0))
    assert sparse.few is None
    assert dense.few is None


def test_a_weight_without_entries_has_nothing_large_and_reads_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    sparse = SparseWeight((3, 2), (2,), (none, none), np.zeros(0), exact=True)
    assert sparse.largest == 0
    assert not sparse.reads.any()
    assert (sparse.row_grids == EVERYTHING).all()
    assert [part.tolist() for part in sparse.between(0, 1)] == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("most", [0, 1, MOST, 9])
def test_parts_of_a_weight_are_those_of_all_its_entries(most: int) -> None:
    rng = np.random.default_rng(most)
    for _ in range(40):
        values = _drawn(rng, most)
        sparse, dense = _both(values, rng)
        rows, columns = (np.flatnonzero(rng.random(size) < 0.3) for size in values.shape)
        read = values[:, columns] != 0
        for weight in (sparse, dense):
            assert weight.rows_reading(columns).tolist() == np.flatnonzero(read.any(axis=1)).tolist()
            for chosen in (rows, np.arange(len(values))):
                assert weight.read_by(chosen).tolist() == (values[chosen] != 0).any(axis=0).tolist()
            part = weight.part(rows, columns)
            assert part.exact
            assert (part.values == values[np.ix_(rows, columns)]).all()
            assert (part.grid == np.where(part.values == 0, EVERYTHING, grid_of(part.values))).all()


def test_what_is_written_as_constant_rows_is_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight, and what a linear map of it gives, is the same as of all entries, all at a time or some."""
    columns = 60
    blocks = [[sp.OneMatrix(3, columns) / 3], [-2 * sp.OneMatrix(2, columns)], [sp.ZeroMatrix(1, columns)]]
    constant = lower(sp.BlockMatrix(blocks), {})
    beside = lower(sp.BlockMatrix([[sp.OneMatrix(2, columns), sp.ZeroMatrix(2, 3)]]), {})
    diagonal = lower(sp.BlockMatrix([[sp.OneMatrix(columns, columns)], [sp.Identity(columns)]]), {})
    shift = RoundedWeight(np.arange(6.0)[:, None], grid_of(np.arange(6.0)[:, None]), exact=True)
    numbers = np.random.default_rng(0).integers(0, 9, (1, 2, columns))
    arithmetic = rounded()
    rows = arithmetic.prompt_between(Ratios(numbers, 7), Ratios(numbers + 1, 7))
    before = [arithmetic.weight(matrix) for matrix in (constant, beside, diagonal)]
    whole = [arithmetic.linear(rows, before[0], bias) for bias in (None, shift)]
    monkeypatch.setattr(sparse_weight, "LARGEST_HELD", columns)
    monkeypatch.setattr(linear, "_ENTRIES", 2 * columns)
    held = [arithmetic.weight(matrix) for matrix in (constant, beside, diagonal)]
    assert [weight.values.strides[1] == 0 for weight in held] == [True, False, False]
    for old, new in zip(before, held, strict=True):
        assert (old.values == new.values).all()
        assert (old.grid == new.grid).all()
        assert old.exact == new.exact
    for known, bias in zip(whole, (None, shift), strict=True):
        found = arithmetic.linear(rows, held[0], bias)
        assert (found.low == known.low).all()
        assert (found.high == known.high).all()
        assert (found.grid == known.grid).all()
        assert found.exact == known.exact


def test_constant_rows_that_are_too_many_are_refused() -> None:
    """Which of the entries are 0 is held, one by one."""
    size = 12_000  # 144 million entries, more than 2^27
    with pytest.raises(InvalidArgument, match="weights of at most"):
        rounded().weight(lower(sp.OneMatrix(size, size), {}))
