"""A failing case that is confirmed, and the one command that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from constructions.validation import IntArray
from verify.evidence.kinds import EVALUATED
from verify.evidence.verdict import Counterexample, decimal
from verify.numbers import shortened
from verify.running.batches import Batch, spaces
from verify.running.cases import Outcome, Runner

#: The words that build a construction on the command line: ``{"claim": ..., "--vocab": ..., ...}``.
Command = Mapping[str, str]


def _as_it_is(outcome: Outcome) -> Outcome:
    return outcome


def confirmed(
    runner: Runner,
    batch: Batch,
    case: int,
    *,
    command: Command | None = None,
    view: Callable[[Outcome], Outcome] = _as_it_is,
) -> Counterexample | str:
    """Run a case that failed in a batch again: alone, and only if it is right there, in its batch.

    A kernel's result may depend on the batch, and what is printed must be what the printed command shows.

    Args:
        runner: what it failed in.
        batch: the batch it failed in.
        case: its place.
        command: how the command line builds the construction, ``None`` where it cannot.
        view: what counts as a failure, as a change of the outcome.

    Returns:
        The counterexample; or, as a sentence, that it failed once and never again.

    """
    target, user = batch.targets[case], batch.inputs[case]
    alone = view(runner.run(target[None], user[None]))
    if alone.failures().any():
        return recorded(runner, alone, 0, target=target, user_input=user, command=command)
    if len(batch.targets) > 1:
        again = view(runner.run(batch.targets, batch.inputs))
        if again.failures()[case].any():
            return recorded(runner, again, case, target=target, user_input=user, command=command, batch=batch.name)
    shown = shortened(target.tolist())
    return f"target {shown} failed in the batch {batch.name}, and neither alone nor in that batch again"


def recorded(
    runner: Runner,
    outcome: Outcome,
    case: int,
    *,
    target: IntArray,
    user_input: IntArray,
    command: Command | None,
    batch: str | None = None,
) -> Counterexample:
    """Return the record of a failing case, with the command that shows it.

    Args:
        runner: the construction and the arithmetic.
        outcome: of the batch.
        case: the case's place in the batch.
        target: the case's target.
        user_input: the case's user tokens.
        command: see :func:`confirmed`.
        batch: the batch's name, ``None`` for the case alone.

    """
    position = int(np.argmax(outcome.failures()[case]))
    tokens = [int(token) for token in user_input]
    return Counterexample(
        construction=repr(runner.construction),
        rank=spaces(runner.construction)[0].rank(target),
        target=target.tolist(),
        user_input=tokens,
        position=position,
        expected=_number(outcome.expected[case, position]),
        produced=_number(outcome.produced[case, position]),
        margin=_number(outcome.margins[case, position]) if runner.backend.gives_logits else None,
        reproduce=_reproduce(runner, target, tokens, command=command, batch=batch),
        batch=batch,
        decoding=outcome.decoding,
    )


def _number(value: Any) -> Any:
    """Return a number of numpy's as Python's; exact ones stay as they are."""
    return value.item() if isinstance(value, np.generic) else value


def _reproduce(
    runner: Runner, target: IntArray, user_input: list[int], *, command: Command | None, batch: str | None
) -> str:
    chosen = runner.backend.words()
    if command is None or chosen is None:
        case = [f"target={target.tolist()}", f"user_input={user_input}"]
        case += [] if batch is None else [f"in_batch={batch!r}"]
        return f"verify.check({', '.join([repr(runner.construction), *case, *runner.backend.arguments()])})"
    words = ["--rank", decimal(spaces(runner.construction)[0].rank(target))]
    words += ["--user", ",".join(map(str, user_input))] if user_input else []
    words += [] if batch is None else ["--in-batch", batch]
    line = EVALUATED.command(command, chosen, *words)
    assert line is not None, "one case is shown by a command"
    return line
