"""One case, evaluated and shown: how a counterexample is reproduced."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.validation import InvalidArgument, check_tokens
from verify.arithmetic import Arithmetic, get_arithmetic
from verify.cases import Outcome, Runner, counterexample, parameters_of
from verify.trace import Trace
from verify.verdict import Verdict


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

    Raises:
        InvalidArgument: neither or both of target and rank, or not valid ones.

    """
    if (target is None) == (rank is None):
        raise InvalidArgument("target: expected either a target or its rank")
    if rank is not None:
        target = construction.target_space.unrank(rank)
    started = time.perf_counter()
    space = construction.target_space
    tokens = check_tokens("target", target, space.vocab_size, space.shape)
    inputs = np.asarray(user_input, dtype=np.int64) if len(user_input) == 0 else user_input
    given = check_tokens("user_input", inputs, construction.vocab_size, (construction.layout.user,))
    if tokens.ndim != len(space.shape) or given.ndim != 1:
        raise InvalidArgument("target: expected a single case, not a batch")
    ar = get_arithmetic(arithmetic, dtype=dtype, device=device) if isinstance(arithmetic, str) else arithmetic
    outcome = Runner(construction, ar, tf32=tf32).run(tokens[None], given[None], trace)
    failed = bool(outcome.failures().any())
    margin = outcome.smallest_margin()
    found = (
        counterexample(construction, ar, outcome, 0, target=tokens, user_input=given, command=command, tf32=tf32)
        if failed
        else None
    )
    verdict = Verdict(
        claim=claim or type(construction).__name__,
        parameters=parameters_of(construction, ar),
        method="evaluated",
        arithmetic=ar.name + (" with TF32" if tf32 else ""),
        device=ar.device,
        holds=not failed,
        cases=1,
        space=space.size * construction.user_inputs.size,
        margin=found.margin if found else None if margin == float("inf") else margin,
        counterexample=found,
        seconds=time.perf_counter() - started,
    )
    return verdict, outcome


def check(construction: Construction, **case: Any) -> Verdict:
    """Return the verdict of one case; the arguments and errors are those of :func:`evaluate`."""
    return evaluate(construction, **case)[0]
