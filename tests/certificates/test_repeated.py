"""Rows that passes have in common: the same bounds as computed afresh, and nothing shared within a pass."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions.residual import ResidualGeneration
from tests.certificates.own import rounded
from verify.certificates import BallArithmetic
from verify.certificates.all_targets import Bound, bind_for_certificate, readout_input
from verify.certificates.cells import cells
from verify.certificates.relational import factored
from verify.certificates.relational.factors.arithmetic import FactoredArithmetic, FactoredRows
from verify.certificates.relational.factors.rows import Row
from verify.running.model import Model


def _factors(arithmetic: Any) -> Any:
    found = factored(arithmetic.for_cells())
    assert isinstance(found, FactoredArithmetic)
    return found


def _unknown(arithmetic: Any, low: float = -1, high: float = 1, width: int = 3) -> Row:
    """Return the row of a token that is embedded, of which bounds alone are known."""
    ends = (np.full((1, width), float(end)) for end in (low, high))
    row: Row = arithmetic._embedding(*ends)
    return row


def _names(row: Row) -> set[int]:
    return {name for part in row.parts for name in part.names}


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("arithmetic", [rounded("float32"), BallArithmetic()], ids=["float32", "ball"])
def test_margins_are_those_of_passes_that_keep_nothing(architecture: Any, arithmetic: Any) -> None:
    construction = ResidualGeneration(5, 5, architecture=architecture)
    with arithmetic.bounding(), np.errstate(all="ignore"):
        bound = bind_for_certificate(construction, arithmetic.for_cells())

        def margins(finer: Any, batch: Any) -> Any:
            model = Model(finer, bound.model.transformer, bound.model.mask, bound.model.temperature)
            rows = readout_input(Bound(finer, model, bound.readout, bound.bias, bound.source), batch)
            return finer.margins(rows, bound.readout.weight, bound.bias, batch.expected, points=1).lower

        keeping, steps = _factors(bound.arithmetic), 0
        for batch in cells(construction, budget=1000):
            np.testing.assert_array_equal(margins(keeping, batch), margins(_factors(bound.arithmetic), batch))
            steps += 1
    assert steps == 5


def test_equal_tokens_of_one_pass_are_unknown_by_themselves() -> None:
    arithmetic = _factors(rounded("float32"))
    for _ in range(3):  # without any pass begun, nothing is kept
        assert not _names(_unknown(arithmetic)) & _names(_unknown(arithmetic))
    arithmetic.begin()
    first, second = _unknown(arithmetic), _unknown(arithmetic)
    assert not _names(first) & _names(second)
    arithmetic.begin()
    assert _unknown(arithmetic) is first
    assert _unknown(arithmetic) is second
    third = _unknown(arithmetic)
    assert not _names(third) & (_names(first) | _names(second))


def test_an_operation_that_runs_twice_in_a_pass_rounds_twice() -> None:
    arithmetic = _factors(rounded("float32"))
    arithmetic.begin()
    rows = FactoredRows((_unknown(arithmetic, 1, 2),))
    once, again = (arithmetic.total([rows, rows]).rows[0] for _ in range(2))
    assert once is not again
    arithmetic.begin()
    rows = FactoredRows((_unknown(arithmetic, 1, 2),))
    assert arithmetic.total([rows, rows]).rows[0] is once
    assert arithmetic.total([rows, rows]).rows[0] is not again
    assert arithmetic.total([rows, rows]).rows[0] is not once


def test_another_operation_or_other_numbers_are_not_taken_for_the_same() -> None:
    arithmetic = _factors(rounded("float32"))
    eps = Fraction(1, 1000)
    arithmetic.begin()
    row = _unknown(arithmetic, 1, 2)
    first = arithmetic.normalise(FactoredRows((row,)), centred=False, mean=True, eps=eps).rows[0]
    arithmetic.begin()
    rows = FactoredRows((_unknown(arithmetic, 1, 2),))
    assert rows.rows[0] is row
    assert arithmetic.normalise(rows, centred=False, mean=False, eps=eps).rows[0] is not first
    assert arithmetic.normalise(rows, centred=False, mean=True, eps=2 * eps).rows[0] is not first
    assert arithmetic.relu(rows).rows[0] is not first
    assert arithmetic.normalise(rows, centred=False, mean=True, eps=eps).rows[0] is first
    assert _unknown(arithmetic, 1, 2.5) is not row


@np.errstate(all="ignore")
def test_a_norm_that_may_be_undefined_is_in_every_pass() -> None:
    arithmetic = _factors(rounded("float32"))
    for _ in range(3):
        arithmetic.begin()
        assert not arithmetic.undefined
        rows = FactoredRows((_unknown(arithmetic, 0, 1),))
        arithmetic.normalise(rows, centred=False, mean=True, eps=Fraction(0))
        assert arithmetic.undefined


@np.errstate(all="ignore")
@pytest.mark.parametrize("high", [2.0**127, np.inf, np.nan])
def test_numbers_that_may_not_be_finite_are_noted_in_every_pass_that_has_them(high: float) -> None:
    arithmetic = _factors(rounded("float32"))

    def finite(*ends: float) -> bool:
        arithmetic.begin()
        rows = [FactoredRows((_unknown(arithmetic, 0, end),)) for end in ends]
        arithmetic.total([*rows, *rows])
        return bool(arithmetic.table.most < arithmetic.kernels.largest)

    assert finite(1)
    for _ in range(2):
        assert not finite(high, 1)
    assert finite(1)  # and what a pass does not have says nothing of it
    assert finite(2.0**126)


def test_a_pass_forgets_what_the_next_one_does_not_have() -> None:
    arithmetic = _factors(rounded("float32"))
    sizes = set()
    for at in range(5):
        arithmetic.begin()
        sizes.add((len(arithmetic.table._unknown), len(arithmetic.table._computed)))
        rows = FactoredRows((_unknown(arithmetic, 1, 2), _unknown(arithmetic, 1, 2 + at)))
        arithmetic.numbers(arithmetic.relu(rows))
    assert max(unknown for unknown, _ in sizes) <= 12  # the rows of the last pass, and the kept one
