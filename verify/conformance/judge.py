"""Holding one backend against known answers: tokens, margins, logits within bounds, and the same bits in any batch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from constructions.validation import IntArray, InvalidArgument
from verify.backends import Runs, as_backend
from verify.conformance.answers import KnownAnswers
from verify.conformance.deviation import Deviation, deviation, within
from verify.conformance.row import InOtherBatch, Row
from verify.evidence.found import recorded
from verify.evidence.search import Search, cases_at_once
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Refutation, Verdict
from verify.numbers import number, shortened
from verify.running.batches import Batch, spaces
from verify.running.cases import Outcome, Runner, parameters_of

#: The size of the other batches that cases run in again: the odd one of ``verify.running.batches.BATCH_SIZES``, which
#: no block of a kernel divides.
OTHER_SIZE = 7
#: Cases that run again alone and in such batches: two of these batches, and a third that is cut off at two cases.
COMPARED = 2 * OTHER_SIZE + 2


def judge(
    answers: KnownAnswers,
    backend: Runs,
    *,
    claim: str | None = None,
    name: str | None = None,
    command: Mapping[str, str] | None = None,
    words: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Row:
    """Return how a backend does on known answers.

    A backend that raises on the way, or that answers otherwise when it is asked again, is not shown to be right; one
    that cannot run the specification at all is ``missing``.

    Args:
        answers: the cases.
        backend: a backend, or an arithmetic for a construction's transformer in it.
        claim: the claim's id; the specification's name by default.
        name: the backend's name in the row, by default its own.
        command: how the command line builds the construction, for the reproduction of a counterexample.
        words: how ``prefixproof conformance`` chooses the backend, by default ``--backend`` and the name in the row.
        progress: called with cases done and cases in all.

    Example:
        >>> from constructions import ConditionalGeneration
        >>> from verify import TorchArithmetic
        >>> from verify.conformance import known_answers
        >>> row = judge(known_answers(ConditionalGeneration(3)), TorchArithmetic("float32"))
        >>> row.passed, row.right, row.cases, row.deviation.outside
        (True, 81, 81, 0)

    """
    backend = as_backend(backend)
    claim = type(answers.specification).__name__ if claim is None else claim
    row = Row(claim, backend.name if name is None else name, answers.fmt.name)
    if backend.exact:
        return replace(row, missing=f"expected a backend of floats but {backend.name} is exact")
    if backend.fmt is not None and backend.fmt != answers.fmt:
        return replace(row, missing=f"expected it in {answers.fmt.name} but it computes in {backend.fmt.name}")
    try:
        runner = Runner(answers.specification, backend)
    except InvalidArgument as error:
        return replace(row, missing=str(error))
    return _Judged(answers, runner, row, _Words(command, words or ("--backend", row.backend)), progress).row()


class _Words(NamedTuple):
    """The words of the command line: for the construction (``None``: it has none), and for the backend."""

    command: Mapping[str, str] | None
    backend: Sequence[str]


class _Judged:
    """One run over the cases of known answers, and once more over some of them in other batches."""

    def __init__(self, answers: KnownAnswers, runner: Runner, row: Row, words: _Words, progress: Progress) -> None:
        self._answers, self._runner, self._row, self._words = answers, runner, row, words
        self._search = Search(answers.kind, runner.backend, claim=row.claim, progress=progress)
        self._outcomes: list[Outcome] = []

    def row(self) -> Row:
        """Run everything, and return the row."""
        tally, batches = self._search.tally, list[InOtherBatch]()
        try:
            for batch in self._batches():
                self._take(batch)
            self._search.settle()
            batches += self._in_other_batches()
        except (InvalidArgument, RuntimeError) as error:  # it raised, or gave what is no answer
            tally.reason = tally.reason or " ".join(str(error).split())
        failed = np.concatenate([np.zeros(0, dtype=np.bool_), *(_failed(outcome) for outcome in self._outcomes)])
        tally.cases = len(failed)
        wrong = [batch.how for batch in batches if batch.right < batch.compared]
        if wrong and tally.found is None and tally.reason is None:
            tally.reason = f"a case that was right is not when it runs again {wrong[0]}"
        compared, logits = self._logits(batches)
        return replace(
            self._row,
            tokens=self._verdict(),
            logits=logits,
            without_logits=self._without(compared) if logits is None else None,
            certificate=None if logits is None else self._answers.certificate,
            right=int((~failed).sum()),
            cases=len(failed),
            margin=self._margin(),
            deviation=compared,
            batches=tuple(batches),
        )

    def _batches(self) -> Iterator[Batch]:
        answers, count = self._answers, len(self._answers)
        size = cases_at_once(answers.specification, self._runner.backend)
        for start in range(0, count, size):
            stop = min(count, start + size)
            yield Batch(f"known answers {start}..{stop - 1}", answers.targets[start:stop], answers.inputs[start:stop])
            self._search.progress(stop, count)

    def _take(self, batch: Batch) -> None:
        """Run a batch, and its first case that is not shown right once more, alone."""
        outcome, tally = self._runner.run(batch.targets, batch.inputs), self._search.tally
        self._outcomes.append(outcome)
        failed = _failed(outcome)
        if not failed.any():
            tally.add(outcome, self._runner, batch)
        elif tally.found is None and tally.reason is None:
            place = int(np.argmax(failed))
            target, given = batch.targets[place], batch.inputs[place]
            alone = self._runner.run(target[None], given[None])
            if _failed(alone).any():
                command = self._words.command
                tally.found = recorded(self._runner, alone, 0, target=target, user_input=given, command=command)
                tally.margin = tally.found.margin
            else:
                position = int(np.argmax(outcome.failures()[place]))
                tally.reason = (
                    f"target {shortened(target.tolist())}{_given(given)} must give"
                    f" {outcome.expected[place, position]} at response position {position}, and gives"
                    f" {outcome.produced[place, position]} at place {place} of a batch of {len(failed)}; alone it is"
                    " right"
                )

    def _in_other_batches(self) -> Iterator[InOtherBatch]:
        """Run cases of the first batch alone, in batches of another size, and all of them in other places."""
        if not self._runner.backend.batched or not self._outcomes:
            return
        count = len(self._outcomes[0].expected)
        places = np.arange(count)
        some = places[:COMPARED]
        for how, groups in (
            ("alone", [some[at : at + 1] for at in some]),
            (f"in a batch of {OTHER_SIZE}", [some[at : at + OTHER_SIZE] for at in some[::OTHER_SIZE]]),
            ("in another place", [np.roll(places, count // 2)]),
        ):
            others = [group for group in groups if not np.array_equal(group, places)]
            again = np.array([found for group in others for found in self._again(group)], dtype=np.int64).reshape(-1, 3)
            yield InOtherBatch(how, len(again), *again.sum(axis=0).tolist())

    def _again(self, group: IntArray) -> Iterator[tuple[bool, bool, bool]]:
        """Run cases of the first batch again; say of each whether it has the same bits, is right, and within bounds."""
        first, outcome = self._outcomes[0], self._runner.run(self._answers.targets[group], self._answers.inputs[group])
        here, before = (each.produced if each.logits is None else each.logits for each in (outcome, first))
        inside = np.ones(len(group), dtype=np.bool_)
        if outcome.logits is not None:
            inside = np.asarray(within(self._answers, group, outcome.logits).all(axis=(1, 2)))
        for at, (case, failed) in enumerate(zip(group, _failed(outcome), strict=True)):
            yield _same(here[at], before[case]), not failed, bool(inside[at])

    def _margin(self) -> float | None:
        if not self._runner.has_margins or not self._outcomes:
            return None
        return float(np.min([float(outcome.smallest_margin()) for outcome in self._outcomes]))  # NaN stays

    def _verdict(self) -> Verdict:
        return self._search.verdict(
            parameters_of(self._answers.specification, self._runner.backend),
            reason="no case was run" if not self._search.tally.cases else None,
            space=_space(self._answers),
            seed=self._answers.seed,
        )

    def _logits(self, batches: list[InOtherBatch]) -> tuple[Deviation | None, Verdict | None]:
        """Return how far the logits are off, and the verdict whether the certificate's bounds hold all of them.

        There is none where the bounds leave an answer open: that logits are within such bounds is no evidence. A logit
        outside of them still is evidence, against the kernel.
        """
        held = [outcome.logits for outcome in self._outcomes if outcome.logits is not None]
        if not held:
            return None, None
        logits = np.concatenate(held)
        produced = np.concatenate([outcome.produced for outcome in self._outcomes])
        compared, first = deviation(self._answers, produced, logits)
        if compared.outside is None:
            return compared, None
        refutation = None if first is None else self._refutation(first, float(logits[first]))
        reason = self._doubt(compared, batches) if refutation is None else None
        if refutation is None and reason is None and self._open():
            return compared, None
        return compared, replace(
            self._verdict(),
            parameters=parameters_of(self._answers.specification, self._runner.backend)
            | {"logits": f"within the bounds of {self._answers.certificate}"},
            holds=False if refutation is not None else True if reason is None else None,
            margin=None,
            counterexample=None,
            refutation=refutation,
            reason=reason,
        )

    def _open(self) -> int:
        """Return the number of places where the bounds of the logits leave the answer open."""
        decided = self._answers.decided
        return 0 if decided is None else int((~decided).sum())

    def _without(self, compared: Deviation | None) -> str:
        """Return why there is no verdict on the logits."""
        if not self._runner.backend.gives_logits:
            return "it gives tokens alone"
        if self._answers.allowed is None:
            return self._answers.certificate
        if compared is None:
            return "it gave none"
        places = f"{number(self._open())} of {number(self._answers.promised.size)} places"
        return f"the bounds of the certificate are so wide that they leave the answer open at {places} of the responses"

    def _doubt(self, compared: Deviation, batches: list[InOtherBatch]) -> str | None:
        """Return why logits that are within the bounds show nothing, ``None`` where they do."""
        if self._search.tally.reason is not None:
            return self._search.tally.reason
        if not compared.complete:
            return f"{compared.missed} logits come after a wrong token, and are not compared"
        beyond = [batch.how for batch in batches if batch.within < batch.compared]
        return f"a logit that is within the bounds is not when its case runs again {beyond[0]}" if beyond else None

    def _refutation(self, place: tuple[int, int, int], found: float) -> Refutation:
        answers, (case, step, output) = self._answers, place
        assert answers.allowed is not None, "a logit is outside of something"
        low, high = float(answers.allowed.low[place]), float(answers.allowed.high[place])
        at = f"logit {output} at response position {step} of target {shortened(answers.targets[case].tolist())}"
        return Refutation(
            subject=f"{answers.specification!r} by {self._runner.backend.name}",
            place=f"{at}{_given(answers.inputs[case])}",
            expected=f"in [{low!r}, {high!r}]",
            produced=repr(found),
            margin=min(found - low, high - found),
            reproduce=self._reproduce(),
        )

    def _reproduce(self) -> str:
        answers, (command, backend) = self._answers, self._words
        if command is None:
            # of a keyword of verify.check, such as arithmetic=..., the value: judge takes it in one place
            makes = ", ".join(argument.partition("=")[2] for argument in self._runner.backend.arguments())
            return f"verify.conformance.judge({answers.expression}, {makes})"
        options = [word for name, value in command.items() if name != "claim" for word in (name, value)]
        words = [*backend, "--dtype", answers.fmt.name, "--cases", str(len(answers))]
        seed = [] if answers.seed is None else ["--seed", str(answers.seed)]
        return shlex.join(["prefixproof", "conformance", command["claim"], *options, *words, *seed])


def _failed(outcome: Outcome) -> Bool[np.ndarray, " cases"]:
    return np.asarray(outcome.failures().any(axis=1))


def _same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Say whether two arrays have the same bits, or of exact numbers the same values."""
    return bool((one == other).all()) if one.dtype == object else one.tobytes() == other.tobytes()


def _given(user_input: IntArray) -> str:
    return f" with user input {user_input.tolist()}" if len(user_input) else ""


def _space(answers: KnownAnswers) -> int:
    targets, users = spaces(answers.specification)
    return targets.size * users.size
