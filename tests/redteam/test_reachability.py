"""Certificates and prefixes that someone hands over: no proof in exact numbers is False, and never an exception."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructions import RationalSoftmax
from tests.limits.instances import perturbed, reachable_instance
from verify.prefixes import AttentionLayer, plain_head
from verify.reachability import (
    ChangedRatio,
    NoCommonValue,
    OutsideValues,
    Prefix,
    Problem,
    WrongStrength,
    decide,
    decide_pattern,
    pattern_is_impossible,
    proves_impossible,
    realises,
)

F = Fraction


class Liar(Fraction):
    """A number that says that every product with it is 0."""

    def __mul__(self, other: Any) -> Any:
        return F(0)

    __rmul__ = __mul__


class Whole(int):
    """An integer of another class."""


class Lookalike(OutsideValues):
    """A certificate of another class."""


NASTY: list[Any] = [
    *(0.0, 0.5, -1.0, 1e-50, 1e300, float("nan"), float("inf"), 5e-324),
    *(True, False, None, "1", b"1", 1j, Decimal(1), object(), int, Liar(1, 2), Whole(1)),
    *(np.float64(0.5), np.int64(1), np.zeros(2), [], (), ((),), {}, {1: 2}, range(2)),
    *(-1, 10**6, 10**400, F(1, 10**400), -(10**400)),
]

#: Of these a certificate must not be made, wherever they stand.
INEXACT = tuple(entry for entry in NASTY if type(entry) not in {int, F, list, tuple})


def tiny_value(scale: Fraction) -> Problem:
    """Return a problem that ``s = 2/scale - 1`` solves, and for which ``1e-50 * scale`` is 0 in floats."""
    layer = AttentionLayer((plain_head([[F(1)]], [[F(0)]], [[scale]]),), RationalSoftmax(F(2)), "causal")
    return Problem(layer, [[F(1)]], [[F(1)]], 1)


@lru_cache(maxsize=1)
def subjects() -> tuple[list[Problem], list[tuple[Problem, Any]]]:
    """Return problems with a solution, and problems with a certificate."""
    reachable, refused = [tiny_value(F(1, 10**300))], []
    for seed in range(12):
        layer, content, _, wanted = reachable_instance(seed)
        reachable.append(Problem(layer, content, wanted))
        problem = Problem(layer, content, perturbed(wanted, seed))
        certificate = decide(problem).certificate
        if certificate is not None:
            assert proves_impossible(problem, certificate)  # type: ignore[arg-type] # of the three kinds
            refused.append((problem, certificate))
    return reachable, refused


def with_one_changed(value: Any, path: list[int], entry: Any) -> Any:
    """Return nested tuples with the entry at a path replaced."""
    if not path or not isinstance(value, tuple) or not value:
        return entry
    place = path[0] % len(value)
    return (*value[:place], with_one_changed(value[place], path[1:], entry), *value[place + 1 :])


def paths(value: Any) -> Iterator[list[int]]:
    """Yield the path of every entry of nested tuples, the tuples themselves included."""
    yield []
    if isinstance(value, tuple):
        for place, part in enumerate(value):
            yield from ([place, *rest] for rest in paths(part))


def test_a_certificate_in_floats_is_refused() -> None:
    problem = tiny_value(F(1, 10**300))
    assert realises(problem, Prefix(((F(2), (F(2) * 10**300 - 1,)),)))
    assert decide(problem).reachable is True
    for entry in (1e-50, float("nan"), True, np.float64(1e-50)):
        assert proves_impossible(problem, OutsideValues(0, (entry,))) is False  # type: ignore[arg-type] # tampered


@pytest.mark.parametrize(
    "certificate",
    [
        *(NoCommonValue(()), NoCommonValue(((),)), WrongStrength(0, (), (F(0),), (F(0),)), ChangedRatio(0, 0, 0, 0)),
        *(None, 0, "proof", object(), OutsideValues, Lookalike(0, (F(1),)), ((), ())),
    ],
)
def test_what_is_no_certificate_is_false(certificate: Any) -> None:
    for problem in (*subjects()[0], None, certificate):
        assert proves_impossible(problem, certificate) is False


def test_every_field_is_checked_for_exact_numbers() -> None:
    tried = 0
    for problem, certificate in subjects()[1]:
        for item in fields(certificate):
            value = getattr(certificate, item.name)
            for path in paths(value):
                for entry in INEXACT:
                    false = replace(certificate, **{item.name: with_one_changed(value, path, entry)})
                    assert proves_impossible(problem, false) is False
                    tried += 1
    assert tried > 3000


@settings(max_examples=400)
@given(st.data())
def test_no_tampered_certificate_refutes_a_reachable_problem(data: st.DataObject) -> None:
    reachable, refused = subjects()
    _, certificate = data.draw(st.sampled_from(refused))
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from([item.name for item in fields(certificate)]))
        path = data.draw(st.lists(st.integers(0, 5), max_size=4))
        entry = data.draw(st.one_of(st.sampled_from(NASTY), st.integers(-3, 3), st.fractions(-3, 3)))
        certificate = replace(certificate, **{name: with_one_changed(getattr(certificate, name), path, entry)})
    for problem in reachable:
        assert proves_impossible(problem, certificate) is False


@settings(max_examples=200)
@given(st.data())
def test_no_tampered_prefix_realises_what_is_impossible(data: st.DataObject) -> None:
    reachable, refused = subjects()
    solved = data.draw(st.sampled_from(reachable))
    prefix = decide(solved).prefix
    assert prefix is not None
    name = data.draw(st.sampled_from(["parts", "copies"]))
    path = data.draw(st.lists(st.integers(0, 5), max_size=3))
    entry = data.draw(st.sampled_from(NASTY))
    false: Any = replace(prefix, **{name: with_one_changed(getattr(prefix, name), path, entry)})
    for problem, _ in refused:
        assert realises(problem, false) is False
    if any(entry is one for one in INEXACT):
        assert realises(solved, false) is False


@pytest.mark.parametrize("prefix", [None, 1, "s", (), Prefix(()), Prefix(((F(2),),)), Prefix((None,))], ids=str)  # type: ignore[arg-type] # tampered
def test_what_is_no_prefix_is_false(prefix: Any) -> None:
    for problem in subjects()[0]:
        assert realises(problem, prefix) is False
        assert realises(prefix, prefix) is False


@pytest.mark.parametrize("exponent", [10**4, 10**9, 10**18, 10**400])
def test_a_prefix_of_a_huge_score_is_answered_at_once(exponent: int) -> None:
    """No power that is written out has ``10^400`` digits: the answer must not wait for it."""
    layer = AttentionLayer((plain_head([[F(1), F(0)]], [[F(1), F(0)]], [[F(0), F(1)]]),), RationalSoftmax(F(2)))
    problem = Problem(layer, [[F(1), F(0)]], [[F(1, 2)]], 1)
    assert realises(problem, Prefix(((F(2), (F(1), F(1))),)))  # the score of the content, so that the odds are 1 : 1
    for sign in (1, -1):
        assert realises(problem, Prefix(((F(2), (F(sign * exponent), F(1))),))) is False


def patterns() -> tuple[AttentionLayer, list[list[F]], Any, ChangedRatio]:
    layer = AttentionLayer((plain_head([[1, 1]], [[1, 0]], [[1, 0], [0, 1]]),), RationalSoftmax(F(2)), "none")
    content = [[F(1), F(0)], [F(0), F(1)]]
    wanted = [[[F(1), F(2)], [F(1), F(2)]]]
    certificate = decide_pattern(layer, content, wanted).certificate
    assert isinstance(certificate, ChangedRatio)
    return layer, content, wanted, certificate


def test_tampered_certificates_of_patterns_are_false() -> None:
    layer, content, wanted, certificate = patterns()
    kept = [[[F(2), F(1)], [F(2), F(1)]]]
    assert decide_pattern(layer, content, kept).reachable is True
    assert pattern_is_impossible(layer, content, wanted, certificate)
    for name in ("head", "position", "first", "second"):
        for entry in (*INEXACT, 2, -1, 10**400):
            false = replace(certificate, **{name: entry})
            assert pattern_is_impossible(layer, content, wanted, false) is False
            assert pattern_is_impossible(layer, content, kept, false) is False
    malformed: tuple[Any, ...] = (
        None,
        1,
        (),
        [[]],
        [[[F(0), F(0)], [F(0), F(0)]]],
        [[[F(-2), F(1)], [F(2), F(1)]]],
        [[["x"]]],
        "ab",
    )
    for bad in malformed:
        assert pattern_is_impossible(layer, content, bad, certificate) is False
        assert pattern_is_impossible(layer, bad, wanted, certificate) is False
        assert pattern_is_impossible(bad, content, wanted, certificate) is False


def test_a_pattern_in_floats_is_compared_exactly() -> None:
    """A float is the dyadic number that it is; products with thirds, rounded, would call different ratios the same."""
    layer, content, _, certificate = patterns()
    answers = []
    for step in range(-3, 4):
        second = float(np.float64(1 / 3) + step * np.spacing(1 / 3))
        wanted = [[[2 / 3, second], [2 / 3, second]]]
        answers.append(decide_pattern(layer, content, wanted).reachable)
        assert answers[-1] is (F(2 / 3) == 2 * F(second))
        assert pattern_is_impossible(layer, content, wanted, certificate) is not answers[-1]  # type: ignore[arg-type] # floats
    assert answers.count(True) == 1
