"""Reachability: prefixes that are run, certificates that are checked, and tampered ones that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

from constructions import Hardmax, InvalidArgument, RationalSoftmax
from tests.limits.instances import Rows, fractions_of, perturbed, reachable_instance
from verify.arithmetic import NumpyArithmetic, RationalArithmetic
from verify.prefixes import AttentionLayer, attend, bias_bound, plain_head
from verify.reachability import (
    ChangedRatio,
    NoCommonValue,
    OutsideValues,
    Prefix,
    Problem,
    Reachability,
    WrongStrength,
    decide,
    decide_pattern,
    pattern_is_impossible,
    proves_impossible,
    realises,
)
from verify.reachability.algebra import coprime_bases
from verify.reachability.exact import exponents

EXACT = RationalArithmetic()
F = Fraction
HALF = F(1, 2)


def layer_of(query: Any, key: Any, value: Any, q: Any = 2, mask: Any = "causal") -> AttentionLayer:
    return AttentionLayer((plain_head(query, key, value),), RationalSoftmax(F(q)), mask)


def outputs_under(problem: Problem, prefix: Prefix) -> Rows | None:
    """Run the package's own forward pass on a rational prefix; ``None`` where its scores are not integers."""
    vector = prefix.rational(problem.q)
    assert vector is not None
    try:
        passes = attend(problem.layer, problem.content, [vector] * prefix.copies, EXACT)
    except InvalidArgument:
        return None
    return fractions_of(passes.output)


def check_answer(problem: Problem, answer: Reachability) -> None:
    """Check an answer by means that the solver does not use."""
    if answer.reachable:
        assert answer.prefix is not None
        assert realises(problem, answer.prefix)
        if answer.prefix.rational(problem.q) is not None:
            outputs = outputs_under(problem, answer.prefix)
            assert outputs is None or outputs == [list(row) for row in problem.targets]
    elif answer.reachable is False:
        assert not isinstance(answer.certificate, ChangedRatio)
        assert answer.certificate is not None
        assert proves_impossible(problem, answer.certificate)
    else:
        assert answer.reason


def found_reachable(seeds: range) -> int:
    count = 0
    for seed in seeds:
        layer, content, _, wanted = reachable_instance(seed)
        problem = Problem(layer, content, wanted)
        answer = decide(problem)
        check_answer(problem, answer)
        count += answer.reachable is True
    return count


def test_what_a_prefix_did_is_found_reachable() -> None:
    assert found_reachable(range(150)) == 150


@pytest.mark.heavy
def test_a_thousand_reachable_instances() -> None:
    assert found_reachable(range(10_000, 11_000)) == 1000


def refusals(seeds: Iterator[int], wanted_count: int) -> tuple[int, int, int]:
    """Return how many perturbed instances were refused, found reachable after all (and verified), and unknown."""
    refused = reachable = unknown = 0
    while refused < wanted_count:
        seed = next(seeds)
        layer, content, _, wanted = reachable_instance(seed)
        problem = Problem(layer, content, perturbed(wanted, seed))
        answer = decide(problem)
        check_answer(problem, answer)
        refused += answer.reachable is False
        reachable += answer.reachable is True
        unknown += answer.reachable is None
    return refused, reachable, unknown


def test_perturbed_instances_are_refused_with_a_certificate() -> None:
    refused, reachable, unknown = refusals(iter(range(1000)), 150)
    assert refused == 150
    assert reachable + unknown < 15  # moved along a segment, and still reached


@pytest.mark.heavy
def test_a_thousand_perturbed_instances() -> None:
    refused, reachable, unknown = refusals(iter(range(10_000, 20_000)), 1000)
    assert refused == 1000
    assert reachable + unknown < 100


def test_a_found_prefix_is_near_in_floats_too() -> None:
    for seed in range(30):
        layer, content, _, wanted = reachable_instance(seed)
        problem = Problem(layer, content, wanted)
        prefix = decide(problem).prefix
        assert prefix is not None
        vector = prefix.rational(problem.q)
        if vector is not None and all(entry.denominator == 1 for entry in vector):  # floats hold it exactly
            passes = attend(layer, content, [vector], NumpyArithmetic("float64"))
            off = np.abs(passes.output - np.array([[float(entry) for entry in row] for row in wanted]))
            held = all(F(float(entry)) == F(entry) for row in layer.heads[0].own_value.tolist() for entry in row)
            assert not held or (off <= bias_bound(passes) + np.abs(off).max()).all()


