"""Every obligation must fail loudly on weights that are wrong in the way that it is there to exclude."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import sympy as sp

from constructions import Attention, Transformer, UnitRow
from constructions.activations import RELU
from constructions.encodings import ENCODINGS, READOUTS
from constructions.expressions import BLOCK, N0, N, V, entries, n_X
from proofs import (
    CLAIMS,
    ObligationError,
    ObligationFailed,
    ObligationUndecided,
    longer_inputs_softmax,
    longer_responses_softmax,
    theorem_1_heads,
    theorem_1_softmax,
    theorem_2_heads,
)
from proofs.attention import BIAS, RESCALING, SECOND_LAYER
from tests.proofs.mutations import (
    HALF_SLOPE,
    HARMLESS_SHIFT,
    OFF_BY_ONE,
    Mutation,
    at,
    block,
    doubled,
    doubled_blocks,
    doubled_rows,
    embedding,
    head,
    linear,
    negated,
    ones,
    swapped,
    transposed,
    zeros,
)

OBLIGATIONS = {obligation.id: obligation for claim in CLAIMS.values() for obligation in claim.obligations}
#: Those whose mutants are in test_softmax_mutants.py.
OTHERS = (theorem_1_heads, theorem_2_heads, longer_inputs_softmax)
#: Claims whose mutants are in test_digits.py, test_residual.py and in tests/limits.
OTHER_CLAIMS = ("digits", "residual-theorem-1", "residual-theorem-2", RESCALING, BIAS, SECOND_LAYER)
ELSEWHERE = {item.id for module in OTHERS for item in module.OBLIGATIONS}
OF_OTHER_CLAIMS = {item.id for name in OTHER_CLAIMS for item in CLAIMS[name].obligations}


def selection(claim: str, width: Any, prefix: str = "") -> dict[str, list[Mutation]]:
    select, summed, readout = (f"{prefix}{name}" for name in ("select", "sum", "readout"))
    return {
        f"{claim}.select": [
            linear(select, bias=doubled),
            linear(select, bias=zeros),
            linear(select, activation=None),
            linear(select, weight=doubled),
            linear(select, weight=ones),
        ],
        f"{claim}.sum": [
            linear(summed, weight=UnitRow(width, 0)),
            linear(summed, weight=doubled),
            linear(summed, weight=transposed),
            linear(summed, bias=sp.OneMatrix(1, 1)),
        ],
        f"{claim}.readout": [
            linear(readout, bias=OFF_BY_ONE),
            linear(readout, weight=HALF_SLOPE),
            linear(readout, weight=HARMLESS_SHIFT),
            linear(readout, weight=transposed),
            linear(readout, activation=RELU),
        ],
        f"{claim}.margin": [linear(readout, bias=OFF_BY_ONE), linear(readout, weight=HALF_SLOPE)],
        f"{claim}.nearest": [linear(readout, bias=OFF_BY_ONE), linear(readout, weight=HALF_SLOPE)],
    }


def scores(name: str, *, layer: str = "attention") -> list[Mutation]:
    return [
        head(layer, name, "query", doubled_blocks),
        head(layer, name, "key", swapped),
        head(layer, name, "key", transposed),
    ]


def codings() -> dict[str, list[Mutation]]:
    found: dict[str, list[Mutation]] = {}
    for encoding in ENCODINGS:
        lifts = [
            linear("select", activation=None),
            linear("select", bias=lambda bias: -2 * sp.OneMatrix(*bias.shape)),
            head("attention", "self", "value", block(0, 1, zeros)),
            head("attention", "first", "value", block(0, 0, doubled)),
        ]
        found[f"theorem-1.{encoding}-mask"] = [*lifts, head("attention", "self", "value", block(0, 1, negated))]
        if encoding != "paper":
            found[f"theorem-1.{encoding}-add"] = [*lifts, linear("select", bias=zeros)]
        for readout in READOUTS:
            if (encoding, readout) != ("paper", "paper"):
                found[f"theorem-1.{encoding}-{readout}"] = [
                    linear("readout", bias=doubled),
                    linear("readout", bias=zeros),
                    linear("readout", weight=doubled_blocks if readout in {"split", "banded"} else doubled),
                    linear("readout", weight=doubled),
                    linear("sum", weight=doubled_rows if readout in {"split", "banded"} else doubled),
                    *(
                        []
                        if readout in {"paper", "centred"}
                        else [linear("sum", bias=zeros), linear("sum", activation=None)]
                    ),
                ]
        found[f"theorem-1.{encoding}-banded"] += [
            linear("sum", bias=block(1, 0, zeros)),
            linear("sum", weight=block(0, 0, zeros)),
            linear("sum", weight=block(1, 0, lambda part: -part)),
            linear("readout", weight=block(0, 1, zeros)),
            linear("readout", weight=block(0, 0, lambda part: -part)),
        ]
        if encoding != "integer":  # the same weights up to the step: one mutant each, to keep the tests short
            found |= {name: found[name][:1] for name in found if f".{encoding}-" in name}
    for name, change in (("lines", doubled), ("hat", doubled), ("banded", doubled_blocks)):
        found[f"theorem-1.magnitudes-{name}"] = [linear("readout", bias=doubled), linear("readout", weight=change)]
    return found


KIND = "attention of the {} block"
MUTANTS: dict[str, list[Mutation]] = {
    "theorem-1.self-scores": scores("self"),
    "theorem-1.first-scores": [
        *scores("first"),
        head("attention", "first", "key", block(0, 1, at(1))),
        head("attention", "first", "query", block(0, 1, at(0))),
    ],
    "theorem-1.hardmax": [
        head("attention", "first", "key", block(0, 1, at(1))),
        head("attention", "first", "key", block(0, 1, ones)),
        head("attention", "self", "key", block(0, 1, ones)),
        head("attention", "self", "key", block(0, 1, lambda part: -part)),
    ],
    "theorem-1.reads": [
        head("attention", "first", "value", swapped),
        head("attention", "first", "value", transposed),
        head("attention", "self", "value", swapped),
        head("attention", "self", "value", block(0, 0, lambda part: sp.Identity(part.shape[0]))),
    ],
    "theorem-1.softmax-leaks": [
        embedding(sp.OneMatrix(N, V)),
        head("attention", "first", "query", doubled_blocks),
        linear("select", bias=zeros),
    ],
    "theorem-1.softmax-threshold": [
        linear("select", bias=doubled),
        linear("select", activation=None),
        linear("readout", bias=OFF_BY_ONE),
        embedding(sp.OneMatrix(N, V)),
    ],
    **selection("theorem-1", N),
    **codings(),
    "theorem-2.self-scores": [*scores("self"), head("attention", "self", "key", block(0, 1, ones))],
    "theorem-2.first-scores": [
        *scores("first"),
        head("attention", "first", "key", block(0, 1, at(1))),
    ],
    "theorem-2.reads": [
        embedding(sp.ZeroMatrix(V, V)),
        embedding(2 * sp.Identity(V)),
        head("attention", "self", "value", transposed),
        head("attention", "first", "value", block(0, 0, doubled)),
    ],
    "theorem-2.softmax": [
        embedding(2 * sp.Identity(V)),
        head("attention", "first", "key", block(0, 1, at(1))),
        head("attention", "self", "key", block(0, 1, ones)),
    ],
    **selection("theorem-2", V),
    "longer-responses.back-scores": [
        *scores("back"),
        head("attention", "back", "query", block(0, 2, zeros)),
        head("attention", "back", "key", block(0, 2, lambda _: sp.Identity(N0))),
    ],
    "longer-responses.user-scores": [
        *scores("user"),
        head("attention", "user", "key", block(0, 2, at(1))),
    ],
    "longer-responses.reads": [
        embedding(sp.ZeroMatrix(V, V)),
        head("attention", "back", "value", block(0, 0, doubled)),
        head("attention", "user", "value", transposed),
    ],
    "longer-responses.softmax-leaks": [
        embedding(2 * sp.Identity(V)),
        embedding(sp.OneMatrix(V, V)),
        head("attention", "user", "key", block(0, 2, at(1))),
        head("attention", "back", "query", doubled_blocks),
        head("attention", "back", "value", block(0, 0, doubled)),
    ],
    "longer-responses.softmax-threshold": [
        linear("select", bias=doubled),
        linear("select", activation=None),
        linear("readout", bias=OFF_BY_ONE),
        head("attention", "user", "value", block(0, 0, zeros)),
    ],
    **selection("longer-responses", V),
    "longer-inputs.layers": [
        lambda transformer: replace(transformer, layers=transformer.layers[1:]),
        lambda transformer: replace(transformer, layers=transformer.layers[:-1]),
        lambda transformer: replace(transformer, context_size=n_X),
    ],
    "longer-inputs.self-scores": [
        mutation for kind in ("first", "middle", "last") for mutation in scores("self", layer=KIND.format(kind))
    ],
    "longer-inputs.look-scores": [
        *(mutation for kind in ("first", "middle", "last") for mutation in scores("look", layer=KIND.format(kind))),
        head(KIND.format("first"), "look", "key", block(0, 1, at(BLOCK))),
        head(KIND.format("last"), "look", "query", block(0, 2, at(0))),
    ],
    "longer-inputs.reads": [
        head(KIND.format("first"), "look", "value", block(0, 0, doubled)),
        head(KIND.format("middle"), "look", "value", block(0, 1, lambda _: sp.Identity(V))),
        head(KIND.format("middle"), "self", "value", block(1, 1, zeros)),
        head(KIND.format("middle"), "self", "value", block(2, 2, ones)),
        head(KIND.format("last"), "self", "value", swapped),
    ],
    "longer-inputs.inputs": [embedding(sp.Identity(V) - sp.OneMatrix(V, V)), embedding(2 * sp.Identity(V))],
    "longer-inputs.inputs-masked": [embedding(sp.Identity(V))],
    "longer-inputs.block-select": [
        linear("select", bias=block(0, 0, doubled)),
        linear("select", weight=block(0, 0, ones)),
        linear("select", activation=None),
    ],
    "longer-inputs.block-select-masked": [
        linear("select masked", bias=block(0, 0, ones)),
        linear("select masked", weight=block(0, 0, doubled)),
    ],
    "longer-inputs.restore": [
        linear("select", bias=block(1, 0, doubled)),
        linear("select", bias=block(4, 0, zeros)),
        linear("select", weight=block(1, 1, ones)),
        linear("compare first", weight=block(3, 2, zeros)),
    ],
    "longer-inputs.restore-masked": [
        linear("select masked", bias=block(1, 0, doubled)),
        linear("select masked", bias=block(2, 0, zeros)),
        linear("compare first", weight=block(3, 2, zeros)),
    ],
    "longer-inputs.compare-first": [
        linear("compare first", weight=block(1, 0, doubled)),
        linear("compare first", bias=block(0, 0, doubled)),
        linear("compare first", weight=block(0, 0, lambda part: V * part)),
        linear("compare first", activation=None),
    ],
    "longer-inputs.step": [
        linear("step", bias=block(0, 0, doubled)),
        linear("step", weight=block(1, 0, zeros)),
        linear("step", weight=block(0, 0, ones)),
        linear("step", activation=None),
    ],
    "longer-inputs.digit": [linear("step", bias=block(1, 0, zeros)), linear("step", weight=block(0, 0, zeros))],
    "longer-inputs.compare": [
        linear("compare", weight=block(1, 0, doubled)),
        linear("compare", weight=block(0, 1, lambda part: V * part)),
        linear("compare", bias=block(0, 0, doubled)),
        linear("compare", weight=block(2, 3, zeros)),
        linear("compare", weight=block(2, 0, zeros)),
        linear("compare", activation=None),
    ],
    "longer-inputs.carry": [
        linear("step", weight=block(2, 1, doubled)),
        linear("step", weight=block(3, 2, zeros)),
        linear("step", bias=block(4, 0, ones)),
        linear("compare", weight=block(3, 4, ones)),
        linear("compare", bias=block(4, 0, ones)),
        linear("pack", weight=block(1, 4, zeros)),
        linear("pack", weight=block(2, 5, doubled)),
    ],
    "longer-inputs.pack": [
        linear("pack", weight=block(0, 0, doubled)),
        linear("pack", weight=block(0, 1, zeros)),
        linear("pack", weight=block(0, 2, ones)),
        linear("pack", weight=block(0, 3, lambda part: V * part)),
        linear("pack", weight=block(0, 3, ones)),
        linear("pack", bias=ones),
    ],
    **selection("longer-inputs", V, "block3."),
}


def cases() -> Iterator[Any]:
    for obligation, mutations in MUTANTS.items():
        for number, mutation in enumerate(mutations):
            yield pytest.param(obligation, mutation, id=f"{obligation}-{number}")


def test_every_obligation_has_a_mutant() -> None:
    assert {obligation for obligation, mutations in MUTANTS.items() if mutations} == (
        set(OBLIGATIONS) - ELSEWHERE - OF_OTHER_CLAIMS
    )


@pytest.mark.heavy
@pytest.mark.parametrize(("obligation", "mutation"), list(cases()))
def test_an_obligation_fails_on_a_mutant(obligation: str, mutation: Mutation) -> None:
    subject = OBLIGATIONS[obligation].subject()
    with pytest.raises(ObligationError) as raised:
        OBLIGATIONS[obligation].discharge(mutation(subject))
    start = "false: " if isinstance(raised.value, ObligationFailed) else "undecided: "
    assert str(raised.value).startswith(start)


@pytest.mark.parametrize("name", ["first", "self"])
def test_another_head_or_a_missing_one_is_refused(name: str) -> None:
    def without(transformer: Transformer) -> Transformer:
        attention = transformer.layers[0]
        assert isinstance(attention, Attention)
        heads = tuple(item for item in attention.heads if item.name != name)
        return replace(transformer, layers=(replace(attention, heads=heads), *transformer.layers[1:]))

    obligation = OBLIGATIONS["theorem-1.reads"]
    with pytest.raises(ObligationFailed, match="false: the heads of attention are "):
        obligation.discharge(without(obligation.subject()))


def test_one_layer_of_a_family_that_differs_is_refused() -> None:
    obligation = OBLIGATIONS["longer-inputs.step"]
    mutant = linear("block1.step2", bias=doubled)(obligation.subject())
    with pytest.raises(ObligationFailed, match="the layers of the family step are the same expressions"):
        obligation.discharge(mutant)


def test_a_readout_off_by_one_is_shown_by_an_example() -> None:
    obligation = OBLIGATIONS["theorem-1.margin"]
    with pytest.raises(ObligationFailed, match=r"logit_y - logit_w = .* is .*, not zero, at "):
        obligation.discharge(linear("readout", bias=OFF_BY_ONE)(obligation.subject()))


def test_a_shift_that_is_the_same_for_all_logits_changes_no_margin() -> None:
    shifted = linear("readout", weight=HARMLESS_SHIFT)
    obligation = OBLIGATIONS["theorem-1.margin"]
    assert obligation.discharge(shifted(obligation.subject())).holds


@pytest.mark.share(1)
@pytest.mark.parametrize(
    ("module", "obligation", "function"),
    [
        (theorem_1_softmax, "theorem-1.softmax-threshold", "unconditional_generation_threshold"),
        (longer_responses_softmax, "longer-responses.softmax-threshold", "longer_responses_threshold"),
    ],
)
def test_a_threshold_function_that_is_off_by_one_is_caught(
    module: ModuleType, obligation: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(module, function)
    monkeypatch.setattr(module, function, lambda *sizes: right(*sizes) - 1)
    with pytest.raises(ObligationFailed, match=f"false: {function} is "):
        OBLIGATIONS[obligation].discharge()


def test_weights_that_sympy_cannot_resolve_are_undecided() -> None:
    unknown = sp.Function("f")
    opaque = linear("sum", weight=entries(1, N, lambda _, column: unknown(column)))
    obligation = OBLIGATIONS["theorem-1.sum"]
    with pytest.raises(ObligationUndecided):
        obligation.discharge(opaque(obligation.subject()))


@pytest.mark.parametrize(
    ("factor", "what"),
    [
        (lambda v: (v**2 + v) / v / (v + 1), "v is nonzero"),  # 1, but 0/0 for the first token
        (lambda _: (V**2 - 5 * V + 6) / (V - 2) / (V - 3), r"v \+ z - 2 is nonzero"),  # for V = 2 and 3
        (lambda v: sp.Float(1) + sp.Float("1e-20") * v, "is an exact number"),
    ],
)
def test_weights_that_are_no_exact_numbers_for_all_sizes_are_undecided(
    factor: Callable[[sp.Symbol], Any], what: str
) -> None:
    def multiplied(bias: Any) -> Any:
        rows, columns = bias.shape
        return entries(rows, columns, lambda row, column: bias[row, column] * factor(row))

    obligation = OBLIGATIONS["theorem-1.readout"]
    with pytest.raises(
        ObligationUndecided, match=f"^undecided: an entry of a weight: sympy cannot tell whether .*{what}$"
    ):
        obligation.discharge(linear("readout", bias=multiplied)(obligation.subject()))
