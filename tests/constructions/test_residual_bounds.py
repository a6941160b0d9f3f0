"""Masks and gains: what they allow for is attained, or nearly; one that is too small is caught."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import sympy as sp
import torch

from constructions import LayerNorm, ResidualConditional, ResidualGeneration, Transformer
from constructions.activations import GELU, RELU, SILU, TANH_GELU
from constructions.activations.base import Activation
from constructions.residual import ARCHITECTURES, ResidualConstruction
from constructions.residual.architectures import ArchitectureName
from constructions.residual.bounds import (
    COUNTED_BITS,
    Fetched,
    counted_weight,
    gain,
    mask_weight,
    root_above,
    saturated_from,
)
from constructions.residual.symbols import GAIN, MASK, PLACE_GAIN, WRITTEN
from constructions.residual.tied import written_weight
from tests.constructions.test_residual_constructions import NAMES, N, V, adversarial
from verify import Trace, to_torch

EPS = Fraction(1e-5)


def mutated(construction: ResidualConstruction, change: Callable[[Transformer], Transformer]) -> ResidualConstruction:
    """Return the construction with another transformer in the place of its own."""
    vars(construction)["transformer"] = change(construction.transformer)
    return construction


def bound_to(**numbers: int) -> Callable[[Transformer], Transformer]:
    """Return the change of the numbers of symbols."""

    def change(transformer: Transformer) -> Transformer:
        known = {str(symbol): symbol for symbol in transformer.bindings}
        given = {known[name]: value for name, value in numbers.items()}
        return replace(transformer, bindings={**transformer.bindings, **given})

    return change


def wrong(construction: ResidualConstruction, targets: Any, dtype: str = "float32") -> int:
    """Return how many targets are not generated."""
    module = to_torch(construction, dtype=dtype)
    user = construction.layout.user
    found = module.generate(module.prompt(targets), np.zeros((len(targets), user), dtype=np.int64) if user else None)
    return int((found.numpy() != targets).any(axis=1).sum())


@pytest.mark.parametrize("activation", [TANH_GELU, GELU, SILU])
def test_an_activation_is_saturated_from_its_number_on_and_not_before(activation: Activation) -> None:
    for bits in (10, 54, 80):
        found = saturated_from(activation, bits)
        for at, enough in ((found, True), (found - 1, False)):
            rest = -activation.ball(flint.arb(-at)) / at
            assert (rest <= flint.arb(2) ** -bits) is enough
    for number in (0.5, 3.0, 20.0):  # as much falls short of x as is left of -x
        x = flint.arb(number)
        assert (activation.ball(x) - x - activation.ball(-x)).contains(0)
    held = np.array([float(saturated_from(activation))])
    assert (activation.numpy(held) == held).all()
    assert saturated_from(RELU, 1000) == 0


@pytest.mark.parametrize("activation", [RELU, TANH_GELU, GELU, SILU])
def test_a_gain_is_the_smallest_power_of_two_that_is_enough(activation: Activation) -> None:
    for least, leaking in (
        (Fraction(1, 10**6), Fraction(1)),
        (Fraction(3, 7), Fraction(10**12)),
        (Fraction(4), Fraction(9)),
    ):
        found = gain(activation, least, leaking)
        bits = 54 + math.ceil(root_above(leaking)).bit_length()
        wanted = Fraction(saturated_from(activation, bits)) ** 2
        assert found.bit_count() == 1
        assert found**2 * least >= wanted
        assert found == 1 or (found // 2) ** 2 * least < wanted


def test_a_root_from_above() -> None:
    for value in (Fraction(0), Fraction(1), Fraction(2), Fraction(1, 10**9), Fraction(10**12 + 1)):
        found = root_above(value)
        assert value < found**2
        assert max(Fraction(0), found - Fraction(1, 2**31)) ** 2 <= value


@pytest.mark.parametrize("centred", [True, False])
def test_what_arrives_is_nearly_as_much_as_allowed_for(*, centred: bool) -> None:
    """One number near 1 and the others at the mean make the row short, and its factor large."""
    for ones, first in ((3, 0), (1, 1)):
        fetched = Fetched(45, 20, ones, Fraction(2), first, 19 + first, EPS, centred=centred)
        best = 0.0
        for level in np.linspace(0, 0.5, 101):
            row = np.zeros(45)
            row[:20], row[19], row[20 : 20 + ones] = level, 0.9999, 1
            row = row - row.mean() if centred else row
            factor = 1 / math.sqrt((row**2).mean() + float(EPS))
            best = max(best, 0.9999 * (factor / (first + 1) + fetched.own))
        assert 0.99 * float(fetched.arriving(first)) < best <= fetched.arriving(first)
    assert mask_weight(fetched) - 1 >= fetched.arriving(first) > mask_weight(fetched) - 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", [False, True])
def test_factors_lie_above_their_bounds(name: ArchitectureName, *, start: bool) -> None:
    """In float64 rows, for adversarial targets: what is read is at least as large as the gains rely on."""
    made = ResidualGeneration(V, N, start_token=start, architecture=name)
    fetched, module, trace = made.fetched, to_torch(made, dtype="float64"), Trace()
    targets = adversarial(N, V, 50)
    module.forward(module.prompt(targets), _fed(targets, int(start)), trace=trace)
    rows = trace.steps["add fetch and mlp 0" if name == "gpt-neox" else "add fetch"]
    place = int(made.stream.before("virtual").subs({sp.Symbol("N", integer=True, positive=True): N}))
    share = rows[:, :, place]
    centred = rows - rows.mean(axis=2, keepdims=True) if fetched.centred else rows
    factor = 1 / np.sqrt((centred**2).mean(axis=2) + float(fetched.eps))
    for position in range(fetched.first, fetched.last + 1):
        assert (share[:, position] ** 2 >= float(fetched.share_squared(position))).all()
        assert (factor[:, position] ** 2 >= float(fetched.factor_squared(position))).all()
        assert ((share * factor)[:, position] ** 2 >= float(fetched.unit_squared(position))).all()
        assert (share[:, position, None] * targets / V <= float(fetched.arriving(position))).all()


@pytest.mark.parametrize("ones", [1, 3])
def test_a_row_is_nearly_as_long_as_allowed_for(ones: int) -> None:
    """All numbers near 1 are the longest row that a norm makes of numbers and ones."""
    fetched = Fetched(45, 20, ones, Fraction(2), 1, 20, Fraction(0), centred=True)
    row = np.zeros(45)
    row[: 20 + ones] = 0.9999
    row[20:] = np.ceil(row[20:])
    length = (row**2).sum() / row.var()
    assert 0.99 * float(fetched.length_squared) < length <= fetched.length_squared
    assert length > 1.5 * 45  # more than d: a norm makes rows of that length from their mean, not from 0


def _fed(targets: Any, user: int) -> Any:
    """Return the tokens that are read: the user's, and all of the response but the last."""
    return torch.from_numpy(np.concatenate([np.zeros((len(targets), user), dtype=np.int64), targets[:, :-1]], axis=1))


