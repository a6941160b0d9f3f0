"""The claims of ``verify`` about floats, on the device: all cases of small spaces, sweeps and cases of large ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

from constructions.validation import InvalidArgument
from proofs import CLAIMS, Claim
from proofs.claims.plan import Plan, up_to
from proofs.claims.plan import Step as Planned
from verify.device.base import AbsentError, Data, Judgement, Setting, Step, Task
from verify.device.formats import FORMATS, KERNELS, FloatFormat
from verify.device.judging import judge_verdict, verdict_data
from verify.requests import Request
from verify.suite.steps import STEPS, Gathering


def _floats(evidence: str, **sizes: int | range) -> Planned:
    return Planned(evidence, "floats", sizes)


@dataclass(frozen=True)
class _Amount:
    """How much is done.

    Attributes:
        exhausted: by claim, spaces of which every case runs by every kernel.
        plans: by claim, what runs by the dense kernel beside that.
        examples: how many cases fuzzing draws.

    """

    exhausted: Mapping[str, Plan]
    plans: Mapping[str, Plan]
    examples: int


#: The plans of the main job, and spaces of a million cases each: 10^6, 4^10 = 2^20, and 6^6 * 6 = 279,936 of Theorem 2.
_FULL = _Amount(
    {
        "theorem-1": (
            _floats("exhausted", vocab_size=10, context_size=6),
            _floats("exhausted", vocab_size=4, context_size=10),
        ),
        "theorem-2": (_floats("exhausted", vocab_size=6),),
    },
    {claim.id: claim.plan or () for claim in CLAIMS.values()},
    examples=25,
)
_TINY = _Amount(
    {
        "theorem-1": (_floats("exhausted", vocab_size=4, context_size=3),),
        "theorem-2": (_floats("exhausted", vocab_size=3),),
    },
    {
        "theorem-1": (
            _floats("swept", vocab_size=up_to(20), context_size=2),
            _floats("fuzzed", vocab_size=up_to(6), context_size=up_to(4)),
        ),
        "attention-bias": (_floats("fuzzed layers"),),
    },
    examples=5,
)


@final
class Verdicts(Step):
    """The float part of the main job, in five formats and by two kernels."""

    name = "verify"
    summary = "every case of small spaces, sweeps and drawn cases of large ones, format by format"
    seconds: ClassVar = {"full": 240.0, "tiny": 120.0}
    amounts: ClassVar[Mapping[str, _Amount]] = MappingProxyType({"full": _FULL, "tiny": _TINY})

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each claim, format, kernel and step of a plan; the largest spaces come first."""
        amount = self.amounts[setting.preset]
        for name, plan in amount.exhausted.items():
            for step in plan:
                for fmt in FORMATS:
                    for kernel in KERNELS:
                        yield _task(CLAIMS[name], step, _Ran(fmt, setting.device, kernel), Gathering())
        for fmt in FORMATS:
            # the largest sizes that the format is known to carry; those of the plans are the main job's
            largest = _floats("fuzzed", vocab_size=fmt.vocab_size, context_size=20)
            dense = _Ran(fmt, setting.device)
            yield _task(CLAIMS["theorem-1"], largest, dense, Gathering(amount.examples))
            for name, plan in amount.plans.items():
                gathering = Gathering(amount.examples)  # a sweep tells the fuzzing after it where to stop
                for step in plan:
                    if step.numbers == "floats" and not STEPS[step.evidence].of_all:
                        yield _task(CLAIMS[name], step, dense, gathering)

    def judge(self, data: Data) -> Judgement:
        """Judge a verdict by what is promised of it."""
        return judge_verdict(data)


@dataclass(frozen=True)
class _Ran:
    """A format, where it runs, and by which kernels."""

    fmt: FloatFormat
    device: str
    kernel: str = "torch"


def _task(claim: Claim, step: Planned, ran: _Ran, gathering: Gathering) -> Task:
    """Return the task of a step of a plan."""
    sizes = {name: range(size, size + 1) if isinstance(size, int) else size for name, size in step.sizes.items()}
    shown = [f"{name} {values[0] if len(values) == 1 else f'to {values[-1]}'}" for name, values in sizes.items()]
    shown += [f"{name} {value}" for name, value in step.options.items()]

    def run() -> Data:
        request = Request(claim, sizes, step.options, ran.fmt.arithmetic(ran.device, ran.kernel))
        if sizes and all(len(values) == 1 for values in sizes.values()):
            try:
                request.construction.check_format(request.arithmetic.fmt)
            except InvalidArgument as error:
                raise AbsentError(f"the format does not hold these weights: {error}") from None
        verdict = STEPS[step.evidence].gather(request, gathering)
        # the plans promise float64 and float32, but not how far a sweep gets
        return verdict_data(verdict, ran.fmt.certifies(), promised=ran.fmt.wide and step.evidence != "swept")

    return Task(", ".join([claim.id, step.evidence, f"{ran.fmt.name} {ran.kernel}", *shown]), run)
