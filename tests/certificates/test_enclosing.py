"""Certificates ask an arithmetic for bounds alone: one of one's own is a class, and decodes nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

from constructions import ConditionalGeneration, Ratios, UnconditionalGeneration
from tests.certificates.own import rounded
from tests.forwarding import Forwarding
from verify.arithmetic import Arithmetic
from verify.arithmetic.base import NumberSystem
from verify.certificates import certificate_arithmetic, certify
from verify.certificates.balls.arithmetic import BallArithmetic
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.floats.sparse import SparseArithmetic


class Halved(Forwarding, EnclosingArithmetic[Any, Any, Any]):
    """Balls under another name, whose margins are charged twice: bounds of somebody's own."""

    name = "halved"
    fmt = None
    device = "cpu"

    base: BallArithmetic

    def __init__(self) -> None:
        self.base = BallArithmetic()

    def bounding(self) -> AbstractContextManager[None]:
        return self.base.bounding()

    def prompt_between(self, low: Ratios, high: Ratios) -> Any:
        return self.base.prompt_between(low, high)

    def reals_between(self, low: Ratios, high: Ratios) -> Any:
        return self.base.reals_between(low, high)

    def embed_between(self, embedding: Any, low: Any, high: Any) -> Any:
        return self.base.embed_between(embedding, low, high)

    def margins(self, rows: Any, weight: Any, bias: Any, expected: Any, *, points: int) -> Margins:
        return Margins(self.base.margins(rows, weight, bias, expected, points=points).lower / 2)

    def assumptions(self) -> str:
        return "real numbers, and margins of which half is thrown away"


@pytest.mark.parametrize("construction", [UnconditionalGeneration(4, 3), ConditionalGeneration(4)])
def test_an_arithmetic_of_one_s_own_certifies(construction: Any) -> None:
    plain, own = certify(construction, certificate_arithmetic("ball")), certify(construction, Halved())
    assert plain.holds is own.holds is True
    assert plain.margin is not None
    assert own.margin == plain.margin / 2
    assert own.arithmetic == "halved"
    assert own.reason is not None
    assert own.reason.startswith("real numbers, and margins of which half is thrown away; ")


def test_bounds_that_say_nothing_certify_nothing() -> None:
    class Nothing(Halved):
        def margins(self, rows: Any, weight: Any, bias: Any, expected: Any, *, points: int) -> Margins:
            return Margins(np.full(len(expected), np.nan))

    verdict = certify(UnconditionalGeneration(3, 2), Nothing())
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "not decided" in verdict.reason


@pytest.mark.parametrize("arithmetic", [BallArithmetic(), rounded(), SparseArithmetic(rounded())])
def test_what_encloses_does_not_decode(arithmetic: NumberSystem[Any, Any, Any]) -> None:
    assert isinstance(arithmetic, EnclosingArithmetic)
    assert not isinstance(arithmetic, Arithmetic)
    assert not hasattr(arithmetic, "argmax")


def test_rows_of_many_cells_are_the_same_bounds() -> None:
    assert isinstance(rounded().for_cells(), SparseArithmetic)
    balls = BallArithmetic()
    assert balls.for_cells() is balls
