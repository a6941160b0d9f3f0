"""Every token at one vocabulary size on the real torch kernels: ties told from wrong tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions.construction import Construction
from verify.arithmetic.tensors import TorchArithmetic
from verify.cases import Outcome, Runner, batch_size, counterexample
from verify.sweep import constant_targets
from verify.verdict import Counterexample


@dataclass(frozen=True)
class Failures:
    """What failed at one vocabulary size.

    Attributes:
        no_margin: the lowest token without a positive margin: another token was produced, or the promised one won a
            tie by the order of tokens.
        wrong: the lowest token in whose place another was produced.

    """

    no_margin: Counterexample | None = None
    wrong: Counterexample | None = None


def failures(
    construction: Construction,
    arithmetic: TorchArithmetic,
    *,
    command: Callable[[Construction], Mapping[str, str] | None] | None = None,
) -> Failures:
    """Run the targets that are one token everywhere, one for each token, and return what fails first.

    Args:
        construction: what to run.
        arithmetic: torch, with the kernels to run.
        command: how the command line builds a construction, for the reproduction of a counterexample.

    Raises:
        InvalidArgument: the format cannot hold what the weights rely on.

    """
    runner = Runner(construction, arithmetic)
    targets, inputs = constant_targets(construction)
    size = batch_size(construction)
    no_margin = wrong = None
    for start in range(0, len(targets), size):
        stop = start + size
        outcome = runner.run(targets[start:stop], inputs[start:stop])
        # a right token counts as a failure by its margin alone, a wrong one by itself
        produced = Outcome(
            outcome.expected,
            outcome.produced,
            np.where(outcome.produced == outcome.expected, np.inf, outcome.margins),
        )
        found: list[Counterexample | None] = []
        for which in (outcome, produced):
            failed = which.failures().any(axis=1)
            case = int(np.argmax(failed))
            found.append(
                _case(construction, arithmetic, which, case=case, start=start, command=command)
                if failed.any()
                else None
            )
        no_margin, wrong = no_margin or found[0], wrong or found[1]
        if wrong is not None:  # which has no positive margin either, so that both are known
            break
    return Failures(no_margin, wrong)


def _case(
    construction: Construction,
    arithmetic: TorchArithmetic,
    outcome: Outcome,
    *,
    case: int,
    start: int,
    command: Callable[[Construction], Mapping[str, str] | None] | None,
) -> Counterexample:
    targets, inputs = constant_targets(construction)
    words: Any = None if command is None else command(construction)
    return counterexample(
        construction,
        arithmetic,
        outcome,
        case,
        target=targets[start + case],
        user_input=inputs[start + case],
        command=words,
    )
