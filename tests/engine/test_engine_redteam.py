"""Wrong constructions, odd numbers and code that is no function: the engine never calls them right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch

from constructions import (
    Construction,
    Domain,
    HandBuilt,
    InvalidArgument,
    Layout,
    Number,
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.activations import ClippedRelu
from constructions.formats import Format
from constructions.layers import Linear, Unmarked
from constructions.specifying import specify
from constructions.validation import IntArray
from tests.redteam.test_functions import Echo
from verify import EngineArithmetic, Runner, TorchArithmetic, check, exhaust
from verify.arithmetic.base import Arithmetic
from verify.engine import blocks, lowered
from verify.engine.margins import Readout
from verify.engine.rows import EngineRows, EngineWeight
from verify.engine.strips import Piece, Strip
from verify.evidence.ranges import at_once

ENGINE = EngineArithmetic("float32")


def told(construction: Any, dtype: str = "float32", arithmetic: Arithmetic[Any, Any, Any] | None = None) -> Any:
    return exhaust(construction, arithmetic or EngineArithmetic(dtype))


def readout(weight: Any, bias: Any = None, *, answer: Callable[..., Any] = lambda x: x, **more: Any) -> HandBuilt:
    """Return one linear map of a one-hot token, read at once."""
    columns = len(weight[0])
    identity = [[int(row == column) for column in range(columns)] for row in range(columns)]
    transformer = Transformer(identity, (Linear(weight, bias, None, "readout"),), 1, positions=Unmarked(), **more)
    return HandBuilt.of(transformer, specify(Domain.of(columns, 1), answer, read=(0,), **more))


def test_the_first_failure_is_that_of_the_dense_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a temperature too low by far; the counterexample is confirmed alone, and shown by its line."""
    monkeypatch.setattr(blocks, "cache_bytes", lambda: 300)
    construction = UnconditionalGeneration(4, 3, temperature=1.0)
    mine, theirs = told(construction), exhaust(construction, TorchArithmetic("float32"))
    assert mine.holds is theirs.holds is False
    assert mine.cases == theirs.cases
    assert theirs.counterexample is not None
    assert mine.counterexample.rank == theirs.counterexample.rank
    assert "EngineArithmetic('float32')" in mine.counterexample.reproduce
    shown = check(construction, rank=mine.counterexample.rank, arithmetic="engine")
    assert shown.holds is False
    assert shown.counterexample is not None
    assert shown.counterexample.margin == mine.counterexample.margin


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        ([[1, 0], [1, 0]], None),  # a tie, which argmax would win for token 0
        ([[0, 0], [0, 0]], None),
        ([[1, 0], [0, Fraction(1, 2**200)]], None),  # underflows: a tie with 0
        ([[2, 2], [1, 1]], [[0], [0]]),
    ],
)
def test_ties_and_wrong_tokens(weight: Any, bias: Any) -> None:
    construction = readout(weight, bias)
    assert told(construction).holds is exhaust(construction, TorchArithmetic("float32")).holds is False


HUGE = 2**126  # four of them are beyond float32


def test_numbers_beyond_all_floats_are_no_margin() -> None:
    """A logit of minus infinity would make any other one win; here no token may have it."""
    hidden = Linear([[HUGE, 0], [0, HUGE]], None, None, "large")
    last = Linear([[4, 1], [-4, 2]], None, None, "readout")
    transformer = Transformer([[1, 1], [0, 1]], (hidden, last), 1, positions=Unmarked())
    construction = HandBuilt.of(transformer, specify(Domain.of(2, 1), lambda x: 0 * x, read=(0,)))
    mine, theirs = told(construction), exhaust(construction, TorchArithmetic("float32"))
    assert mine.holds is theirs.holds is False
    assert np.isnan(mine.counterexample.margin)
    assert told(construction, "float64").holds is exhaust(construction, TorchArithmetic("float64")).holds


def test_margins_beyond_all_floats_hold_as_on_the_dense_path() -> None:
    """Both logits are finite, and their difference is not; one wrong case fails."""
    largest = 2**128 - 2**104
    right = readout([[largest, -largest], [-largest, largest]])
    wrong = readout([[largest, -largest], [-largest, largest]], answer=lambda x: 0 * x)
    for construction, holds in ((right, True), (wrong, False)):
        mine, theirs = told(construction), exhaust(construction, TorchArithmetic("float32"))
        assert mine.holds is theirs.holds is holds
        assert mine.cases == theirs.cases
        assert mine.margin == theirs.margin