def test_a_counted_weight_is_the_reciprocal_of_a_factor() -> None:
    for width, centred in ((26, False), (48, True)):
        variance = Fraction(1, width) - (Fraction(1, width**2) if centred else 0) + EPS
        low, high = (Fraction(counted_weight(width, EPS, centred=centred) + way, 2**COUNTED_BITS) for way in (-1, 1))
        assert low**2 < variance < high**2


def _worst(size: int, letters: int) -> np.ndarray[Any, Any]:
    """Return targets with one large number at each place, and all others at each of some levels."""
    levels = [level * letters // 20 for level in range(11)]
    rows = []
    for place in range(size):
        for level in levels:
            row = np.full(size, level)
            row[place] = letters - 1
            rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("name", ["opt", "gpt2"])
def test_the_smallest_mask_above_what_arrives_selects_and_one_below_it_does_not(name: ArchitectureName) -> None:
    made, targets = ResidualGeneration(V, N, architecture=name), _worst(N, V)
    arriving = made.fetched.arriving(0)
    assert 4 < arriving < 5
    assert made.transformer.bindings[MASK] == 6  # one more, for the gain
    for mask, caught in ((6, False), (5, False), (4, True)):
        changed = mutated(ResidualGeneration(V, N, architecture=name), bound_to(M=mask))
        assert bool(wrong(changed, targets, "float64")) is caught


def test_a_mask_of_distances_that_is_too_small_is_caught() -> None:
    targets = _worst(N, V)
    assert ResidualGeneration(V, N, architecture="gpt-neox").transformer.bindings[MASK] == 13
    for mask, caught in ((13, False), (5, True)):
        changed = mutated(ResidualGeneration(V, N, architecture="gpt-neox"), bound_to(M=mask))
        assert bool(wrong(changed, targets, "float64")) is caught


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("gpt2", {"gamma": 16}), ("llama", {"gamma": 1}), ("gpt-neox", {"gamma": 256})],
)
def test_a_gain_that_is_too_small_is_caught(name: ArchitectureName, numbers: dict[str, int]) -> None:
    targets = adversarial(N, V, 50)
    assert not wrong(ResidualGeneration(V, N, architecture=name), targets)
    assert wrong(mutated(ResidualGeneration(V, N, architecture=name), bound_to(**numbers)), targets)


