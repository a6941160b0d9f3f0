"""Small rows with factors in which one error decides: what kernels compute of them is within the bounds."""

from __future__ import annotations

import pytest

from tests.mutation.certifier_aimed import Aimed
from tests.mutation.certifier_aimed_factors import killers


@pytest.mark.parametrize("name", list(killers()))
def test_what_kernels_compute_is_within_bounds(name: str) -> None:
    assert killers()[name]() == []


def test_a_number_beyond_its_bounds_is_reported() -> None:
    aimed = Aimed()
    rows = aimed.linear(aimed.rows([[1, 2]]), [[1, 1]])
    assert list(aimed.outside("sum", rows, [[3.0]])) == []
    assert len(list(aimed.outside("sum", rows, [[4.0]]))) == 1


@pytest.mark.parametrize("least", [0.0, -float("inf")])
def test_a_margin_above_one_that_is_computed_is_reported(least: float) -> None:
    aimed = Aimed(None)
    assert len(list(aimed.above("margin", aimed.rows([[1]]), [[1], [0]], [0, 0], least))) == 1
    assert list(aimed.above("margin", aimed.rows([[1]]), [[1], [0]], [0, 0], 1.0)) == []
