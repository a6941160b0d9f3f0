"""Activations of a user's own: not finite everywhere, or equal to others that compute something else."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, final

import flint
import numpy as np
import sympy as sp

from constructions import Linear, Ratios
from constructions.activations.base import Activation, KernelError
from constructions.formats import Format
from constructions.lowering import lower
from tests.certificates.own import Given, read_first, rounded
from verify import RationalArithmetic, Runner
from verify.certificates import BallArithmetic, certify
from verify.certificates.relational import relational
from verify.frontier.scan import Scanner

ARITHMETICS = (BallArithmetic(), rounded("float32"))


_SQUARE = [[1, 0], [0, 1]]


@final
class Raised(Activation):
    """``max(0, x)`` and a number, which Python's own comparison of attributes does not see."""

    __slots__ = ("by",)
    name = "raised"

    def __init__(self, by: int) -> None:
        self.by = by

    def latex(self, argument: str) -> str:
        return argument

    def exact(self, value: Fraction) -> Fraction | None:
        return max(value, Fraction(0)) + self.by

    def enclosure(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        return self.ball(low), self.ball(high)

    def symbol(self, value: sp.Expr) -> sp.Expr:
        return sp.Max(value, 0) + self.by

    def ball(self, value: flint.arb) -> flint.arb:
        return value.max(flint.arb(0)) + self.by

    def numpy(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.maximum(values, 0) + self.by)

    def torch(self, values: Any) -> Any:
        return values.clamp(min=0) + self.by

    def error(self, fmt: Format) -> KernelError:
        return KernelError(0)


@final
class Reciprocal(Activation):
    """An activation: ``1/x``."""

    name = "reciprocal"

    def latex(self, argument: str) -> str:
        return rf"\frac{{1}}{{{argument}}}"

    def exact(self, value: Fraction) -> Fraction | None:
        return None if value == 0 else 1 / value

    def enclosure(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        found = 1 / low.union(high)
        return found, found

    def symbol(self, value: sp.Expr) -> sp.Expr:
        return 1 / value

    def ball(self, value: flint.arb) -> flint.arb:
        return 1 / value

    def numpy(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(1 / values)

    def torch(self, values: Any) -> Any:
        return 1 / values

    def error(self, fmt: Format) -> KernelError:
        return KernelError(1)


def test_a_weight_of_0_does_not_hide_a_pole() -> None:
    for shift, holds in ((0, None), (1, True)):
        layers = (
            read_first(2, 1),
            Linear([[1, 0], [0, 1]], [[1], [shift]], activation=Reciprocal(), name="hidden"),
            Linear([[1, 0]], [[-1]], activation=None, name="kept"),
        )
        # 1/(1 + v) - 1 is 0 for the token 0 and at most -1/2 for every other one
        readout = Linear([[4], [0]], [[1], [0]], activation=None, name="readout")
        made = Given(2, 2, [[0] * 2] * 2, (*layers, readout))
        for arithmetic in ARITHMETICS:
            assert certify(made, arithmetic).holds is holds, (shift, arithmetic.name)


def test_a_pole_is_seen_behind_a_norm_that_only_its_symbols_define() -> None:
    arithmetic: Any = relational(BallArithmetic())
    first, bias, both = (arithmetic.weight(lower(sp.Matrix(each), {})) for each in ([[1], [1]], [[0], [1]], [[1, 1]]))
    with arithmetic.bounding():
        unknown = arithmetic.prompt_between(*(Ratios(np.array([[[end]]]), 1) for end in (0, 4)))
        # v and v + 1 are half a unit from their mean, whatever v is
        normed = arithmetic.normalise(arithmetic.linear(unknown, first, bias), centred=True, mean=True, eps=Fraction(0))
        assert not arithmetic.undefined
        arithmetic.pointwise(arithmetic.linear(normed, both), Reciprocal())
    assert arithmetic.undefined


def _wrong_twice(last: Raised) -> Given:
    """Return a construction that is right but for two targets, and for all if the last activation left 4 as it is."""
    vocab = 1000  # so that drawn cases miss the two
    layers = (
        read_first(2, 1),
        Linear([[1, 0], [0, 0]], [[0], [4]], activation=Raised(0), name="first"),
        Linear(_SQUARE, [[0], [0]], activation=Raised(0), name="again"),
        Linear(_SQUARE, [[0], [0]], activation=last, name="raised"),
    )
    # the nearest token, and beside the token 1 twice what 5 is more than 4
    weight = [[2 * token, 2 * (token == 1)] for token in range(vocab)]
    bias = [[-(token**2) - 2 * token - 8 * (token == 1)] for token in range(vocab)]
    readout = Linear(weight, bias, activation=None, name="readout")
    return Given(vocab, 2, [[0] * vocab] * 2, (*layers, readout))


def test_activations_that_are_equal_have_bounds_of_their_own() -> None:
    """Bounds of 4 by the first were taken for those by the last, and two targets that come out wrong were certified."""
    assert Raised(0) == Raised(1)
    made = _wrong_twice(Raised(1))
    failures = Runner(made, RationalArithmetic()).run(np.array([[0, 0], [1, 0], [2, 0]]), np.zeros((3, 0), dtype=int))
    assert failures.failures().any(axis=1).tolist() == [True, False, True]
    for arithmetic in ARITHMETICS:
        assert certify(made, arithmetic).holds is None


def test_a_scan_keeps_no_bounds_of_an_activation_that_changes() -> None:
    scanner, last = Scanner(rounded("float32")), Raised(0)
    assert scanner.undecided(_wrong_twice(last)) is not None
    last.by = 1
    assert scanner.undecided(_wrong_twice(last)) is not None
