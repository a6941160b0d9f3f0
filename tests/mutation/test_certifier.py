"""The certifier under mutation: no change of its source survives, or the change is proved harmless."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from constructions import Hardmax
from tests.certificates.duels import Tally, attack
from tests.mutation.certifier_killers import by_name
from tests.mutation.certifier_mutants import MUTANTS
from tests.mutation.certifier_networks import Wrong, wrong_balls
from tests.mutation.certifier_networks import wrong as wrong_networks
from tests.mutation.certifier_runner import source_of
from tests.mutation.certifier_section import COLUMNS, outcomes, wrong
from tests.mutation.certifier_unsettled import UNSETTLED
from tests.mutation.oracle import violations_and_margin

#: Run by ``make test``: quick ones of every kind, and those that no test noticed once.
SAMPLE = (
    "sieve of pairs: half the error of a pair",
    "sums: an accumulator does not round first",
    "sums: slack 0",
    "members of cells: one end alone",
    "softmax: scaled after the subtraction never",
    "sieve of balls: no slack",
    "rounding to a format: ties go up",
    "the certificate: free embeddings are on the grid of their bound",
    "bounds of unknown tokens: a remainder of the ends",
    "operations with factors: errors of a sum of rows are relative to the sum",
)
#: What the table must have at least.
WANTED = 60


def test_there_are_enough_mutants_of_every_rule() -> None:
    rules = Counter(mutant.rule for mutant in MUTANTS)
    assert len(MUTANTS) >= WANTED
    assert min(rules.values()) >= 2
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("rule", sorted({mutant.rule for mutant in MUTANTS}))
def test_what_a_mutant_changes_is_there_exactly_once(rule: str) -> None:
    for mutant in MUTANTS:
        if mutant.rule == rule:
            source = source_of(mutant.module).read_text(encoding="utf-8")
            assert source.count(mutant.old) == 1, mutant.name
            assert mutant.old != mutant.new
            compile(source.replace(mutant.old, mutant.new), mutant.module, "exec")


def test_what_is_not_settled_is_still_in_the_source() -> None:
    for each in UNSETTLED:
        source = source_of(each.module).read_text(encoding="utf-8")
        assert source.count(each.old) == 1, each.name
        compile(source.replace(each.old, each.new), each.module, "exec")
        assert each.tried
        assert each.name not in {mutant.name for mutant in MUTANTS}


def test_every_mutant_has_killers_or_an_argument_that_a_check_confirms() -> None:
    methods = by_name()
    for mutant in MUTANTS:
        assert bool(mutant.killers) is not bool(mutant.argument), mutant.name
        assert bool(mutant.proof) is bool(mutant.argument), mutant.name
        assert set(mutant.killers or (mutant.proof,)) <= set(methods)
    used = {killer for mutant in MUTANTS for killer in mutant.killers or (mutant.proof,)}
    assert {methods[killer].column for killer in used} | {"argument"} == set(COLUMNS)


def test_a_sample_of_mutants_is_killed() -> None:
    found = outcomes(SAMPLE)
    assert set(found) == set(SAMPLE)
    assert [line for mutant in MUTANTS if mutant.name in found for line in wrong(mutant, found[mutant.name])] == []


def test_a_survivor_and_an_argument_that_does_not_stand_are_reported() -> None:
    killed, harmless = (next(each for each in MUTANTS if bool(each.argument) is kind) for kind in (False, True))
    assert len(wrong(killed, {killer: {"found": []} for killer in killed.killers})) == len(killed.killers)
    assert wrong(killed, {killer: {"found": ["raised: an error"]} for killer in killed.killers})
    assert wrong(harmless, {harmless.proof: {"found": ["a counterexample"]}})
    assert wrong(harmless, {})


@pytest.mark.parametrize("network", list(wrong_networks()), ids=lambda each: str(each.name))
def test_a_network_that_is_built_for_a_rule_fails_on_some_kernel(network: Wrong) -> None:
    tally = Tally()
    assert not attack(network.setting, np.random.default_rng(1), 60, tally)
    assert len(tally.contradicted) == 1


def test_networks_that_are_built_for_balls_fail_in_real_arithmetic() -> None:
    for _, made in wrong_balls():
        violation, _ = violations_and_margin(made, Hardmax())
        assert violation is not None
        assert violation.margin < 0


@pytest.mark.long
def test_the_certifier_as_it_is_meets_every_killer() -> None:
    found = outcomes([f"none:{name}" for name in by_name()])
    assert {name: killers for name, killers in found.items() if any(each["found"] for each in killers.values())} == {}
    assert len(found) == len(by_name())
