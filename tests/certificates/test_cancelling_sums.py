"""Sums of several rows that cancel one another: what is lost before the last addition is not small beside the sum."""

from __future__ import annotations

import numpy as np
import pytest

from constructions import Linear
from constructions.layers import Layer, RMSNorm, Sum
from tests.certificates.own import Given, rounded
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import BallArithmetic, certify
from verify.running.model import bind_construction
from verify.running.respond import respond

#: 256 + 1 is 256 in bfloat16, so that the sum is 0 there, and 2 in exact arithmetic.
_TERMS = (256, 1, 1, -256)


def _cancelling() -> Given:
    """Return a model whose first number is 2t by a sum of four, beside a 1: it answers 1 where ``2t > 1``."""

    def term(index: int, factor: int) -> Layer:
        weight = [[factor, 0], [0, int(index == 0)]]
        return Linear(weight, activation=None, name=f"term {index}")

    terms = tuple(term(index, factor) for index, factor in enumerate(_TERMS))
    readout = Linear([[0, 1], [1, 0]], activation=None, name="readout")
    layers = (Sum(terms, name="sum"), RMSNorm(0, name="norm"), readout)
    return Given(2, 1, [[0, 0]], layers)


def test_a_sum_of_four_rows_that_cancel_is_not_certified_in_bfloat16() -> None:
    construction = _cancelling()
    assert certify(construction, BallArithmetic(), points=1).holds is True
    model, targets = bind_construction(construction, TorchArithmetic("bfloat16")), np.array([[0], [1]])
    users = np.zeros((2, 0), dtype=np.int64)
    prompt = model.arithmetic.prompt(construction.virtual_tokens(targets))
    made = respond(model, construction, prompt, users).answers
    assert made.tolist() == [[0], [0]]
    assert certify(construction, rounded("bfloat16"), points=1).holds is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_model_is_certified_where_nothing_is_lost(dtype: str) -> None:
    assert certify(_cancelling(), rounded(dtype), points=1).holds is True
