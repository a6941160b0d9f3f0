"""Whoever tries to have the exact engine say more than the cases one by one: code that raises, changes, or lies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np
import pytest

from constructions import (
    Attention,
    Construction,
    Hardmax,
    Head,
    Layer,
    Layout,
    Linear,
    RationalSoftmax,
    Ratios,
    Transformer,
    UnconditionalGeneration,
    Unmarked,
)
from constructions.activations import ABSOLUTE, Activation, Pieces
from constructions.activations.piecewise import Absolute, Square
from constructions.exact_matrix import ExactMatrix, Leaf
from tests.exact_engine.given import EXACT, Given, engine_of, one_by_one, promising, same, size_of
from tests.mutation.wrong_arithmetic import wrapped
from verify import RationalArithmetic, Runner, exhaust
from verify.exact_engine import passes
from verify.exact_engine.operations import FormArithmetic
from verify.running.ranks import RankTally


class _Wrong(Exception):
    """Raised by code of an author."""


def _theorem_1() -> Given:
    """Return Theorem 1 at (3, 3) with its virtual tokens and answers in tables."""
    right = UnconditionalGeneration(3, 3)
    targets = right.targets.unrank_range(0, 27)
    return Given(
        3,
        weights=right.transformer,
        laid_out=right.layout,
        letters=3,
        entries=3,
        numerators=right.virtual_tokens(targets).numerators,
        denominator=3,
        answers=targets[:, None, :],
        temperature=right.temperature_for(None),
    )


@dataclass(frozen=True, eq=False, repr=False)
class _Raising(Given):
    at: int = 20
    largest: int = 10**9

    def encode(self, targets: Any) -> Ratios:
        found = super().encode(targets)
        if len(targets) > self.largest or (targets @ [9, 3, 1] == self.at).any():
            raise _Wrong
        return found


def _changed(made: Given, kind: type[Given] = Given, **changes: Any) -> Any:
    values = {name: getattr(made, name) for name in made.__dataclass_fields__ if name != "vocab_size"}
    return kind(made.vocab_size, **{**values, **changes})


def test_an_encoding_that_raises_does_so_after_the_cases_before_it() -> None:
    raising = _changed(_theorem_1(), _Raising)
    runner = Runner(raising, EXACT)
    with pytest.raises(_Wrong):
        runner.prepared.tally_ranks(0, 27)
    found = runner.prepared.tally_ranks(0, 20)
    assert found == one_by_one(Runner(_theorem_1(), EXACT), 0, 20)
    # a failure before it is told first, as it was
    answers = np.array(raising.answers)
    answers[11, 0, 2] = (answers[11, 0, 2] + 1) % 3
    wrong = Runner(_changed(raising, _Raising, answers=answers), EXACT)
    assert wrong.prepared.tally_ranks(0, 27) == RankTally(11, Fraction(1, 189), 2, 11)


def test_an_encoding_that_takes_few_targets_at_once() -> None:
    runner = Runner(_changed(_theorem_1(), _Raising, at=-1, largest=5), EXACT)
    assert runner.prepared.tally_ranks(0, 27) == one_by_one(Runner(_theorem_1(), EXACT), 0, 27)


def test_a_prompt_whose_denominator_changes_with_the_batch() -> None:
    @dataclass(frozen=True, eq=False, repr=False)
    class Changing(Given):
        def encode(self, targets: Any) -> Ratios:
            found = super().encode(targets)
            factor = 1 + len(targets) % 3
            return Ratios(found.numerators * factor, found.denominator * factor)

    runner = Runner(_changed(_theorem_1(), Changing), EXACT)
    parts = [runner.prepared.tally_ranks(start, start + size) for start, size in ((0, 1), (1, 2), (3, 24))]
    assert all(part is not None for part in parts)
    assert sum((part for part in parts if part is not None), RankTally()) == one_by_one(runner, 0, 27)


@final
class _Liar(Absolute):  # type: ignore[misc] # final, so that abs is abs; this says that it is, and is not
    """Its pieces are those of the absolute value; its exact values are not, at one number."""

    def __init__(self, at: int) -> None:
        self.at = Fraction(at)

    def exact(self, value: Fraction) -> Fraction:
        return Fraction(-100) if value == self.at else abs(value)


def _through(activation: Activation, *, letters: int = 7) -> Given:
    first = Linear([[1]], activation=activation, name="first")
    readout = Linear([[1], [0]], [[1], [0]], activation=None, name="readout")
    return Given(
        2,
        weights=Transformer([[0, 0]], (first, readout), 1, positions=Unmarked()),
        laid_out=Layout(1, 0, 1),
        letters=letters,
        entries=1,
        numerators=np.arange(letters).reshape(-1, 1, 1),
    )


def test_an_activation_that_describes_itself_wrongly_at_a_kink() -> None:
    assert same(_through(ABSOLUTE))
    runner = Runner(_through(_Liar(0)), EXACT)
    assert runner.prepared.tally_ranks(0, 7) is None
    assert exhaust(runner.construction, EXACT).holds is False


@pytest.mark.parametrize("at", [0, 6])
def test_an_activation_that_describes_itself_wrongly_where_a_case_is_run_alone(at: int) -> None:
    """The first, the last and the closest case have the margins that they have one by one, or nothing is believed."""

    class Off(_Liar):  # type: ignore[misc] # final
        def pieces(self) -> Pieces:
            return Pieces((Fraction(0),), (-1, 1))

        def exact(self, value: Fraction) -> Fraction:
            return abs(value) if value in {0, 1, -1, Fraction(-1, 2)} else Fraction(-100) if value == 6 else abs(value)

    runner = Runner(_through(Off(at)), EXACT)
    assert runner.prepared.tally_ranks(0, 7) is None
    assert one_by_one(runner, 0, 7).failure == 6
    assert exhaust(runner.construction, EXACT).counterexample is not None


def test_a_polynomial_that_is_none() -> None:
    class Off(Square):  # type: ignore[misc] # final
        def exact(self, value: Fraction) -> Fraction:
            return value * value if value < 2 else Fraction(-100)

    assert same(_through(Square()))
    assert Runner(_through(Off()), EXACT).prepared.tally_ranks(0, 7) is None


def test_an_arithmetic_that_computes_otherwise_has_no_engine() -> None:
    class Other(RationalArithmetic):  # type: ignore[misc] # final
        def relu(self, rows: Any) -> Any:
            return rows

    construction = UnconditionalGeneration(2, 2)
    assert Runner(construction, Other()).prepared.tally_ranks(0, 4) is None
    faulty = wrapped("relu", lambda self, rows: self.base.last(rows))(EXACT)
    assert Runner(construction, faulty).prepared.tally_ranks(0, 4) is None


@dataclass(frozen=True, eq=False)
class _Peeking(Layer[Any]):
    """A layer that asks for the numbers of a case."""

    name: str = "peeking"

    def fitted(self, width: Any) -> Any:
        return width

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        if max(value for row in run.operations.numbers(rows).tolist() for value in row) > 4:
            return run.operations.total([rows, rows])
        return rows


def test_a_layer_that_looks_at_numbers_runs_case_by_case() -> None:
    made = _through(ABSOLUTE)
    first, readout = made.weights.layers
    peeking = _changed(made, weights=Transformer([[0, 0]], (first, _Peeking(), readout), 1, positions=Unmarked()))
    assert Runner(peeking, EXACT).prepared.tally_ranks(0, 7) is None
    assert exhaust(peeking, EXACT).holds is True


@dataclass(frozen=True, eq=False)
class _GoingOn(_Peeking):
    """A layer that goes on without the numbers where it cannot have them, and is wrong for most of them."""

    name: str = "going on"
    honest: bool = False

    def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
        operations = run.operations
        if self.honest and isinstance(operations, FormArithmetic):
            return rows
        try:
            numbers = operations.numbers(rows).tolist()
        except Exception:  # noqa: BLE001 # an author's code
            return rows
        turned = operations.weight(ExactMatrix((1,), (1,), {(0, 0): Leaf("identity", Fraction(-9))}))
        return operations.linear(rows, turned) if 3 <= numbers[-1][-1] < 39 else rows


def _going_on(*, honest: bool) -> Runner:
    made = _through(ABSOLUTE, letters=40)
    first, readout = made.weights.layers
    layers = (first, _GoingOn(honest=honest), readout)
    return Runner(_changed(made, weights=Transformer([[0, 0]], layers, 1, positions=Unmarked())), EXACT)


def test_a_layer_that_goes_on_without_the_numbers() -> None:
    runner = _going_on(honest=False)
    assert runner.prepared.tally_ranks(0, 40) is None
    assert exhaust(runner.construction, EXACT).holds is False


def test_a_layer_that_knows_who_runs_it() -> None:
    """One that computes otherwise for the engine, in most of the cases: some of these are drawn to run alone."""
    runner = _going_on(honest=True)
    found = runner.prepared.tally_ranks(0, 40)
    assert found is not None
    assert found.failure is None
    assert "when it runs alone, and a larger one when many run at once" in str(runner.prepared.changed())
    assert exhaust(runner.construction, EXACT).holds is False  # alone it is wrong, which the drawn batch finds


def test_an_engine_that_is_wrong_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = passes.ExactPass._block

    def off(self: Any, start: int, stop: int) -> Any:
        found = right(self, start, stop)
        assert found is not None
        return RankTally(found.cases, found.margin and found.margin + 1, found.closest, found.failure)

    monkeypatch.setattr(passes.ExactPass, "_block", off)
    construction = UnconditionalGeneration(3, 3)
    assert Runner(construction, EXACT).prepared.tally_ranks(0, 27) is None
    assert exhaust(construction, EXACT).margin == Fraction(1, 189)


@pytest.mark.parametrize("block", [2, 26])
def test_blocks_add_up(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "BLOCK", block)
    made = _theorem_1()
    assert same(made)
    assert same(promising(made, wrong=[13, 20]))
    assert same(promising(made, wrong=[0]))
    assert same(promising(made, wrong=[26]))


def test_failures_at_every_step_and_rank() -> None:
    made = _theorem_1()
    for rank in (0, 14):
        for step in range(3):
            answers = np.array(made.answers)
            answers[rank, 0, step] = (answers[rank, 0, step] + 1) % 3
            runner = Runner(_changed(made, answers=answers), EXACT)
            found = runner.prepared.tally_ranks(0, 27)
            assert found is not None
            assert found.failure == rank
            assert found == one_by_one(runner, 0, 27)


def test_ties_fail() -> None:
    readout = Linear([[1], [1], [0]], [[1], [1], [0]], activation=None, name="readout")
    made = Given(
        3,
        weights=Transformer([[0, 0, 0]], (readout,), 1, positions=Unmarked()),
        laid_out=Layout(1, 0, 1),
        letters=3,
        entries=1,
        numerators=np.arange(3).reshape(-1, 1, 1),
    )
    found = Runner(made, EXACT).prepared.tally_ranks(0, 3)
    assert found == RankTally(failure=0)


def test_powers_of_a_softmax_whose_scores_depend_on_the_case() -> None:
    """Scores of the prompt itself: normalisers differ from case to case, and powers leave the machine's integers."""
    head = Head("look", query=[[1, 0]], key=[[0, 1]], value=[[1, 0], [0, 1]])
    readout = Linear([[1, 0], [0, 1], [-1, 1]], [[Fraction(1, 7)], [0], [0]], activation=None, name="readout")
    for q in (Fraction(7, 3), Fraction(1, 5), Fraction(10**9)):
        weights = Transformer([[1, -2, 3], [0, 1, 4]], (Attention((head,)), readout), 4, positions=Unmarked())
        made = Given(
            3,
            weights=weights,
            laid_out=Layout(2, 1, 2),
            letters=3,
            entries=2,
            numerators=np.random.default_rng(0).integers(-4, 5, (9, 2, 2)),
            temperature=RationalSoftmax(q),
        )
        assert same(promising(made, wrong=[7, 20]))
    hard = _changed(made, temperature=Hardmax())
    assert same(promising(hard))
    assert size_of(hard) == 27


