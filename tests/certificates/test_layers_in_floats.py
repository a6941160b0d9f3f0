"""Norms, products, activations and score biases in rounded arithmetic hold whatever drawn and real kernels compute."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from constructions.activations import GELU, SILU
from constructions.layers import Gated, Layer, LayerNorm, Linear, Residual, RMSNorm
from constructions.ratios import Ratios
from tests.certificates.emulated import FORMATS, Array
from tests.certificates.layered import CONTEXT, MODELS, VOCAB, DrawnArithmetic, logits
from tests.certificates.own import Given, nearest, read_first, rounded
from tests.mutation import certifier_activations, certifier_layers
from tests.mutation.certifier_killers import box, outside
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import certify

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")

KILLERS: dict[str, Any] = {
    **{f"norms, {fmt}": certifier_layers.norms(fmt, rounds=20) for fmt in FORMATS},
    "torch": certifier_layers.torch_norms(*FORMATS, rounds=8),
    "stagnating sums": certifier_layers.stagnating,
    "affine": certifier_layers.affine_maps(*FORMATS, rounds=4),
    "products": certifier_layers.products_of_rows(*FORMATS, rounds=8),
    "not finite": certifier_layers.not_finite,
    "activations": certifier_activations.pointwise(*FORMATS, rounds=1),
    "score biases": certifier_activations.score_biases(*FORMATS, rounds=4),
    "hidden shifts": certifier_activations.hidden_shifts,
}
LONG: dict[str, Any] = {
    **{f"norms, {fmt}": certifier_layers.norms(fmt, rounds=250, widths=(1, 2, 3, 8, 17, 40)) for fmt in FORMATS},
    "torch": certifier_layers.torch_norms(*FORMATS, rounds=100),
    "products": certifier_layers.products_of_rows(*FORMATS, rounds=100),
    "activations": certifier_activations.pointwise(*FORMATS, rounds=8),
    "score biases": certifier_activations.score_biases(*FORMATS, rounds=50),
    "cells": certifier_activations.sparse_layers,
}


@pytest.mark.share(4)
@pytest.mark.parametrize("name", list(KILLERS))
def test_no_kernel_leaves_the_box(name: str) -> None:
    with np.errstate(all="ignore"):
        assert KILLERS[name]() == []


@pytest.mark.heavy
@pytest.mark.parametrize("name", list(LONG))
def test_no_kernel_leaves_the_box_in_many_rounds(name: str) -> None:
    with np.errstate(all="ignore"):
        assert LONG[name]() == []


@pytest.mark.parametrize("centred", [False, True])
def test_a_norm_of_known_rows_is_known_up_to_rounding(*, centred: bool) -> None:
    rows = np.random.default_rng(1).standard_normal((20, 1, 64)).astype(np.float32).astype(np.float64)
    arithmetic = rounded("float32")
    bounds = arithmetic.normalise(box(rows, rows, arithmetic), centred=centred, mean=True, eps=Fraction(1e-5))
    # the roundings of a sum of 64, halved by the root; with merged means about d^1.5 of them, at 5 standard deviations
    allowed = 64**1.5 * 8 if centred else 64 + 4 * 4
    assert float((bounds.high - bounds.low).max()) <= 5 * allowed * 2.0**-24


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("wide", [0.1, 1.0, 100.0])
def test_a_norm_never_exceeds_the_root_of_the_width(*, centred: bool, wide: float) -> None:
    rows = np.random.default_rng(2).standard_normal((20, 1, 16)).astype(np.float32).astype(np.float64)
    arithmetic = rounded("float32")
    low, high = (np.asarray(rows + end, dtype=np.float32).astype(np.float64) for end in (-wide, wide))
    held = box(low, high, arithmetic)
    bounds = arithmetic.normalise(held, centred=centred, mean=True, eps=Fraction(1e-5))
    # merged means may be off by some d^1.5 u of the largest number, whatever the spread; then all but a quarter is left
    assert float(bounds.magnitude.max()) <= 4 * ((4 / 3 + 2.0**-4) if centred else (1 + 2.0**-18))


def _runs(name: str, fmt: str, seed: int, kernels: int, sequences: int) -> tuple[int, int]:
    """Return how many logits of a model were compared, on drawn kernels and on torch's, and how many left the box."""
    model, rng = MODELS[name], np.random.default_rng(seed)
    transformer, held = model.make(seed)
    tokens = rng.integers(0, VOCAB, (sequences, CONTEXT))
    arithmetic: Any = rounded(fmt)
    with np.errstate(all="ignore"):
        bounds = logits(transformer, arithmetic, lambda table: arithmetic.embed(table, tokens), CONTEXT)
    assert np.isfinite(bounds.low).all()
    plain = [model.plain(held, tokens, getattr(torch, fmt)).double().numpy()]
    computed: list[Array] = plain
    for at in range(kernels):
        drawn = DrawnArithmetic(fmt, np.random.default_rng((seed, at)))
        computed.append(logits(transformer, drawn, lambda table, a=drawn: a.embed(table, tokens), CONTEXT))  # type: ignore[misc]
    return sum(each.size for each in computed), sum(
        int(outside(bounds.low, bounds.high, each).sum()) for each in computed
    )


