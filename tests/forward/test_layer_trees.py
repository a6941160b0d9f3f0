"""Every kind of layer in every arithmetic, against a forward pass that is written once more on lists of numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import sympy as sp

from constructions import Hardmax, RationalSoftmax, Softmax, Transformer
from constructions.temperature import Temperature
from tests.forward.plain import Float64Balls, Plain, Rationals, TrueBalls, outside
from tests.forward.trees import CONTEXT, IRRATIONAL, MODELS, RATIONAL, VOCAB
from verify.arithmetic import Arithmetic, NumpyArithmetic, RationalArithmetic, SymbolicArithmetic
from verify.arithmetic.base import NumberSystem
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.engine import EngineArithmetic
from verify.running.model import Cache, bind, forward
from verify.running.trace import Trace

#: two sequences: a batch
TOKENS = np.array([[0, 2, 1, 0], [1, 1, 0, 2]])
SOFTMAX = Softmax(1.5)
FLOATS: list[Arithmetic[Any, Any, Any]] = [
    NumpyArithmetic(),
    TorchArithmetic("float64"),
    TorchArithmetic("float64", bias="separate"),
    StructuredTorchArithmetic("float64"),
    EngineArithmetic("float64"),
]
assert VOCAB == 3
assert TOKENS.shape == (2, CONTEXT)


def traced(
    arithmetic: NumberSystem[Any, Any, Any],
    transformer: Transformer,
    temperature: Temperature,
    mask: str = "causal",
    tokens: np.ndarray[Any, Any] = TOKENS,
) -> list[dict[str, Any]]:
    """Return every intermediate of each sequence."""
    model = bind(transformer.lowered, arithmetic, temperature, mask=mask)
    found = []
    for chosen in [tokens] if arithmetic.batched else list(tokens):
        trace = Trace()
        embedded = arithmetic.embed(model.embedding, chosen)
        rows = forward(model, embedded, chosen.shape[-1], trace=trace)
        assert set(trace.steps) >= {"readout"}
        assert np.array_equal(arithmetic.numbers(rows), trace.steps["readout"])
        found.append(trace.steps)
    if not arithmetic.batched:
        return found
    return [{name: value[min(place, len(value) - 1)] for name, value in found[0].items()} for place in range(2)]


def plain(transformer: Transformer, kit: Any, temperature: Temperature, mask: str = "causal") -> list[dict[str, Any]]:
    """Return the same of the other implementation."""
    found = []
    for tokens in TOKENS.tolist():
        made = Plain(transformer.lowered, kit, temperature, causal=mask == "causal")
        made.logits(made.embedded(tokens))
        found.append(made.steps)
    return found


def pairs(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    """Return every number of both, by its place."""
    found = []
    for own, other in zip(mine, theirs, strict=True):
        assert set(other) <= {*own, *(name for name in other if name.endswith("chain"))}
        for name, rows in other.items():
            if name in own:
                held = np.asarray(own[name])
                assert held.shape[:2] == (len(rows), len(rows[0])), name
                found += [
                    (f"{name}[{i}, {j}]", held[i, j], value)
                    for i, row in enumerate(rows)
                    for j, value in enumerate(row)
                ]
    assert found
    return found


def exactly(arithmetic: Arithmetic[Any, Any, Any], name: str, temperature: Temperature, mask: str = "causal") -> bool:
    """Return whether a model's every intermediate is that of the other implementation, exactly."""
    expected = plain(MODELS[name], Rationals(), temperature, mask)
    return all(
        mine == theirs for _, mine, theirs in pairs(traced(arithmetic, MODELS[name], temperature, mask), expected)
    )


@pytest.mark.parametrize("mask", ["causal", "none"])
@pytest.mark.parametrize("name", RATIONAL)
def test_rational_arithmetic_is_exact(name: str, mask: str) -> None:
    assert exactly(RationalArithmetic(), name, Hardmax(), mask)


@pytest.mark.parametrize("name", RATIONAL)
def test_symbolic_arithmetic_is_exact(name: str) -> None:
    assert exactly(SymbolicArithmetic(), name, Hardmax())


def test_an_exact_q_between_integer_scores() -> None:
    layer = MODELS["l2 norm, eps 0"]
    assert exactly(RationalArithmetic(), "l2 norm, eps 0", RationalSoftmax(Fraction(3, 2)))
    assert layer.lowered.widest == 4


@pytest.mark.share(70)
@pytest.mark.parametrize("arithmetic", FLOATS, ids=lambda arithmetic: arithmetic.name)
@pytest.mark.parametrize("name", MODELS)
def test_float64_rounds_as_it_may(name: str, arithmetic: Arithmetic[Any, Any, Any]) -> None:
    with ball_precision():
        bounds = plain(MODELS[name], Float64Balls(), SOFTMAX)
        for place, mine, theirs in pairs(traced(arithmetic, MODELS[name], SOFTMAX), bounds):
            assert not outside(theirs, float(mine)), (place, mine, theirs)


