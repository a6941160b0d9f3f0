"""One case, evaluated and shown: how a counterexample is reproduced."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.validation import InvalidArgument, check_tokens
from verify.arithmetic import Arithmetic, get_arithmetic
from verify.evidence.found import recorded
from verify.evidence.tally import Witnesses
from verify.evidence.verdict import Verdict
from verify.running.batches import Batch, InBatch, batch_dependence, named_batch, spaces
from verify.running.cases import Outcome, Runner, parameters_of
from verify.running.trace import Trace


def evaluate(
    construction: Construction,
    *,
    target: object = None,
    rank: int | None = None,
    user_input: Sequence[int] = (),
    arithmetic: str | Arithmetic[Any, Any, Any] = "rational",
    dtype: str = "float32",
    device: str = "cpu",
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    trace: Trace | None = None,
    tf32: bool = False,
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
        arithmetic: its name, or the arithmetic itself.
        dtype: the float format, where there is one.
        device: where torch runs.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction.
        trace: records the intermediates of the last step.
        tf32: allow TF32 in torch's float32 products.
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
    started = time.perf_counter()
    tokens = check_tokens("target", target, targets.vocab_size, targets.shape)
    if len(user_input) == 0 and construction.layout.user:
        raise InvalidArgument(
            f"user_input: expected as many tokens as the layout has ({construction.layout.user}) but got none"
        )
    inputs = np.asarray(user_input, dtype=np.int64) if len(user_input) == 0 else user_input
    given = check_tokens("user_input", inputs, construction.vocab_size, (construction.layout.user,))
    if tokens.ndim != len(targets.shape) or given.ndim != 1:
        raise InvalidArgument("target: expected a single case, not a batch")
    ar = get_arithmetic(arithmetic, dtype=dtype, device=device) if isinstance(arithmetic, str) else arithmetic
    alone = Batch("alone", tokens[None], given[None])
    batch = alone if in_batch is None else named_batch(construction, in_batch)
    place = batch.place(tokens, given)
    runner, witnesses = Runner(construction, ar, tf32=tf32), Witnesses()
    outcome = runner.run(batch.targets, batch.inputs, trace).case(place)
    witnesses.add(runner, Batch(batch.name, tokens[None], given[None]), outcome)
    failed = bool(outcome.failures().any())
    reason = None if failed else witnesses.changed()
    if batches is not None:
        batches += batch_dependence(runner, tokens, given, seed=seed)
        wrong = [found.size for found in batches if not found.right]
        if wrong and not failed and reason is None:
            reason = f"right alone, but not in batches of {', '.join(map(str, wrong))}"
    margin = outcome.smallest_margin()
    found = (
        recorded(runner, outcome, 0, target=tokens, user_input=given, command=command, batch=in_batch)
        if failed
        else None
    )
    verdict = Verdict(
        claim=claim or type(construction).__name__,
        parameters=parameters_of(construction, ar),
        method="evaluated",
        arithmetic=runner.name,
        device=ar.device,
        holds=False if failed else True if reason is None else None,
        cases=1,
        space=targets.size * users.size,
        margin=found.margin if found else None if margin == float("inf") else margin,
        counterexample=found,
        seconds=time.perf_counter() - started,
        reason=reason,
    )
    return verdict, outcome


def check(construction: Construction, **case: Any) -> Verdict:
    """Return the verdict of one case; the arguments and errors are those of :func:`evaluate`."""
    return evaluate(construction, **case)[0]
