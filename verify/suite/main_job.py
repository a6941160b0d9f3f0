"""The main job: every claim, by what is proved of it and by the evidence that its plan names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from proofs import Claim, Step
from proofs.claims import Plan
from verify.evidence.kinds.proved import Proved
from verify.evidence.tally import Progress
from verify.evidence.verdict import Verdict
from verify.requests import Request
from verify.suite.building import built
from verify.suite.coq_record import CoqRecord, coq_verdict
from verify.suite.default_plan import plan_for
from verify.suite.numbers import NUMBERS, Chosen, Numbers
from verify.suite.proof_cache import ProofCache
from verify.suite.provers import prove
from verify.suite.steps import STEPS, Gathering

_SERIES = itertools.count()


@dataclass(frozen=True)
class Task:
    """One piece of evidence to gather.

    Attributes:
        claim: whose evidence it is.
        label: its name on a progress bar.
        run: gathers it.
        series: the tasks of one series run one after the other, as one uses what those before it found.

    """

    claim: Claim
    label: str
    run: Callable[[Progress], Verdict]
    series: int = field(default_factory=lambda: next(_SERIES))


def tasks(
    claim: Claim,
    chosen: Chosen,
    *,
    sizes: Mapping[str, int] | None = None,
    examples: int,
    seed: int,
    record: CoqRecord | None = None,
    cache: ProofCache | None = None,
) -> Iterator[Task]:
    """Yield the evidence to gather for a claim: proved, then exact, then float format by float format.

    Args:
        claim: which claim.
        chosen: the float formats and the device.
        sizes: by field or short name, all that a claim without a plan of its own needs.
        examples: how many cases each fuzzing draws.
        seed: of the fuzzing.
        record: of the Coq proofs' build, where there is one for these sources.
        cache: proofs of obligations of earlier runs, ``None`` where all are discharged now.

    Raises:
        InvalidArgument: sizes that are missing or unknown, or that the construction refuses.

    """
    if claim.obligations:
        yield Task(claim, "proof obligations", partial(prove, claim, cache=cache))
    in_coq = None if record is None else coq_verdict(claim.id, record)
    if in_coq is not None:
        yield Task(claim, "theorems in Coq", lambda _: in_coq)
    plan = planned(claim, sizes or {})
    for name, kinds in NUMBERS.items():
        for numbers in kinds(chosen):
            gathering, series = Gathering(examples, seed), next(_SERIES)
            for step in plan:
                if step.numbers == name:
                    for task in _task(claim, step, numbers, gathering):
                        yield replace(task, series=series)


def methods_of(claim: Claim) -> list[str]:
    """Return the kinds of evidence that the main job gathers for a claim by its own plan, the proof first."""
    steps = [STEPS[step.evidence].method or step.evidence for step in claim.plan or ()]
    return list(dict.fromkeys([*([Proved.name] if claim.obligations else []), *steps]))


def planned(claim: Claim, sizes: Mapping[str, int]) -> Plan:
    """Return the plan of a claim, or the one that follows from sizes."""
    if claim.plan is not None:
        return claim.plan
    return plan_for(claim.build(sizes), claim.sizes.complete(sizes))


def _task(claim: Claim, step: Step, numbers: Numbers, gathering: Gathering) -> Iterator[Task]:
    """Yield the task of a step; none where a claim's plan runs a construction that the format cannot hold.

    A construction of the user's own is run all the same, and its refusal told.
    """
    kind = STEPS[step.evidence]
    sizes = {name: range(size, size + 1) if isinstance(size, int) else size for name, size in step.sizes.items()}
    request = Request(claim, sizes, step.options, kind.arithmetic(numbers))
    single = bool(sizes) and all(len(values) == 1 for values in sizes.values())
    if single and not kind.of_all and claim.plan is not None and built(request, request.first) is None:
        return

    def run(progress: Progress) -> Verdict:
        return kind.gather(request, replace(gathering, progress=progress))

    yield Task(claim, f"{kind.label}, {request.arithmetic.name}", run)
