"""Differences of activations of one pre-activation keep their relation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Activation, Linear
from constructions.activations import ABSOLUTE, IDENTITY, RELU, ClippedRelu
from tests.certificates.own import Given, nearest, read_first, rounded
from tests.mutation.certifier_killers import Killer
from tests.mutation.certifier_relations import balls_along_lines, floats_along_lines
from verify.certificates import BallArithmetic, RoundedArithmetic, all_targets, certify

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


@ARITHMETICS
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_certified_by_the_relation_alone(
    arithmetic: BallArithmetic | RoundedArithmetic, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert certify(MODELS[name], arithmetic, points=1).holds is True
    monkeypatch.setattr(all_targets, "relational", lambda arithmetic: None)
    assert certify(MODELS[name], arithmetic, points=1).holds is None


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
