"""Numbers of many members are held against those of their cells, every one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from constructions.returned import answered_tokens, checked_answer
from verify.certificates.chunks import _COMPARED, blocks, columns_of
from verify.certificates.told import Told


def _drawn(rng: np.random.Generator, count: int) -> tuple[Told, Any, Any]:
    """Return what cells say of some columns in any order, members that have it, and the cells that these lie in."""
    width, places, rows = int(rng.integers(2, 9)), int(rng.integers(1, 5)), int(rng.integers(1, 7))
    columns = rng.permutation(width)[: int(rng.integers(1, width + 1))]
    told = Told(columns, rng.integers(0, places, len(columns)), rng.integers(0, 50, (rows, len(columns))), width)
    cells = rng.integers(0, rows, (count, places)).astype(np.int8)
    members = rng.integers(0, 50, (count, width))
    for at, (column, place) in enumerate(zip(columns, told.places, strict=True)):
        members[:, column] = told.numbers[cells[:, place], at]
    return told, members, cells


@pytest.mark.parametrize("seed", range(20))
def test_any_other_number_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    told, members, cells = _drawn(rng, _COMPARED // 2)  # several blocks
    assert not told.differs(members, cells)
    for member in (0, len(members) - 1, int(rng.integers(len(members)))):
        for column in range(told.width):
            changed = members.copy()
            changed[member, column] += 1
            assert told.differs(changed, cells) == (column in told.columns)


def test_other_columns_are_left_to_the_caller() -> None:
    told = Told(np.array([3, 0]), np.array([0, 0]), np.zeros((1, 2), dtype=np.int64), 5)
    assert told.rest.tolist() == [1, 2, 4]


def test_blocks_are_all_rows() -> None:
    for count, width in ((0, 3), (1, 1), (7, _COMPARED), (3 * _COMPARED + 1, 1), (100, 0), (5, 2 * _COMPARED)):
        assert [row for block in blocks(count, width) for row in range(count)[block]] == list(range(count))


def test_all_columns_in_order_are_no_copy() -> None:
    numbers = np.arange(12).reshape(3, 4)
    assert np.shares_memory(numbers[:, columns_of(np.arange(4), 4)], numbers)
    for chosen in (np.array([1, 0, 2, 3]), np.arange(3), np.array([0, 1, 2, 2])):
        assert (numbers[:, columns_of(chosen, 4)] == numbers[:, chosen]).all()


def test_tokens_are_integers_of_64_bits_in_the_array_of_the_code_or_one_of_ones_own() -> None:
    given = np.array([[1, 2]])
    assert np.shares_memory(answered_tokens("Mine", given, (1, 2), 3), given)
    assert not np.shares_memory(checked_answer("Mine", given, (1, 2), 3), given)
    for kind in (np.uint64, np.int8, object):
        assert answered_tokens("Mine", given.astype(kind), (1, 2), 3).dtype == np.int64
