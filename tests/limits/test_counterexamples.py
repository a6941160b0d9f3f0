"""The importable counterexamples: each refutes its claim, and stops doing so when it is mended."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Hardmax, InvalidArgument, RationalSoftmax, UnconditionalGeneration
from constructions.counterexamples import (
    REFUTED,
    attention_reversal,
    blunt_temperature,
    changed_second_layer,
    harmful_embedding,
    smallest_harmful_magnitude,
    swapped_values,
)
from verify import Verdict, exhaust
from verify.arithmetic import RationalArithmetic, torch_arithmetic
from verify.evidence import counterexamples as module
from verify.evidence import float_counterexamples
from verify.evidence.counterexamples import layer_of, refute
from verify.evidence.float_counterexamples import FLOAT32_FIRST, smallest_float32_failure, smallest_misread_row
from verify.evidence.verdict import Counterexample, Refutation
from verify.prefixes import attend
from verify.reachability import ChangedRatio, Problem, decide, decide_pattern, pattern_is_impossible, proves_impossible

EXACT = RationalArithmetic()
F = Fraction


@pytest.mark.parametrize("claim", REFUTED)
def test_every_refuted_claim_has_its_case(claim: str) -> None:
    verdict = refute(claim)
    assert verdict.claim == claim
    assert verdict.holds is False
    assert verdict.cases >= 1
    assert verdict.case is not None
    assert verdict.case.reproduce == f"prefixproof counterexample {claim}"
    assert "must" in verdict.case.sentence()
    assert verdict.reason == REFUTED[claim].instead
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert verdict.arithmetic == {"float32-is-enough": "torch float32", "float-digits-are-safe": "torch float64"}.get(
        claim, "rational"
    )


def test_a_refutation_is_either_of_tokens_or_of_something_else() -> None:
    assert isinstance(refute("temperature-does-not-matter").counterexample, Counterexample)
    assert isinstance(refute("prefix-reverses-attention").refutation, Refutation)


def test_no_prefix_reverses_attention_but_the_change_of_rank_one_does() -> None:
    for q in (F(2), F(1, 3), F(7, 5)):
        example = attention_reversal(q)
        layer = layer_of(example.attention, q, example.mask)
        answer = decide_pattern(layer, example.content, [example.wanted])
        assert isinstance(answer.certificate, ChangedRatio)
        assert pattern_is_impossible(layer, example.content, [example.wanted], answer.certificate)
        tuned = layer_of(example.fine_tuned, q, example.mask)
        assert decide_pattern(tuned, example.content, [example.wanted]).reachable is True
        before, after = (np.array(part.heads[0].own_key.tolist()) for part in (example.attention, example.fine_tuned))
        assert np.linalg.matrix_rank(after.astype(float) - before.astype(float)) == 1


def test_two_parameters_of_the_values_do_what_two_of_a_prefix_cannot() -> None:
    example = swapped_values()
    layer = layer_of(example.attention, example.q, example.mask)
    problem = Problem(layer, example.content, example.wanted)
    certificate = decide(problem).certificate
    assert certificate is not None
    assert not isinstance(certificate, ChangedRatio)
    assert proves_impossible(problem, certificate)
    assert layer.heads[0].own_value.size == layer.width == 2
    tuned = attend(layer_of(example.fine_tuned, example.q, example.mask), example.content, [[0, 0]], EXACT)
    assert [[str(entry) for entry in row] for row in tuned.heads[0].output.tolist()] == [["1"], ["1/2"]]


@pytest.mark.parametrize(("vocab_size", "context_size"), [(2, 2), (2, 4), (3, 3)])
def test_temperature_at_the_threshold_and_just_above(vocab_size: int, context_size: int) -> None:
    blunt = blunt_temperature(vocab_size, context_size)
    assert isinstance(blunt.temperature, RationalSoftmax)
    assert exhaust(blunt, EXACT).margin == 0
    sharper = replace(blunt, temperature=RationalSoftmax(blunt.temperature.q + F(1, 10**6)))
    assert exhaust(sharper, EXACT).holds is True


@pytest.mark.parametrize(("vocab_size", "context_size"), [(2, 2), (2, 4), (3, 3)])
def test_the_embedding_matters_from_this_magnitude_on(vocab_size: int, context_size: int) -> None:
    harmful = harmful_embedding(vocab_size, context_size)
    assert exhaust(harmful, EXACT).margin == 0
    assert harmful.embedding is not None
    smallest = -harmful.embedding[0][0]
    for magnitude in (smallest - F(1, 10**6), F(0)):
        assert exhaust(harmful_embedding(vocab_size, context_size, magnitude=magnitude), EXACT).holds is True
    for magnitude in (smallest, F(10**6)):
        sharp = harmful_embedding(vocab_size, context_size, magnitude=magnitude)
        assert exhaust(replace(sharp, temperature=Hardmax()), EXACT).holds is True


def test_float32_fails_just_there() -> None:
    verdict = refute("float32-is-enough")
    assert isinstance(verdict.counterexample, Counterexample)
    vocab_size = int(verdict.parameters["vocab_size"])
    assert vocab_size >= FLOAT32_FIRST
    assert verdict.counterexample.produced in range(vocab_size)
    construction = UnconditionalGeneration(vocab_size, 1)
    assert exhaust(construction, torch_arithmetic("float64", "cpu")).holds is True


def test_another_kernel_is_searched_from_the_first_size_on(monkeypatch: pytest.MonkeyPatch) -> None:
    late = max(float_counterexamples.FLOAT32_LIKELY)  # where kernels of both kinds fail
    monkeypatch.setattr(float_counterexamples, "FLOAT32_LIKELY", (5, 7))
    monkeypatch.setattr(float_counterexamples, "FLOAT32_FIRST", late - 1)
    verdict = float_counterexamples.float32_failure()
    assert verdict.holds is False
    assert int(verdict.parameters["vocab_size"]) in {late - 1, late}


@pytest.mark.long
def test_float32_holds_for_every_smaller_vocabulary() -> None:
    assert smallest_float32_failure(1, FLOAT32_FIRST - 1).holds is True


def test_the_smallest_row_that_floats_misread() -> None:
    case = smallest_misread_row()
    assert case is not None
    rank, wanted, read = case
    assert rank == int("".join(map(str, wanted)))
    assert wanted != read
    assert smallest_misread_row(limit=rank) is None
    assert smallest_misread_row(vocab_size=2) is None  # powers of two are exact


def test_the_second_pattern_changes_only_with_the_prefix() -> None:
    example = changed_second_layer()
    itself = np.eye(2, dtype=np.bool_)
    passes = attend(layer_of(example.first, example.q, itself), example.content, example.prefix, EXACT)
    assert [[str(entry) for entry in row] for row in passes.output.tolist()] == [["1", "1"], ["0", "2"]]
    assert [[str(entry) for entry in row] for row in passes.heads[0].output.tolist()] == [["2", "0"], ["0", "2"]]


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("prefix-reverses-attention", {"attention_reversal": lambda: _tuned(attention_reversal())}),
        ("prefix-equals-fine-tuning", {"swapped_values": lambda: _untuned(swapped_values())}),
        ("temperature-does-not-matter", {"blunt_temperature": lambda: _at(blunt_temperature(), 6)}),
        ("embedding-does-not-matter", {"harmful_embedding": lambda **_: harmful_embedding(magnitude=F(1, 5))}),
        ("prefix-changes-no-pattern", {"changed_second_layer": lambda: _without(changed_second_layer())}),
        ("float-digits-are-safe", {"smallest_misread_row": lambda: None}),
    ],
)
def test_a_case_that_does_not_refute_is_not_claimed(
    monkeypatch: pytest.MonkeyPatch, name: str, replacement: dict[str, Any]
) -> None:
    for function, other in replacement.items():
        monkeypatch.setattr(module, function, other)
    verdict = refute(name)
    assert verdict.holds is None
    assert verdict.reason == "the counterexample did not reproduce"


def _tuned(example: Any) -> Any:
    return replace(example, attention=example.fine_tuned)


def _untuned(example: Any) -> Any:
    return replace(example, fine_tuned=example.attention)


def _at(construction: Any, q: int) -> Any:
    return replace(construction, temperature=RationalSoftmax(F(q)))


def _without(example: Any) -> Any:
    zero = [[0, 0], [0, 0]]
    (head,) = example.second.heads
    return replace(example, second=replace(example.second, heads=(replace(head, query=zero),)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: refute("theorem-1"), "claim: expected one of prefix-reverses-attention"),
        (lambda: attention_reversal(F(1)), "q: expected a positive rational number that is not 1"),
        (lambda: blunt_temperature(1, 2), "vocab_size: expected an integer >= 2"),
        (lambda: smallest_harmful_magnitude(2, 2, F(5)), "q: expected more than 5, where E = 0 works"),
        (lambda: smallest_misread_row(1), "vocab_size: expected an integer >= 2"),
        (lambda: smallest_float32_failure(3, 2), "last: expected an integer >= 3"),
    ],
)
def test_bad_input_is_one_line(build: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message.replace("(", r"\(")):
        build()
