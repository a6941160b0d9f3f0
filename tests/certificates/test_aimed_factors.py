"""Small rows with factors in which one error decides: what kernels compute of them is within the bounds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.mutation.certifier_aimed import Aimed, contradicted
from tests.mutation.certifier_aimed_factors import killers


@pytest.mark.share(2)
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


def test_a_length_and_a_reach_below_the_coordinates_of_a_part_are_reported() -> None:
    aimed = Aimed(None)
    rows = aimed.over.normalise(aimed.rows([[3, 1]]), centred=False, mean=True, eps=Fraction(1, 8))
    row, table = rows.rows[0], aimed.over.table
    assert list(contradicted(rows, table)) == []
    (reaching,) = (part for part in row.parts if part.reach is not None)
    nearer = reaching.reach._replace(most=reaching.reach.most / 2)
    wrong = {"farther": replace(reaching, reach=nearer), "longer": replace(reaching, length=reaching.length / 2)}
    for word, part in wrong.items():
        (line,) = contradicted(type(rows)((replace(row, parts=(part,)),)), table)
        assert word in line