def test_a_tied_model_must_drown_its_own_embedding() -> None:
    made = ResidualConditional(V, tied=True)
    weight = made.transformer.bindings[WRITTEN]
    assert weight == 16
    maps = np.repeat(adversarial(V, V, 20), 5, axis=0)
    asked = np.random.default_rng(5).integers(0, V, (100, 1))
    right = np.take_along_axis(maps, asked, axis=1)
    for number, holds in ((weight, True), (weight // 16, False)):
        module = to_torch(mutated(ResidualConditional(V, tied=True), bound_to(w=number)), dtype="float64")
        assert bool((module.generate(module.prompt(maps), asked).numpy() == right).all()) is holds
    for scale, ones in ((Fraction(1), 0), (Fraction(10**6), 2)):
        found, wanted = written_weight(scale, V, ones), 2 * V * (6 + 2 * ones + (V if ones else 0))
        assert found**2 * scale >= wanted**2
        assert found == 1 or (found // 2) ** 2 * scale < wanted**2


def _without(kind: type[Any]) -> Callable[[Transformer], Transformer]:
    """Return the change that takes all norms of a kind out of the blocks."""

    def stripped(layer: Any) -> Any:
        inner = getattr(layer, "layers", None)
        if inner is None:
            return layer
        return layer.changed(layers=tuple(stripped(part) for part in inner if not isinstance(part, kind)))

    return lambda transformer: replace(transformer, layers=tuple(map(stripped, transformer.layers)))


def test_a_norm_that_is_dropped_is_no_harm_to_the_answer_but_is_no_longer_that_model() -> None:
    """No scale matters, so that the weights without any norm generate the same: the digest tells them apart."""
    made, targets = ResidualGeneration(V, N, architecture="opt"), adversarial(N, V, 50)
    digest = made.transformer.lowered.sha256
    bare = mutated(made, _without(LayerNorm))
    assert not wrong(bare, targets)
    assert bare.transformer.lowered.sha256 != digest


def test_rows_that_do_not_sum_to_0_are_caught() -> None:
    targets = adversarial(N, V, 50)
    for name in ("fetch.mean.value", "select.weight", "readout.weight"):
        made = ResidualGeneration(V, N, architecture="gpt2")
        column = made.stream.names.index("zero")

        def unbalanced(place: Any, matrix: Any, name: str = name, column: int = column) -> Any:
            if place.name != name:
                return matrix
            grid = [[matrix.blocks[r, c] for c in range(matrix.blocks.shape[1])] for r in range(matrix.blocks.shape[0])]
            for row in grid:
                row[column] = sp.ZeroMatrix(*row[column].shape)
            return sp.BlockMatrix(grid)

        vars(made)["transformer"] = made.transformer.map(unbalanced)
        assert wrong(made, targets), name


def test_the_symbols_are_those_of_the_weights() -> None:
    for name in ARCHITECTURES:
        made = ResidualGeneration(5, 3, architecture=name).transformer  # type: ignore[arg-type] # a name
        used = set().union(*(matrix.free_symbols for matrix in made.matrices().values()))
        assert ({MASK, GAIN, PLACE_GAIN} & used) == ({MASK, GAIN, PLACE_GAIN} & set(made.bindings))
