"""Backends times formats on the known answers of one construction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.conformance.answers import known_answers
from verify.conformance.backends.base import BackendFactory
from verify.conformance.judge import judge
from verify.conformance.row import Row
from verify.evidence.tally import Progress, no_progress

#: Shows the progress of the work that a label names.
Shown = Callable[[str], AbstractContextManager[Progress]]


def _silent(label: str) -> AbstractContextManager[Progress]:
    return nullcontext(no_progress)


def conform(
    construction: Construction,
    backends: Sequence[BackendFactory],
    dtypes: Sequence[str] = ("float32",),
    *,
    cases: int = 200,
    seed: int = 0,
    claim: str | None = None,
    command: Mapping[str, str] | None = None,
    shown: Shown = _silent,
) -> Iterator[Row]:
    """Yield a row for each backend in each format.

    A backend that is not here, or that cannot run the construction in a format, is a row that says why.

    Args:
        construction: whose weights run.
        backends: see :func:`verify.conformance.backends.chosen`.
        dtypes: the formats.
        cases: how many known answers, see :func:`~verify.conformance.known_answers`.
        seed: of what is drawn.
        claim: the claim's id; the construction's name by default.
        command: how the command line builds the construction, for the reproduction of what fails.
        shown: shows progress.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify.conformance.backends import chosen
        >>> rows = list(conform(UnconditionalGeneration(3, 3), chosen("torch,numpy")))
        >>> [(row.backend, row.passed, row.right) for row in rows]
        [('torch', True, 27), ('numpy', True, 27)]

    """
    claim = type(construction).__name__ if claim is None else claim
    for dtype in dtypes:
        try:
            with shown(f"{claim} {dtype}: known answers") as progress:
                answers = known_answers(construction, dtype, cases=cases, seed=seed, progress=progress)
        except InvalidArgument as error:
            yield from (Row(claim, factory.name, dtype, missing=str(error)) for factory in backends)
            continue
        for factory in backends:
            with shown(f"{claim} {dtype} {factory.name}") as progress:
                try:
                    backend = factory.backend(construction, dtype)
                except InvalidArgument as error:
                    row = Row(claim, factory.name, dtype, missing=str(error))
                else:
                    row = judge(
                        answers,
                        backend,
                        claim=claim,
                        name=factory.name,
                        command=command,
                        words=factory.words(),
                        progress=progress,
                    )
            yield row
