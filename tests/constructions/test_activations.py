"""Activations: values in every kind of number, enclosures, and what kernels are allowed."""

from __future__ import annotations

from fractions import Fraction

import flint
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from constructions.activations import ACTIVATIONS, GELU, SILU, TANH_GELU, Activation, ClippedRelu, as_activation
from constructions.activations.base import Valley
from constructions.formats import FORMATS
from tests.forward.plain import TrueBalls
from verify.certificates.balls.columns import ball, ball_precision
from verify.certificates.floats.activation_error import activation_errors

EVERY = (*ACTIVATIONS, ClippedRelu(Fraction(6)), ClippedRelu(Fraction(1, 3)))
_numbers = st.fractions(-30, 30, max_denominator=1 << 20)
each = pytest.mark.parametrize("activation", EVERY, ids=lambda activation: activation.name)


def test_names_and_equality() -> None:
    assert len({activation.name for activation in EVERY}) == len({*EVERY}) == len(EVERY)
    assert ClippedRelu(6) == ClippedRelu(Fraction(6)) != ClippedRelu(Fraction(1, 3))  # type: ignore[arg-type] # an int
    assert as_activation("relu") is None
    with pytest.raises(ValueError, match=r"^ceiling: expected a positive rational number"):
        ClippedRelu(Fraction(0))


@each
@given(value=_numbers)
def test_all_numbers_agree(activation: Activation, value: Fraction) -> None:
    with ball_precision(256):
        true = TrueBalls().activation(activation, ball(value))
    with ball_precision():
        found = activation.ball(ball(value))
        assert found.overlaps(true)
        assert found.rad() <= (abs(true) + 1) * flint.arb(2) ** -118  # a few bits of 128 are lost
        exact = activation.exact(value)
        assert exact is None or true.contains(ball(exact)) or (true - ball(exact)).contains(0)


@each
@pytest.mark.parametrize("value", [Fraction(-3, 2), Fraction(0), Fraction(5, 4), Fraction(8)], ids=str)
def test_symbols_are_the_same(activation: Activation, value: Fraction) -> None:
    found = sp.sympify(activation.symbol(sp.Rational(value.numerator, value.denominator))).evalf(40)
    with ball_precision():
        assert abs(flint.arb(str(found)) - activation.ball(ball(value))) < flint.arb(10) ** -35
    exact = activation.exact(value)
    assert exact is None or sp.Rational(exact.numerator, exact.denominator) == activation.symbol(
        sp.Rational(value.numerator, value.denominator)
    )


@pytest.mark.share(4)
@each
@given(ends=st.tuples(_numbers, _numbers).map(sorted), share=st.fractions(0, 1))
def test_an_enclosure_holds_all_between_and_its_ends_are_attained(
    activation: Activation, ends: list[Fraction], share: Fraction
) -> None:
    low, high = ends
    with ball_precision():
        least, most = activation.enclosure(ball(low), ball(high))
        inside = activation.ball(ball(low + share * (high - low)))
        assert not inside < least.lower()
        assert not inside > most.upper()
        at = [activation.ball(ball(low)), activation.ball(ball(high))]
        if isinstance(activation, Valley):
            left, right = activation.bottom()
            if ball(low) <= left and right <= ball(high):
                at.append(activation.ball(left))
        tiny = flint.arb(2) ** -100 * (1 + abs(most))
        assert any(abs(value - least) < tiny for value in at)
        assert any(abs(value - most) < tiny for value in at)


@pytest.mark.parametrize("activation", [GELU, SILU, TANH_GELU], ids=lambda activation: activation.name)
def test_the_lowest_point(activation: Valley) -> None:
    with ball_precision():
        left, right = activation.bottom()
        assert left < right
        assert right - left < flint.arb(2) ** -100
        floor = activation.ball(left)
        for step in range(-400, 1):
            at = flint.arb(step) / 100
            assert not activation.ball(at) < floor - flint.arb(2) ** -100
            assert not activation.enclosure(at, flint.arb(1))[0] > activation.ball(at)


@each
def test_wide_balls_hold_their_values(activation: Activation) -> None:
    """A ball from -40 to 40 is no number, but finite, and holds what it must."""
    with ball_precision():
        whole = activation.ball(flint.arb(0, 40))
        assert whole.is_finite()
        for value in (-40, -1, 0, 1, 40):
            assert whole.contains(activation.ball(flint.arb(value))) or whole.overlaps(
                activation.ball(flint.arb(value))
            )


_KERNELS = [("torch", dtype) for dtype in FORMATS] + [("numpy", dtype) for dtype in FORMATS if dtype != "bfloat16"]


@pytest.mark.parametrize(("library", "dtype"), _KERNELS)
@each
def test_kernels_are_as_exact_as_is_assumed(activation: Activation, library: str, dtype: str) -> None:
    assert activation_errors(activation, library, dtype, samples=500, seed=1).within


@pytest.mark.heavy
@pytest.mark.parametrize(("library", "dtype"), _KERNELS)
@each
def test_kernels_are_as_exact_as_is_assumed_everywhere(activation: Activation, library: str, dtype: str) -> None:
    """All numbers of a format of 16 bits, many of the others."""
    samples = None if dtype in ("bfloat16", "float16") else 200_000
    assert activation_errors(activation, library, dtype, samples=samples, seed=2).within


@pytest.mark.parametrize("step", [pytest.param(16, marks=pytest.mark.heavy), pytest.param(1, marks=pytest.mark.long)])
def test_gelu_of_torch_at_float32_numbers(step: int) -> None:
    """One of 16 ``x`` with ``2^-30 <= |x| < 16``, or every one: its vectorised ``erf`` is the least exact kernel."""
    unit, allowed = 2.0**-24, GELU.error(FORMATS["float32"])
    for exponent in range(-30, 4):
        for sign in (1.0, -1.0):
            bits = torch.arange(0, 2**23, step, dtype=torch.int32) + ((exponent + 127) << 23)
            x = bits.view(torch.float32) * sign
            wide = x.double()
            true = wide * torch.special.erfc(-wide * 0.5**0.5) / 2
            spacing = 2.0 ** (torch.floor(torch.log2(true.abs())) - 23)
            error = (torch.nn.functional.gelu(x).double() - true).abs()
            # the reference is off by less than a hundredth of a unit of float32
            assert bool((error <= (allowed.ulps - 0.01) * spacing + (float(allowed.absolute) - 0.01 * unit)).all())


def test_an_allowance_that_is_exceeded_is_seen() -> None:
    class Lax(type(GELU)):  # type: ignore[misc] # to change one method
        def torch(self, values: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = super().torch(values)
            return found * (1 + 2.0**-19)

    assert not activation_errors(Lax(), "torch", "float32", samples=500, seed=1).within
