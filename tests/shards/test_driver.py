"""The driver: the same verdict as one process, in whatever order shards come back, and what it makes of bad answers."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from constructions import ConditionalGeneration, Construction, RationalSoftmax, Softmax, UnconditionalGeneration
from constructions.validation import InvalidArgument
from tests.shards.examples import Counting, Failing, generation
from verify import CallableBackend, EngineArithmetic, NumpyArithmetic, RationalArithmetic, Verdict, exhaust, shards
from verify.shards.driver import gather
from verify.shards.executors import Answer, Executor, InProcess, WorkerError
from verify.shards.findings import Findings
from verify.shards.recipe import Recipe
from verify.shards.records import Shard
from verify.shards.works.base import Work
from verify.shards.works.enumerating import Enumerating

EXACT = RationalArithmetic()


class Shuffled(InProcess):
    """Several workers of this process, of which any may be the next to answer."""

    def __init__(self, seed: int, workers: int = 5) -> None:
        super().__init__()
        self._draw, self.workers = random.Random(seed), workers

    def wait(self, seconds: float) -> list[Answer]:
        self._draw.shuffle(self._waiting)
        kept = self._waiting[1:]
        self._waiting = self._waiting[:1]
        answers = super().wait(seconds)
        self._waiting = kept
        return answers


def facts(verdict: Verdict) -> Verdict:
    return replace(verdict, seconds=0.0)


CONSTRUCTIONS: list[tuple[Construction, Any]] = [
    (UnconditionalGeneration(4, 4), EXACT),
    (UnconditionalGeneration(3, 3, temperature=RationalSoftmax(Fraction(18))), EXACT),
    (UnconditionalGeneration(4, 4, temperature=RationalSoftmax(Fraction(30))), EXACT),
    (ConditionalGeneration(3), EXACT),
    (ConditionalGeneration(3, temperature=RationalSoftmax(Fraction(2))), EXACT),
    (UnconditionalGeneration(1, 3), EXACT),
    (UnconditionalGeneration(4, 4), NumpyArithmetic("float32")),
    (UnconditionalGeneration(4, 4, temperature=Softmax(3.0)), NumpyArithmetic("float32")),
]


@pytest.mark.parametrize(
    ("construction", "arithmetic"), CONSTRUCTIONS, ids=lambda part: getattr(part, "name", repr(part))
)
@pytest.mark.parametrize("seed", [0, 1])
def test_gives_the_verdict_of_one_process(construction: Construction, arithmetic: Any, seed: int) -> None:
    alone = exhaust(construction, arithmetic)
    found = shards.exhaust(construction, arithmetic, executor=Shuffled(seed))
    assert facts(found) == facts(alone)


@pytest.mark.parametrize("unit", [1, 7, 64])
@pytest.mark.parametrize("seed", range(4))
def test_finds_the_first_failure_whoever_finds_which_first(unit: int, seed: int) -> None:
    wrong = (517, 90, 301, 999)
    work = Counting(1000, wrong, unit)
    verdict = gather(work, executor=Shuffled(seed))
    assert (verdict.reason, verdict.cases) == ("unit 90 is wrong", 90)
    assert verdict.margin == min(map(work.margin, range(90)))
    starts = sorted(work.ran)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(starts))  # none ran twice


@pytest.mark.parametrize("total", [1, 2, 63, 64, 65, 1000])
def test_runs_every_unit_once(total: int) -> None:
    work = Counting(total, unit=64)
    verdict = gather(work, executor=Shuffled(3))
    assert (verdict.holds, verdict.cases) == (True, total)
    assert sorted(unit for start, stop in work.ran for unit in range(start, stop)) == list(range(total))
    assert all(start % 64 == 0 for start, _ in work.ran)


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("refuses", InvalidArgument, "kernel: expected numbers but got 'nothing' (type str)"),
        ("raises", WorkerError, "in units 40..49, ZeroDivisionError: unlucky\nin two lines"),
        ("memory", MemoryError, "no more"),
        ("another range", WorkerError, "a worker answered wrongly for units 40..49: the smallest margin is at"),
        ("too few", WorkerError, "a worker answered wrongly for units 40..49: 10 units are to be right, and it counts"),
    ],
)
def test_tells_what_goes_wrong_in_a_shard(how: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as raised:
        gather(Failing(50, 41, how, unit=10), executor=Shuffled(0))
    assert str(raised.value).startswith(said)


def test_a_failure_below_comes_before_what_is_raised_above() -> None:
    """One process would have stopped at the failure, and never have come to what raises."""
    for seed in range(4):
        work = Failing(400, 200, "raises", wrong=(150,), unit=10)
        assert gather(work, executor=Shuffled(seed)).reason == "unit 150 is wrong"
        with pytest.raises(WorkerError, match="unlucky"):
            gather(Failing(400, 100, "raises", wrong=(150,), unit=10), executor=Shuffled(seed))


@pytest.mark.parametrize("seed", range(4))
def test_a_failure_below_comes_before_what_is_raised_in_the_same_shard(seed: int) -> None:
    """A kernel may look at all of a shard at once; one process, batch by batch, would have stopped at the failure."""

    class AtOnce(Counting):
        def shard(self, start: int, stop: int) -> Findings:
            if start <= 207 < stop:
                raise ZeroDivisionError("unlucky")
            return super().shard(start, stop)

    for limit in (None, 400):
        verdict = gather(AtOnce(400, wrong=(203,), unit=1), executor=Shuffled(seed, workers=1), limit=limit)
        assert (verdict.reason, verdict.cases) == ("unit 203 is wrong", 203)
    with pytest.raises(WorkerError, match=r"in units 207\.\.207, ZeroDivisionError: unlucky"):
        gather(AtOnce(400, wrong=(210,), unit=1), executor=Shuffled(seed, workers=1))


def test_functions_that_answer_otherwise_are_met() -> None:
    @dataclass(frozen=True, repr=False)
    class Fickle(UnconditionalGeneration):  # type: ignore[misc] # final, but a user may do it all the same
        """Promises another response from its hundredth call on."""

        calls = [0]  # noqa: RUF012 # shared on purpose

        def answer(self, targets: Any, user_inputs: Any) -> Any:
            self.calls[0] += 1
            right = super().answer(targets, user_inputs)
            return right if self.calls[0] % 5 else (right + 1) % self.vocab_size

    verdict = shards.exhaust(Fickle(4, 4), EXACT)
    assert verdict.holds is not True


def test_a_backend_that_answers_otherwise_is_met() -> None:
    calls = [0]

    def kernel(prompts: Any, inputs: Any) -> Any:
        calls[0] += 1
        right = np.rint(prompts[:, 0, :] * 3).astype(np.int64)
        return right if calls[0] < 3 else (right + 1) % 3

    construction = UnconditionalGeneration(3, 2)
    alone = exhaust(construction, CallableBackend(kernel, gives="tokens"))
    calls[0] = 0
    found = shards.exhaust(construction, CallableBackend(kernel, gives="tokens"))
    assert alone.holds is not True
    assert found.holds is not True


def test_says_how_cases_ran_that_ran_at_once_elsewhere() -> None:
    """The driver ran none of them itself; it runs some of all shards as they did, and compares those."""
    construction = UnconditionalGeneration(4, 4)

    class Elsewhere(InProcess):
        def start(self, work: Work, recipe: Recipe | None) -> None:
            super().start(Enumerating(construction, EngineArithmetic("float32")), recipe)

    found = shards.exhaust(construction, EngineArithmetic("float32"), executor=Elsewhere())
    assert (found.holds, found.cases) == (True, 256)
    assert "by induction over its steps" in str(found.assumptions)
    assert "; 64 drawn cases compared with torch's dense arithmetic: 64 equal" in str(found.assumptions)


def test_stops_at_a_limit_and_goes_on(tmp_path: Path) -> None:
    file, work = tmp_path / "ledger", UnconditionalGeneration(4, 4)
    first = shards.exhaust(work, EXACT, ledger=file, limit=100)
    assert (first.holds, first.cases, first.reason) == (None, 100, "cut off after 100 of 256 cases")
    second = shards.exhaust(work, EXACT, ledger=file)
    assert (second.holds, second.cases, second.margin) == (True, 256, Fraction(1, 688))
    assert second.resumed is not None
    assert (second.resumed["cases"], second.resumed["replayed"]) == ("100", 64)
    third = shards.exhaust(work, EXACT, ledger=file, executor=Shuffled(0))
    assert (third.holds, third.cases, third.margin) == (True, 256, Fraction(1, 688))
    assert third.resumed is not None
    assert third.resumed["cases"] == "256"


def test_a_refuted_run_is_refuted_again(tmp_path: Path) -> None:
    file, wrong = tmp_path / "ledger", UnconditionalGeneration(4, 4, temperature=RationalSoftmax(Fraction(30)))
    first = shards.exhaust(wrong, EXACT, ledger=file, executor=Shuffled(1))
    second = shards.exhaust(wrong, EXACT, ledger=file)
    assert first.holds is second.holds is False
    assert first.counterexample == second.counterexample == exhaust(wrong, EXACT).counterexample


def test_takes_a_factory_or_what_can_be_pickled() -> None:
    assert shards.exhaust(generation, EXACT).holds
    recipe = Recipe.of_python(Counting, 7)
    assert recipe.work().run.digest == Counting(7).run.digest
    with pytest.raises(InvalidArgument, match="construction: expected one that can be pickled, so that workers can"):
        Recipe.of_python(lambda: Counting(7))
    with pytest.raises(InvalidArgument, match="construction: expected one that can be pickled"):
        shards.exhaust(lambda: UnconditionalGeneration(2, 2), EXACT, jobs=2)


@pytest.mark.parametrize("limit", [0, -1, True, 1.0])
def test_refuses_a_limit_that_is_none(limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="limit: expected an integer >= 1"):
        gather(Counting(5), limit=limit)


def test_workers_end_whatever_happens() -> None:
    class Interrupted(Executor):
        word, summary, closed = "interrupted", "", False

        @classmethod
        def of(cls, *, jobs: int | None, scheduler: str | None) -> Self:
            raise AssertionError("made here, and not from options")

        def start(self, work: Work, recipe: Recipe | None) -> None: ...

        def submit(self, shard: Shard) -> None: ...

        def wait(self, seconds: float) -> list[Answer]:
            raise KeyboardInterrupt

        def close(self) -> None:
            self.closed = True

    executor = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        gather(Counting(5), executor=executor)
    assert executor.closed
