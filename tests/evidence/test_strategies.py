"""The public Hypothesis strategies: what they draw is valid, within bounds, and reaches the edges."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
)
from verify import check, get_arithmetic
from verify.evidence import strategies

KINDS = [UnconditionalGeneration, ConditionalGeneration, LongerResponses, LongerInputs]
SMALL = st.one_of(
    strategies.unconditional_generations(6, 4),
    strategies.conditional_generations(6),
    strategies.longer_responses(4, 3),
    strategies.longer_inputs(3, 3, max_digits=4),
)


@pytest.mark.parametrize("kind", KINDS)
def test_from_type_finds_the_constructions(kind: type[Construction]) -> None:
    @given(st.from_type(kind))
    @settings(max_examples=10)
    def draws(construction: Construction) -> None:
        assert type(construction) is kind
        assert construction.temperature is None

    draws()


@given(st.from_type(Construction))  # type: ignore[type-abstract] # mypy refuses abstract classes as arguments
@settings(max_examples=10)
def test_from_type_of_the_base_draws_one_of_them(construction: Construction) -> None:
    assert type(construction) in KINDS


@given(strategies.cases(SMALL))
def test_cases_are_valid(case: strategies.Case) -> None:
    construction = case.construction
    assert case.target.dtype == case.user_input.dtype == np.int64
    assert case.target.shape == construction.targets.shape
    assert case.user_input.shape == (construction.layout.user,)
    assert construction.response(case.target, case.user_input).shape == (construction.layout.response,)


@given(st.data(), st.integers(1, 9), st.integers(1, 5))
def test_sizes_are_within_the_bounds(data: st.DataObject, first: int, second: int) -> None:
    unconditional = data.draw(strategies.unconditional_generations(first, second))
    assert 1 <= unconditional.vocab_size <= first
    assert 1 <= unconditional.context_size <= second
    assert 1 <= data.draw(strategies.conditional_generations(first)).vocab_size <= first
    responses = data.draw(strategies.longer_responses(first, second))
    assert 1 <= responses.vocab_size <= first
    assert 1 <= responses.response_size <= second
    inputs = data.draw(strategies.longer_inputs(first, second + 1, max_digits=16))
    assert 1 <= inputs.vocab_size <= first
    assert 2 <= inputs.input_size <= second + 1
    assert inputs.vocab_size ** (inputs.input_size - 1) <= 16


@pytest.mark.parametrize(
    ("strategy", "largest"),
    [
        (strategies.unconditional_generations(7, 5), UnconditionalGeneration(7, 5)),
        (strategies.unconditional_generations(7, 5), UnconditionalGeneration(1, 1)),
        (strategies.conditional_generations(7), ConditionalGeneration(7)),
        (strategies.longer_responses(4, 3), LongerResponses(4, 3)),
        (strategies.longer_inputs(3, 3), LongerInputs(3, 3)),
    ],
)
def test_the_largest_sizes_are_drawn(strategy: st.SearchStrategy[Any], largest: Construction) -> None:
    budget = settings(max_examples=2_000, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    assert find(strategy, lambda construction: construction == largest, settings=budget) == largest


@pytest.mark.parametrize(("name", "last"), [("float64", 13), ("float32", 7)])
def test_longer_inputs_are_as_large_as_the_format_carries(name: str, last: int) -> None:
    fmt = FORMATS[name]
    sizes = strategies.longer_inputs_sizes(20, 4, max_digits=32, fmt=fmt)
    assert max(vocab_size for vocab_size, input_size in sizes if input_size == 2) == last
    for vocab_size, input_size in sizes:
        LongerInputs(vocab_size, input_size).check_format(fmt)
    # what was left out is refused, or has too many digits
    for vocab_size in range(1, 21):
        for input_size in range(2, 5):
            if (vocab_size, input_size) not in sizes and vocab_size ** (input_size - 1) <= 32:
                with pytest.raises(InvalidArgument, match="packed"):
                    LongerInputs(vocab_size, input_size).check_format(fmt)


@given(strategies.longer_inputs(20, 4, fmt=FORMATS["float16"]))
def test_longer_inputs_respect_a_small_format(construction: LongerInputs) -> None:
    construction.check_format(FORMATS["float16"])


@given(st.integers(1, 12), st.data())
def test_maps_are_tables_of_tokens(vocab_size: int, data: st.DataObject) -> None:
    table = data.draw(strategies.maps(vocab_size))
    assert table.shape == (vocab_size,)
    assert table.dtype == np.int64
    assert 0 <= table.min() <= table.max() < vocab_size


def test_maps_shrink_to_the_constant_zero() -> None:
    assert find(strategies.maps(5), lambda table: True).tolist() == [0] * 5
    assert find(strategies.maps(4), lambda table: int(table[2]) >= 2).tolist() == [0, 0, 2, 0]


@pytest.mark.parametrize("wanted", ["extreme", "constant", "spread"])
def test_large_targets_are_of_every_kind(wanted: str) -> None:
    construction = UnconditionalGeneration(50, 1_000)

    def kind(target: np.ndarray[Any, Any]) -> str:
        values = set(target.tolist())
        return "constant" if len(values) == 1 else "extreme" if values <= {0, 49} else "spread"

    budget = settings(max_examples=500, phases=(Phase.generate,))
    target = find(strategies.targets(construction), lambda drawn: kind(drawn) == wanted, settings=budget)
    assert target.shape == (1_000,)


@given(strategies.cases(SMALL), st.data())
def test_the_claim_holds_at_every_drawn_exact_temperature(case: strategies.Case, data: st.DataObject) -> None:
    temperature = data.draw(strategies.temperatures(case.construction))
    assert isinstance(temperature, (Hardmax, RationalSoftmax))
    construction = _at(case.construction, temperature)
    verdict = check(construction, target=case.target, user_input=case.user_input.tolist(), arithmetic="rational")
    assert verdict.holds is True


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_claim_holds_at_every_drawn_float_temperature(dtype: str) -> None:
    arithmetic = get_arithmetic("torch", dtype=dtype)

    @given(strategies.cases(SMALL), st.data())
    def holds(case: strategies.Case, data: st.DataObject) -> None:
        temperature = data.draw(strategies.temperatures(case.construction, arithmetic.fmt))
        construction = _at(case.construction, temperature)
        verdict = check(construction, target=case.target, user_input=case.user_input.tolist(), arithmetic=arithmetic)
        assert verdict.holds is True

    holds()


def test_temperatures_reach_the_default_sharper_ones_and_hardmax() -> None:
    construction = UnconditionalGeneration(5, 3)
    default = construction.default_temperature(None)
    assert isinstance(default, RationalSoftmax)
    drawn = strategies.temperatures(construction)
    assert find(drawn, lambda temperature: True) == default
    assert find(drawn, lambda temperature: temperature == Hardmax()) == Hardmax()
    sharper = find(drawn, lambda found: isinstance(found, RationalSoftmax) and found.q > default.q + Fraction(1, 2))
    assert isinstance(sharper, RationalSoftmax)


@pytest.mark.parametrize("bad", [0, -1, 2.5, True])
def test_bounds_that_are_not_sizes_are_refused(bad: Any) -> None:
    for strategy in (
        strategies.unconditional_generations(bad, 2),
        strategies.unconditional_generations(2, bad),
        strategies.conditional_generations(bad),
        strategies.longer_responses(2, bad),
        strategies.longer_inputs(bad, 2),
    ):
        with pytest.raises(InvalidArgument, match="max_"):
            find(strategy, lambda construction: True)


def _at(construction: Construction, temperature: Any) -> Construction:
    return replace(construction, temperature=temperature)