@pytest.mark.share(1)
@pytest.mark.parametrize("fmt", ["float32", "float64"])
@pytest.mark.parametrize("name", list(MODELS))
def test_the_box_of_a_model_holds_drawn_kernels_and_plain_torch(name: str, fmt: str) -> None:
    count, wrong = _runs(name, fmt, 3, 6, 8)
    assert count >= 2000
    assert wrong == 0


@pytest.mark.heavy
@pytest.mark.parametrize("fmt", ["float32", "float64"])
@pytest.mark.parametrize("name", list(MODELS))
def test_the_box_of_a_model_holds_every_one_of_many_runs(name: str, fmt: str) -> None:
    found = [_runs(name, fmt, seed, 50, 16) for seed in range(3)]
    assert sum(count for count, _ in found) >= 10**5
    assert sum(wrong for _, wrong in found) == 0


# certificates ---------------------------------------------------------------------------------------------------------


def _beside_one(targets: Any) -> Ratios:
    """Encode a token as itself beside a 1, which a norm scales alike."""
    return Ratios(np.stack([targets, 1 + 0 * targets], axis=-1), 1)


def _model(small: float, *, swapped: bool = False) -> Given:
    """Return a model that reads the first position past a user's token, through residuals, norms, gelu and silu.

    Args:
        small: what the MLPs add at most, in the order of it; the larger, the wronger.
        swapped: promise the next token instead.

    """
    up = Linear([[1, 1], [1, -1], [-1, 1]], [[0], [1], [0]], GELU, "up")
    down = Linear([[small, 0, -small], [0, small, 0]], activation=None, name="down")
    gate = Linear([[1, 0], [0, 1]], activation=SILU, name="gate")
    gated: Layer = Gated(gate, Linear([[small, 0], [0, small]], activation=None, name="value"), "gated")
    layers: tuple[Layer, ...] = (
        read_first(2, 2),
        Residual((LayerNorm(1e-5, [[1], [1]], [[0], [1]], "norm 1"), up, down), "r1"),
        Residual((RMSNorm(1e-5, name="norm 2"), gated), "r2"),
        RMSNorm(1e-6, name="norm 3"),
        Linear([[2 * v, -v * v] for v in range(3)], [[0]] * 3, activation=None, name="readout"),
    )
    promised = (lambda targets, users: (targets[:, :1] + 1) % 3) if swapped else (lambda targets, users: targets[:, :1])
    return Given(3, 1, [[0, 1, 2], [1, 1, 1]], layers, users=1, encoding=_beside_one, promise=promised)


@pytest.mark.parametrize("fmt", ["float32", "float64"])
def test_a_model_with_residuals_norms_and_smooth_activations_is_certified(fmt: str) -> None:
    verdict = certify(_model(2.0**-5), rounded(fmt))
    assert verdict.holds is True
    assert verdict.margin is not None
    assert verdict.margin > 0.01
    for words in ("rsqrt right within 2", "Welford", "gelu right within 9", "silu right within"):
        assert words in str(verdict.reason)


def test_wrong_variants_are_not_certified() -> None:
    for wrong in (_model(2.0**-5, swapped=True), _model(4.0)):
        assert certify(wrong, rounded("float32")).holds is None


def test_only_what_a_model_uses_is_assumed() -> None:
    plain = Given(3, 1, [[0, 1, 2]], (read_first(1, 1), nearest(3)))
    arithmetic = rounded("float32")
    certify(_model(2.0**-5), arithmetic)
    reason = str(certify(plain, arithmetic).reason)
    assert "norm" not in reason
    assert "gelu" not in reason


@pytest.mark.parametrize("name", list(MODELS))
def test_our_forward_pass_in_torch_equals_plain_torch_up_to_the_box(name: str) -> None:
    transformer, held = MODELS[name].make(5)
    tokens = np.random.default_rng(5).integers(0, VOCAB, (8, CONTEXT))
    bounding: Any = rounded("float64")
    ours: Any = TorchArithmetic("float64")
    bounds = logits(transformer, bounding, lambda table: bounding.embed(table, tokens), CONTEXT)
    found = ours.numbers(logits(transformer, ours, lambda table: ours.embed(table, tokens), CONTEXT))
    plain = MODELS[name].plain(held, tokens, torch.float64).numpy()
    assert not outside(bounds.low, bounds.high, found).any()
    assert (np.abs(found - plain) <= bounds.high - bounds.low).all()