#: t = (0, 0), (1/2, 0): uniform attention, causal.
UNIFORM = layer_of([[0, 0]], [[0, 0]], [[0, 1], [0, 0]])
#: One position of scores by its own coordinate; the key of s is its first coordinate and the value its others.
FREE = layer_of([[1, 0, 0]], [[1, 0, 0]], [[0, 1, 0], [0, 0, 1]])


def cases() -> Iterator[tuple[str, Problem, bool | None, Any]]:
    two = [[1, 0], [0, 1]]
    yield "the value is not there", Problem(UNIFORM, two, [[0, 1], [HALF, 0]]), False, OutsideValues
    yield "beyond the common value", Problem(UNIFORM, two, [[1, 0], [HALF, 0]]), False, NoCommonValue
    yield "uniform attention has strengths 1/2, 1/3", Problem(UNIFORM, two, [[HALF, 0], [F(2, 3), 0]]), True, None
    yield "and no others", Problem(UNIFORM, two, [[F(1, 3), 0], [HALF, 0]]), False, WrongStrength
    apart = layer_of([[0, 0, 0]], [[0, 0, 0]], [[1, 0, 0], [0, 1, 0]], mask=np.eye(2))
    content = [[0, 0, 1], [2, 0, 0]]
    # towards (2, 2): half way both times, as 1 : 1 is the only strength; then a third of the way for the second
    yield "half way", Problem(apart, content, [[1, 1], [2, 1]]), True, None
    yield "a third of the way", Problem(apart, content, [[1, 1], [2, F(2, 3)]]), False, WrongStrength
    yield "parallel segments", Problem(apart, content, [[0, 1], [2, 1]]), False, NoCommonValue
    yield "everything stays", Problem(FREE, [[0, 1, 1]], [[1, 1]]), True, None
    yield "one position on a free key", Problem(FREE, [[1, 0, 0]], [[3, 4]]), True, None
    other = layer_of([[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]], [[0, 1, 0]])
    yield "output width 1", Problem(other, [[1, 0, 0], [0, 1, 0]], [[HALF], [F(3, 4)]]), None, None


CASES = {name: (problem, reachable, kind) for name, problem, reachable, kind in cases()}


@pytest.mark.parametrize("name", CASES)
def test_instances_worked_out_by_hand(name: str) -> None:
    problem, reachable, kind = CASES[name]
    answer = decide(problem)
    check_answer(problem, answer)
    if reachable is not None:
        assert answer.reachable is reachable
    if kind is not None:
        assert isinstance(answer.certificate, kind)


def test_a_vector_of_logarithms() -> None:
    """Strengths of 3 : 1 at q = 2 need a score of log2(3): no rational vector, but a real one."""
    layer = layer_of([[1, 0, 0]], [[1, 0, 0]], [[0, 1, 0], [0, 0, 1]], mask=np.eye(2))
    problem = Problem(layer, [[1, 0, 0], [1, 1, 0]], [[3, 3], [F(13, 4), 3]])
    answer = decide(problem)
    assert answer.reachable is True
    assert answer.prefix is not None
    assert answer.prefix.rational(F(2)) is None
    assert [base for base, _ in answer.prefix.parts] == [2, 3]
    score, *value = answer.prefix.to_floats(F(2))
    assert abs(2**score - 6) < 2**-40  # q^(h.s - m) = 3 with m = 1
    assert max(abs(entry - 4) for entry in value) < 2**-40
    for place in range(3):
        parts = [(base, [*vector]) for base, vector in answer.prefix.parts]
        parts[1][1][place] += 1
        tampered = Prefix(tuple((base, tuple(vector)) for base, vector in parts))
        assert not realises(problem, tampered)


def shifted(vector: tuple[Fraction, ...], place: int) -> tuple[Fraction, ...]:
    return tuple(entry + (where == place) for where, entry in enumerate(vector))


def tampered(certificate: Any) -> Iterator[Any]:
    """Yield certificates that differ in one number from one that holds, and in no harmless way."""
    if isinstance(certificate, OutsideValues):
        yield replace(certificate, functional=tuple(F(0) for _ in certificate.functional))
        yield replace(certificate, functional=certificate.functional[:-1])
        yield replace(certificate, position=-1)
        yield replace(certificate, position=10**6)
    elif isinstance(certificate, NoCommonValue):
        for row in range(len(certificate.weights)):
            for place in range(len(certificate.weights[row])):
                weights = list(certificate.weights)
                weights[row] = shifted(weights[row], place)  # the sum is not 0
                yield replace(certificate, weights=tuple(weights))
        yield replace(certificate, weights=certificate.weights[:-1])
        yield replace(certificate, weights=tuple(tuple(F(0) for _ in row) for row in certificate.weights))
    else:
        for place, _ in enumerate(certificate.multipliers):
            yield replace(certificate, multipliers=shifted(certificate.multipliers, place))
        for place, _ in enumerate(certificate.functional):
            yield replace(certificate, functional=shifted(certificate.functional, place))
        yield replace(certificate, anchor=-1)
        yield replace(certificate, anchor=10**6)
        yield replace(certificate, forced=())
        yield replace(certificate, multipliers=tuple(F(0) for _ in certificate.multipliers))
        for number, (position, weights) in enumerate(certificate.forced):
            changed = list(certificate.forced)
            changed[number] = (position, (shifted(weights[0], 0), *weights[1:]))
            yield replace(certificate, forced=tuple(changed))


