"""The one assumption of a float certificate that IEEE 754 does not give: how far ``exp`` is off."""

from __future__ import annotations

import sys
from typing import Any

import flint
import numpy as np
import pytest
import torch

from constructions import InvalidArgument
from constructions.formats import get_format
from verify.certificates.balls.columns import ball_precision
from verify.certificates.floats import arithmetic as rounded
from verify.certificates.floats import kernel, softmax
from verify.certificates.floats.exp_error import exp_errors, root_errors
from verify.certificates.floats.kernel import EXP_ULPS
from verify.certificates.floats.norms import RSQRT_ULPS

_ALL = [*(("torch", dtype) for dtype in ("float64", "float32", "bfloat16", "float16"))]
_ALL += [("numpy", dtype) for dtype in ("float64", "float32", "float16")]


@pytest.mark.parametrize(("library", "dtype"), _ALL)
def test_the_assumption_holds_here(library: str, dtype: str) -> None:
    found = exp_errors(library, dtype, samples=2_000, seed=3)
    assert found.samples >= 4_000
    assert found.one_at_zero
    assert found.zero_below
    assert 0 < found.worst <= EXP_ULPS


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_assumption_of_roots_holds_here(dtype: str) -> None:
    found = root_errors(dtype, samples=5_000, seed=3)
    assert found.samples > 4_900
    # two roundings of half a unit: the reciprocal's, and the root's, which is a unit at most of the reciprocal
    assert 0.5 <= found.worst <= 1.5 < RSQRT_ULPS


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_assumption_of_roots_holds_for_every_number_of_16_bits(dtype: str) -> None:
    found = root_errors(dtype)
    assert found.samples > 31_000
    assert found.worst <= 1.5


@pytest.mark.heavy
@pytest.mark.parametrize(("library", "dtype"), _ALL)
def test_the_assumption_holds_on_many_arguments(library: str, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = exp_errors(library, dtype, samples=75_000, seed=4)  # twice as many arguments; a million in all formats
    with capsys.disabled():
        sys.stdout.write(f"\n{library} {dtype}: {found.samples:,} arguments, at most {found.worst:.3f} ulps off\n")
    assert found.zero_below
    assert found.worst <= EXP_ULPS


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_exp_inside_softmax_is_as_good(dtype: str) -> None:
    # beside a weight of 1 that absorbs it, a softmax weight IS the exp: libraries have a rougher one for softmax
    fmt, rng = get_format(dtype), np.random.default_rng(5)
    absorbed = float(np.log(float(fmt.unit_roundoff))) - 1
    end = np.log(2) * (fmt.min_exponent - fmt.precision)
    drawn = torch.from_numpy(rng.uniform(end, absorbed, (500, 1))).to(getattr(torch, dtype))
    rows = torch.cat([torch.zeros_like(drawn), drawn, torch.full((500, 14), -torch.inf, dtype=drawn.dtype)], 1)
    weights = torch.softmax(rows, -1).double().numpy()[:, 1]
    with ball_precision():
        for exponent, weight in zip(drawn[:, 0].double().tolist(), weights.tolist(), strict=True):
            true = flint.arb(exponent).exp()
            spacing = max(np.frexp(float(true))[1] - 1, fmt.min_exponent) - fmt.precision + 1
            # the weight of the other key is within u of 1, and the quotient is rounded once more
            assert abs(flint.arb(weight) - true) < (EXP_ULPS + 1.5) * flint.arb(2) ** int(spacing)


def test_a_wrong_assumption_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a unit is what any rounding costs; an ``exp`` that is a known number of units worse is measured as that."""
    assert all(exp_errors(library, dtype, samples=500, seed=3).worst > 0.25 for library, dtype in _ALL)
    exp, ulps = np.exp, EXP_ULPS + 1
    monkeypatch.setattr(np, "exp", lambda held: exp(held) + ulps * np.spacing(exp(held)))
    assert exp_errors("numpy", "float32", samples=500, seed=3).worst > EXP_ULPS


def test_boxes_with_a_wrong_assumption_do_not_hold_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Floats near the end of the assumption, each way, whatever the library at hand computes."""
    arithmetic = rounded.RoundedArithmetic(kernel.Kernel(get_format("float32")))
    exponents: Any = -np.random.default_rng(6).uniform(0, 20, 1_000).astype(np.float32).astype(np.float64)
    true = np.exp(exponents)  # far nearer to the true value than float32's spacing
    # a tenth of a unit short of the assumption, half a unit of it for the rounding to float32
    off = (EXP_ULPS - 0.6) * np.ldexp(1.0, np.frexp(true)[1] - get_format("float32").precision)
    computed = [(true + sign * off).astype(np.float32).astype(np.float64) for sign in (-1, 1)]

    def outside() -> int:
        low, high = (arithmetic._exp(exponents, up=up) for up in (False, True))
        return sum(int(((value < low) | (value > high)).sum()) for value in computed)

    assert outside() == 0
    monkeypatch.setattr(softmax, "EXP_ULPS", 0)
    assert outside() == 2 * len(exponents)


@pytest.mark.parametrize(
    ("library", "dtype", "samples", "word"),
    [
        ("jax", "float32", 10, "library"),
        ("numpy", "bfloat16", 10, "dtype"),
        ("torch", "int8", 10, "dtype"),
        ("torch", "float32", 0, "samples"),
    ],
)
def test_bad_arguments(library: str, dtype: str, samples: int, word: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{word}: "):
        exp_errors(library, dtype, samples=samples, seed=0)
