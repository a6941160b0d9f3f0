"""Balls hold the exact rationals, at every intermediate, wherever both exist, and cells those of all their members."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
)
from tests.certificates.own import rounded
from verify.arithmetic import RationalArithmetic
from verify.certificates import BallArithmetic
from verify.certificates.all_targets import bind_for_certificate, readout_input
from verify.certificates.balls.arithmetic import BallRows, BallScores
from verify.certificates.balls.columns import Column, ball, ball_precision, relu_column
from verify.certificates.balls.margins import ball_margins
from verify.certificates.cells import cells
from verify.running.model import bind_construction, forward
from verify.running.trace import Trace

_CONSTRUCTIONS = [
    UnconditionalGeneration(3, 2),
    UnconditionalGeneration(2, 3, mask="none"),
    UnconditionalGeneration(3, 2, temperature=Hardmax()),
    UnconditionalGeneration(3, 2, temperature=RationalSoftmax(Fraction(1, 3))),
    ConditionalGeneration(3, temperature=RationalSoftmax(Fraction(5, 7))),
    LongerResponses(2, 2),
    LongerInputs(2, 2),
    LongerInputs(2, 2, lift="mask", mask="none", temperature=RationalSoftmax(Fraction(900))),
]


def _holds(low: Any, high: Any, exact: Fraction) -> bool:
    """Return whether a number may be between two balls: certainly not outside."""
    value = ball(exact)
    return not (value < low.lower() or value > high.upper())


def _balls_of(value: BallRows | BallScores) -> tuple[Any, Any]:
    """Return bounds of shape batch x rows x width."""
    if isinstance(value, BallScores):
        return value.low, value.high
    parts = []
    for end in ("low", "high"):
        columns = [
            np.full((value.batch, value.rows), flint.arb(0), dtype=object)
            if column is None
            else np.broadcast_to(getattr(column, end), (value.batch, value.rows))
            for column in value.columns
        ]
        parts.append(np.stack(columns, axis=-1))
    return parts[0], parts[1]


class _Kept(Trace):
    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, BallRows | BallScores] = {}

    def record(self, name: str, arithmetic: Any, value: Any) -> None:
        self.kept[name] = value


@pytest.mark.parametrize("construction", _CONSTRUCTIONS, ids=repr)
def test_balls_hold_every_exact_intermediate_of_every_member_of_a_cell(construction: Construction) -> None:
    exact = bind_construction(construction, RationalArithmetic())
    # the default temperature is that of exact arithmetic in both
    compared = 0
    rng = np.random.default_rng(1)
    with ball_precision():
        bound = bind_for_certificate(construction, BallArithmetic())
        batches = list(cells(construction, budget=10_000))
        for batch in [batches[0], batches[-1]]:
            trace = _Kept()
            readout_input(bound, batch, trace=trace)
            for cell in {0, len(batch.expected) - 1, len(batch.expected) // 2}:
                members = construction.targets.sample(2, seed=int(rng.integers(100)))
                member = _into(construction, batch, cell, members[0])
                if member is None:
                    continue
                found = Trace()
                prompts = construction.virtual_tokens(member)
                fed = construction.response(member, batch.user_low[cell])[: batch.step]
                tokens = np.concatenate([batch.user_low[cell], fed]).astype(np.int64)
                rows = RationalArithmetic().prompt(prompts)
                if len(tokens):
                    rows = RationalArithmetic().below(rows, RationalArithmetic().embed(exact.embedding, tokens))
                model = exact.without_readout()
                count = construction.layout.virtual + len(tokens)
                forward(model, rows, count, last_only=True, trace=found)
                assert list(found.steps) == list(trace.kept)
                for name, numbers in found.steps.items():
                    low, high = _balls_of(trace.kept[name])
                    at = 0 if low.shape[0] == 1 else cell
                    assert low[at].shape == numbers.shape
                    for place in np.ndindex(numbers.shape):
                        assert _holds(low[at][place], high[at][place], _fraction(numbers[place])), (name, place)
                        compared += 1
    assert compared > 40


def _fraction(number: Any) -> Fraction:
    return Fraction(number)


def _into(construction: Construction, batch: Any, cell: int, target: Any) -> Any:
    """Return the target, or the witness of a cell, if it is in the cell; ``None`` if neither is."""
    for candidate in (target, batch.witness[cell]):
        prompt = construction.encode(np.asarray(candidate)[None]).numerators[0]
        inside = (batch.low.numerators[cell] <= prompt) & (prompt <= batch.high.numerators[cell])
        answer = construction.response(candidate, batch.user_low[cell])
        if inside.all() and int(answer[batch.step]) == batch.expected[cell]:
            return candidate
    return None


def test_the_margins_of_balls_are_below_the_exact_ones() -> None:
    construction = UnconditionalGeneration(4, 2)
    exact = bind_construction(construction, RationalArithmetic())
    with ball_precision():
        bound = bind_for_certificate(construction, BallArithmetic())
        for batch in cells(construction, budget=100):
            margins = ball_margins(readout_input(bound, batch), bound.readout.weight, bound.bias, batch.expected)
            for cell, target in enumerate(batch.witness):
                rows = RationalArithmetic().prompt(construction.virtual_tokens(target))
                tokens = target[: batch.step]
                if len(tokens):
                    rows = RationalArithmetic().below(rows, RationalArithmetic().embed(exact.embedding, tokens))
                logits = RationalArithmetic().numbers(forward(exact, rows, 1 + len(tokens)))[-1]
                others = [logit for token, logit in enumerate(logits) if token != batch.expected[cell]]
                assert margins.lower[cell] <= logits[batch.expected[cell]] - max(others)
                assert margins.certain[cell]


def test_uncertain_scores_at_a_q_below_one() -> None:
    # the score is the target itself, anything between 0 and 2; at q < 1 the largest score weighs least
    arithmetic = BallArithmetic()
    with ball_precision():
        low, high = (np.array([[[flint.arb(end) for end in ends]]], dtype=object) for ends in ((0, 1), (2, 1)))
        found = arithmetic.attention(
            BallScores(low, high),
            np.ones((1, 2), dtype=np.bool_),
            RationalSoftmax(Fraction(1, 5)),
            key_size=1,
        )
        for score in (Fraction(0), Fraction(1), Fraction(2)):
            weights = [Fraction(1, 5) ** int(score), Fraction(1, 5)]
            for key in range(2):
                assert _holds(found.low[0, 0, key], found.high[0, 0, key], weights[key] / sum(weights))


def test_hardmax_of_scores_that_may_tie_or_lead() -> None:
    arithmetic = BallArithmetic()
    visible = np.ones((1, 3), dtype=np.bool_)

    def weights(low: list[int], high: list[int]) -> list[tuple[float, float]]:
        parts = [np.array([[[flint.arb(value) for value in ends]]], dtype=object) for ends in (low, high)]
        scores = BallScores(parts[0], parts[0] if low == high else parts[1])
        found = arithmetic.attention(scores, visible, Hardmax(), key_size=1)
        return [(float(found.low[0, 0, key]), float(found.high[0, 0, key])) for key in range(3)]

    with ball_precision():
        assert weights([1, 0, 0], [1, 0, 0]) == [(1, 1), (0, 0), (0, 0)]
        assert weights([1, 1, 0], [1, 1, 0]) == [(0.5, 0.5), (0.5, 0.5), (0, 0)]
        assert weights([1, 0, 0], [1, 1, 0]) == [(0, 1), (0, 1), (0, 0)]  # a tie, or not
        assert weights([2, 0, 0], [3, 1, 1]) == [
            (0, 1),
            (0, 0),
            (0, 0),
        ]  # it leads, but is not known


def test_rounded_hardmax_of_scores_that_are_not_known() -> None:
    from verify.certificates.floats.boxes import Box

    arithmetic = rounded()
    visible = np.ones((1, 2), dtype=np.bool_)

    def weights(low: list[float], high: list[float]) -> list[tuple[float, float]]:
        ends = [np.array([[values]]) for values in (low, high)]
        found = arithmetic.attention(Box(ends[0], ends[1], np.full(2, -149)), visible, Hardmax(), key_size=1)
        return [(float(found.low[0, 0, key]), float(found.high[0, 0, key])) for key in range(2)]

    assert weights([1, 0], [1, 0]) == [(1, 1), (0, 0)]
    assert weights([1, 0], [1, 1]) == [(0, 1), (0, 1)]
    tied = weights([1, 1], [1, 1])
    assert all(low <= 0.5 <= high for low, high in tied)
    with np.errstate(all="ignore"):
        assert weights([-np.inf, 0], [np.inf, 0]) == [(-np.inf, np.inf)] * 2


def test_columns_of_tokens_have_a_batch_where_members_differ_alone() -> None:
    balls = BallArithmetic()
    embedding = balls.weight(ConditionalGeneration(3).transformer.lowered.embedding)
    tokens = np.array([[1], [2], [1]])
    rows = balls.embed(embedding, tokens)
    assert rows.batch == 3
    low, high = _balls_of(rows)
    batches = set[int]()
    for at, entries in enumerate(embedding.entries):
        held = dict(entries)
        for member, (token,) in enumerate(tokens.tolist()):
            assert low[member, 0, at] == high[member, 0, at] == held.get(token, flint.arb(0))
        column = rows.columns[at]
        batches |= set() if column is None else {len(column.low)}
        differs = held.get(1, flint.arb(0)) != held.get(2, flint.arb(0))
        assert column is None or differs == (len(column.low) == 3)
    assert batches == {1, 3}


def test_columns_of_tokens_between_two_hold_the_ends_of_each_member() -> None:
    balls = BallArithmetic()
    embedding = balls.weight(ConditionalGeneration(3).transformer.lowered.embedding)
    rows = balls.embed_between(embedding, np.array([[0], [1]]), np.array([[1], [1]]))
    low, high = _balls_of(rows)
    for at, entries in enumerate(embedding.entries):
        first, second = (dict(entries).get(token, flint.arb(0)) for token in (0, 1))
        assert low[0, 0, at] == first.min(second)
        assert high[0, 0, at] == first.max(second)
        assert low[1, 0, at] == high[1, 0, at] == second


def test_relu_of_balls_on_either_side_of_zero_and_of_none() -> None:
    values = [flint.arb(-1), flint.arb(0), flint.arb(2), flint.arb(1, 3), flint.arb(-2, 3), flint.arb("nan")]
    held = np.array([values], dtype=object)
    column = relu_column(Column(held, held))
    assert column is not None
    (found,) = column.low.tolist()
    assert found[:3] == [0, 0, 2]
    for before, after in zip(values[3:5], found[3:5], strict=True):
        assert after.upper() >= before.upper(), "the number may be as large as before"
        assert after.lower() <= 0, "and it may have been below zero"
    assert not found[5] >= 0
    assert not found[5] <= 0
    assert relu_column(Column(held[:, :2], held[:, :2])) is None