def test_scores_that_are_no_integers_are_refused_as_before() -> None:
    head = Head("look", query=[[Fraction(1, 2)]], key=[[1]], value=[[1]])
    readout = Linear([[1], [0]], activation=None, name="readout")
    made = Given(
        2,
        weights=Transformer([[0, 0]], (Attention((head,)), readout), 2, positions=Unmarked()),
        laid_out=Layout(2, 0, 1),
        letters=3,
        entries=1,
        numerators=np.array([[1, 1], [1, 2], [0, 3]])[:, :, None],
        temperature=RationalSoftmax(Fraction(3)),
    )
    runner = Runner(made, EXACT)
    assert runner.prepared.tally_ranks(0, 3) is None
    assert not engine_of(runner)._covered
    with pytest.raises(ValueError, match="integer score differences"):
        exhaust(made, EXACT)


def test_nothing_to_do() -> None:
    construction: Construction = UnconditionalGeneration(2, 2)
    assert Runner(construction, EXACT).prepared.tally_ranks(2, 2) in {None, RankTally()}


@pytest.mark.parametrize("right_for", range(1, 7))
def test_code_that_changes_after_some_calls_is_never_shown_to_hold(right_for: int) -> None:
    """Whichever call is the first to be answered otherwise, with virtual tokens or promises that are right as well."""

    @dataclass(frozen=True, eq=False, repr=False)
    class Moving(Given):
        def encode(self, targets: Any) -> Ratios:
            calls.append(len(targets))
            found = super().encode(targets)
            if len(calls) <= right_for:
                return found
            return Ratios(found.numerators * 10**6 + 1, found.denominator * 10**6)

    calls: list[int] = []
    verdict = exhaust(_changed(_theorem_1(), Moving), EXACT)
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "encode is no function" in verdict.reason
