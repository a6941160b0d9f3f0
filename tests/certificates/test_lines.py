"""Differences of activations of one pre-activation keep their relation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, final

import flint
import numpy as np
import pytest
import sympy as sp

from constructions import FORMATS, Activation, Linear, Ratios
from constructions.activations import ABSOLUTE, IDENTITY, RELU, ClippedRelu
from constructions.activations.base import Pieces
from constructions.formats import round_to_format
from constructions.lowering import lower
from tests.certificates.own import Given, nearest, read_first, rounded
from tests.mutation.certifier_killers import Killer
from tests.mutation.certifier_relations import balls_along_lines, floats_along_lines
from verify.certificates import BallArithmetic, RoundedArithmetic, all_targets, certify
from verify.certificates.relational import relational

V = 5
ARITHMETICS = pytest.mark.parametrize(
    "arithmetic", [BallArithmetic(), rounded(), rounded("bfloat16")], ids=lambda each: each.name
)


def steps(activation: Activation, first: list[list[Any]], second: list[list[Any]], bias: list[list[Any]]) -> Given:
    """Return a model of one entry that is asked for and one that is not, and an MLP that reads both."""
    return Given(
        vocab_size=V,
        entries=2,
        embedding=[[0] * V] * 2,
        layers=(
            read_first(2, 1),
            Linear(first, bias, activation=activation, name="hidden"),
            Linear(second, [[0]], activation=None, name="joined"),
            nearest(V, 2),
        ),
    )


#: What each adds to twice the entry is 0 for every other entry, or close enough to it.
MODELS = {
    "ramp": steps(RELU, [[1, 0], [0, 1], [0, 1]], [[2, 1, -1]], [[0], [0], [Fraction(1, 2)]]),
    "ramp of both": steps(RELU, [[1, 0], [1, 1], [2, 2]], [[2, 2, -1]], [[0], [0], [0]]),
    "hat": steps(
        RELU, [[1, 0], [0, 1], [0, 1], [0, 1]], [[2, Fraction(1, 2), -1, Fraction(1, 2)]], [[0], [1], [0], [-1]]
    ),
    "valleys": steps(ABSOLUTE, [[1, 0], [0, 1], [0, 1]], [[2, 1, -1]], [[0], [0], [Fraction(1, 4)]]),
    "two sides": steps(ABSOLUTE, [[1, 0], [0, 1], [0, 1]], [[2, Fraction(3, 32), Fraction(3, 32)]], [[0], [0], [-8]]),
    "clipped": steps(ClippedRelu(Fraction(64)), [[1, 0], [0, 1], [0, 3]], [[2, 3, -1]], [[0], [0], [0]]),
    "no activation": steps(IDENTITY, [[1, 0], [0, 1], [0, 3]], [[2, 3, -1]], [[0], [0], [0]]),
}


@pytest.mark.share(7)
@ARITHMETICS
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_certified_by_the_relation_alone(
    arithmetic: BallArithmetic | RoundedArithmetic, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert certify(MODELS[name], arithmetic, points=1).holds is True
    monkeypatch.setattr(all_targets, "relational", lambda arithmetic: None)
    assert certify(MODELS[name], arithmetic, points=1).holds is None


@pytest.mark.share(1)
@pytest.mark.parametrize(
    "killer", [floats_along_lines("bfloat16", 60), floats_along_lines("float64", 30), balls_along_lines(25)]
)
def test_what_kernels_make_of_one_number_lies_within_the_bounds(killer: Killer) -> None:
    with np.errstate(all="ignore"):
        assert killer() == []


@ARITHMETICS
def test_a_ramp_that_moves_the_entry_is_not_certified(arithmetic: BallArithmetic | RoundedArithmetic) -> None:
    wrong = steps(RELU, [[1, 0], [0, 1], [0, 1]], [[2, 1, -1]], [[0], [0], [-3]])
    assert certify(wrong, arithmetic, points=1).holds is None


@final
class Steep(type(RELU)):  # type: ignore[misc] # whatever ReLU is
    """An activation: ``64 max(0, x)``, which no kernel rounds."""

    name = "steep"

    def exact(self, value: Fraction) -> Fraction:
        return 64 * max(value, Fraction(0))

    def pieces(self) -> Pieces:
        return Pieces((Fraction(0),), (0, 64))

    def ball(self, value: flint.arb) -> flint.arb:
        return 64 * value.max(flint.arb(0))


def test_a_slope_above_1_enlarges_what_the_kernel_has_rounded() -> None:
    fmt = FORMATS["bfloat16"]
    arithmetic: Any = relational(rounded(fmt.name).for_cells())
    first, bias, second = (
        arithmetic.weight(lower(sp.Matrix(matrix), {}))
        for matrix in ([[1], [1]], [[0], [sp.Rational(1, 3)]], [[1, -1]])
    )
    ends = [Ratios(np.array([[[end]]]), 1) for end in (0, 4)]
    hidden = arithmetic.pointwise(arithmetic.linear(arithmetic.prompt_between(*ends), first, bias), Steep())
    box = arithmetic.linear(hidden, second).rows.dense()
    third = round_to_format(Fraction(1, 3), fmt)
    for number in range(5):
        shifted = Fraction(round_to_format(number + Fraction(third), fmt))
        computed = round_to_format(64 * number - 64 * shifted, fmt)
        assert box.low.item() <= computed <= box.high.item()