@dataclass(frozen=True, repr=False)
class Overflowing(Construction):
    """Says 0 twice: first with logits that are infinite in every case, then with a margin of 1."""

    vocab_size: int = 2
    layout = Layout(virtual=1, user=0, response=2)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (1,))

    def encode(self, targets: IntArray) -> Ratios:
        return Ratios(np.tile(np.array([[[1, 0]]]), (len(targets), 1, 1)), 1)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        """Return zeros, the later of which is a function of the target for a dependence: its step is another group."""
        return np.concatenate([0 * targets, targets - targets], axis=1)

    @cached_property
    def transformer(self) -> Transformer:
        hidden = Linear([[HUGE, 0], [0, 1]], None, None, "large")
        last = Linear([[4, 1], [-4, 0]], None, None, "readout")
        return Transformer([[0, 0], [1, 1]], (hidden, last), context_size=2, positions=Unmarked())


def test_logits_that_are_the_same_for_all_cases_and_infinite_are_no_margin() -> None:
    """Without drawn cases, and in the range itself: a shard believes its findings."""
    found = at_once(Runner(Overflowing(), ENGINE), 0, 2)
    assert found is not None
    assert (found.cases, found.failure) == (0, 0)
    assert told(Overflowing()).holds is exhaust(Overflowing(), TorchArithmetic("float32")).holds is False
    assert str(told(Overflowing()).assumptions).endswith("0 drawn cases compared with torch's dense arithmetic")


def test_a_subclass_runs_by_its_own_operations() -> None:
    class Shouting(EngineArithmetic):  # type: ignore[misc] # whoever ignores that it is final
        """Embeds twice of everything, which a program written down would not ask for."""

        def embed(self, embedding: Any, tokens: Any) -> Any:
            made = super().embed(embedding, tokens)
            return self.total([made, made])

    identity = [[1, 0], [0, 1]]
    layers = (Linear(identity, None, ClippedRelu(Fraction(1)), "mlp"), Linear(identity, None, None, "readout"))
    transformer = Transformer([[Fraction(1, 4), 0], [0, Fraction(1, 4)]], layers, 1, positions=Unmarked())
    construction = HandBuilt.of(transformer, specify(Domain.of(2, 1), lambda x: x, read=(0,)))
    assert at_once(Runner(construction, Shouting("float32")), 0, 2) is None
    assert (told(construction).margin, told(construction, arithmetic=Shouting("float32")).margin) == (0.25, 0.5)


def test_logits_are_bounded_where_the_sum_is_short_enough_for_the_bound() -> None:
    """``(n + 1) u <= 1/2`` for ``n`` terms: 3 of them in a format of 3 bits, and not 4."""
    fmt = Format("few bits", 3, 127)
    for count, shown in ((3, True), (4, False)):
        live = Strip(np.zeros((count, 1), np.float32), (Piece((0,), torch.ones(count, 1, 1, 1)),))
        entries = EngineWeight((1, count), np.zeros(count, int), np.arange(count), np.ones(count, np.float32))
        readout, _ = Readout.of(EngineRows((live,), 1), entries, None, fmt, 1)
        assert (readout.largest > 0) is shown


def test_large_logits_that_are_finite_hold() -> None:
    """The bound of the logits is too wide for them, and the logits themselves are looked at."""
    construction = readout([[HUGE, 0], [0, HUGE]], [[HUGE], [HUGE]])
    verdict = told(construction)
    assert verdict.holds
    assert verdict.margin == float(HUGE)


