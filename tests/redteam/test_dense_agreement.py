"""Layers of other authors that are another function of dense tensors than of the rows of another arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch

from constructions import Layer, Ratios, Transformer
from constructions.layers.widths import Width
from tests.evidence.test_own_construction import CaesarCipher
from verify import (
    EngineArithmetic,
    NumpyArithmetic,
    RationalArithmetic,
    StructuredTorchArithmetic,
    TorchArithmetic,
    check,
    exhaust,
)
from verify.arithmetic.base import Arithmetic
from verify.certificates.enclosing import EnclosingArithmetic
from verify.evidence.verdict import Verdict


def _size(rows: Any, axis: int) -> int | None:
    shape = getattr(rows, "shape", None)
    return shape[axis] if shape is not None and len(shape) > axis else None


#: Whether rows come out wrong, by the name of a lie.
LIES: dict[str, Callable[[Any], bool]] = {
    "alone": lambda rows: _size(rows, 0) == 1,
    "in a large batch": lambda rows: (_size(rows, 0) or 0) > 8,
    "in torch": lambda rows: isinstance(rows, torch.Tensor),
    "on arrays": lambda rows: isinstance(rows, (torch.Tensor, np.ndarray)),
    "in one pass": lambda rows: _size(rows, 2) is not None and (_size(rows, 1) or 0) > 1,
}


@dataclass(frozen=True, eq=False)
class Lying(Layer[Any]):
    """The identity, but 0 where its lie says so."""

    lie: Callable[[Any], bool]
    name: str = "lying"

    def fitted(self, width: Width) -> Width:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        rows = run.operations.last(rows) if last_only else rows
        return rows * 0 if self.lie(rows) else rows


@dataclass(frozen=True, repr=False)
class Lied(CaesarCipher):
    """One whose sum goes through a liar."""

    lie: Callable[[Any], bool]
    kind: type[Lying] = Lying

    @cached_property
    def transformer(self) -> Transformer:
        right = CaesarCipher(self.vocab_size).transformer
        add, *rest = right.layers
        return Transformer(right.embedding, (add, self.kind(self.lie), *rest), right.context_size)


FLOATS = (StructuredTorchArithmetic, EngineArithmetic, NumpyArithmetic, TorchArithmetic)


def told(lie: Callable[[Any], bool], arithmetic: Arithmetic[Any, Any, Any]) -> Verdict:
    return exhaust(Lied(5, lie), arithmetic)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("kind", FLOATS)
def test_no_lie_holds_in_floats(kind: Callable[[str], Arithmetic[Any, Any, Any]], lie: str) -> None:
    assert told(LIES[lie], kind("float32")).holds is not True


def test_the_reason_names_both_margins() -> None:
    found = told(LIES["in torch"], StructuredTorchArithmetic("float32"))
    assert found.holds is None
    assert found.reason == (
        "target [0] with user input [2] has a margin of 1.0 in torch float32 structured and of -4.0 in torch's dense"
        " arithmetic"
    )
    assert str(found.assumptions).startswith(
        "Lying: the same function whenever it runs; 25 runs of drawn cases compared with torch's dense arithmetic: 5"
        " equal bit by bit, 20 off, such as: target [0] with"
    )


@pytest.mark.parametrize("lie", LIES)
def test_exact_numbers_hold_with_a_warning(lie: str) -> None:
    found = told(LIES[lie], RationalArithmetic())
    assert found.holds
    assert str(found.reason).startswith("it holds in rational arithmetic alone: target [")
    assert str(found.reason).endswith(
        " is not right in torch float64, which rounds, or where the code of other authors does otherwise"
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_honest_code_holds_and_says_how_many_cases_were_compared(dtype: str) -> None:
    found = told(lambda _: False, StructuredTorchArithmetic(dtype))
    assert found.holds
    assert found.reason is None
    assert found.assumptions == (
        "Lying: the same function whenever it runs; 33 runs of drawn cases compared with torch's dense arithmetic: 33"
        " equal bit by bit"
    )
    assert told(lambda _: False, RationalArithmetic()).reason is None


def test_code_that_raises_on_tensors_shows_nothing() -> None:
    def raising(rows: Any) -> bool:
        if isinstance(rows, torch.Tensor):
            raise TypeError("no tensors")
        return False

    found = told(raising, StructuredTorchArithmetic("float32"))
    assert (found.holds, found.reason) == (None, "torch float32, where the same code runs: TypeError: no tensors")
    exact = told(raising, RationalArithmetic())
    assert (exact.holds, exact.reason) == (True, "torch float64, where the same code runs: TypeError: no tensors")


def test_one_case_is_compared_too() -> None:
    found = check(Lied(5, LIES["in torch"]), rank=3, user_input=[4], arithmetic="structured")
    assert found.holds is None
    assert "in torch's dense arithmetic" in str(found.reason)


@dataclass(frozen=True, eq=False)
class Bounding(Lying):
    """The same, but of bounds, bounds of anything."""

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        if not isinstance(run.operations, EnclosingArithmetic):
            return super().apply(run, rows, last_only=last_only)
        ends = np.full(run.operations.numbers(rows).shape[:-1], 10**6)
        return run.operations.reals_between(Ratios(-ends, 1), Ratios(ends, 1))


@pytest.mark.parametrize("kind", [StructuredTorchArithmetic, EngineArithmetic, NumpyArithmetic])
def test_bounds_of_code_of_other_authors_allow_no_wrong_case(kind: Callable[[str], Arithmetic[Any, Any, Any]]) -> None:
    """They are as wide as that code likes, so that any margin would lie within them."""
    assert exhaust(Lied(5, LIES["in torch"], Bounding), kind("float32")).holds is None
    assert exhaust(Lied(5, lambda _: False, Bounding), kind("float32")).holds
