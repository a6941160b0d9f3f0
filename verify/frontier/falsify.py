"""Every token at one vocabulary size on real kernels: ties told from wrong tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from constructions.construction import Construction
from verify.arithmetic.base import Arithmetic
from verify.evidence.found import confirmed
from verify.evidence.verdict import Counterexample
from verify.running.batches import constants, spaces
from verify.running.cases import Outcome, Runner, batch_size


@dataclass(frozen=True)
class Failures:
    """The failures at one vocabulary size.

    Attributes:
        no_margin: the lowest token without a positive margin: another token was produced, or the promised one won a
            tie by the order of tokens.
        wrong: the lowest token for which another was produced.

    """

    no_margin: Counterexample | None = None
    wrong: Counterexample | None = None


def failures(
    construction: Construction,
    arithmetic: Arithmetic[Any, Any, Any],
    *,
    command: Callable[[Construction], Mapping[str, str] | None] | None = None,
) -> Failures:
    """Run the constant targets, one for each token, and return the first failures.

    Args:
        construction: the construction to run.
        arithmetic: the kernels to run.
        command: how the command line builds a construction, for the reproduction of a counterexample.

    Raises:
        InvalidArgument: the format cannot hold the numbers that the weights rely on.

    """
    runner = Runner(construction, arithmetic)
    words = None if command is None else command(construction)
    count, size = spaces(construction)[0].vocab_size, batch_size(construction)
    no_margin = wrong = None
    for start in range(0, count, size):
        batch = constants(construction, start, min(count, start + size))
        outcome = runner.run(batch.targets, batch.inputs)
        found: list[Counterexample | None] = []
        for view in (_as_it_is, _by_token):
            failed = view(outcome).failures().any(axis=1)
            # a case that failed once and then never again refutes nothing; the next one may
            cases = (confirmed(runner, batch, int(case), command=words, view=view) for case in np.flatnonzero(failed))
            found.append(next((case for case in cases if isinstance(case, Counterexample)), None))
        no_margin, wrong = no_margin or found[0], wrong or found[1]
        if wrong is not None:  # it has no positive margin either: both are known
            break
    return Failures(no_margin, wrong)


def _as_it_is(outcome: Outcome) -> Outcome:
    return outcome


def _by_token(outcome: Outcome) -> Outcome:
    """Count a right token as a success at any margin."""
    return replace(outcome, margins=np.where(outcome.produced == outcome.expected, np.inf, outcome.margins))
