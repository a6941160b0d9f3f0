"""Constructions of random weights with a promise that is mostly kept, and the findings of the cases one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Argmax, Construction, Decoding, Layout, Ratios, TargetSpace, Transformer
from verify import RationalArithmetic, Runner
from verify.evidence.ranges import tally_ranks
from verify.running.batches import enumerated
from verify.running.ranks import RankTally

EXACT = RationalArithmetic()


@dataclass(frozen=True, eq=False, repr=False)
class Given(Construction):
    """Weights, virtual tokens and answers that are given as tables, by the rank of the target."""

    vocab_size: int
    weights: Transformer[Any] = field(kw_only=True)
    laid_out: Layout = field(kw_only=True)
    letters: int = field(kw_only=True, default=1)
    entries: int = field(kw_only=True, default=0)
    numerators: np.ndarray[Any, Any] | None = field(kw_only=True, default=None)
    denominator: int = field(kw_only=True, default=1)
    answers: np.ndarray[Any, Any] | None = field(kw_only=True, default=None)
    outputs: int = field(kw_only=True, default=0)
    reads_as: Decoding = field(kw_only=True, default_factory=Argmax)

    @property
    def transformer(self) -> Transformer[Any]:
        return self.weights

    @property
    def layout(self) -> Layout:
        return self.laid_out

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.letters, (self.entries,))

    @property
    def output_vocab_size(self) -> int:
        return self.outputs or self.vocab_size

    @property
    def decoding(self) -> Decoding:
        return self.reads_as

    def encode(self, targets: Any) -> Ratios:
        if self.numerators is None:
            shape = (len(targets), 0, self.transformer.lowered.embedding_size)
            return Ratios(np.zeros(shape, dtype=np.int64), 1)
        return Ratios(self.numerators[_ranks(targets, self.letters)], self.denominator)

    def __repr__(self) -> str:
        return "Given(...)"

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        rows, inputs = _ranks(targets, self.letters), _ranks(user_inputs, self.vocab_size)
        if self.answers is None:
            return np.zeros((len(rows), self.layout.response), dtype=np.int64)
        return self.answers[rows, inputs]


def _ranks(tokens: Any, letters: int) -> Any:
    found = np.zeros(len(tokens), dtype=np.int64)
    for column in np.asarray(tokens).T:
        found = found * letters + column
    return found


def promising(construction: Given, *, wrong: Sequence[int] = ()) -> Given:
    """Return the same with the promise that greedy generation keeps, but for ties, and but for some ranks."""
    runner = Runner(construction, EXACT)
    users = construction.user_inputs.size
    batch = enumerated(construction, 0, size_of(construction))
    answers = runner.prepared.run(construction.prompts(batch.targets), batch.inputs.copy()).answers.copy()
    for rank in wrong:
        answers[rank % len(answers), -1] = (answers[rank % len(answers), -1] + 1) % construction.output_vocab_size
    values = {name: getattr(construction, name) for name in construction.__dataclass_fields__}
    shaped = answers.reshape(len(answers) // users, users, -1)
    return Given(**{**values, "answers": shaped})


def size_of(construction: Construction) -> int:
    """Return how many cases there are."""
    return construction.target_space.size * construction.user_inputs.size


def one_by_one(runner: Runner, start: int, stop: int) -> RankTally:
    """Return the findings of the cases one by one, as they were before there was an engine."""

    class _Batches:
        def __init__(self, inner: Any) -> None:
            self.run = inner.run

        def tally_ranks(self, start: int, stop: int) -> None:
            return None

    slow = Runner.__new__(Runner)
    slow.construction, slow.backend, slow.declared = runner.construction, runner.backend, runner.declared
    slow.prepared = _Batches(runner.prepared)  # type: ignore[assignment] # all that batches ask for
    return tally_ranks(slow, start, stop, size=8)  # fewer than the engine takes


def engine_of(runner: Runner) -> Any:
    """Return the engine behind a backend in rational arithmetic, after it was asked once."""
    return runner.prepared._at_once  # type: ignore[attr-defined] # of a transformer


def same(construction: Construction, *, start: int = 0, stop: int | None = None, singles: int = 3) -> bool:
    """Assert that the engine finds what the cases one by one give, rank by rank too; return whether it covers them."""
    runner = Runner(construction, EXACT)
    stop = size_of(construction) if stop is None else stop
    found = runner.prepared.tally_ranks(start, stop)
    if found is None:
        return False
    assert found == one_by_one(runner, start, stop)
    assert isinstance(found.margin, Fraction) or found.margin is None
    for rank in np.linspace(start, stop - 1, min(singles, stop - start), dtype=np.int64).tolist():
        assert runner.prepared.tally_ranks(rank, rank + 1) == one_by_one(runner, rank, rank + 1)
    return True
