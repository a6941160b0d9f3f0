"""The obligations about several digits are discharged, and fail on weights that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp

from constructions import Transformer
from proofs import ObligationError
from proofs.digits import OBLIGATIONS
from tests.proofs.mutations import block, doubled, doubled_blocks, head, linear, ones, zeros

BY_ID = {obligation.id: obligation for obligation in OBLIGATIONS}

MUTANTS: dict[str, list[Callable[[Transformer], Transformer]]] = {
    "digits.select": [
        head("attention", "self", "value", block(0, 2, zeros)),
        head("attention", "self", "value", block(1, 2, lambda part: sp.Identity(part.shape[0]))),
        head("attention", "first", "value", block(1, 1, doubled)),
        head("attention", "first", "value", block(0, 1, ones)),
        linear("select", activation=None),
        linear("select", weight=block(1, 0, lambda part: sp.Identity(part.shape[0]))),
    ],
    "digits.hat": [
        linear("sum", activation=None),
        linear("sum", weight=block(0, 1, ones)),
        linear("sum", bias=block(1, 0, doubled)),
        linear("readout", weight=doubled_blocks),
        linear("readout", weight=block(0, 1, zeros)),
        linear("readout", bias=doubled),
    ],
    "digits.split": [
        linear("sum", activation=None, bias=zeros),
        linear("sum", weight=block(0, 0, doubled)),
        linear("readout", weight=block(0, 3, zeros)),
        linear("readout", bias=doubled),
    ],
}


def _tier(name: str) -> Any:
    """Leave the readouts, seconds each, to the heavy tier."""
    return pytest.mark.heavy if name in {"digits.hat", "digits.split"} else ()


@pytest.mark.parametrize("name", [pytest.param(name, marks=_tier(name)) for name in BY_ID])
def test_an_obligation_is_discharged(name: str) -> None:
    proof = BY_ID[name].discharge()
    assert proof.holds
    assert all(decision.what and decision.shown for decision in proof.decisions)


@pytest.mark.parametrize(
    ("name", "mutation"),
    [pytest.param(name, mutation, marks=_tier(name)) for name, found in MUTANTS.items() for mutation in found],
)
def test_an_obligation_fails_on_a_mutant(name: str, mutation: Any) -> None:
    with pytest.raises(ObligationError):
        BY_ID[name].discharge(mutation(BY_ID[name].subject()))