def half_as_far(layer: AttentionLayer, content: Any, wanted: Rows) -> Rows:
    """Return the outputs with the last one half as far from where it was: the same value, with another strength."""
    before = Problem(layer, content, wanted).heads[0].outputs[-1]
    return [*wanted[:-1], [(a + b) / 2 for a, b in zip(before, wanted[-1], strict=True)]]


def test_another_strength_is_reached_or_refused() -> None:
    answers = []
    for seed in range(100):
        layer, content, _, wanted = reachable_instance(seed)
        problem = Problem(layer, content, half_as_far(layer, content, wanted))
        answers.append(decide(problem))
        check_answer(problem, answers[-1])
    assert sum(isinstance(answer.certificate, WrongStrength) for answer in answers) > 20
    assert sum(answer.reachable is True for answer in answers) > 2


def refused_certificates() -> Iterator[tuple[Problem, Any]]:
    for seed in range(80):
        layer, content, _, wanted = reachable_instance(seed)
        problem = Problem(layer, content, perturbed(wanted, seed))
        answer = decide(problem)
        if answer.reachable is False:
            yield problem, answer.certificate
        weaker = Problem(layer, content, half_as_far(layer, content, wanted))
        answer = decide(weaker)
        if answer.reachable is False:
            yield weaker, answer.certificate
    for problem, reachable, _ in CASES.values():
        if reachable is False:
            yield problem, decide(problem).certificate


def harmless(problem: Problem, certificate: Any) -> bool:
    """Say whether a changed functional still vanishes on all values and key directions: it then says the same."""
    (head,) = problem.heads
    columns = list(zip(*head.value, strict=True))
    if isinstance(certificate, WrongStrength):
        n = certificate.multipliers
        combined = [
            sum(n[i] * h[place] for i, h in enumerate(head.directions))
            + sum(a * b for a, b in zip(certificate.functional, column, strict=True))
            for place, column in enumerate(columns)
        ]
        return not any(combined)
    return False


def test_tampered_certificates_are_refused() -> None:
    tried: dict[str, int] = {}
    for problem, certificate in refused_certificates():
        assert proves_impossible(problem, certificate)
        for false in tampered(certificate):
            if not harmless(problem, false):
                assert not proves_impossible(problem, false)
                name = type(certificate).__name__
                tried[name] = tried.get(name, 0) + 1
    assert min(tried[name] for name in ("OutsideValues", "NoCommonValue", "WrongStrength")) >= 20


def test_a_certificate_of_one_problem_does_not_hold_for_a_reachable_one() -> None:
    for seed in range(60):
        layer, content, _, wanted = reachable_instance(seed)
        good = Problem(layer, content, wanted)
        answer = decide(Problem(layer, content, perturbed(wanted, seed)))
        if isinstance(answer.certificate, (OutsideValues, NoCommonValue, WrongStrength)):
            assert not proves_impossible(good, answer.certificate)


def test_certificates_for_one_vector_say_nothing_of_two() -> None:
    problem, _, _ = CASES["beyond the common value"]
    certificate = decide(problem).certificate
    assert isinstance(certificate, NoCommonValue)
    longer = Problem(problem.layer, problem.content, problem.wanted, 2)
    assert not proves_impossible(longer, certificate)
    assert decide(longer).reachable is None
    outside, _, _ = CASES["the value is not there"]
    assert decide(Problem(outside.layer, outside.content, outside.wanted, 7)).reachable is False


def test_copies_of_one_vector() -> None:
    for seed in range(40):
        layer, content, prefix, _ = reachable_instance(seed)
        wanted = fractions_of(attend(layer, content, [*prefix] * 3, EXACT).output)
        problem = Problem(layer, content, wanted, 3)
        answer = decide(problem)
        check_answer(problem, answer)
        assert answer.reachable is True
        assert answer.prefix is not None
        assert answer.prefix.copies == 3


