"""One case, evaluated and shown: how a counterexample is reproduced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from constructions.specification import Specification
from constructions.validation import InvalidArgument, check_tokens
from verify.arithmetic import get_arithmetic
from verify.backends import Backend, Runs, as_backend
from verify.evidence import families
from verify.evidence.found import recorded
from verify.evidence.kinds import EVALUATED
from verify.evidence.search import Search
from verify.evidence.verdict import Verdict
from verify.running.batches import Batch, InBatch, batch_dependence, named_batch, spaces
from verify.running.cases import Outcome, Runner, parameters_of
from verify.running.trace import Trace


def evaluate(
    construction: Specification,
    *,
    target: object = None,
    rank: int | None = None,
    user_input: Sequence[int] = (),
    arithmetic: str | Runs | None = None,
    backend: Backend | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    trace: Trace | None = None,
    in_batch: str | None = None,
    batches: list[InBatch] | None = None,
    seed: int = 0,
) -> tuple[Verdict, Outcome]:
    """Return the verdict of one case, and the tokens and margins it rests on.

    Args:
        construction: what to run.
        target: the behaviour to select; give this or ``rank``.
        rank: the target's place in its space.
        user_input: the user's tokens.
        arithmetic: its name, or the arithmetic itself; ``rational`` by default.
        backend: what generates, in the place of an arithmetic.
        dtype: the float format, where there is one.
        device: where torch runs.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction.
        trace: records the intermediates of the last step.
        in_batch: run the case in this batch, see :class:`~verify.running.batches.Batch`, and not alone.
        batches: a list that is filled with how the case in batches compares with the case alone; one that fails in a
            batch is then not shown.
        seed: of the other cases of these batches.

    Raises:
        InvalidArgument: neither or both of target and rank, or not valid ones.

    """
    if (target is None) == (rank is None):
        raise InvalidArgument("target: expected either a target or its rank")
    if in_batch is not None and (batches is not None or (trace is not None and trace.enabled)):
        raise InvalidArgument("in_batch: expected neither a trace nor a comparison of batches with it")
    targets, users = spaces(construction)
    if rank is not None:
        target = targets.unrank(rank)
    tokens = check_tokens("target", target, targets.vocab_size, targets.shape)
    if len(user_input) == 0 and construction.layout.user:
        raise InvalidArgument(
            f"user_input: expected as many tokens as the layout has ({construction.layout.user}) but got none"
        )
    inputs = np.asarray(user_input, dtype=np.int64) if len(user_input) == 0 else user_input
    given = check_tokens("user_input", inputs, construction.vocab_size, (construction.layout.user,))
    if tokens.ndim != len(targets.shape) or given.ndim != 1:
        raise InvalidArgument("target: expected a single case, not a batch")
    if backend is not None and arithmetic is not None:
        raise InvalidArgument("backend: expected either an arithmetic or a backend but got both")
    runs = arithmetic if backend is None else backend
    runs = "rational" if runs is None else runs
    runs = get_arithmetic(runs, dtype=dtype, device=device) if isinstance(runs, str) else runs
    search = Search(
        EVALUATED,
        as_backend(runs),
        claim=claim or type(construction).__name__,
        command=lambda _: command,
    )
    alone = Batch("alone", tokens[None], given[None])
    batch = alone if in_batch is None else named_batch(construction, in_batch, families.named())
    place = batch.place(tokens, given)
    runner, tally = Runner(construction, search.backend), search.tally
    outcome = runner.run(batch.targets, batch.inputs, trace).case(place)
    tally.add(outcome, runner, Batch(batch.name, tokens[None], given[None]))
    failed = bool(outcome.failures().any())
    if failed:
        tally.found = recorded(runner, outcome, 0, target=tokens, user_input=given, command=command, batch=in_batch)
        tally.margin = tally.found.margin
    else:
        tally.reason = tally.witnesses.changed()
    if batches is not None:
        batches += batch_dependence(runner, tokens, given, seed=seed)
        wrong = [found.size for found in batches if not found.right]
        if wrong and not failed and tally.reason is None:
            tally.reason = f"right alone, but not in batches of {', '.join(map(str, wrong))}"
    verdict = search.verdict(parameters_of(construction, search.backend), space=targets.size * users.size)
    return verdict, outcome


def check(construction: Specification, **case: Any) -> Verdict:
    """Return the verdict of one case; the arguments and errors are those of :func:`evaluate`.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> check(UnconditionalGeneration(3, 3), target=[2, 0, 1], arithmetic="rational").margin
        Fraction(5, 189)

    """
    return evaluate(construction, **case)[0]
