"""Every intermediate by name, compared step by step between arithmetics; symbols against exact rationals."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Softmax,
    UnconditionalGeneration,
)
from verify.arithmetic import Arithmetic, NumpyArithmetic, RationalArithmetic, SymbolicArithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.symbolic import q
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import bind_construction, exact_logits, forward, generate
from verify.running.trace import Trace

EXACT = RationalArithmetic()
HARD = Hardmax()


def _trace(construction: Construction, arithmetic: Arithmetic[Any, Any, Any], seed: int = 5) -> Trace:
    """Return all steps of one pass over the prompt, the user input and the promised response but its last token."""
    model = bind_construction(construction, arithmetic)
    batch = (0,) if not arithmetic.batched else slice(0, 1)
    target = construction.targets.sample(1, seed=seed)[batch]
    user = construction.user_inputs.sample(1, seed=seed)[batch]
    tokens = np.concatenate([user, construction.response(target, user)[..., :-1]], axis=-1)
    rows = arithmetic.prompt(construction.virtual_tokens(target))
    if tokens.shape[-1]:
        rows = arithmetic.below(rows, arithmetic.embed(model.embedding, tokens))
    trace = Trace()
    forward(model, rows, construction.layout.context_size, trace=trace)
    return trace


#: All numbers dyadic and short: nothing rounds in float64, however sums are ordered.
DYADIC: list[Construction] = [
    UnconditionalGeneration(1, 1, temperature=HARD),
    UnconditionalGeneration(8, 5, temperature=HARD),
    UnconditionalGeneration(8, 5, temperature=HARD, mask="none"),
    ConditionalGeneration(16, temperature=HARD),
    LongerResponses(4, 2, temperature=HARD),  # its early positions choose among 1, 2 keys, never 3
    LongerInputs(2, 2, temperature=HARD),
    LongerInputs(2, 3, "mask", temperature=HARD, mask="none"),
    LongerInputs(4, 2, temperature=HARD),
    LongerInputs(4, 2, "mask", temperature=HARD),
]


@pytest.mark.share(6)
@pytest.mark.parametrize(
    "arithmetic",
    [NumpyArithmetic(), TorchArithmetic("float64"), StructuredTorchArithmetic("float64")],
    ids=lambda made: type(made).__name__,
)
@pytest.mark.parametrize("construction", DYADIC, ids=repr)
def test_hardmax_on_dyadic_numbers_is_exact_at_every_step(
    construction: Construction, arithmetic: Arithmetic[Any, Any, Any]
) -> None:
    for seed in range(3):
        exact, floats = _trace(construction, EXACT, seed), _trace(construction, arithmetic, seed)
        assert list(floats.steps) == list(exact.steps)
        assert set(exact.differences(floats).values()) == {0.0}


def test_the_names_of_the_steps() -> None:
    heads = [f"attention.{head}.{part}" for head in ("self", "first") for part in ("scores", "weights", "output")]
    steps = ["input", *heads, "attention", "select", "sum", "readout"]
    for construction in (UnconditionalGeneration(3, 2), ConditionalGeneration(3)):
        assert list(_trace(construction, EXACT).steps) == steps
    names = list(_trace(LongerInputs(2, 2), EXACT).steps)
    layers = [layer.name for layer in LongerInputs(2, 2).transformer.lowered.layers]
    assert [name for name in names if name in layers] == layers


def test_what_the_steps_are() -> None:
    """Theorem 1 at hardmax, by hand: V = 4, N = 2, target (3, 1)."""
    construction = UnconditionalGeneration(4, 2, temperature=HARD)
    model = bind_construction(construction, EXACT)
    trace = Trace()
    rows = EXACT.below(EXACT.prompt(construction.virtual_tokens([3, 1])), EXACT.embed(model.embedding, np.array([3])))
    forward(model, rows, 2, trace=trace)
    s = [Fraction(3, 4), Fraction(1, 4)]
    expected = {
        "input": [[*s, 1, 0], [0, 0, 0, 1]],
        "attention.self.scores": [[1, 0], [0, 1]],
        "attention.self.weights": [[1, 0], [0, 1]],
        "attention.self.output": [[1, 0], [0, 1]],
        "attention.first.scores": [[1, 0], [1, 0]],
        "attention.first.weights": [[1, 0], [1, 0]],
        "attention.first.output": [s, s],
        "attention": [[1 + s[0], s[1]], [s[0], 1 + s[1]]],
        "select": [[s[0], 0], [0, s[1]]],
        "sum": [[s[0]], [s[1]]],
        "readout": [[(Fraction(2 * v, 4) - 1) * x + Fraction(1, 4) - Fraction(v * v, 16) for v in range(4)] for x in s],
    }
    assert {name: value.tolist() for name, value in trace.steps.items()} == expected


SYMBOLIC_SIZES: list[Construction] = [
    UnconditionalGeneration(1, 2),
    UnconditionalGeneration(3, 3),
    UnconditionalGeneration(2, 3, mask="none"),
    ConditionalGeneration(3),
    LongerResponses(2, 2),
]


@pytest.mark.parametrize("construction", SYMBOLIC_SIZES, ids=repr)
def test_expressions_in_q_at_a_number_are_the_exact_rationals(construction: Construction) -> None:
    symbolic = _trace(construction, SymbolicArithmetic())
    for value in (Fraction(1, 3), Fraction(2), Fraction(1000, 7)):
        rational = _trace(dataclasses.replace(construction, temperature=RationalSoftmax(value)), EXACT)
        assert list(symbolic.steps) == list(rational.steps)
        number = sp.Rational(value.numerator, value.denominator)
        for name, step in symbolic.steps.items():
            at_q = [[sp.sympify(entry).subs(q, number).doit() for entry in row] for row in step.tolist()]
            assert [[Fraction(int(entry.p), int(entry.q)) for entry in row] for row in at_q] == rational.steps[
                name
            ].tolist(), name


def test_the_attention_of_theorem_1_in_q() -> None:
    weights = _trace(UnconditionalGeneration(3, 3), SymbolicArithmetic()).steps["attention.self.weights"]
    assert weights[2].tolist() == [1 / (q + 2), 1 / (q + 2), q / (q + 2)]
    assert weights[0].tolist() == [1, 0, 0]


def _single(value: np.ndarray[Any, np.dtype[Any]]) -> Trace:
    return Trace(steps={"a": value})


def test_differences() -> None:
    one, other = _single(np.array([[1.0, 2.0]])), _single(np.array([[[1.0, 2.5]]]))
    assert one.differences(other) == {"a": 0.5}  # a batch of one is dropped
    exact = _single(np.array([[Fraction(1, 3)]], dtype=object))
    third = _single(np.array([[1 / 3]]))
    assert exact.differences(third) == {"a": float(Fraction(1, 3) - Fraction(1 / 3))}
    assert np.isnan(one.differences(_single(np.array([[np.nan, 2.0]])))["a"])
    assert _single(np.zeros((1, 0))).differences(_single(np.zeros((1, 0)))) == {"a": 0.0}


def test_traces_that_cannot_be_compared() -> None:
    one = _single(np.zeros((1, 2)))
    with pytest.raises(InvalidArgument) as caught:
        one.differences(_single(np.zeros((2, 2))))
    assert str(caught.value) == "trace: expected the same shape at a but got (1, 2), (2, 2)"
    for steps in ({}, {"b": np.zeros((1, 2))}):
        with pytest.raises(InvalidArgument) as caught:
            one.differences(Trace(steps=steps))
        assert str(caught.value) == "trace: expected the same steps in both traces"


def test_a_batch_of_several_is_not_one_sequence() -> None:
    """A trace of two sequences must not be compared by its first alone."""
    one, two = _single(np.zeros((1, 2))), _single(np.stack([np.zeros((1, 2)), np.ones((1, 2))]))
    with pytest.raises(InvalidArgument):
        one.differences(two)


def test_a_different_temperature_shows_where_it_starts() -> None:
    exact = _trace(UnconditionalGeneration(4, 3, temperature=HARD), EXACT)
    soft = _trace(UnconditionalGeneration(4, 3, temperature=RationalSoftmax(Fraction(50))), EXACT)
    found = exact.differences(soft)
    assert found["input"] == found["attention.self.scores"] == 0.0
    assert found["attention.self.weights"] > 0
    assert found["readout"] > 0


def test_the_table() -> None:
    lines = _trace(ConditionalGeneration(2, temperature=HARD), EXACT, seed=0).table().splitlines()
    assert lines[0].startswith("input[0]")
    assert lines[0].endswith(" 1 0")  # the position code
    labels = [line.split()[0] for line in lines]
    steps = ["input", *[f"attention.{h}.{p}" for h in ("self", "first") for p in ("scores", "weights", "output")]]
    steps += ["attention", "select", "sum", "readout"]
    assert labels == [f"{name}[{position}]" for name in steps for position in range(2)]
    width = max(map(len, labels))
    assert all(line[width : width + 2] == "  " and line[width + 2] != " " for line in lines)
    floats = _single(np.array([[1 / 3, -2.0]])).table(digits=3)
    assert floats == "a[0]  0.333 -2"


def test_a_disabled_trace_records_nothing() -> None:
    trace = Trace(enabled=False)
    trace.record("a", EXACT, EXACT.positions(2, 0, 2))
    assert trace.steps == {}


@pytest.mark.parametrize("construction", [UnconditionalGeneration(6, 4), LongerResponses(5, 3)], ids=repr)
@pytest.mark.parametrize("name", FORMATS)
def test_structured_and_dense_torch(construction: Construction, name: str) -> None:
    """At the default temperature attention is one-hot up to what is absorbed, every sum has one term that counts.

    So all steps agree but the last, on every machine: the scores are integers, both call the one softmax on them, and
    a sum with one term that counts is rounded once, by IEEE 754. A logit ``w x + b`` with ``|w x| + |b| <= 2`` has an
    error of at most ``2 gamma_2``, ``gamma_2 = 2u/(1-2u)``, fused or not, in each of the two.
    """
    dense, structured = (_trace(construction, kind(name)) for kind in (TorchArithmetic, StructuredTorchArithmetic))
    assert list(dense.steps) == list(structured.steps)
    found = dense.differences(structured)
    u = FORMATS[name].unit_roundoff
    assert found["readout"] <= 2 * 2 * (2 * u / (1 - 2 * u))
    assert found["select"] == found["sum"] == found["attention"] == 0.0


def test_a_trace_of_generation_is_that_of_the_last_step() -> None:
    construction = UnconditionalGeneration(5, 3)
    trace = Trace()
    model = bind_construction(construction, EXACT)
    made = generate(
        model, EXACT.prompt(construction.virtual_tokens([4, 0, 2])), 1, np.zeros(0, dtype=np.int64), 3, trace=trace
    )
    assert trace.steps["input"].shape == (1, 6)  # the new position alone
    assert trace.steps["attention.self.weights"].shape == (1, 3)
    assert trace.steps["readout"].tolist() == exact_logits(EXACT, made)[-1:].tolist()


def test_refused_by_exact_arithmetic() -> None:
    with pytest.raises(InvalidArgument) as caught:
        _trace(UnconditionalGeneration(3, 2, temperature=Softmax(2.0)), EXACT)
    assert str(caught.value) == (
        "temperature: rational arithmetic takes hardmax or an exact q = exp(T/sqrt(k)) but got"
        " Softmax(inverse_temperature=2.0, scaled_by='key')"
    )
    with pytest.raises(InvalidArgument) as caught:  # at q = 1 the one-hots of block 2 are not restored
        _trace(LongerInputs(2, 2, temperature=RationalSoftmax(Fraction(1))), EXACT)
    assert str(caught.value).startswith(
        "temperature: rational arithmetic at a finite q takes integer score differences but got"
    )
    assert str(caught.value).endswith("; use hardmax")


def test_refused_by_symbolic_arithmetic() -> None:
    symbolic = SymbolicArithmetic()
    construction = UnconditionalGeneration(3, 2)
    with pytest.raises(InvalidArgument) as caught:
        generate(
            bind_construction(construction, symbolic),
            symbolic.prompt(construction.virtual_tokens([2, 2])),
            1,
            np.zeros(0, dtype=np.int64),
            2,
        )
    assert str(caught.value) == ("logits: the argmax of expressions in q is undecided; use hardmax, or a number for q")
    with pytest.raises(InvalidArgument) as caught:
        _trace(LongerInputs(2, 2), symbolic)
    assert str(caught.value) == "scores: symbolic arithmetic takes scores that are numbers, free of q"
