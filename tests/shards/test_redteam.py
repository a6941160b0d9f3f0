"""Wrong constructions and liars in shards: nothing holds there that does not hold in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import pytest

from constructions import ConditionalGeneration, Construction, Softmax, UnconditionalGeneration
from constructions.validation import InvalidArgument
from proofs import Claim
from tests.certificates.own import rounded
from tests.mutation.certifier_liars import liars, right
from tests.mutation.corpus import FAMILIES, SUBJECTS, drawn_mutants, mutants
from tests.redteam.test_functions import TRICKS, Echo, Stateful, _as_promised, _encoded, _moved, _next
from tests.shards.test_driver import Shuffled, facts
from tests.shares import heavy_or_long
from verify import NumpyArithmetic, RationalArithmetic, Verdict, exhaust, shards
from verify.certificates import certificate_arithmetic, certify
from verify.requests import Request
from verify.shards.driver import gather
from verify.shards.works.fuzzing import Fuzzing
from verify.suite.steps import Gathering, fuzzed

BALL = certificate_arithmetic("ball")
EXACT = RationalArithmetic()
ANSWERS, ENCODINGS = (_as_promised, _next), (_encoded, _moved)


@dataclass(frozen=True, kw_only=True)
class OfOne(Request):
    """A request whose construction is the one that was made, whatever the sizes."""

    made: Construction

    def build(self, sizes: Any) -> Construction:
        return self.made


def of_one(made: Construction, arithmetic: Any = EXACT) -> OfOne:
    """Return a request for one construction."""
    claim = Claim(id="one", title="one", statement="one", construction=type(made))
    return OfOne(claim, {"vocab_size": range(3, 4)}, {}, arithmetic, made=made)


def fuzz(make: Callable[[], Construction]) -> Verdict:
    return fuzzed(of_one(make()), Gathering(examples=25))


def fuzz_in_shards(make: Callable[[], Construction], seed: int = 0) -> Verdict:
    return gather(Fuzzing(of_one(make()), examples=25, seed=0), executor=Shuffled(seed))


def said(run: Callable[[], Verdict]) -> Verdict | None:
    """Return the verdict without its time, ``None`` where the construction is refused."""
    try:
        return facts(run())
    except InvalidArgument:
        return None


def held(run: Callable[[], Verdict]) -> bool:
    verdict = said(run)
    return verdict is not None and verdict.holds is True


@pytest.mark.parametrize("arithmetic", [rounded(), BALL], ids=lambda each: each.name)
def test_no_liar_is_certified(arithmetic: Any) -> None:
    for number, (name, make) in enumerate(liars().items()):
        split = partial(shards.certify, make(), arithmetic, executor=Shuffled(number))
        assert not held(split), name
    for construction in right():
        assert held(partial(shards.certify, construction, arithmetic, executor=Shuffled(0)))


@pytest.mark.parametrize("trick", TRICKS)
def test_what_is_no_function_never_holds(trick: str) -> None:
    make, _ = TRICKS[trick]
    for seed in range(3):
        for arithmetic in (EXACT, NumpyArithmetic()):
            assert not held(partial(shards.exhaust, make(), arithmetic, executor=Shuffled(seed)))
        assert not held(partial(fuzz_in_shards, make, seed))
        assert not held(partial(shards.certify, make(), rounded(), executor=Shuffled(seed)))


@pytest.mark.parametrize("calls", range(1, 6))
def test_a_function_that_changes_after_some_calls_never_holds(calls: int) -> None:
    runs: list[tuple[Any, Any]] = [(shards.exhaust, EXACT), (shards.certify, rounded())]
    for split, arithmetic in runs:
        for changing in (
            Echo(5, asked=Stateful(calls, *ANSWERS)),
            Echo(5, encoded=Stateful(calls, *ENCODINGS)),
        ):
            assert not held(partial(split, changing, arithmetic, executor=Shuffled(calls)))


def test_functions_hold() -> None:
    """Otherwise the tests above would show nothing."""
    for arithmetic in (EXACT, NumpyArithmetic()):
        assert held(partial(shards.exhaust, Echo(5), arithmetic, executor=Shuffled(0)))
    assert held(partial(shards.certify, Echo(5), rounded(), executor=Shuffled(0)))
    assert held(partial(fuzz_in_shards, partial(Echo, 5)))


def test_a_construction_that_changes_from_pass_to_pass_is_not_certified() -> None:
    """Each piece is right where it is looked at; what the code gives changes between the driver and its pieces."""
    calls = [0]

    class Turning(UnconditionalGeneration):  # type: ignore[misc] # final, but a user may do it all the same
        def encode(self, targets: Any) -> Any:
            calls[0] += 1
            found = super().encode(targets)
            return found if calls[0] % 2 else replace(found, denominator=2 * found.denominator)

    assert not held(partial(shards.certify, Turning(4, 6), BALL, executor=Shuffled(0)))


def agrees(made: Construction, number: int) -> int:
    """Hold one mutant's verdicts in shards against those of one process; return how many there were."""
    looked_at = 0
    for arithmetic in (rounded(), BALL):
        alone = said(partial(certify, made, arithmetic))
        split = said(partial(shards.certify, made, arithmetic, executor=Shuffled(number)))
        assert split == alone, made
        looked_at += alone is not None
    if held(partial(fuzz_in_shards, partial(_same, made), number)):
        # more seeds draw other cases: what they find right may be wrong elsewhere, as in one process
        assert said(partial(exhaust, made, EXACT)) is not None
    return looked_at


@pytest.mark.parametrize("subject", SUBJECTS)
def test_mutants_have_the_verdicts_of_one_process(subject: str) -> None:
    assert sum(agrees(mutant.construction, number) for number, mutant in enumerate(_few(subject)))


def _same(made: Construction) -> Construction:
    return made


def _few(subject: str) -> Any:
    return drawn_mutants(subject, "matrices, layers, virtual tokens", 2)


@pytest.mark.parametrize(("subject", "family"), heavy_or_long(product(SUBJECTS, FAMILIES), 4))
def test_every_mutant_has_the_verdicts_of_one_process(subject: str, family: str) -> None:
    assert sum(agrees(mutant.construction, number) for number, mutant in enumerate(mutants(subject, family)))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_fuzzing_holds_only_where_each_seed_alone_does(subject: str) -> None:
    """A seed draws in a shard what it draws alone: one that is not shown right there is not shown right here."""
    for mutant in _few(subject):
        made = mutant.construction
        alone = [fuzzed(of_one(made), Gathering(examples=5, seed=seed)).holds for seed in range(5)]
        assert held(partial(fuzz_in_shards, partial(_same, made))) == all(alone)


@pytest.mark.parametrize(
    "made",
    [UnconditionalGeneration(6, 12, temperature=Softmax(0.5)), ConditionalGeneration(4, temperature=Softmax(200.0))],
    ids=repr,
)
def test_a_temperature_that_is_wrong_is_not_certified(made: Construction) -> None:
    for arithmetic in (rounded(), BALL):
        assert said(partial(shards.certify, made, arithmetic)) == said(partial(certify, made, arithmetic))
