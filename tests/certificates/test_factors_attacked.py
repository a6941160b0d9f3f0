"""Attacks on rows with factors: what a float kernel loses, or the real numbers keep, lies within every bound."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import Any, final

import flint
import numpy as np
import pytest
import sympy as sp

from constructions.activations.smooth import NearRelu
from constructions.layers import Linear, RMSNorm, Sum
from constructions.lowering import lower
from constructions.ratios import Ratios
from tests.certificates.own import Given, rounded
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import BallArithmetic, certify
from verify.certificates.relational import factored
from verify.certificates.relational.factors.mixing import Mixing
from verify.running.model import bind_construction
from verify.running.respond import respond

#: From here on the numbers of float32 are 2 apart, so that adding 1 changes nothing.
_HUGE = 2**24


def _factors(arithmetic: Any) -> Any:
    found = factored(arithmetic.for_cells())
    assert found is not None
    return found


def _weight(arithmetic: Any, values: Any) -> Any:
    return arithmetic.weight(lower(sp.Matrix(values).as_immutable(), {}))


def _known(arithmetic: Any, values: Any) -> Any:
    numbers = Ratios(np.array([values]), 1)
    return arithmetic.reals_between(numbers, numbers)


def _computed(terms: list[float]) -> list[float]:
    """Return the sums of three numbers in every order of float32."""
    orders = [[np.float32(value) for value in order] for order in permutations(terms)]
    return [float((one + two) + three) for one, two, three in orders]


@np.errstate(all="ignore")
def test_a_sum_of_rows_loses_what_its_largest_term_swallows() -> None:
    arithmetic = _factors(rounded("float32"))
    rows = [_known(arithmetic, [[value]]) for value in (_HUGE, 1, -_HUGE)]
    low, high = arithmetic.numbers(arithmetic.total(rows))[0, 0, 0]
    assert all(low <= value <= high for value in _computed([_HUGE, 1, -_HUGE]))


@np.errstate(all="ignore")
def test_attention_loses_what_its_largest_term_swallows() -> None:
    arithmetic = _factors(rounded("float32"))
    rows, quarters = _known(arithmetic, [[4 * _HUGE], [4], [-4 * _HUGE], [0]]), np.full((1, 4), 0.25)
    found = Mixing(arithmetic.table, arithmetic.kernels).mix(quarters, quarters, rows.rows)
    low, high = (float(end[0, 0]) for end in found.hull(arithmetic.table))
    assert all(low <= value <= high for value in _computed([_HUGE, 1, -_HUGE]))


@np.errstate(all="ignore")
def test_attention_whose_sums_may_overflow_shows_nothing() -> None:
    arithmetic = _factors(rounded("float32"))
    half, ones = 2**127, np.ones((1, 6))  # three of them are beyond float32
    rows = _known(arithmetic, [[half], [half], [half], [-half], [-half], [-half]])
    Mixing(arithmetic.table, arithmetic.kernels).mix(ones, ones, rows.rows)
    assert not arithmetic.table.most < arithmetic.kernels.largest


def _swallowed(huge: int) -> Given:
    """Return a model that answers the target by ``(huge + t) - huge``, before a norm."""
    branches = (
        Linear([[0, huge], [0, 1]], activation=None, name="huge"),
        Linear([[1, 0], [0, 0]], activation=None, name="told"),
        Linear([[0, -huge], [0, 0]], activation=None, name="less"),
    )
    readout = Linear([[0, 0], [2, -1]], activation=None, name="readout")
    return Given(2, 1, [[0, 0]], (Sum(branches, name="sum"), RMSNorm(Fraction(1, 2**10), name="norm"), readout))


def test_no_sum_of_branches_is_certified_that_fails() -> None:
    wrong, right = _swallowed(_HUGE), _swallowed(2)
    target = np.array([[1]])
    for construction, answer in ((wrong, 0), (right, 1)):
        model = bind_construction(construction, TorchArithmetic("float32"))
        prompt = model.arithmetic.prompt(construction.virtual_tokens(target))
        assert respond(model, construction, prompt, np.zeros((1, 0), dtype=np.int64)).answers.tolist() == [[answer]]
    assert certify(wrong, rounded("float32")).holds is None
    assert certify(wrong, rounded("float64")).holds is True
    assert certify(right, rounded("float32")).holds is True
    assert certify(wrong, BallArithmetic()).holds is True


@pytest.mark.parametrize("digits", [130, 400])
@np.errstate(all="ignore")
def test_real_weights_that_no_float_holds_are_not_taken_for_0(digits: int) -> None:
    arithmetic = _factors(BallArithmetic())
    rows = _known(arithmetic, [[1]])
    for value in (Fraction(1, 10**digits), *([Fraction(10) ** (digits // 2)] * 2)):
        rows = arithmetic.linear(rows, _weight(arithmetic, [[value]]))
    low, high = arithmetic.numbers(rows)[0, 0, 0]
    assert (np.isnan(low) and np.isnan(high)) or low <= 1 <= high


@final
class _Steep(NearRelu):
    """``x s(x)`` as somebody may write it, who says nothing of ``f(x)/x``."""

    name = "steep"
    latex = symbol = numpy = torch = error = lambda self, *given: None  # type: ignore[assignment] # never asked

    def ball(self, value: flint.arb) -> flint.arb:
        return value / (1 + (-value).exp())

    def bottom(self) -> tuple[flint.arb, flint.arb]:
        return flint.arb(-1.5), flint.arb(-1)


class _Raised(NearRelu):
    """``max(0, x)`` and a number, which Python's own comparison of attributes does not see."""

    __slots__ = ("by",)
    name = "raised"
    latex = symbol = numpy = torch = error = bottom = lambda self, *given: None  # type: ignore[assignment] # never asked

    def __init__(self, by: int) -> None:
        self.by = by

    def ball(self, value: flint.arb) -> flint.arb:
        return value.max(flint.arb(0)) + self.by

    def beside_relu(self, nearest: flint.arb, farthest: flint.arb) -> flint.arb:
        return flint.arb(self.by)


def test_activations_that_are_equal_have_bounds_of_their_own() -> None:
    """Bounds of the first were taken for the second."""
    first, second = _Raised(0), _Raised(1)
    assert first == second
    arithmetic = _factors(BallArithmetic())
    for activation in (first, second):
        found = arithmetic.numbers(arithmetic.pointwise(_known(arithmetic, [[1, 2]]), activation))[0, 0]
        assert all(low <= value + activation.by <= high for (low, high), value in zip(found, (1, 2), strict=True))


def test_an_activation_that_changed_has_other_bounds_in_the_next_certificate() -> None:
    activation = _Raised(0)
    for by in (0, 1):
        activation.by, arithmetic = by, _factors(BallArithmetic())
        found = arithmetic.numbers(arithmetic.pointwise(_known(arithmetic, [[1, 2]]), activation))[0, 0]
        assert all(low <= value + by <= high for (low, high), value in zip(found, (1, 2), strict=True))


def test_an_activation_that_tells_no_slope_of_its_ratio_shares_none() -> None:
    arithmetic = _factors(BallArithmetic())
    found = arithmetic.numbers(arithmetic.pointwise(_known(arithmetic, [[1, 2]]), _Steep()))[0, 0]
    true = [value / (1 + np.exp(-value)) for value in (1, 2)]
    assert all(low <= value <= high for (low, high), value in zip(found, true, strict=True))
