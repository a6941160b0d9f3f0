"""Weights held by their entries say what the same weights say that are held entry by entry."""

from __future__ import annotations

import numpy as np
import pytest

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
