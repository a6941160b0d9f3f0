"""What a step is said to read is held against drawn inputs before anything trusts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from constructions import Domain, InvalidArgument, Layout, Reads, Specification, TargetSpace, UnconditionalGeneration
from verify.evidence.reads import contradiction


@dataclass(frozen=True, repr=False)
class Running(Specification):
    """Running sums: step t is the answer before it plus the input's place t, modulo V."""

    vocab_size: int = 5
    said: Any = None
    layout = Layout(virtual=0, user=4, response=3)
    targets = TargetSpace(1, (0,))

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        return np.cumsum(user_inputs[:, :3], axis=1) % self.vocab_size

    def reads(self, step: int) -> Any:
        return None if self.said is None else self.said(step)


def _right(step: int) -> Reads:
    return Reads((step,), (step - 1,) if step else ())


def test_nothing_contradicts_what_is_true_or_not_said() -> None:
    for step in range(3):
        assert contradiction(Running(said=_right), step) is None
        assert contradiction(Running(), step) is None
        assert contradiction(Running(said=lambda _: Reads((0, 1, 2, 3))), step) is None
    assert contradiction(UnconditionalGeneration(3, 2), 1) is None


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (lambda step: Reads(()), 0),
        (lambda step: Reads((step + 1,)), 0),
        (lambda step: Reads((step,)), 1),
        (lambda step: Reads((), (step - 1,)), 2),
        (lambda step: Reads((step,), (0,)), 2),
    ],
)
def test_two_inputs_contradict_what_is_false(said: Any, step: int) -> None:
    found = contradiction(Running(said=said), step)
    assert found is not None
    assert found.startswith(f"step {step} does not depend on Reads(")


def test_a_rare_dependence_is_met_where_the_read_places_agree() -> None:
    @dataclass(frozen=True, repr=False)
    class Sometimes(Running):
        def answer(self, targets: Any, user_inputs: Any) -> Any:
            return super().answer(targets, user_inputs) * (user_inputs[:, 3:] != 4)

    assert contradiction(Sometimes(said=lambda step: Reads((0, 1, 2))), 2) is not None
    assert contradiction(Sometimes(said=lambda step: Reads((0, 1, 2, 3))), 2) is None


def test_in_a_domain_only_its_inputs_are_drawn() -> None:
    @dataclass(frozen=True, repr=False)
    class Equal(Running):
        @property
        def domain(self) -> Domain:
            return Domain.of(5, 4, lambda x: x[:, 0] == x[:, 3])

    assert contradiction(Equal(said=lambda step: Reads((3,))), 0) is None  # there the last place is the first


@pytest.mark.parametrize(
    "said", [(0,), Reads((4,)), Reads((-1,)), Reads((0,), (1,)), Reads((0,), (-1,)), Reads((True,)), 3]
)
def test_places_that_there_are_not_are_refused(said: Any) -> None:
    with pytest.raises(InvalidArgument, match="reads"):
        contradiction(Running(said=lambda _: said), 1)
    for step in (-1, 3):
        with pytest.raises(InvalidArgument, match="step"):
            contradiction(Running(said=_right), step)
