"""The factor of a norm is kept as a symbol, and drops out of an argmax."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint
import numpy as np
import pytest
import sympy as sp

from constructions import Added, Attention, Head, L2Norm, LayerNorm, Linear, Ratios, Residual, RMSNorm, Transformer
from constructions.layers import Norm
from constructions.lowering import lower
from tests.certificates.own import Given, read_first, rounded
from tests.mutation.certifier_killers import Killer
from tests.mutation.certifier_symbols import scaled, symbols
from verify.certificates import BallArithmetic, all_targets, certify
from verify.certificates.balls.columns import Column, ball_precision
from verify.certificates.relational.forms import Form, Unknown
from verify.certificates.relational.monomials import margins, normalise

V = 5


def final_norm(norm: Norm) -> Given:
    """Return a model whose readout reads an entry through a norm of a row that holds another entry, and 1, as well."""

    def encoded(targets: Any) -> Ratios:
        tokens = targets[:, None, :]
        return Ratios(np.concatenate([tokens, 0 * tokens[..., :1] + 1, -tokens, 0 * tokens[..., :1] - 1], axis=2), 1)

    half = [[Fraction(v), 0, Fraction(-(v**2), 2)] for v in range(V)]
    weight = [row + [-entry for entry in row] for row in half]  # each row sums to 0, and reads no mean
    return Given(
        vocab_size=V,
        entries=2,
        embedding=[[0] * V] * 6,
        layers=(read_first(6, 1), norm, Linear(weight, None, activation=None, name="readout")),
        encoding=encoded,
    )


@pytest.mark.parametrize("norm", [RMSNorm(), RMSNorm(eps=1e-5), LayerNorm()], ids=lambda norm: type(norm).__name__)
def test_one_norm_before_the_readout(norm: Norm, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = certify(final_norm(norm), BallArithmetic())
    assert verdict.holds is True
    for finer in ("relational", "factored"):
        monkeypatch.setattr(all_targets, finer, lambda arithmetic: None)
    assert certify(final_norm(norm), BallArithmetic()).holds is None


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("norm", [RMSNorm(), L2Norm(eps=1e-5)], ids=lambda norm: type(norm).__name__)
def test_one_norm_before_the_readout_in_floats(norm: Norm, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = certify(final_norm(norm), rounded(dtype), points=1)
    assert verdict.holds is True
    for finer in ("relational", "factored"):
        monkeypatch.setattr(all_targets, finer, lambda arithmetic: None)
    assert certify(final_norm(norm), rounded(dtype), points=1).holds is None


N, BIG = 3, 32


@dataclass(frozen=True, repr=False)
class Marked(Given):
    """A construction of given parts, whose positions are told apart by a table."""

    table: Any = None

    @cached_property
    def transformer(self) -> Transformer:
        return Transformer(self.embedding, self.layers, self.layout.context_size, positions=Added(self.table))


def pre_norm() -> Given:
    """Return Theorem 1 as a pre-norm model of which no sum reads a mean.

    A row holds the target's entries and 1, the code of its position and 1, what attention reads of the first two, and
    what the MLP writes; and all of it negated, so that what is read of both halves sums to 0. Attention is uniform.
    Unit ``j`` of the MLP is ``relu(y_j + BIG [position = j] - BIG)``: the entry at the position of the response.
    """
    entry, one, code, level = range(N), N, range(N + 1, 2 * N + 1), 2 * N + 1
    read, read_one, written, written_one = range(2 * N + 2, 3 * N + 2), 3 * N + 2, 3 * N + 3, 3 * N + 4
    half = 3 * N + 5

    def reading(rows: dict[int, dict[int, int]], count: int) -> list[list[Fraction]]:
        """Return a matrix that reads the mean of both halves, the other one negated."""
        left = [[Fraction(rows.get(row, {}).get(column, 0), 2) for column in range(half)] for row in range(count)]
        return [row + [-value for value in row] for row in left]

    def doubled(rows: list[list[Any]]) -> list[list[Any]]:
        """Return a matrix that writes both halves."""
        return rows + [[-value for value in row] for row in rows]

    copied = {**{read[at]: {entry[at]: 1} for at in range(N)}, read_one: {one: 1}}
    attention = Attention((Head("mean", reading({}, 1), reading({}, 1), doubled(reading(copied, half))),))
    units = {**{at: {read[at]: 1, code[at]: BIG, level: -BIG} for at in range(N)}, N: {read_one: 1}}
    hidden = Linear(reading(units, N + 1), [[0]] * (N + 1), name="hidden")
    out = [[0] * (N + 1) for _ in range(half)]
    out[written], out[written_one] = [1] * N + [0], [0] * N + [1]
    logits = reading({v: {written: 4 * v, written_one: -2 * v**2} for v in range(V)}, V)

    def encoded(targets: Any) -> Ratios:
        rows = targets[:, None, :]
        zero = 0 * rows[..., :1]
        left = np.concatenate([rows, zero + 1, *([zero] * (half - N - 1))], axis=2)
        return Ratios(np.concatenate([left, -left], axis=2), 1)

    return Marked(
        vocab_size=V,
        entries=N,
        embedding=[[0] * V] * (2 * half),
        layers=(
            Residual((LayerNorm(name="norm 1"), attention), name="residual 1"),
            Residual(
                (LayerNorm(name="norm 2"), hidden, Linear(doubled(out), None, activation=None, name="out")),
                name="residual 2",
            ),
            LayerNorm(name="norm 3"),
            Linear(logits, None, activation=None, name="readout"),
        ),
        steps=N,
        encoding=encoded,
        promise=lambda targets, users: targets,
        table=doubled([[int(row in (code[at], level)) for at in range(N)] for row in range(half)]),
    )


def test_a_pre_norm_model_of_theorem_1(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = certify(pre_norm(), BallArithmetic())
    assert verdict.holds is True, verdict.reason
    for finer in ("relational", "factored"):
        monkeypatch.setattr(all_targets, finer, lambda arithmetic: None)
    assert certify(pre_norm(), BallArithmetic()).holds is None


@pytest.mark.parametrize("killer", [scaled("bfloat16", "float64", rounds=20), lambda: symbols(12)])
def test_margins_of_members_are_above_their_bounds(killer: Killer) -> None:
    with np.errstate(all="ignore"):
        assert killer() == []


def test_what_is_not_a_number_decides_nothing() -> None:
    with ball_precision():
        arithmetic = BallArithmetic()
        weight, bias = (arithmetic.weight(lower(matrix, {})) for matrix in (sp.Matrix([[1], [0]]), sp.zeros(2, 1)))
        for value, certain in ((flint.arb("nan"), False), (flint.arb(0, "inf"), False), (flint.arb(1), True)):
            unknown = Unknown(Column(*(np.array([value], dtype=object) for _ in range(2))))
            row: tuple[Form, ...] = ({frozenset(): {unknown: flint.fmpq(1)}},)
            assert (margins(row, weight, bias, np.array([0])) > 0).all() == certain
            assert normalise((row,), centred=False, mean=True, eps=Fraction(0)) is None or certain


def test_another_promise_is_not_certified() -> None:
    wrong = replace(pre_norm(), promise=lambda targets, users: targets[:, ::-1])
    assert certify(wrong, BallArithmetic(), points=1).holds is None
