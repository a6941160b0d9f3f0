"""The main job for a construction of the user's own: the given sizes, by every kind of evidence that fits them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from hypothesis import strategies as st

from constructions.construction import Construction
from proofs import CLAIMS
from verify.arithmetic import Arithmetic, RationalArithmetic, torch_arithmetic
from verify.certificates import BallArithmetic, RoundedArithmetic, certificate_arithmetic, certify
from verify.cli.sizes import command_for
from verify.evidence.enumeration import Progress, exhaust
from verify.evidence.fuzzing import fuzz
from verify.evidence.verdict import Verdict
from verify.running.cases import parameters_of
from verify.suite.main_job import FLOAT_SIZES, RATIONAL_SIZES, Task
from verify.suite.subjects import Subject


def largest_enumerated(sizes: Mapping[str, Sequence[Mapping[str, int]]]) -> int:
    """Return the most cases that the main job enumerates for a claim of the package's, at sizes such as these.

    A construction of the user's is enumerated up to the same count, and fuzzed beyond it.
    """
    made = [CLAIMS[claim].build(options=None, **each) for claim, every in sizes.items() for each in every]
    return max(_space(construction) for construction in made)


def own_tasks(
    subject: Subject, sizes: Mapping[str, Any], *, dtypes: Sequence[str], device: str, examples: int, seed: int
) -> Iterator[Task]:
    """Yield the evidence to gather: certificates of all targets at once, and enumeration or fuzzing.

    Args:
        subject: whose construction.
        sizes: by field or short name, all that it needs.
        dtypes: the float formats, run with torch.
        device: where torch runs; exact arithmetic runs on the cpu.
        examples: how many cases each fuzzing draws.
        seed: of the fuzzing.

    Raises:
        InvalidArgument: sizes that are missing or unknown, or that the construction refuses.

    """
    construction = subject.build(sizes)
    yield _certificate(subject, construction, BallArithmetic())
    yield _runs(subject, construction, RationalArithmetic(), RATIONAL_SIZES, examples=examples, seed=seed)
    for dtype in dtypes:
        yield _certificate(subject, construction, certificate_arithmetic("rounded", dtype))
        floats = torch_arithmetic(dtype, device)
        yield _runs(subject, construction, floats, FLOAT_SIZES, examples=examples, seed=seed)


def _certificate(subject: Subject, construction: Construction, arithmetic: BallArithmetic | RoundedArithmetic) -> Task:
    def run(progress: Progress) -> Verdict:
        return certify(construction, arithmetic, claim=subject.id, progress=progress)

    return Task(subject, f"certificate, {arithmetic.name}", run)


def _runs(
    subject: Subject,
    construction: Construction,
    arithmetic: Arithmetic[Any, Any, Any],
    sizes: Mapping[str, Sequence[Mapping[str, int]]],
    *,
    examples: int,
    seed: int,
) -> Task:
    """Return the task that runs cases: all of them where they are few enough, drawn ones otherwise."""
    command = command_for(subject.id, construction)
    if _space(construction) <= largest_enumerated(sizes):
        run = partial(exhaust, construction, arithmetic, claim=subject.id, command=command)
        return Task(subject, f"enumeration, {arithmetic.name}", lambda progress: run(progress=progress))
    drawn = partial(
        fuzz,
        st.just(construction),
        arithmetic,
        examples=examples,
        seed=seed,
        claim=subject.id,
        parameters=parameters_of(construction, arithmetic),
        command=lambda _: command,
    )
    return Task(subject, f"fuzzing, {arithmetic.name}", lambda progress: drawn(progress=progress))


def _space(construction: Construction) -> int:
    return construction.target_space.size * construction.user_inputs.size
