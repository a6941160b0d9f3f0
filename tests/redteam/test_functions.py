"""encode and answer are functions, and a space is as large as it says: anything else is refused or not shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest

from constructions import (
    Construction,
    InvalidArgument,
    Layout,
    Linear,
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
)
from constructions.validation import IntArray
from verify import NumpyArithmetic, RationalArithmetic, Verdict, check, exhaust, fuzz, sweep
from verify.certificates import BallArithmetic, certify
from verify.evidence.finder import find_counterexample

EXACT = RationalArithmetic()


def _readout(vocab_size: int) -> Transformer:
    V = vocab_size
    weight, bias = [[2 * v, 0] for v in range(V)], [[-v * v] for v in range(V)]
    return Transformer([[0] * V], (Linear(weight, bias, activation=None, name="readout"),), context_size=1)


@dataclass(frozen=True, repr=False)
class Echo(Construction):
    """Says its target. What its author's code does is given."""

    vocab_size: int
    asked: Any = field(default=None, compare=False, kw_only=True)
    encoded: Any = field(default=None, compare=False, kw_only=True)
    weights: Any = field(default=None, compare=False, kw_only=True)
    layout = Layout(virtual=1, user=0, response=1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (1,))

    def encode(self, targets: IntArray) -> Ratios:
        return Ratios(targets[:, None, :], 1) if self.encoded is None else self.encoded(targets)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        found: IntArray = targets if self.asked is None else self.asked(targets)
        return found

    @property
    def transformer(self) -> Transformer:
        found: Transformer = self._transformer if self.weights is None else self.weights(self.vocab_size)
        return found

    @cached_property
    def _transformer(self) -> Transformer:
        return _readout(self.vocab_size)

    def __repr__(self) -> str:
        return f"Echo({self.vocab_size})"


class Stateful:
    """Right for as many calls as said, and wrong after them."""

    def __init__(self, calls: int, right: Callable[[Any], Any], wrong: Callable[[Any], Any]) -> None:
        self.left, self.right, self.wrong = calls, right, wrong

    def __call__(self, targets: Any) -> Any:
        self.left -= 1
        return self.right(targets) if self.left >= 0 else self.wrong(targets)


def _as_promised(targets: Any) -> Any:
    return targets


def _next(targets: Any) -> Any:
    return np.minimum(targets + 1, 4)


def _encoded(targets: Any) -> Ratios:
    return Ratios(targets[:, None, :], 1)


def _moved(targets: Any) -> Ratios:
    return Ratios(4 * targets[:, None, :] + 1, 4)


def _by_the_batch(targets: Any) -> Any:
    """Promise what is said in batches of five, and another token in all others."""
    return targets if len(targets) == 5 else _next(targets)


def _by_the_order(targets: Any) -> Any:
    """Promise the first of its batch wrongly unless the batch begins with token 0."""
    return targets if targets[0, 0] == 0 else _next(targets)


def _draws() -> Callable[[Any], Any]:
    draw = np.random.default_rng(1)

    def drawn(targets: Any) -> Ratios:
        return Ratios(4 * targets[:, None, :] + draw.integers(0, 2, (len(targets), 1, 1)), 4)

    return drawn


EVIDENCE: dict[str, Callable[[Construction], Verdict]] = {
    "exhaust": lambda made: exhaust(made, EXACT),
    "exhaust, numpy": lambda made: exhaust(made, NumpyArithmetic()),
    "fuzz": lambda made: fuzz(st.just(made), EXACT, examples=40, claim="echo"),
    "sweep": lambda made: sweep(lambda size: made if size == 5 else Echo(size), EXACT, max_vocab_size=5, claim="echo"),
    "find": lambda made: find_counterexample(lambda size: made, {"size": [5]}, EXACT, claim="echo"),
    "check": lambda made: check(made, target=[3], arithmetic=EXACT),
}

#: What an author's code does, and the words by which the verdict names it.
TRICKS: dict[str, tuple[Callable[[], Construction], str]] = {
    "an answer that changes after a call": (lambda: Echo(5, asked=Stateful(1, _as_promised, _next)), "answer"),
    "an encode that changes after a call": (lambda: Echo(5, encoded=Stateful(1, _encoded, _moved)), "encode"),
    "an encode that draws": (lambda: Echo(5, encoded=_draws()), "encode"),
}


@pytest.mark.parametrize("kind", EVIDENCE)
def test_a_function_is_shown_to_hold(kind: str) -> None:
    assert EVIDENCE[kind](Echo(5)).holds is True


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("kind", EVIDENCE)
def test_what_is_no_function_is_never_shown_to_hold(kind: str, trick: str) -> None:
    make, word = TRICKS[trick]
    if (kind, trick) == ("check", "an encode that draws"):
        return  # two draws of one of two values are equal half of the time
    verdict = EVIDENCE[kind](make())
    assert verdict.holds is not True
    if verdict.holds is None:
        assert verdict.reason is not None
        assert (
            f"{word} is no function" in verdict.reason
            or "failed in the batch" in verdict.reason
            or ("the same case gave different results" in verdict.reason)
        )


@pytest.mark.parametrize("asked", [_by_the_batch, _by_the_order])
def test_an_answer_that_looks_at_its_batch_is_named(asked: Any) -> None:
    verdict = exhaust(Echo(5, asked=asked), NumpyArithmetic())
    assert verdict.holds is None
    assert verdict.reason is not None
    assert verdict.reason.startswith("answer is no function: target [")


