"""Unknown tokens that are kept one by one until something mixes them with other rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from constructions import Attention, Head, Linear, Ratios
from constructions.validation import IntArray
from tests.certificates.own import Given, nearest, rounded
from tests.mutation.certifier_killers import Killer
from tests.mutation.certifier_relations import balls_of_tokens, floats_of_tokens
from verify.certificates import BallArithmetic, RoundedArithmetic, all_targets, certify
from verify.certificates.cells import BATCH_NUMBERS
from verify.certificates.relational import alternatives
from verify.certificates.relational.alternatives import Choice

V = 5
ARITHMETICS = pytest.mark.parametrize(
    "arithmetic", [BallArithmetic(), rounded(), rounded("bfloat16")], ids=lambda each: each.name
)


def _echo(targets: IntArray, users: IntArray) -> IntArray:
    return targets


def _beside_zeros(targets: Any) -> Ratios:
    zero = 0 * targets[:, None, :1]
    return Ratios(np.concatenate([zero] * V + [targets[:, None, :]], axis=2), 1)


def one_hot(*, first: bool = False) -> Given:
    """Return a model that reads its prompt at position 0, by the sum of one-hot embeddings: 2 there, and 1 elsewhere.

    Args:
        first: whether a linear layer comes first, which adds the coordinates up.

    """
    embedding = [[int(row == column) for column in range(V)] for row in range(V)] + [[0] * V] * 2
    code = [[int(row == column) for column in range(V + 4)] for row in range(V + 4)]
    total = [[1] * V + [0] * 4]
    layers: tuple[Any, ...] = ()
    if first:  # the sum is coordinate 0, and the next four are what the prompt holds, and the position
        layers = (Linear([*total, *code[V:]], [[0]] * 5, name="first"),)
        code, total = [row[V - 1 :] for row in code], [[1] + [0] * 4]
    nothing, (t0, t1, p0, p1) = [0] * len(total[0]), code[V:]
    key = [[a + 2 * b for a, b in zip(total[0], p0, strict=True)]]
    ask = [[a + b for a, b in zip(p0, p1, strict=True)]]
    attention = Attention(
        (
            Head("read", ask, key, [t0, t1, nothing, nothing]),
            Head("self", [p0, p1], [p0, p1], [nothing, nothing, p0, p1]),
        )
    )
    gate = Linear([[1, 0, V, 0], [0, 1, 0, V]], [[-V], [-V]], name="gate")
    joined = Linear([[1, 1]], [[0]], name="joined")
    return Given(
        vocab_size=V,
        entries=2,
        embedding=embedding,
        layers=(*layers, attention, gate, joined, nearest(V)),
        steps=2,
        encoding=_beside_zeros,
        promise=_echo,
    )


@pytest.mark.share(2)
@ARITHMETICS
@pytest.mark.parametrize("first", [False, True])
def test_a_model_of_one_hot_embeddings_is_certified_by_its_columns_alone(
    arithmetic: BallArithmetic | RoundedArithmetic, monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    assert certify(one_hot(first=first), arithmetic, points=1).holds is True
    monkeypatch.setattr(all_targets, "relational", lambda arithmetic: None)
    verdict = certify(one_hot(first=first), arithmetic, points=1)
    assert verdict.holds is None
    assert "not decided" in str(verdict.reason)


@pytest.mark.share(1)
@pytest.mark.parametrize(
    "killer", [floats_of_tokens("bfloat16", 60), floats_of_tokens("float64", 30), balls_of_tokens(15)]
)
def test_what_kernels_make_of_unknown_tokens_lies_within_the_bounds(killer: Killer) -> None:
    with np.errstate(all="ignore"):
        assert killer() == []


def test_a_table_takes_no_more_memory_than_a_batch_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = Choice(np.array([3]), np.array([10]))
    assert choice.fits(BATCH_NUMBERS // 8)
    assert not choice.fits(BATCH_NUMBERS // 8 + 1)
    # the widest row of the model, with its position, has V + 4 numbers; one less is not enough, and nothing is shown
    for numbers, holds in ((V * (V + 4), True), (V * (V + 4) - 1, None)):
        monkeypatch.setattr(alternatives, "BATCH_NUMBERS", numbers)
        assert certify(one_hot(), rounded(), points=1).holds is holds


@ARITHMETICS
def test_another_promise_is_not_certified(arithmetic: BallArithmetic | RoundedArithmetic) -> None:
    wrong = replace(one_hot(), promise=lambda targets, users: targets[:, ::-1])
    assert certify(wrong, arithmetic, points=1).holds is None
