"""A case may give other numbers in a batch: what is printed is what the printed line shows, and it can be measured."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest

import constructions
import verify
from constructions import (
    Construction,
    InvalidArgument,
    Layout,
    Linear,
    RationalSoftmax,
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.validation import IntArray
from verify import NumpyArithmetic, Verdict, batch_dependence, check, exhaust, fuzz, get_arithmetic, sweep
from verify.cli.app import run
from verify.evidence.finder import find_counterexample
from verify.requests import command_for
from verify.running.cases import Runner

FLOAT32 = NumpyArithmetic("float32")


@dataclass(frozen=True, repr=False)
class Cancelling(Construction):
    """Says its target, 0 or 1, by a sum whose large terms cancel: 2^25 - 2^25 + t, where t + (2^25 - 2^25) is 0.

    In the order of the coordinates the logit of token 1 is t; from the last to the first it is 0 in float32, and token
    0 wins with its 3/4.
    """

    vocab_size: int
    layout = Layout(virtual=1, user=0, response=1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (1,))

    def encode(self, targets: IntArray) -> Ratios:
        ones = np.ones((len(targets), 1, 2), dtype=np.int64)
        return Ratios(np.concatenate([ones, targets[:, None, :]], axis=2), 1)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return targets

    @cached_property
    def transformer(self) -> Transformer:
        V = self.vocab_size
        weight = [[0, 0, 0, 0], [2**25, -(2**25), 1, 0]][:V]
        readout = Linear(weight, [[Fraction(3, 4)], [0]][:V], activation=None, name="readout")
        return Transformer([[0] * V] * 3, (readout,), context_size=1)


def summed(rows: Any, weight: Any, order: Any) -> Any:
    """Add up products one by one in an order of the coordinates, rounded each time."""
    total = np.zeros((*rows.shape[:-1], len(weight)), dtype=rows.dtype)
    for column in order:
        total = total + rows[..., column, None] * weight[:, column]
    return total


def ordered(backwards: Callable[[int], bool]) -> Callable[..., Any]:
    """Return a kernel that adds from the last coordinate on in batches of some sizes."""

    def linear(_: Any, rows: Any, weight: Any, bias: Any = None) -> Any:
        order = range(weight.shape[1])
        product = summed(rows, weight, reversed(order) if backwards(len(rows)) else order)
        return product if bias is None else product + bias[:, 0]

    return linear


class InOrder:
    """Products whose sums go by the coordinates, in batches of every size."""

    linear = ordered(lambda _: False)

    def scores(self, queries: Any, keys: Any) -> Any:
        return sum(queries[..., place, None] * keys[..., None, :, place] for place in range(queries.shape[-1]))

    def mix(self, attention: Any, values: Any) -> Any:
        return sum(attention[..., key, None] * values[..., key, None, :] for key in range(values.shape[-2]))


@pytest.fixture
def wrong_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyArithmetic, "linear", ordered(lambda batch: batch > 1))


@pytest.fixture
def wrong_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyArithmetic, "linear", ordered(lambda batch: batch == 1))


def from_python(line: str) -> Verdict:
    names = {**vars(constructions), "verify": verify, "Fraction": Fraction, "Cancelling": Cancelling}
    verdict = eval(line, names)
    assert isinstance(verdict, Verdict)
    return verdict


def evidence() -> list[tuple[str, Callable[[], Verdict], str]]:
    """Return every kind of evidence that runs cases in batches, and the batch in which :class:`Cancelling` fails."""
    sizes = {"vocab_size": [1, 2]}
    return [
        ("exhaust", lambda: exhaust(Cancelling(2), FLOAT32), "0..1"),
        ("sweep", lambda: sweep(Cancelling, FLOAT32, max_vocab_size=2, claim="it"), "constant:0..1"),
        ("find", lambda: find_counterexample(Cancelling, sizes, FLOAT32, claim="it"), "0..1"),
        (
            "find in constants",
            lambda: find_counterexample(Cancelling, sizes, FLOAT32, claim="it", limit=1),
            "constant:0..1",
        ),
    ]


@pytest.mark.parametrize("name", [name for name, _, _ in evidence()])
@pytest.mark.usefixtures("wrong_in_batches")
def test_a_case_that_fails_in_its_batch_alone_is_shown_in_that_batch(name: str) -> None:
    found, batch = next((made(), batch) for kind, made, batch in evidence() if kind == name)
    case = found.counterexample
    assert found.holds is False
    assert case is not None
    assert (case.batch, case.target, case.expected, case.produced) == (batch, [1], 1, 0)
    assert case.margin == found.margin == -0.75
    assert case.sentence().endswith(f"in the batch {batch}; alone it is right")
    again = from_python(case.reproduce)
    assert again.counterexample == case
    assert Verdict.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert check(Cancelling(2), target=[1], arithmetic=FLOAT32).holds is True


@pytest.mark.parametrize("name", [name for name, _, _ in evidence()])
@pytest.mark.usefixtures("wrong_alone")
def test_the_case_of_the_smallest_margin_is_run_alone_too(name: str) -> None:
    found = next(made() for kind, made, _ in evidence() if kind == name)
    case = found.counterexample
    assert found.holds is False
    assert case is not None
    assert (case.batch, case.target, case.margin) == (None, [1], -0.75)
    assert from_python(case.reproduce).counterexample == case


@pytest.mark.usefixtures("wrong_alone")
def test_fuzzing_runs_its_cases_alone() -> None:
    found = fuzz(st.just(Cancelling(2)), FLOAT32, examples=20, claim="it").counterexample
    assert found is not None
    assert (found.batch, found.target) == (None, [1])


def test_without_batch_dependence_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyArithmetic, "linear", ordered(lambda _: False))
    assert [made().holds for _, made, _ in evidence()] == [True, True, True, None]


def test_the_margin_that_is_recorded_is_that_of_the_case_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """These kernels differ in their last bits between a batch and a case alone, as those of some libraries do."""
    monkeypatch.setattr(NumpyArithmetic, "mix", other_last_bits(lambda batch: batch > 1))
    differing = 0
    for vocab_size in (3, 5, 6, 7):
        below = RationalSoftmax(Fraction(3 * (4 * vocab_size - 3) - 1))  # the threshold is (N-1)(4V-3)
        wrong = UnconditionalGeneration(vocab_size, 4, temperature=below)
        arithmetic = NumpyArithmetic("float64")
        whole = Runner(wrong, arithmetic).run(*_everything(wrong))
        for words in (None, command_for("theorem-1", wrong)):
            case = exhaust(wrong, arithmetic, command=words).counterexample
            assert case is not None
            assert case.batch is None
            differing += case.margin != whole.margins[case.rank, case.position]
            if words is None:
                again = from_python(case.reproduce)
            else:
                assert run([*shlex.split(case.reproduce)[1:], "--json"]) == 1
                again = Verdict.from_json(json.loads(capsys.readouterr().out))
            assert again.counterexample == case
    assert differing >= 2


def other_last_bits(where: Callable[[int], bool]) -> Callable[..., Any]:
    """Return sums of which the last bits are others in batches of some sizes."""
    right = NumpyArithmetic.mix

    def mix(self: Any, attention: Any, values: Any) -> Any:
        made = right(self, attention, values)
        return made * (1 + 8 * np.finfo(made.dtype).eps) if where(len(made)) else made

    return mix


def _everything(construction: Construction) -> tuple[IntArray, IntArray]:
    targets = construction.targets.unrank_range(0, construction.targets.size)
    return targets, np.zeros((len(targets), 0), dtype=np.int64)


def test_a_failure_that_never_comes_again_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    right, calls = UnconditionalGeneration(3, 2), []
    numbers = NumpyArithmetic.numbers

    def once(self: Any, rows: Any) -> Any:
        calls.append(len(rows))
        return -numbers(self, rows) if len(calls) == 1 else numbers(self, rows)

    monkeypatch.setattr(NumpyArithmetic, "numbers", once)
    verdict = exhaust(right, FLOAT32)
    assert (verdict.holds, verdict.counterexample) == (None, None)
    assert verdict.reason == "target [0, 0] failed in the batch 0..8, and neither alone nor in that batch again"


def test_the_line_of_the_command_runs_the_batch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    linear = NumpyArithmetic.linear

    def spoiled(self: Any, rows: Any, weight: Any, bias: Any = None) -> Any:
        return linear(self, rows, weight, bias if bias is None or len(rows) == 1 else bias * len(rows))

    monkeypatch.setattr(NumpyArithmetic, "linear", spoiled)
    assert run(["exhaust", "theorem-1", "--vocab", "3", "--context", "2", "--arithmetic", "numpy", "--json"]) == 1
    case = Verdict.from_json(json.loads(capsys.readouterr().out)).counterexample
    assert case is not None
    assert case.batch == "0..8"
    assert "--in-batch 0..8" in case.reproduce
    assert run([*shlex.split(case.reproduce)[1:], "--json"]) == 1
    assert Verdict.from_json(json.loads(capsys.readouterr().out)).counterexample == case
    assert run(shlex.split(case.reproduce)[1:]) == 1
    assert "in the batch 0..8; alone it is right" in capsys.readouterr().out


CASE = ["check", "theorem-1", "--vocab", "3", "--context", "3", "--rank", "5"]


@pytest.mark.parametrize(
    "name", ["", "0", "0..", "0..27", "5..4", "-1..5", "6..7", "constant:0..3", "constant:0..2", "x:0..1", "0..1e1"]
)
def test_what_is_no_batch_of_the_case_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*CASE, "--in-batch", name]) == 2
    assert capsys.readouterr().err.startswith("error: in_batch: expected ")


def test_a_batch_of_more_cases_than_any_run_has_is_refused() -> None:
    large = UnconditionalGeneration(10, 100)
    for name in ("0..99999999999", f"0..{10**100 - 1}"):
        with pytest.raises(InvalidArgument, match=r"in_batch: expected A\.\.B of at most"):
            check(large, rank=0, in_batch=name)
    assert check(large, rank=10**100 - 1, in_batch=f"{10**100 - 2}..{10**100 - 1}", arithmetic="numpy").holds is True


def test_batch_dependence_is_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    case = ["check", "theorem-1", "--vocab", "3", "--context", "3", "--rank", "5", "--arithmetic", "numpy"]
    assert run([*case, "--arithmetic", "rational", "--batch"]) == 0
    assert "this arithmetic runs its cases one by one" in capsys.readouterr().out
    # kernels whose sums have one order, whatever the batch
    for name in ("linear", "scores", "mix"):
        monkeypatch.setattr(NumpyArithmetic, name, getattr(InOrder, name))
    assert run([*case, "--batch", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["batches"]
    assert [part["size"] for part in found] == [2, 7, 64, 1024]
    assert all(part["equal"] and part["right"] and part["largest_difference"] == 0 for part in found)
    assert [part["places"] for part in found] == [[0, 1], [0, 3, 6], [0, 32, 63], [0, 512, 1023]]
    monkeypatch.setattr(NumpyArithmetic, "mix", other_last_bits(lambda batch: batch == 7))
    rational = RationalSoftmax(Fraction(19))
    runner = Runner(UnconditionalGeneration(3, 3, temperature=rational), NumpyArithmetic("float32"))
    unequal = set()
    for rank in range(27):
        target = runner.construction.targets.unrank(rank)
        for part in batch_dependence(runner, target, np.zeros(0, dtype=np.int64), sizes=(2, 7)):
            assert part.equal == (part.largest_difference == 0)
            if not part.equal:
                unequal.add(part.size)
                assert "NOT equal, logits differ by up to" in part.sentence()
    assert unequal == {7}


@pytest.mark.usefixtures("wrong_in_batches")
def test_a_case_that_fails_in_a_batch_is_not_shown_to_hold() -> None:
    from verify.evidence.evaluation import evaluate

    batches: list[Any] = []
    verdict, _ = evaluate(Cancelling(2), target=[1], arithmetic=FLOAT32, batches=batches)
    assert verdict.holds is None
    assert verdict.reason == "right alone, but not in batches of 2, 7, 64, 1024"
    assert all(part.sentence().endswith("; the case FAILS there") for part in batches)


@pytest.mark.parametrize("kind", ["numpy", "torch", "structured"])
def test_real_kernels_are_measured(kind: str) -> None:
    """Whatever the kernels of this machine do, the report is consistent with itself."""
    runner = Runner(UnconditionalGeneration(10, 4), get_arithmetic(kind, dtype="float32"))
    target = runner.construction.targets.unrank(4711)
    for part in batch_dependence(runner, target, np.zeros(0, dtype=np.int64)):
        assert part.right
        assert part.equal == (part.largest_difference == 0)