def test_the_reason_says_what_differed() -> None:
    verdict = exhaust(Echo(5, asked=Stateful(1, _as_promised, _next)), NumpyArithmetic())
    assert verdict.holds is None
    assert verdict.reason is not None
    assert verdict.reason == "answer is no function: target [4] gave [4], and [4] when asked again" or (
        verdict.reason.startswith("answer is no function: target [") and " when asked again" in verdict.reason
    )


def test_other_denominators_are_the_same_numbers() -> None:
    def halves(targets: Any) -> Ratios:
        return Ratios(len(targets) * targets[:, None, :], len(targets))

    assert exhaust(Echo(5, encoded=halves), EXACT).holds is True


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_weights_that_change_are_noticed(calls: int) -> None:
    def wrong(vocab_size: int) -> Transformer:
        bias = [[v * v] for v in range(vocab_size)]
        readout = Linear([[2 * v, 0] for v in range(vocab_size)], bias, activation=None, name="readout")
        return Transformer([[0] * vocab_size], (readout,), context_size=1)

    verdict = exhaust(Echo(5, weights=Stateful(calls, _readout, wrong)), EXACT)
    assert verdict.holds is not True
    assert exhaust(Echo(5, weights=_readout), EXACT).holds is True  # made anew each time, and always the same


def test_a_space_of_another_size_is_refused() -> None:
    @dataclass(frozen=True)
    class Small:
        vocab_size: int
        shape: tuple[int, ...]
        size = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(TargetSpace(self.vocab_size, self.shape), name)

    @dataclass(frozen=True, repr=False)
    class Fewer(Echo):
        @property
        def targets(self) -> TargetSpace:
            return Small(self.vocab_size, (1,))  # type: ignore[return-value] # what is refused

    for run in EVIDENCE.values():
        try:
            verdict = run(Fewer(5))
        except InvalidArgument as error:
            reason: str | None = str(error)
        else:  # a run over several sizes says where it was refused
            assert verdict.holds is None
            reason = verdict.reason
        assert "targets: expected a TargetSpace but got" in str(reason)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("virtual_tokens", "Construction"),
        ("response", "Construction"),
        ("user_inputs", "Construction"),
        ("target_space", "Construction"),
        ("temperature_for", "Construction"),
        ("_temperatures_held", "Construction"),
        ("_temperature_now", "Construction"),
        ("_domain_held", "Specification"),
    ],
)
def test_methods_that_all_evidence_runs_through_are_not_redefined(name: str, base: str) -> None:
    kind = type("Redefined", (Echo,), {name: property(lambda _: TargetSpace(1, (1,)))})
    with pytest.raises(InvalidArgument, match=f"Redefined: expected {name} as {base} has it"):
        kind(3)


@dataclass(frozen=True, repr=False, kw_only=True)
class Hiding(UnconditionalGeneration):  # type: ignore[misc] # final to a type checker, as claims are about it alone
    """Theorem 1 with a wrong promise, and another one in a field of the name of a final method."""

    response: Any  # type: ignore[misc] # the same

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        return (targets + 1) % self.vocab_size


@pytest.mark.parametrize("run", [lambda made: exhaust(made, EXACT), lambda made: certify(made, BallArithmetic())])
def test_a_field_that_hides_a_final_method_is_refused(run: Callable[[Construction], Verdict]) -> None:
    """The promise in the field was enumerated, and the run held."""
    hiding = Hiding(vocab_size=3, context_size=2, response=lambda targets, inputs=(): np.asarray(targets))
    with pytest.raises(InvalidArgument, match="Hiding: expected response as its class has it, but an attribute hides"):
        run(hiding)


def test_targets_that_change_are_noticed() -> None:
    shapes = iter([(1,)] * 4)

    @dataclass(frozen=True, repr=False)
    class Shrinking(Echo):
        @property
        def targets(self) -> TargetSpace:
            return TargetSpace(self.vocab_size if next(shapes, None) else 1, (1,))

    with contextlib.suppress(InvalidArgument):  # as good
        assert exhaust(Shrinking(5), EXACT).holds is not True


def test_constructions_that_compare_equal_are_not_taken_for_one_another() -> None:
    """A field that is not compared may be what decides: each drawn construction runs its own weights."""

    def constant(targets: Any) -> Ratios:
        return Ratios(0 * targets[:, None, :], 1)

    right, wrong = Echo(5), Echo(5, encoded=constant)
    assert right == wrong
    verdict = fuzz(st.sampled_from([right, wrong]), EXACT, examples=60, claim="echo")
    assert verdict.holds is False


@pytest.mark.parametrize("tokens", [1, 3, 9])
def test_weights_of_another_vocabulary_are_refused(tokens: int) -> None:
    with pytest.raises(
        InvalidArgument, match=f"transformer: expected 5 tokens, the vocab_size of Echo, but it has {tokens}"
    ):
        exhaust(Echo(5, weights=lambda _: _readout(tokens)), EXACT)


def test_a_sweep_of_other_sizes_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="build: expected a vocab_size of 2 but got"):
        sweep(lambda _: Echo(1), EXACT, max_vocab_size=3, claim="echo")
