"""Softmax with one more in the denominator, in every arithmetic, against the formula written plainly."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import verify
from constructions import Hardmax, Head, InvalidArgument, Linear, RationalSoftmax, Softmax, Transformer, Unmarked
from constructions.layers import Softmax1Attention
from constructions.temperature import Temperature
from verify.certificates.all_targets import certificate_arithmetic
from verify.certificates.balls.columns import ball_precision
from verify.running.model import Cache, bind, forward

QUERY, KEY = np.array([1, 0, -1]), np.array([1, 2, -3])
TOKENS = np.array([0, 2, 1, 0])
ONE: Any = np.eye(3, dtype=int).tolist()


def _model(arithmetic: Any, temperature: Temperature) -> Any:
    first = Head("a", query=[QUERY.tolist()], key=[KEY.tolist()], value=ONE)
    second = Head("b", query=[(-QUERY).tolist()], shares="a")
    layers = (Softmax1Attention((first, second)), Linear(ONE, activation=None))
    exact = Transformer(ONE, layers, 4, positions=Unmarked()).lowered
    return bind(exact, arithmetic, temperature, mask="causal")


def _tokens(arithmetic: Any) -> Any:
    return TOKENS[None] if arithmetic.batched else TOKENS


def _plain(base: Any, one: Any) -> Any:
    """Return what both heads give in sum, with ``base`` to the power of each score; the sink weighs ``one``."""
    queries, keys = QUERY[TOKENS], KEY[TOKENS]
    out = [[one * 0] * 3 for _ in TOKENS]
    for sign in (1, -1):
        for i in range(len(TOKENS)):
            factors = [base ** int(sign * queries[i] * keys[j]) for j in range(i + 1)]
            for j, factor in enumerate(factors):
                out[i][TOKENS[j]] += factor / (one + sum(factors))
    return np.array(out)


@pytest.mark.parametrize("kind", ["numpy", "torch", "structured"])
def test_floats_are_near_the_formula(kind: str) -> None:
    arithmetic = verify.get_arithmetic(kind, dtype="float64")
    model = _model(arithmetic, Softmax(1.0))
    found = arithmetic.numbers(forward(model, arithmetic.embed(model.embedding, _tokens(arithmetic)), 4))[0]
    # weights are at most 1, each made by exp, a sum of five and a quotient, then two heads of four terms are added
    assert np.abs(found - _plain(np.e, 1.0)).max() < 40 * np.finfo(np.float64).eps


def test_rationals_are_the_formula() -> None:
    arithmetic = verify.RationalArithmetic()
    model = _model(arithmetic, RationalSoftmax(Fraction(3, 2)))
    found = arithmetic.numbers(forward(model, arithmetic.embed(model.embedding, TOKENS), 4))
    assert (found == _plain(Fraction(3, 2), Fraction(1))).all()


def test_at_hardmax_negative_scores_attend_to_nothing() -> None:
    arithmetic = verify.RationalArithmetic()
    model = _model(arithmetic, Hardmax())
    found = arithmetic.numbers(forward(model, arithmetic.embed(model.embedding, TOKENS), 4))
    # the first position: scores 1 and -1 on itself; the third: scores of 0 everywhere, shared by four places
    assert found[0].tolist() == [1, 0, 0]
    assert found[2].tolist() == [Fraction(1, 2)] * 3


def test_step_by_step_is_one_pass() -> None:
    arithmetic = verify.RationalArithmetic()
    model = _model(arithmetic, RationalSoftmax(Fraction(2)))
    whole = arithmetic.numbers(forward(model, arithmetic.embed(model.embedding, TOKENS), 4))
    cache: Any = Cache()
    for place, token in enumerate(TOKENS):
        row = forward(model, arithmetic.embed(model.embedding, np.array([token])), 1, cache=cache)
        assert (arithmetic.numbers(row)[0] == whole[place]).all()
    alone = forward(model, arithmetic.embed(model.embedding, TOKENS), 4, last_only=True)
    assert (arithmetic.numbers(alone)[0] == whole[-1]).all()


def test_bounds_hold_the_formula() -> None:
    exact = _plain(np.e, 1.0)
    with ball_precision(), np.errstate(all="ignore"):  # as a certificate runs
        for arithmetic in (certificate_arithmetic("ball"), certificate_arithmetic("rounded", "float64")):
            model = _model(arithmetic, Softmax(1.0))
            rows = arithmetic.embed(model.embedding, _tokens(arithmetic))
            bounds = np.broadcast_to(arithmetic.numbers(forward(model, rows, 4)), (1, 4, 3, 2))[0]
            slack = 40 * np.finfo(np.float64).eps  # of the plain formula in float64, see above
            assert (bounds[..., 0] <= exact + slack).all()
            assert (bounds[..., 1] >= exact - slack).all()
            assert (bounds[..., 1] - bounds[..., 0] < 4 * slack).all()


def test_a_score_bias_is_refused() -> None:
    head = Head("a", query=[[1, 0, 0]], key=[[1, 0, 0]], value=ONE, score_bias=[[0] * 4] * 4)
    with pytest.raises(InvalidArgument, match=r"head a: expected no score bias, which has no entry for the place that"):
        Softmax1Attention((head,))


def test_a_head_may_share_with_one_that_shares() -> None:
    query = [QUERY.tolist()]
    heads = (Head("a", query=query, key=[KEY.tolist()], value=ONE), Head("b", query=query, shares="a"))
    layers = [Softmax1Attention((*heads, Head("c", query=query, shares=name))) for name in ("a", "b")]
    assert [sink.value.shape for sink in layers[1].sinks] == [(3, 1)] * 3
    arithmetic = verify.RationalArithmetic()
    outputs = []
    for layer in layers:
        exact = Transformer(ONE, (layer, Linear(ONE, activation=None)), 4, positions=Unmarked()).lowered
        model = bind(exact, arithmetic, RationalSoftmax(Fraction(2)), mask="causal")
        outputs.append(arithmetic.numbers(forward(model, arithmetic.embed(model.embedding, TOKENS), len(TOKENS))))
    assert (outputs[0] == outputs[1]).all()


def test_a_head_that_is_not_there_cannot_be_shared() -> None:
    layer = Softmax1Attention((Head("a", query=[[1, 0, 0]], shares="nobody"),))
    with pytest.raises(InvalidArgument, match=r"shares of head a .*: expected an earlier head .* got 'nobody'"):
        _ = Transformer(ONE, (layer, Linear(ONE, activation=None)), 4, positions=Unmarked()).lowered