@pytest.mark.parametrize(
    "temperature", [SOFTMAX, RationalSoftmax(Fraction(3, 2)), RationalSoftmax(Fraction(1, 2))], ids=repr
)
@pytest.mark.parametrize("name", MODELS)
def test_balls_hold_the_true_values_and_little_more(name: str, temperature: Temperature) -> None:
    if name == "alibi after scaling" and isinstance(temperature, RationalSoftmax):
        pytest.skip("an exact q has no exponents to add to")
    with ball_precision(256):
        true = plain(MODELS[name], TrueBalls(), temperature)
    with ball_precision():
        mine = traced(BallArithmetic(), MODELS[name], temperature)
    for place, ends, value in pairs(mine, true):
        low, high = ends
        assert flint.arb(low) <= value, place
        assert value <= flint.arb(high), place
        # each end is rounded, and its neighbour taken: four units in the last place, and as much for balls themselves
        assert high - low <= 8 * 2.0**-52 * (1 + abs(high)), place


@pytest.mark.parametrize("name", ["layer norm of anything", "alibi after scaling", "gated", "rotary"])
def test_symbols_are_the_true_values(name: str) -> None:
    """The expressions of two positions, at ``q = exp(T/sqrt(k))``, evaluated to 40 digits."""
    tokens = TOKENS[:1, :2]
    steps = traced(SymbolicArithmetic(), MODELS[name], SOFTMAX, tokens=tokens)[0]
    with ball_precision(256):
        made = Plain(MODELS[name].lowered, TrueBalls(), SOFTMAX)
        logits = made.logits(made.embedded(tokens[0].tolist()))
        gap = sp.Rational(3, 2) / sp.sqrt(MODELS[name].attentions.__next__().heads[0].key_size)
        for mine, theirs in zip(steps["readout"].reshape(-1), [value for row in logits for value in row], strict=True):
            value = sp.sympify(mine).subs(sp.Symbol("q", positive=True), sp.exp(gap)).evalf(40)
            assert abs(flint.arb(str(value)) - theirs) < flint.arb(10) ** -35


def steps(
    arithmetic: Arithmetic[Any, Any, Any], transformer: Transformer, temperature: Temperature, cut: int
) -> list[Any]:
    """Return the logits at every position from ``cut - 1`` on, each new position alone with what was kept."""
    model = bind(transformer.lowered, arithmetic, temperature, mask="causal")
    tokens = TOKENS if arithmetic.batched else TOKENS[0]
    cache: Cache[Any] = Cache()
    embedded = arithmetic.embed(model.embedding, tokens[..., :cut])
    found = [forward(model, embedded, cut, cache=cache, last_only=True)]
    for place in range(cut, CONTEXT):
        new = arithmetic.embed(model.embedding, tokens[..., place : place + 1])
        found.append(forward(model, new, 1, cache=cache, last_only=bool(place % 2)))
    return [arithmetic.numbers(step) for step in found]


def is_causal(transformer: Transformer) -> bool:
    return all(layer.mask is None or layer.mask.causal for layer in transformer.lowered.attentions)


@pytest.mark.parametrize("name", RATIONAL)
def test_step_by_step_with_kept_keys_and_values_is_one_pass(name: str) -> None:
    arithmetic = RationalArithmetic()
    model = bind(RATIONAL[name].lowered, arithmetic, Hardmax(), mask="causal")
    whole = arithmetic.numbers(forward(model, arithmetic.embed(model.embedding, TOKENS[0]), CONTEXT))
    last = forward(model, arithmetic.embed(model.embedding, TOKENS[0]), CONTEXT, last_only=True)
    np.testing.assert_array_equal(arithmetic.numbers(last), whole[-1:])
    for cut in (1, 2, 3) if is_causal(RATIONAL[name]) else ():
        np.testing.assert_array_equal(
            np.concatenate(steps(arithmetic, RATIONAL[name], Hardmax(), cut)), whole[cut - 1 :]
        )


@pytest.mark.share(70)
@pytest.mark.parametrize("arithmetic", FLOATS, ids=lambda arithmetic: arithmetic.name)
@pytest.mark.parametrize("name", [name for name, transformer in MODELS.items() if is_causal(transformer)])
def test_steps_of_floats_round_as_they_may(name: str, arithmetic: Arithmetic[Any, Any, Any]) -> None:
    with ball_precision():
        bounds = plain(MODELS[name], Float64Balls(), SOFTMAX)
    for place, step in enumerate(steps(arithmetic, MODELS[name], SOFTMAX, 2), start=1):
        for batch, made in enumerate(np.broadcast_to(step, (2, *step.shape[1:]))):
            for value, allowed in zip(made[0], bounds[batch]["readout"][place], strict=True):
                assert not outside(allowed, float(value))


@pytest.mark.parametrize("name", IRRATIONAL)
def test_rational_arithmetic_refuses_what_is_irrational(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^(activation|norm|temperature): rational arithmetic .*; use --arithmetic "
    ) as caught:
        traced(RationalArithmetic(), IRRATIONAL[name], SOFTMAX if "alibi" in name else Hardmax())
    assert "\n" not in str(caught.value)
