"""The models of the documentation: exhausted, certified and exported, and told from wrong ones."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import verify
from constructions import HandBuilt, Linear
from docs.examples.adder import adder, sums
from docs.examples.induction_head import induction_head, promise
from verify.certificates import certificate_arithmetic, certify

MODELS = {"adder": (adder(), sums(), 10**4), "induction head": (induction_head(3, 5), promise(3, 5), 36)}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["numpy", "torch", "structured"])
def test_it_is_exhausted_in_floats(name: str, kind: str) -> None:
    model, _, cases = MODELS[name]
    verdict = verify.exhaust(model, verify.get_arithmetic(kind, dtype="float32"))
    assert (verdict.holds, verdict.cases, verdict.margin) == (True, cases, 1)


def test_the_induction_head_is_exhausted_exactly_and_certified() -> None:
    model = MODELS["induction head"][0]
    verdict = verify.exhaust(model, verify.RationalArithmetic())
    assert (verdict.holds, verdict.cases, verdict.margin) == (True, 36, 1)
    for arithmetic in (certificate_arithmetic("ball"), certificate_arithmetic("rounded", "float32")):
        found = certify(model, arithmetic)
        assert (found.holds, found.cases) == (True, 36)


@pytest.mark.heavy
@pytest.mark.parametrize("arithmetic", ["ball", "rounded"])
def test_the_adder_is_certified(arithmetic: str) -> None:
    found = certify(adder(), certificate_arithmetic(arithmetic))
    assert (found.holds, found.cases) == (True, 10**4)


@pytest.mark.parametrize("name", MODELS)
def test_with_a_readout_of_the_next_token_it_is_falsified(name: str) -> None:
    model, promised, _ = MODELS[name]
    layers = model.transformer.layers
    weight = np.array(model.transformer.lowered.readout.weight.to_fractions())
    shifted = np.roll(weight, 1, axis=0).tolist()
    wrong = replace(model.transformer, layers=(*layers[:-1], Linear(shifted, activation=None, name="readout")))
    verdict = verify.exhaust(HandBuilt.of(wrong, promised), verify.NumpyArithmetic("float32"))
    assert verdict.holds is False


@pytest.mark.parametrize("build", [adder, induction_head])
def test_it_takes_fewer_than_thirty_lines(build: Any) -> None:
    assert len(inspect.getsource(build).splitlines()) < 30
