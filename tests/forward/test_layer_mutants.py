"""Faulty variants of every new operation and layer: the comparisons of ``test_layer_trees.py`` tell each of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Hardmax
from constructions.activations import TANH_GELU, Absolute, ClippedRelu, Square
from constructions.layers import Added, Attention, Chain, Gated, Head, Norm, Residual, Rotary, Sum, Table, Window
from constructions.layers.passes import Pass
from tests.forward.plain import Float64Balls, Rationals, TrueBalls, outside
from tests.forward.test_layer_trees import (
    SOFTMAX,
    pairs,
    plain,
    test_step_by_step_with_kept_keys_and_values_is_one_pass,
    traced,
)
from tests.forward.trees import MODELS
from verify.arithmetic import NumpyArithmetic, RationalArithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import BallArithmetic
from verify.certificates.balls.columns import ball_precision

Faulty = Callable[[Any], Any]


def _norm(**changed: Any) -> Faulty:
    """Return what changes the options of a norm."""
    return lambda original: lambda self, rows, **options: original(self, rows, **{**options, **changed})


def _exact(name: str) -> bool:
    """Return whether the logits are right: a faulty layer may also record less than it should."""
    mine = traced(RationalArithmetic(), MODELS[name], Hardmax())
    theirs = plain(MODELS[name], Rationals(), Hardmax())
    return all(own["readout"].tolist() == other["readout"] for own, other in zip(mine, theirs, strict=True))


def _in_steps(name: str) -> bool:
    try:
        test_step_by_step_with_kept_keys_and_values_is_one_pass(name)
    except AssertionError:
        return False
    return True


#: ``(what is wrong, class, method, the faulty one, model, comparison)``
MUTANTS: list[tuple[str, type, str, Faulty, str, Callable[[str], bool]]] = [
    ("eps is left out", RationalArithmetic, "normalise", _norm(eps=Fraction(0)), "rms norm", _exact),
    (
        "the mean is not taken off",
        RationalArithmetic,
        "normalise",
        _norm(centred=False),
        "layer norm of a row off 0",
        _exact,
    ),
    ("squares are added up", RationalArithmetic, "normalise", _norm(mean=False), "rms norm, eps 0", _exact),
    ("squares are averaged", RationalArithmetic, "normalise", _norm(mean=True), "l2 norm, eps 0", _exact),
    (
        "the weight of a norm is forgotten",
        RationalArithmetic,
        "affine",
        lambda original: lambda self, rows, weight, bias: original(self, rows, None, bias),
        "rms norm",
        _exact,
    ),
    (
        "the bias of a norm is forgotten",
        RationalArithmetic,
        "affine",
        lambda original: lambda self, rows, weight, bias: original(self, rows, weight, None),
        "layer norm",
        _exact,
    ),
    ("the norm is skipped", Norm, "apply", lambda original: lambda self, run, rows, **_: rows, "l2 norm", _exact),
    (
        "the product is a sum",
        RationalArithmetic,
        "multiply",
        lambda original: lambda self, left, right: left + right,
        "gated",
        _exact,
    ),
    (
        "the gate is forgotten",
        Gated,
        "apply",
        lambda original: lambda self, run, rows, **more: self.value.apply(run, rows, **more),
        "gated",
        _exact,
    ),
    ("the residual is dropped", Residual, "apply", lambda original: Chain.apply, "residual", _exact),
    (
        "a branch is dropped",
        Sum,
        "apply",
        lambda original: lambda self, run, rows, **more: self.branches[0].apply(run, rows, **more),
        "sum",
        _exact,
    ),
    (
        "positions are not added",
        Added,
        "apply",
        lambda original: lambda self, run, embedded, size: embedded,
        "added positions",
        _exact,
    ),
    (
        "the rotation is reversed",
        Rotary,
        "turned",
        lambda original: lambda self, run, rows, **more: original(_backwards(self), run, rows, **more),
        "rotary halves",
        _exact,
    ),
    (
        "only the queries are turned",
        Head,
        "keys_and_values",
        lambda original: lambda self, run, rows: original(_unturned(self), run, rows),
        "rotary",
        _exact,
    ),
    (
        "a table of positions begins at 0",
        Pass,
        "table",
        lambda original: lambda self, held, **more: original(_from_0(self), held, **more),
        "rotary neighbours",
        _in_steps,
    ),
    (
        "the score bias begins at row 0",
        RationalArithmetic,
        "score_table",
        lambda original: (
            lambda self, table, start, stop: type(table)([row[:stop] for row in table.tolist()[: stop - start]])
        ),
        "score bias",
        _in_steps,
    ),
    (
        "the score bias is transposed",
        RationalArithmetic,
        "score_table",
        lambda original: lambda self, table, start, stop: original(self, table.transpose(), start, stop),
        "score bias",
        _exact,
    ),
    (
        "the score bias is forgotten",
        RationalArithmetic,
        "shifted",
        lambda original: lambda self, scores, shift: scores,
        "score bias",
        _exact,
    ),
    (
        "a window is one too wide",
        Window,
        "visible",
        lambda original: lambda self, start, count: original(Window(self.size + 1), start, count),
        "window",
        _exact,
    ),
    (
        "a table's rows are its columns",
        Table,
        "visible",
        lambda original: lambda self, start, count: np.array(self.rows).T[start : start + count, : start + count],
        "table",
        _exact,
    ),
    (
        "a mask's rows begin at 0",
        Window,
        "visible",
        lambda original: lambda self, start, count: original(self, 0, start + count)[:count],
        "window",
        _in_steps,
    ),
    (
        "the bias of the output projection is forgotten",
        Attention,
        "_joined",
        lambda original: lambda self, run, outputs: original(self.changed(output_bias=None), run, outputs),
        "projection",
        _exact,
    ),
    (
        "heads come in another order",
        Attention,
        "_joined",
        lambda original: lambda self, run, outputs: original(self, run, outputs[::-1]),
        "grouped",
        _exact,
    ),
    (
        "shared keys are the last head's",
        Attention,
        "_kept_by",
        lambda original: (
            lambda self, head, run, rows, held: (
                next(iter(held.values())) if head.shares else original(self, head, run, rows, held)
            )
        ),
        "grouped",
        _exact,
    ),
    *(
        (
            f"the bias of {part} is forgotten",
            RationalArithmetic,
            "linear",
            lambda original, at=at: _without_call(original, at),
            model,
            _exact,
        )
        for at, part, model in ((0, "keys", "rotary biases"), (1, "values", "biases"), (2, "queries", "biases"))
    ),
    ("abs is the identity", Absolute, "exact", lambda original: lambda self, value: value, "abs", _exact),
    ("square is abs", Square, "exact", lambda original: lambda self, value: abs(value), "square", _exact),
    (
        "a ceiling is forgotten",
        ClippedRelu,
        "exact",
        lambda original: lambda self, value: max(value, 0),
        "activations",
        _exact,
    ),
]


def _changed(part: Any, **fields: Any) -> Any:
    made = object.__new__(type(part))
    for name, value in vars(part).items():
        object.__setattr__(made, name, fields.get(name, value))
    return made


def _unturned(head: Any) -> Any:
    return _changed(head, rotary=None)


def _backwards(rotary: Any) -> Any:
    return _changed(rotary, sines=-1 * rotary.sines)


def _from_0(run: Any) -> Any:
    return Pass(run.operations, 0, run.count, run.mask, run.temperature, run.cache, run.record)


def _without_call(original: Any, at: int) -> Any:
    """Return a linear map that forgets the bias in one of its calls."""
    calls = [0]

    def linear(self: Any, rows: Any, weight: Any, bias: Any = None) -> Any:
        calls[0] += 1
        return original(self, rows, weight, None if calls[0] - 1 == at else bias)

    return linear


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant[0] for mutant in MUTANTS])
def test_a_faulty_variant_is_told(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, owner, method, faulty, name, agrees = mutant
    assert agrees(name)
    monkeypatch.setattr(owner, method, faulty(getattr(owner, method)))
    assert not agrees(name)


def _as_floats(arithmetic: Any, name: str) -> bool:
    with ball_precision():
        bounds = plain(MODELS[name], Float64Balls(), SOFTMAX)
        return not any(
            outside(theirs, float(mine)) for _, mine, theirs in pairs(traced(arithmetic, MODELS[name], SOFTMAX), bounds)
        )


def _as_balls(arithmetic: Any, name: str) -> bool:
    with ball_precision():
        true = plain(MODELS[name], TrueBalls(), SOFTMAX)
        held = pairs(traced(arithmetic, MODELS[name], SOFTMAX), true)
        return all(not theirs < float(mine[0]) and not theirs > float(mine[1]) for _, mine, theirs in held)


ARITHMETICS: list[tuple[Any, Callable[[Any, str], bool]]] = [
    (NumpyArithmetic(), _as_floats),
    (TorchArithmetic("float64"), _as_floats),
    (StructuredTorchArithmetic("float64"), _as_floats),
    (BallArithmetic(), _as_balls),
]

#: ``(what is wrong, method, the faulty one, model)`` of every arithmetic that computes roots and exponentials
MUTANTS_OF_REALS: list[tuple[str, str, Faulty, str]] = [
    ("eps is left out", "normalise", _norm(eps=Fraction(0)), "rms norm of anything"),
    ("the mean is not taken off", "normalise", _norm(centred=False), "layer norm of anything"),
    ("squares are added up", "normalise", _norm(mean=False), "layer norm of a row far from 0"),
    ("squares are averaged", "normalise", _norm(mean=True), "l2 norm of queries"),
    (
        "the weight of a norm is forgotten",
        "affine",
        lambda original: lambda self, rows, weight, bias: original(self, rows, None, bias),
        "rms norm of anything",
    ),
    (
        "the bias of a norm is forgotten",
        "affine",
        lambda original: lambda self, rows, weight, bias: original(self, rows, weight, None),
        "layer norm of anything",
    ),
    ("the gate is forgotten", "multiply", lambda original: lambda self, left, right: right, "swiglu"),
    (
        "the other gelu",
        "pointwise",
        lambda original: lambda self, rows, activation: original(self, rows, TANH_GELU),
        "gelu",
    ),
    (
        "what is added after scaling is forgotten",
        "shifted_attention",
        lambda original: lambda self, scores, shift, *more, **others: self.attention(scores, *more, **others),
        "alibi after scaling",
    ),
    (
        "it is added before scaling",
        "shifted_attention",
        lambda original: (
            lambda self, scores, shift, *more, **others: self.attention(self.shifted(scores, shift), *more, **others)
        ),
        "alibi after scaling",
    ),
    ("the score bias is forgotten", "shifted", lambda original: lambda self, scores, shift: scores, "score bias"),
]


@pytest.mark.share(10)
@pytest.mark.parametrize(("arithmetic", "agrees"), ARITHMETICS, ids=[pair[0].name for pair in ARITHMETICS])
@pytest.mark.parametrize("mutant", MUTANTS_OF_REALS, ids=[mutant[0] for mutant in MUTANTS_OF_REALS])
def test_a_faulty_operation_of_real_numbers_is_told(
    mutant: Any, arithmetic: Any, agrees: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, method, faulty, name = mutant
    assert agrees(arithmetic, name)
    monkeypatch.setattr(type(arithmetic), method, faulty(getattr(type(arithmetic), method)))
    assert not agrees(arithmetic, name)
