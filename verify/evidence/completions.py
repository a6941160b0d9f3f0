"""Hard prompts against soft ones, counted: how many behaviours tokens select, and how many virtual tokens do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.ratios import Ratios
from constructions.targets import TargetSpace
from constructions.validation import IntArray, InvalidArgument, reject
from verify.backends import Runs, as_backend
from verify.evidence.kinds import EXHAUSTED
from verify.evidence.search import Search, cases_at_once
from verify.evidence.tally import WITNESSES, Progress, no_progress
from verify.evidence.verdict import Verdict, decimal
from verify.numbers import number
from verify.running.batches import enumerated, product
from verify.running.cases import Runner, parameters_of


@dataclass(frozen=True)
class PromptCount:
    """How many behaviours the prompts of one kind select: responses, to every user input there is.

    Attributes:
        prompts: how many prompts ran, each with every user input.
        behaviours: how many of their behaviours differ.
        tied: in how many cases the largest logit of some step is that of two tokens, so that the order of tokens
            decided.
        not_finite: in how many cases some logit is not finite.

    """

    prompts: int
    behaviours: int
    tied: int
    not_finite: int

    def sentence(self) -> str:
        """Return the count in a few words."""
        return f"{number(self.behaviours)} of {number(self.prompts)}"

    def to_json(self) -> dict[str, str]:
        """Return JSON values: counts as decimal strings."""
        return {name: decimal(count) for name, count in asdict(self).items()}


@dataclass(frozen=True)
class Completions:
    """Both counts, and the verdict that they rest on.

    Attributes:
        hard: of tokens of the vocabulary, in the place of the virtual ones: every sequence of them.
        soft: of virtual tokens, those of every target.
        verdict: whether each target has its own behaviour, all of them run.

    """

    hard: PromptCount
    soft: PromptCount
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"hard": self.hard.to_json(), "soft": self.soft.to_json(), "verdict": self.verdict.to_json()}


class _Seen:
    """The behaviours that were seen: a row of tokens for each prompt."""

    def __init__(self, prompts: int, users: int, response: int, outputs: int) -> None:
        """Take memory for all of them.

        Raises:
            InvalidArgument: there are more than memory holds.

        """
        self.prompts, self.users = prompts, users
        kinds = (np.uint8, np.uint16, np.uint32, np.uint64)
        token = next(kind for kind in kinds if outputs - 1 <= np.iinfo(kind).max)
        try:
            self._rows = np.empty((prompts * users, response), dtype=token)
        except (MemoryError, ValueError, OverflowError):
            raise InvalidArgument(
                f"sizes: expected those whose behaviours memory holds but {decimal(prompts)} prompts with"
                f" {decimal(users)} user inputs each have {response} tokens in each response"
            ) from None
        self.cases = self._tied = self._not_finite = 0

    def add(self, runner: Runner, produced: IntArray, logits: np.ndarray[Any, Any] | None) -> None:
        """Take the next cases, in order."""
        self._rows[self.cases : self.cases + len(produced)] = produced
        self.cases += len(produced)
        if logits is not None:
            margins = runner.construction.reading.margins(produced, logits)
            finite = np.asarray(margins == margins, dtype=np.bool_)  # noqa: PLR0124 # NaN where a logit is not finite
            self._not_finite += int((~finite).any(axis=1).sum())
            with np.errstate(invalid="ignore"):
                self._tied += int((finite & ~np.asarray(margins > 0, dtype=np.bool_)).any(axis=1).sum())

    def drawn(self, count: int) -> IntArray:
        """Return up to ``count`` cases, drawn with a fixed seed."""
        most = min(count, self.cases)
        return np.sort(np.random.default_rng(0).choice(self.cases, size=most, replace=False))

    def row(self, case: int) -> IntArray:
        """Return the response of a case."""
        return np.asarray(self._rows[case], dtype=np.int64)

    def counted(self) -> PromptCount:
        """Return the count of the prompts that ran with every user input."""
        whole = self.cases // self.users
        rows = self._rows[: whole * self.users].reshape(whole, self.users * self._rows.shape[1])
        distinct = len(np.unique(rows, axis=0)) if rows.shape[1] else min(whole, 1)
        return PromptCount(whole, distinct, self._tied, self._not_finite)


def count_completions(
    construction: Construction,
    arithmetic: Runs,
    *,
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
) -> Completions:
    """Count the behaviours that tokens select, and those that virtual tokens select, by running every prompt.

    A behaviour is the response to every user input; without user tokens it is one response. A hard prompt has tokens of
    the vocabulary in the place of the virtual ones: each is its column of the embedding matrix. There are ``V^m`` hard
    prompts for ``m`` virtual tokens, so they select at most as many behaviours. Virtual tokens select one for each
    target (in Theorem 1, ``V^N``).

    Where the first token of two largest logits was taken, another implementation may take the other. Such cases are
    counted as tied. In floats even a clear token may be another one in another batch: some hard prompts are run again
    alone, and the verdict is unknown if one of them is answered otherwise.

    Args:
        construction: with at least one virtual token, and a response of tokens.
        arithmetic: the number system, or a backend.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction, for the reproduction of a counterexample.
        progress: called with cases done and cases in all after each batch.

    Returns:
        Both counts. The verdict holds when every virtual token gave what its target promises, with a positive margin,
        when these are as many behaviours as targets, and when every hard prompt ran with finite logits. Its cases are
        those of both kinds.

    Raises:
        InvalidArgument: no construction with virtual tokens and a response of tokens, more behaviours than memory
            holds, or a format that cannot hold what the weights rely on.

    Source:
        The paper counts completions of a trained model; of a construction they are exhausted.

    Example:
        >>> from fractions import Fraction
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> row = [Fraction(token, 3) for token in range(3)]  # token x is embedded as the virtual token of x, x
        >>> made = count_completions(UnconditionalGeneration(3, 2, embedding=[row, row]), RationalArithmetic())
        >>> made.hard.behaviours, made.soft.behaviours, made.verdict.holds
        (3, 9, True)

    """
    if not isinstance(construction, Construction) or not construction.layout.virtual:
        reject("construction", "one with virtual tokens, in whose place tokens can stand,", construction)
    if not construction.reading.gives_tokens:
        raise InvalidArgument(f"construction: expected one whose response is tokens but got {construction!r}")
    backend = as_backend(arithmetic)
    name = claim or type(construction).__name__
    search = Search(EXHAUSTED, backend, claim=f"{name}: completions", command=lambda _: command, progress=progress)
    runner = Runner(construction, backend)
    targets, users, layout, *_ = runner.declared
    tokens = TargetSpace(construction.vocab_size, (layout.virtual,))
    spaces = {"soft": targets.size, "hard": tokens.size}
    space, outputs = sum(spaces.values()) * users.size, construction.output_vocab_size
    soft, hard = (_Seen(count, users.size, layout.response, outputs) for count in spaces.values())
    size = cases_at_once(construction, backend)

    def parts(seen: _Seen) -> Iterator[tuple[int, int]]:
        cases = seen.prompts * seen.users
        for start in range(0, cases, size):
            yield start, min(cases, start + size)
            progress(soft.cases + hard.cases, space)

    progress(0, space)
    right = True
    for start, stop in parts(soft):
        batch = enumerated(construction, start, stop)
        outcome = runner.run(batch.targets, batch.inputs)
        # the count goes on behind a counterexample: how many behaviours a format still carries is worth knowing
        right = right and search.tally.take(runner, batch, outcome, command=command)
        soft.add(runner, outcome.produced, outcome.logits)
    columns = _columns(construction)
    for start, stop in parts(hard):
        batch = product(tokens, users, start, stop)
        made = runner.prepared.run(_prompts(columns, batch.targets), batch.inputs, None)
        hard.add(runner, made.answers, made.logits)
        search.tally.cases += len(batch.targets) if right else 0
    progress(space, space)
    if right:
        search.settle()
    counts = {"hard": hard.counted(), "soft": soft.counted()}
    objection = _few(counts["soft"]) or _not_finite(counts["hard"]) or _otherwise(runner, columns, hard, tokens)
    verdict = search.verdict(
        parameters_of(construction, backend) | {kind: count.sentence() for kind, count in counts.items()},
        reason=None if search.tally.found is not None else objection,
        space=space,
    )
    return Completions(**counts, verdict=verdict)


def _columns(construction: Construction) -> Ratios:
    """Return the embedding of every token, exactly: tokens x embedding size."""
    matrix = construction.transformer.lowered.embedding
    size, tokens = matrix.shape
    entries = [(token, row, value) for row, token, value in matrix.nonzero()]
    denominator = math.lcm(*(value.denominator for _, _, value in entries))
    numerators = np.zeros((tokens, size), dtype=object)  # of any size
    for token, row, value in entries:
        numerators[token, row] = int(value * denominator)
    return Ratios(numerators, denominator)


def _prompts(columns: Ratios, tokens: IntArray) -> Ratios:
    """Return prompts of tokens, cases x virtual, as virtual tokens: cases x virtual x embedding size."""
    return Ratios(columns.numerators[tokens], columns.denominator)


def _few(soft: PromptCount) -> str | None:
    if soft.behaviours == soft.prompts:
        return None
    return f"{number(soft.prompts)} virtual tokens select {number(soft.behaviours)} behaviours: some targets share one"


def _not_finite(hard: PromptCount) -> str | None:
    return (
        f"cases of hard prompts with a logit that is not finite: {number(hard.not_finite)}" if hard.not_finite else None
    )


def _otherwise(runner: Runner, columns: Ratios, hard: _Seen, tokens: TargetSpace) -> str | None:
    """Run some hard prompts again, alone; return whether one is answered otherwise than in its batch."""
    users = runner.construction.user_inputs
    for case in hard.drawn(WITNESSES).tolist():
        batch = product(tokens, users, case, case + 1)
        again = runner.prepared.run(_prompts(columns, batch.targets), batch.inputs, None).answers[0]
        if (again != hard.row(case)).any():
            given = f" with user input {batch.inputs[0].tolist()}" if batch.inputs.size else ""
            return (
                f"the tokens {batch.targets[0].tolist()} as the prompt{given} gave {hard.row(case).tolist()} in a"
                f" batch, and give {again.tolist()} alone"
            )
    return None