def test_a_number_is_read_in_batches() -> None:
    construction = HandBuilt.of(
        Transformer(
            [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
            (Linear([[1, 2, 3]], None, None, "readout"),),
            1,
            positions=Unmarked(),
            output_vocab_size=1,
        ),
        specify(Domain.of(3, 1), lambda x: x + 1, output_vocab_size=1, decoding=Number(Fraction(1, 8))),
    )
    verdict = told(construction)
    assert verdict.holds
    assert "no program for answers that are read as a number" in verdict.assumptions


def _moody() -> Callable[[Any], Ratios]:
    """Return an encoder that is right at first, and gives zeros later."""
    calls = []

    def encoded(targets: Any) -> Ratios:
        calls.append(1)
        return Ratios(targets[:, None, :] * (len(calls) < 4), 1)

    return encoded


def _by_batch(targets: Any) -> Ratios:
    return Ratios(targets[:, None, :] + (len(targets) == 1), 1)


def _by_order(targets: Any) -> Ratios:
    return Ratios(targets[::-1, None, :].copy(), 1)


def _by_type(targets: Any) -> Ratios:
    """Give bounds what they like to see, and numbers something else."""
    return Ratios(targets[:, None, :] if type(targets) is not np.ndarray else 0 * targets[:, None, :], 1)


@pytest.mark.parametrize("encoded", [_moody(), _by_batch, _by_order, _by_type], ids=["later", "batch", "order", "type"])
def test_code_that_is_no_function(encoded: Any) -> None:
    with contextlib.suppress(InvalidArgument):
        assert not told(Echo(5, encoded=encoded)).holds
    with contextlib.suppress(InvalidArgument):
        assert not told(Echo(5, asked=lambda targets: encoded(targets).numerators[:, 0])).holds


def test_an_engine_that_is_off_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Margins that look better than they are: drawn cases are held against the dense arithmetic."""
    right = lowered.Lowered.margins
    monkeypatch.setattr(lowered.Lowered, "margins", lambda *args: right(*args) * 1.01)
    verdict = told(UnconditionalGeneration(4, 3))
    assert verdict.holds is None
    assert "neither alone nor in that batch again" in verdict.reason
    assert " off, such as: target [" in verdict.assumptions
    assert not told(UnconditionalGeneration(2, 1)).holds


def test_infinite_numbers_that_a_dense_product_reads_and_the_engine_does_not() -> None:
    """Each is multiplied by 0: NaN in a dense product. A drawn case shows it, so that it does not hold."""
    hidden = Linear([[HUGE, 0, 0], [0, 1, 0], [0, 0, 1]], None, None, "large")
    last = Linear([[0, 1, 0], [0, 0, 1]], None, None, "readout")
    transformer = Transformer([[8, 8], [1, 0], [0, 1]], (hidden, last), 1, positions=Unmarked())
    verdict = told(HandBuilt.of(transformer, specify(Domain.of(2, 1), lambda x: x, read=(0,))))
    assert verdict.holds is None
    assert "a margin of 1.0 in the engine and of nan in torch's dense arithmetic" in verdict.assumptions


def test_a_kernel_that_overstates_one_case_of_a_wrong_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The witnesses of a run go through generation itself."""
    monkeypatch.setattr(
        lowered.Lowered, "margins", lambda self, start, stop, *_: torch.ones(stop - start, self._blocks.inner)
    )
    verdict = told(UnconditionalGeneration(4, 3, temperature=1.0))
    assert not verdict.holds


def test_findings_of_too_many_ranks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from verify.engine.ranks import EngineRanks
    from verify.running.ranks import RankTally

    for found in (
        RankTally(65, 0.5, 3),
        RankTally(63, 0.5, 3),
        RankTally(64),
        RankTally(64, 0.5),
        RankTally(5, 0.5, 1, 6),
    ):
        monkeypatch.setattr(EngineRanks, "__call__", lambda self, start, stop, found=found: found)
        with pytest.raises(InvalidArgument, match="expected findings of every rank"):
            told(UnconditionalGeneration(4, 3))


class Peeking(ClippedRelu):  # type: ignore[misc] # a user's own is any class
    """An activation that looks at numbers."""

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        return super().torch(values) if bool((values >= -100).all()) else 0 * values


class GoingOn(ClippedRelu):  # type: ignore[misc] # the same
    """An activation that looks at numbers, and goes on where it may not."""

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        with contextlib.suppress(Exception):
            values = values if bool((values >= -100).all()) else 0 * values
        return super().torch(values)


class InPlace(ClippedRelu):  # type: ignore[misc] # the same
    """An activation that changes its argument."""

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        return values.clamp_(0, 1)


@pytest.mark.parametrize(
    ("activation", "said"),
    [
        (Peeking(Fraction(1)), "no program for all, whose result"),
        (GoingOn(Fraction(1)), "no program for all, whose result"),
        (InPlace(Fraction(1)), "in place"),
    ],
)
def test_code_that_cannot_be_written_down_runs_in_batches(activation: Any, said: str) -> None:
    identity = [[1, 0], [0, 1]]
    layers = (Linear(identity, None, activation, "mlp"), Linear(identity, None, None, "readout"))
    transformer = Transformer(identity, layers, 1, positions=Unmarked())
    construction = HandBuilt.of(transformer, specify(Domain.of(2, 1), lambda x: x, read=(0,)))
    verdict = told(construction)
    assert said in verdict.assumptions
    assert verdict.holds


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_formats_of_16_bits_are_refused(dtype: str) -> None:
    with pytest.raises(InvalidArgument, match=r"dtype: expected float64 or float32 in the engine but got"):
        EngineArithmetic(dtype)


def test_a_readout_class_of_its_own_runs_in_batches() -> None:
    class Doubled(Linear):
        """A readout that is another function than its weights say."""

        def apply(self, run: Any, rows: Any, *, last_only: bool = False) -> Any:
            made = super().apply(run, rows, last_only=last_only)
            return run.operations.multiply(made, made)

    transformer = Transformer(
        [[1, 0], [0, 1]], (Doubled([[1, 0], [0, 1]], None, None, "readout"),), 1, positions=Unmarked()
    )
    construction = HandBuilt.of(transformer, specify(Domain.of(2, 1), lambda x: x, read=(0,)))
    verdict = told(construction)
    assert verdict.holds
    assert "no program for a readout of class Doubled" in verdict.assumptions
