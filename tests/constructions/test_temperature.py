"""The gap at which float attention is one-hot, on real kernels; the computed defaults; what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import torch

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Format,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Softmax,
    UnconditionalGeneration,
    one_hot_gap,
)
from constructions.temperature import as_temperature, one_hot_temperature, parse_q
from verify.arithmetic import NumpyArithmetic
from verify.arithmetic.tensors import TorchArithmetic

KERNELS = [(kind, name) for name in FORMATS for kind in ("torch", "numpy") if (kind, name) != ("numpy", "bfloat16")]
ON_EVERY_KERNEL = pytest.mark.parametrize(("kind", "name"), KERNELS)


def _attend(
    kind: str, name: str, contents: Sequence[float], *, temperature: Softmax, key_size: int, hot: int
) -> tuple[list[float], float]:
    """Return the weights of a head whose key ``hot`` has score 1 among others of score 0, and what it reads."""
    arithmetic: Any = TorchArithmetic(name) if kind == "torch" else NumpyArithmetic(name)
    keys = len(contents)
    scores = np.zeros((1, 1, keys))
    scores[0, 0, hot] = 1
    values = np.array(contents)[None, :, None]
    held: Any = [
        torch.from_numpy(part).to(getattr(torch, name)) if kind == "torch" else part.astype(name)
        for part in (scores, values)
    ]
    weights = arithmetic.attention(held[0], np.ones((1, keys), dtype=np.bool_), temperature, key_size=key_size)
    read = arithmetic.numbers(arithmetic.mix(weights, held[1]))
    return arithmetic.numbers(weights)[0, 0].tolist(), float(read[0, 0, 0])


def _sum_in_order(name: str, terms: Sequence[float]) -> float:
    """Return the sum from left to right, rounded to the format after every product and addition."""
    total = torch.zeros((), dtype=getattr(torch, name))
    for term in terms:
        total = total + torch.tensor(term, dtype=getattr(torch, name))
    return float(total)


@ON_EVERY_KERNEL
@pytest.mark.parametrize("keys", [2, 3, 20, 64, 300])
@pytest.mark.parametrize(("ratio", "key_size"), [(1, 1), (94, 20), (3, 7)])
def test_at_the_gap_what_leaks_is_absorbed(kind: str, name: str, keys: int, ratio: int, key_size: int) -> None:
    fmt = FORMATS[name]
    temperature = one_hot_temperature(fmt, keys=keys, content_ratio=Fraction(ratio), largest_key_size=key_size)
    smallest, largest = 1.0, float(ratio)
    for hot in (0, keys // 2, keys - 1):
        contents = [largest] * keys
        contents[hot] = smallest
        weights, read = _attend(kind, name, contents, temperature=temperature, key_size=key_size, hot=hot)
        assert weights[hot] == 1.0
        assert read == smallest
        # whatever the kernel's order: all that leaks first, the content last, and the other way round
        leaks = [weight * largest for place, weight in enumerate(weights) if place != hot]
        assert _sum_in_order(name, [*leaks, smallest]) == smallest
        assert _sum_in_order(name, [smallest, *leaks]) == smallest
        just_below = float(2 - 2 * fmt.unit_roundoff)
        assert _sum_in_order(name, [*leaks, just_below]) == just_below  # the other end of the binade


@ON_EVERY_KERNEL
def test_a_gap_clearly_below_the_bound_leaks(kind: str, name: str) -> None:
    """Two keys whose leak is ``e u`` of the content, more than half its last place: neither allowance is in it."""
    fmt, ratio = FORMATS[name], 8.0
    gap = math.log(ratio) + fmt.precision * math.log(2) - 1
    assert gap < one_hot_gap(fmt, keys=2, content_ratio=Fraction(8))
    for hot in (0, 1):
        contents = [ratio, ratio]
        contents[hot] = 1.0
        _, read = _attend(kind, name, contents, temperature=Softmax(gap), key_size=1, hot=hot)
        assert read > 1.0
    weights, _ = _attend(kind, name, [1.0, 1.0], temperature=Softmax(gap - math.log(ratio)), key_size=1, hot=0)
    assert weights[0] < 1.0


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=list(FORMATS))
@pytest.mark.parametrize("keys", [1, 2, 20, 1000])
@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(94), Fraction(10**40, 3)])
def test_the_gap_is_the_derived_one(fmt: Format, keys: int, ratio: Fraction) -> None:
    """Between the bound of the docstring and the next integers above it, its three allowances included."""
    gap = one_hot_gap(fmt, keys=keys, content_ratio=ratio)
    two, exact_ratio = flint.arb(2), flint.arb(flint.fmpq(ratio.numerator, ratio.denominator))
    needed = flint.arb(max(1, keys - 1)).log() + exact_ratio.log() + (fmt.precision + 1) * two.log()
    u = flint.arb(flint.fmpq(1, 2**fmt.precision))
    allowed = (needed + two.log() + (keys + 4) * u) / (1 - 6 * u)
    assert gap > needed
    assert gap >= allowed
    assert gap < allowed + 1


def test_softmax_is_scaled_by_the_key_or_by_the_length() -> None:
    assert Softmax(50).gap(key_size=4, length=25) == 25
    assert Softmax(50, scaled_by="length").gap(key_size=4, length=25) == 10


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=list(FORMATS))
def test_the_default_in_floats_is_computed_for_the_bluntest_head(fmt: Format) -> None:
    for construction, keys, ratio, key_size in (
        (UnconditionalGeneration(94, 20), 20, 94, 20),
        (ConditionalGeneration(7), 2, 7, 2),
        (LongerResponses(5, 3), 6, 5, 3),
        (LongerInputs(2, 3), 4, 16, 4),
    ):
        temperature = construction.temperature_for(fmt)
        gap = one_hot_gap(fmt, keys=keys, content_ratio=Fraction(ratio))
        assert temperature == Softmax(gap * math.sqrt(key_size))


def test_the_default_in_exact_arithmetic_is_just_above_the_threshold() -> None:
    assert UnconditionalGeneration(94, 20).temperature_for(None) == RationalSoftmax(Fraction(19 * 373 + 1))
    assert ConditionalGeneration(9).temperature_for(None) == RationalSoftmax(Fraction(1))
    assert LongerResponses(5, 3).temperature_for(None) == RationalSoftmax(Fraction(17 * 4))
    assert LongerInputs(2, 2).temperature_for(None) == RationalSoftmax(Fraction(2 * 7 + 1))


def test_a_given_temperature_is_used_in_every_format() -> None:
    construction = UnconditionalGeneration(4, 3, temperature=Softmax(7.5))
    assert {construction.temperature_for(fmt) for fmt in (None, *FORMATS.values())} == {Softmax(7.5)}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (math.inf, Hardmax()),
        (np.float32(np.inf), Hardmax()),
        (3, Softmax(3.0)),
        (2.5, Softmax(2.5)),
        (Fraction(1, 2), Softmax(0.5)),
        (RationalSoftmax(Fraction(7)), RationalSoftmax(Fraction(7))),
    ],
)
def test_what_a_user_may_write(given: Any, meant: Any) -> None:
    assert as_temperature(given) == meant
    assert UnconditionalGeneration(4, 3, temperature=given).temperature == meant


@pytest.mark.parametrize(("text", "q"), [("7", Fraction(7)), ("3/2", Fraction(3, 2)), ("0.25", Fraction(1, 4))])
def test_q_as_text(text: str, q: Fraction) -> None:
    assert parse_q(text) == RationalSoftmax(q)


T_EXPECTED = "temperature: expected a finite number > 0 (or inf for hardmax) but got"
Q_EXPECTED = "q: expected a positive rational number, such as 7 or 3/2 but got"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 (type int)"),
        (-1.5, "-1.5 (type float)"),
        (math.nan, "nan (type float)"),
        (-math.inf, "-inf (type float)"),
        ("x", "'x' (type str)"),
        (np.True_, "np.True_ (type bool)"),
        (1j, "1j (type complex)"),
        (10**400, f"{'1' + '0' * 56}... (type int)"),
    ],
)
def test_temperatures_that_are_refused(value: Any, shown: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        UnconditionalGeneration(4, 3, temperature=value)
    assert str(caught.value) == f"{T_EXPECTED} {shown}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 (type int)"),
        (Fraction(-1, 2), "Fraction(-1, 2) (type Fraction)"),
        (math.inf, "inf (type float)"),
        (math.nan, "nan (type float)"),
        ("x", "'x' (type str)"),
        ("1/0", "'1/0' (type str)"),
        (None, "None (type NoneType)"),
        (np.True_, "np.True_ (type bool)"),
    ],
)
def test_values_of_q_that_are_refused(value: Any, shown: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        RationalSoftmax(value)
    assert str(caught.value) == f"{Q_EXPECTED} {shown}"


def test_q_as_text_that_is_refused() -> None:
    for text, shown in (("x", "'x'"), ("1/0", "'1/0'"), ("-3", "'-3' (type str)"), ("", "''")):
        with pytest.raises(InvalidArgument) as caught:
            parse_q(text)
        assert str(caught.value).startswith(f"{Q_EXPECTED} {shown}")


def test_scaling_that_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        Softmax(1.0, scaled_by="width")  # type: ignore[arg-type] # that is the point
    assert str(caught.value) == "scaled_by: expected one of key, length but got 'width' (type str)"


def test_there_is_a_key_to_attend_to() -> None:
    with pytest.raises(InvalidArgument, match=r"^keys: expected an integer >= 1 but got 0 \(type int\)$"):
        one_hot_gap(FORMATS["float32"], keys=0, content_ratio=Fraction(1))
