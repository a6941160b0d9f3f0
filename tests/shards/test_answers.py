"""Answers of workers that are changed on their way: refused, or met by what the driver runs itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from constructions import RationalSoftmax, UnconditionalGeneration
from constructions.validation import InvalidArgument
from proofs import get_claim
from tests.shards.examples import Counting
from verify import RationalArithmetic
from verify.requests import Request
from verify.shards.driver import gather
from verify.shards.executors import Answer, InProcess, WorkerError
from verify.shards.works.enumerating import Enumerating
from verify.shards.works.sweeping import Sweeping

EXACT = RationalArithmetic()


class Lying(InProcess):
    """Answers are changed on their way."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def wait(self, seconds: float) -> list[Answer]:
        return [replace(answer, text=self.change(answer.text)) for answer in super().wait(seconds)]


def _with(**changes: Any) -> Any:
    def change(text: str) -> str:
        record = json.loads(text)
        record["findings"] |= {name: value for name, value in changes.items() if name in record["findings"]}
        return json.dumps(record | {name: value for name, value in changes.items() if name in record})

    return change


@pytest.mark.parametrize(
    "change",
    [
        _with(start=1),
        _with(stop=7),
        _with(digest="0" * 64),
        _with(cases="9" * 30),
        _with(cases="0"),
        _with(margin="1/3"),  # exact, of a run in floats
        _with(margin=-1.0),
        _with(margin="nan"),
        _with(closest="77"),
        _with(shard=["0", "77"]),
        _with(failure="3"),
        _with(seconds=float("nan")),
        _with(seconds=-1.0),
        _with(seconds=10**400),
        lambda text: '{"key": 3}',
        lambda text: '{"raised": "error"}',
        lambda text: text[:-1],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: "null",
        lambda text: "[" * 100_000,
    ],
)
def test_an_answer_that_is_none_is_refused(change: Any) -> None:
    with pytest.raises(WorkerError, match=r"a worker('s answer cannot be read| answered)"):
        gather(Counting(5, unit=5), executor=Lying(change))


def test_a_worker_that_runs_something_else_is_refused() -> None:
    def other(text: str) -> str:
        work = Counting(5, unit=5, key="other")
        return json.dumps({"key": dict(work.run.key)})

    with pytest.raises(InvalidArgument, match=r"worker: expected the same run as the driver's but one differs in of$"):
        gather(Counting(5, unit=5), executor=Lying(other))
    with pytest.raises(InvalidArgument, match=r"worker: expected the same run .* differs in 1, .*, of$"):
        gather(Counting(5, unit=5), executor=Lying(lambda text: '{"key": [[1, 2]]}'))


def test_a_failure_that_nobody_sees_again_shows_nothing() -> None:
    """A worker says that a case fails, and the driver finds it right: that is neither proof nor refutation."""
    construction = UnconditionalGeneration(3, 3)
    work = Enumerating(construction, EXACT)
    change = _with(failure="5", cases="5", margin="1/189", closest="0", shard=["0", "27"])
    verdict = gather(work, executor=Lying(change))
    assert (verdict.holds, verdict.cases) == (None, 6)
    assert "and neither alone nor in that batch again" in str(verdict.reason)


def test_a_worker_that_hides_a_failure_is_met_by_the_cases_that_the_driver_draws() -> None:
    construction = UnconditionalGeneration(3, 3, temperature=RationalSoftmax(Fraction(2)))
    change = _with(failure=None, cases="27", margin="1/9", closest="0", shard=["0", "27"])
    verdict = gather(Enumerating(construction, EXACT), executor=Lying(change))
    assert verdict.holds is False
    assert verdict.counterexample is not None


@pytest.mark.parametrize(("margin", "closest"), [("1/7", "11"), ("1/1000", "11"), ("1/189", "3")])
def test_a_smallest_margin_that_is_made_up_shows_nothing(margin: str, closest: str) -> None:
    """The case of the smallest margin of (3, 3) is 11, with 1/189; exact arithmetic gives it no other."""
    work = Enumerating(UnconditionalGeneration(3, 3), EXACT)
    change = _with(cases="27", margin=margin, closest=closest, shard=["0", "27"])
    verdict = gather(work, executor=Lying(change))
    assert verdict.holds is None
    assert f"a margin of {margin} was found at case {closest}, and of " in str(verdict.reason)


@pytest.mark.parametrize("margin", ["1/7", "1/1000"])
def test_a_smallest_margin_of_a_sweep_that_is_made_up_shows_nothing(margin: str) -> None:
    def change(text: str) -> str:
        record = json.loads(text)
        if record["findings"]["margin"] is not None:
            record["findings"]["margin"] = margin
        return json.dumps(record)

    sizes = {"vocab_size": range(4, 5), "context_size": range(3, 4)}
    work = Sweeping.of(Request(get_claim("theorem-1"), sizes, {}, EXACT), {})
    assert gather(work, executor=Lying(str)).holds
    verdict = gather(work, executor=Lying(change))
    assert verdict.holds is None
    assert re.match(rf"a margin of {margin} was found at vocab_size \d, and of .* when run again$", str(verdict.reason))