def test_several_heads_are_decided_by_their_values_alone() -> None:
    one = plain_head([[1, 0]], [[0, 1]], [[1, 0], [0, 0]])
    layer = AttentionLayer((one, one), RationalSoftmax(F(2)))
    outside = decide(Problem(layer, [[1, 0]], [[1, 1]]))
    assert isinstance(outside.certificate, OutsideValues)
    inside = decide(Problem(layer, [[1, 0]], [[1, 0]]))
    assert inside.reachable is None
    assert "several heads" in str(inside.reason)


def test_unknown_is_said_where_the_place_on_a_line_is_free() -> None:
    """One output, two positions: q^c (lambda - 1) = Z twice, with another c each time, is left open."""
    layer = layer_of([[1, 0]], [[0, 1]], [[0, 1]], mask=np.eye(2))
    answers = [
        decide(Problem(layer, [[1, 0], [2, 0]], [[F(1, 3)], [F(numerator, 7)]])).reachable for numerator in range(1, 7)
    ]
    assert None in answers


def pattern_cases() -> Iterator[tuple[AttentionLayer, Any, Any]]:
    for seed in range(40):
        layer, content, prefix, _ = reachable_instance(seed)
        passes = attend(layer, content, prefix, EXACT)
        count = len(passes.prefix)
        yield layer, content, [fractions_of(head.with_prefix[:, count:]) for head in passes.heads]


def test_patterns_that_a_prefix_left_are_reachable_and_others_are_not() -> None:
    refused = 0
    for layer, content, pattern in pattern_cases():
        assert decide_pattern(layer, content, pattern).reachable is True
        pattern[0][-1][0] += F(1, 7)
        answer = decide_pattern(layer, content, pattern)
        if answer.reachable is False:  # a row with one visible key keeps its pattern
            refused += 1
            assert isinstance(answer.certificate, ChangedRatio)
            assert pattern_is_impossible(layer, content, pattern, answer.certificate)
            for change in ({"head": 1}, {"position": -1}, {"first": 99}, {"second": answer.certificate.first}):
                assert not pattern_is_impossible(layer, content, pattern, replace(answer.certificate, **change))
            pattern[0][-1][0] -= F(1, 7)
            assert not pattern_is_impossible(layer, content, pattern, answer.certificate)
    assert refused > 30


def test_coprime_bases() -> None:
    numbers = [F(12, 35), F(9, 4), F(49, 10), F(1)]
    bases = coprime_bases(numbers)
    assert all(sp.gcd(a, b) == 1 for place, a in enumerate(bases) for b in bases[:place])
    for number in numbers:
        powers = exponents(number, [F(base) for base in bases])
        assert powers is not None
        product = F(1)
        for base, power in zip(bases, powers, strict=True):
            product *= F(base) ** power
        assert product == number
    assert exponents(F(5), [F(2), F(3)]) is None
    assert exponents(F(4), [F(2), F(6)]) is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Problem(FREE, [[1, 0, 0]], [[1, 2, 3]]), "outputs: expected rows of width 2 but got 3"),
        (
            lambda: Problem(FREE, [[1, 0, 0]], [[1, 2], [1, 2]]),
            "outputs: expected one for each of 1 positions but got 2",
        ),
        (lambda: Problem(FREE, [[1, 0, 0]], [[1, float("inf")]]), "outputs: expected finite numbers but got inf"),
        (lambda: Problem(FREE, [[1, 0, 0]], [[1, float("nan")]]), "outputs: expected finite numbers but got nan"),
        (lambda: Problem(FREE, [[1, 0, 0]], [[1, 2]], 0), "prefix_size: expected an integer >= 1 but got 0"),
        (lambda: Problem(FREE, [], [[1, 2]]), "content: expected at least one row but got none"),
        (lambda: Problem(layer_of([[1]], [[1]], [[1]], q=1), [[1]], [[1]]), "q: expected another one than 1"),
        (
            lambda: Problem(AttentionLayer(FREE.heads, Hardmax()), [[1, 0, 0]], [[1, 2]]),
            "temperature: expected an exact q",
        ),
        (lambda: decide(Problem(FREE, [[1, 0, 0], [HALF, 0, 0]], [[1, 2], [1, 2]])), "differ by integers"),
        (lambda: decide_pattern(FREE, [[1, 0, 0]], [[[1]], [[1]]]), "pattern: expected 1 heads x 1 x 1 positions"),
        (lambda: decide_pattern(FREE, [[1, 0, 0]], [[[0]]]), "pattern: expected rows of numbers >= 0 that are not"),
        (lambda: decide_pattern(FREE, [[1, 0, 0]], [[[-1]]]), "pattern: expected rows of numbers >= 0 that are not"),
    ],
)
def test_bad_input_is_one_line(build: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        build()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
