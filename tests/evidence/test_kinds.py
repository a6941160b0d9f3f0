"""Kinds of evidence describe themselves: name, strength, sentence, command, and what forbids a verdict of theirs."""

from __future__ import annotations

import doctest
import shlex
from dataclasses import replace
from itertools import pairwise

import pytest

import verify.evidence.kinds
from constructions import InvalidArgument
from verify.evidence.kinds import CERTIFIED, EVALUATED, EXHAUSTED, FUZZED, KINDS, PROVED, SWEPT, Evidence, kind_of
from verify.evidence.verdict import Verdict

VERDICT = Verdict("theorem-2", {"vocab_size": 2}, "exhausted", "rational", "cpu", holds=True, cases=8, space=8)


def test_the_examples_run() -> None:
    assert doctest.testmod(verify.evidence.kinds).failed == 0


def test_the_order_is_proof_certificate_enumeration_and_then_cases() -> None:
    strongest_first = [PROVED, CERTIFIED, EXHAUSTED, SWEPT, FUZZED, EVALUATED]
    assert [kind for kind in KINDS.values() if kind in strongest_first] == strongest_first
    assert all(stronger.strength >= weaker.strength for stronger, weaker in pairwise(KINDS.values()))
    assert all(stronger.strength > weaker.strength for stronger, weaker in pairwise(strongest_first))
    assert all(name == kind.name for name, kind in KINDS.items())


def test_every_kind_counts_its_cases_in_a_few_words() -> None:
    told = {
        name: kind.sentence(replace(VERDICT, method=name, seed=3, parameters={"family": "8", "sha256": "0"}))
        for name, kind in KINDS.items()
    }
    known = {
        "proved": "proved: 8 of 8 theorems ()",
        "certified": "certified: all 8 cases at once",
        "exhausted": "exhausted: 8 of 8 cases",
        "swept": "swept: 8 cases, every V",
        "fuzzed": "fuzzed: 8 distinct cases, seed 3",
        "evaluated": "evaluated: 8 cases",
        "exported": "exported: 8 cases from a file",
    }
    assert told | known == told
    assert all(sentence.startswith(f"{name}: ") and "8" in sentence for name, sentence in told.items())


def test_the_command_repeats_the_evidence() -> None:
    built = {"claim": "my file.py:Own", "--vocab": "4"}
    made = EXHAUSTED.command(built, ("--arithmetic", "rational"), "--limit", "9")
    assert made is not None
    words = ["prefixproof", "exhaust", "my file.py:Own", "--vocab", "4", "--limit", "9", "--arithmetic", "rational"]
    assert shlex.split(made) == words
    assert PROVED.command(built, ()) is None


@pytest.mark.parametrize("method", ["believed", "", None])
def test_another_method_is_refused(method: str) -> None:
    with pytest.raises(InvalidArgument, match="method: expected one of proved, certified"):
        kind_of(method)
    with pytest.raises(InvalidArgument, match="method: expected one of proved, certified"):
        replace(VERDICT, method=method)


def test_a_kind_forbids_what_is_not_its_evidence() -> None:
    for cases, space in ((7, 8), (8, None), (8, 9)):
        with pytest.raises(InvalidArgument, match="holds: expected every case of the space for True but got"):
            replace(VERDICT, cases=cases, space=space)
        assert replace(VERDICT, cases=cases, space=space, holds=None).holds is None


def test_a_new_kind_is_one_class() -> None:
    class Believed(Evidence):
        name = "believed"
        strength = EVALUATED.strength

        def sentence(self, verdict: Verdict) -> str:
            return f"believed by {verdict.cases}"

    made = Believed()
    assert made.sentence(VERDICT) == "believed by 8"
    assert made.objection(VERDICT) is None
    assert repr(made) == "believed"
