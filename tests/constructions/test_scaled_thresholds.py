"""The smallest T of Theorem 1 as the paper's text and its notebook scale it: certified, and on real kernels."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any, Literal

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import InvalidArgument, PerHeadSoftmax, Softmax, UnconditionalGeneration
from constructions.head_thresholds import unconditional_generation_holds
from constructions.scaled_thresholds import scaled_generation_holds, smallest_temperature
from constructions.thresholds import embedding_threshold
from verify import get_arithmetic
from verify.running.cases import Runner

F = Fraction
Scaling = Literal["key", "length"]
BOTH: tuple[Scaling, ...] = ("key", "length")
#: The notebook's vocabulary, and its T.
PRINTABLE, NOTEBOOK_T = 94, 50


def margin(construction: UnconditionalGeneration, target: Any, arithmetic: Any) -> Any:
    """Return the smallest margin of a target."""
    inputs = np.zeros((1, 0), dtype=np.int64)
    return Runner(construction, arithmetic).run(np.array([target]), inputs).smallest_margin()


@given(
    st.integers(2, 300),
    st.integers(2, 100),
    st.sampled_from(BOTH),
    st.one_of(st.just(F(0)), st.fractions(0, 50, max_denominator=9)),
)
def test_the_float_before_the_smallest_is_not_enough(
    vocab_size: int, length: int, scaled_by: Scaling, magnitude: Fraction
) -> None:
    found = smallest_temperature(vocab_size, length, scaled_by=scaled_by, magnitude=magnitude)
    assert found is not None
    assert found.scaled_by == scaled_by
    before = Softmax(math.nextafter(found.inverse_temperature, 0), scaled_by)
    assert scaled_generation_holds(vocab_size, length, found, magnitude)
    assert not scaled_generation_holds(vocab_size, length, before, magnitude)


@given(st.integers(2, 300), st.integers(2, 100), st.fractions(0, 50, max_denominator=9))
def test_the_notebook_form_is_the_closed_one(vocab_size: int, length: int, magnitude: Fraction) -> None:
    """``T > sqrt(N) ln((N-1)(4V-3+2VM))``, in balls: the smallest float is the first above it."""
    found = smallest_temperature(vocab_size, length, scaled_by="length", magnitude=magnitude)
    assert found is not None
    threshold = (length - 1) * (4 * vocab_size - 3 + 2 * vocab_size * magnitude)
    with flint.ctx.workprec(256):
        edge = flint.arb(length).sqrt() * flint.arb(flint.fmpq(threshold.numerator, threshold.denominator)).log()
        assert math.nextafter(found.inverse_temperature, 0) < edge < found.inverse_temperature


@pytest.mark.parametrize(("vocab_size", "length"), [(2, 2), (5, 4)])
@pytest.mark.parametrize("magnitude", [F(0), F(3, 2)])
def test_scaled_by_its_keys_it_is_the_criterion_of_the_heads(vocab_size: int, length: int, magnitude: Fraction) -> None:
    """Rational numbers below and above ``exp(T/sqrt(N))`` and ``exp(T)`` decide alike a little away from the edge."""
    found = smallest_temperature(vocab_size, length, magnitude=magnitude)
    assert found is not None
    for factor, holds in ((1 - 1e-6, False), (1 + 1e-6, True)):
        T = found.inverse_temperature * factor
        q_self, q_first = F(math.exp(T / math.sqrt(length))), F(math.exp(T))
        for error in (1 - F(1, 10**12), 1 + F(1, 10**12)):
            qs = {"q_self": q_self * error, "q_first": q_first * error}
            assert unconditional_generation_holds(vocab_size, length, **qs, magnitude=magnitude) is holds
            temperature = PerHeadSoftmax({"self": qs["q_self"], "first": qs["q_first"]})
            embedding = ((-magnitude,) * vocab_size,) * length
            construction = UnconditionalGeneration(vocab_size, length, embedding=embedding, temperature=temperature)
            target = [0] * (length - 1) + [vocab_size - 1]
            assert (margin(construction, target, get_arithmetic("rational")) > 0) is holds


@pytest.mark.share(4)
@pytest.mark.parametrize("scaled_by", BOTH)
@pytest.mark.parametrize(("vocab_size", "length"), [(2, 2), (10, 8), (94, 20)])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_real_kernels_fail_below_it_and_not_above(kind: str, vocab_size: int, length: int, scaled_by: Scaling) -> None:
    """float64, at a part in 10^9 of T, which moves the margin by more than all its roundings."""
    found = smallest_temperature(vocab_size, length, scaled_by=scaled_by)
    assert found is not None
    mask: Literal["causal", "none"] = "none" if scaled_by == "length" else "causal"
    for factor, holds in ((1 - 1e-9, False), (1 + 1e-9, True)):
        temperature = Softmax(found.inverse_temperature * factor, scaled_by)
        construction = UnconditionalGeneration(vocab_size, length, temperature=temperature, mask=mask)
        arithmetic = get_arithmetic(kind, dtype="float64")
        assert (margin(construction, [vocab_size - 1] * length, arithmetic) > 0) is holds


def test_the_notebook_s_temperature_stops_at_30_tokens() -> None:
    """T = 50 at V = 94: enough for every N up to 29, its own 20 among them, and for none from 30 on."""
    notebook = Softmax(NOTEBOOK_T, "length")
    enough = [length for length in range(1, 200) if scaled_generation_holds(PRINTABLE, length, notebook, F(0))]
    assert enough == list(range(1, 30))
    float64 = get_arithmetic("torch", dtype="float64")
    for length in (20, 29, 30):
        construction = UnconditionalGeneration(PRINTABLE, length, temperature=notebook, mask="none")
        assert (margin(construction, [PRINTABLE - 1] * length, float64) > 0) is (length < 30)


def test_temperatures_of_the_notebook_s_vocabulary() -> None:
    for length, magnitude, wanted in ((20, 0, 39.650), (20, 1, 41.475), (64, 0, 80.518), (64, 1, 83.783)):
        found = smallest_temperature(PRINTABLE, length, scaled_by="length", magnitude=F(magnitude))
        assert found is not None
        assert round(found.inverse_temperature, 3) == wanted
    sharper = smallest_temperature(PRINTABLE, 20)
    assert sharper is not None
    assert round(sharper.inverse_temperature, 3) == 36.562  # head "first" is sharper here, so that less is enough


@pytest.mark.parametrize("scaled_by", BOTH)
def test_where_any_temperature_is_enough(scaled_by: Scaling) -> None:
    for vocab_size, length in ((1, 9), (9, 1)):
        assert smallest_temperature(vocab_size, length, scaled_by=scaled_by, magnitude=F(9)) is None
        assert scaled_generation_holds(vocab_size, length, Softmax(5e-324, scaled_by), F(9))


@pytest.mark.parametrize("scaled_by", BOTH)
def test_extreme_temperatures_are_decided(scaled_by: Scaling) -> None:
    assert scaled_generation_holds(94, 20, Softmax(1.7e308, scaled_by), F(10**9))
    assert not scaled_generation_holds(94, 20, Softmax(5e-324, scaled_by), F(0))


def test_the_precision_is_left_as_it_was() -> None:
    before = flint.ctx.prec
    scaled_generation_holds(94, 20, Softmax(1.7e308), F(0))
    assert flint.ctx.prec == before


def test_one_q_is_between_the_two() -> None:
    """With ``exp(T/sqrt(N)) <= q <= exp(T)``: more T than for head "first" alone, and less than for one blunt q."""
    for V, N in itertools.product((2, 9, 94), (2, 5, 20)):
        found = smallest_temperature(V, N)
        assert found is not None
        log = math.log(float(embedding_threshold(V, N, lowest=F(0), highest=F(0))))
        assert log < found.inverse_temperature < math.sqrt(N) * log


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smallest_temperature(0, 2), "vocab_size: expected an integer >= 1 but got 0 (type int)"),
        (
            lambda: scaled_generation_holds(2, 2, 50, F(0)),  # type: ignore[arg-type] # the point
            "temperature: expected a Softmax, such as Softmax(50, 'length') but got 50 (type int)",
        ),
        (lambda: smallest_temperature(2, 0), "context_size: expected an integer >= 1 but got 0 (type int)"),
        (
            lambda: smallest_temperature(2, 2, magnitude=F(-1)),
            "magnitude: expected a rational number >= 0 but got Fraction(-1, 1) (type Fraction)",
        ),
        (
            lambda: smallest_temperature(2, 2, scaled_by="width"),  # type: ignore[arg-type] # the point
            "scaled_by: expected one of key, length but got 'width' (type str)",
        ),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == message
