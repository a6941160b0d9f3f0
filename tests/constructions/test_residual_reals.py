"""Residual constructions over the real numbers, gelu and silu as they are: forward passes on balls, case by case."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

from constructions import Linear, ResidualConditional, ResidualGeneration, Transformer
from constructions.residual import ResidualConstruction
from constructions.residual.architectures import ArchitectureName
from constructions.temperature import Softmax
from tests.constructions.test_residual_bounds import bound_to, mutated
from tests.constructions.test_residual_constructions import NAMES, N, V, adversarial
from verify.certificates import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.running.model import bind, forward

#: In the default tier one with gelu and one with silu.
SOME = [pytest.param(name, marks=() if name in ("gpt2", "llama") else pytest.mark.heavy) for name in NAMES]


def _logits(construction: ResidualConstruction, targets: Any, inputs: Any, *, bits: int = 128) -> Any:
    """Return enclosures of the logits where the response is read, the response fed back as promised."""
    arithmetic, fetched = BallArithmetic(), construction.fetched
    with ball_precision(bits):
        model = bind(construction.transformer.lowered, arithmetic, Softmax(1.0), mask=construction.mask)
        rows = arithmetic.prompt(construction.virtual_tokens(targets))
        if inputs.shape[1]:
            rows = arithmetic.below(rows, arithmetic.embed(model.embedding, inputs))
        found = arithmetic.numbers(forward(model, rows, construction.layout.context_size))
    return found[:, fetched.first :]


def _decided(logits: Any, answers: Any) -> bool:
    """Return whether each answer's logit lies above all others."""
    low, high = logits[..., 0], logits[..., 1].copy()
    own = answers[..., None]
    least = np.take_along_axis(low, own, axis=2)[..., 0]
    np.put_along_axis(high, own, -np.inf, axis=2)
    return bool((least > high.max(axis=2)).all())


@pytest.mark.parametrize("name", SOME)
def test_theorem_1_over_the_reals(name: ArchitectureName) -> None:
    targets = adversarial(N, V, 12)
    made = ResidualGeneration(V, N, architecture=name)
    assert _decided(_logits(made, targets, targets[:, :-1]), targets)
    made = ResidualGeneration(V, N, start_token=True, architecture=name)
    assert _decided(_logits(made, targets, np.concatenate([targets[:, :1], targets[:, :-1]], axis=1)), targets)


@pytest.mark.parametrize("name", SOME)
def test_theorem_2_over_the_reals(name: ArchitectureName) -> None:
    maps, inputs = adversarial(V, V, 12), np.arange(12)[:, None] * 8
    answers = np.take_along_axis(maps, inputs, axis=1)
    assert _decided(_logits(ResidualConditional(V, architecture=name), maps, inputs), answers)
    tied = ResidualConditional(V + 5, alphabet_size=V, tied=True, architecture=name)
    assert _decided(_logits(tied, maps, inputs), answers)


def test_a_blunt_activation_is_not_shown_over_the_reals() -> None:
    targets = adversarial(N, V, 12)
    blunt = mutated(ResidualGeneration(V, N), bound_to(gamma=16))
    assert not _decided(_logits(blunt, targets, targets[:, :-1]), targets)


def _reading(construction: ResidualConstruction, token: int) -> Transformer:
    """Return the transformer whose first two logits are ``z - (y/V) o`` and ``o``; the others are 0."""
    transformer, stream, letters = construction.transformer, construction.stream, construction.letters
    selected, scale, zero = (
        [stream.names.index(name)] if name in stream.names else [] for name in ("selected", "scale", "zero")
    )
    part = sp.Rational(token, letters)
    grid = [[sp.ZeroMatrix(letters, size) for _, size in stream.blocks]]
    for at, (first, second) in ((selected, (1, 0)), (scale, (-part, 1)), (zero, (part - 1, -1))):
        for column in at:
            grid[0][column] = sp.Matrix([first, second] + [0] * (letters - 2))
    readout = Linear(sp.BlockMatrix(grid), None, None, "readout")
    return replace(transformer, layers=(*transformer.layers[:-1], readout))


@pytest.mark.parametrize(("letters", "length"), [(V, N), (7, 3), pytest.param(1000, 30, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("name", NAMES)
def test_activations_leave_less_than_half_a_unit_roundoff(name: ArchitectureName, letters: int, length: int) -> None:
    """``z/o`` is the selected number, up to 2^-54 of the smallest difference; the smallest number is the hardest."""
    targets = np.ones((3, length), dtype=np.int64)
    targets[1, :-1], targets[2, :-1] = letters - 1, 0
    made = ResidualGeneration(letters, length, architecture=name)
    found = _logits(mutated(made, lambda _: _reading(made, 1)), targets, targets[:, :-1], bits=256)[:, -1]
    for low, high in ((found[case, 0], found[case, 1]) for case in range(3)):
        assert high[0] > 0
        assert Fraction(float(np.abs(low).max())) / Fraction(float(high[0])) < Fraction(1, 2**54 * letters)
