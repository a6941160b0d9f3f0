"""The forward pass under ``torch.compile``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

from constructions import UnconditionalGeneration
from constructions.validation import InvalidArgument
from verify.conformance.backends.compiled import Compiled
from verify.device.base import Data, Judgement, NotDoneError, Setting, Step, Task
from verify.device.comparing import compared_bits, compared_sentence
from verify.device.formats import FORMATS, FloatFormat
from verify.device.judging import judge_verdict, verdict_data
from verify.evidence.enumeration import exhaust


@dataclass(frozen=True)
class _Amount:
    """The compilers and formats, a space, and how many drawn cases are compared bit by bit."""

    compilers: Sequence[str]
    formats: Sequence[str]
    space: tuple[int, int]
    compared: int


@final
class CompiledPrograms(Step):
    """Exhaust a space by the module under each compiler, and compare its bits with the eager pass."""

    name = "compile"
    summary = "torch.compile: every case of a space, and bits against the eager pass"
    beside = "attention"
    seconds: ClassVar = {"full": 150.0, "tiny": 90.0}
    amounts: ClassVar[Mapping[str, _Amount]] = MappingProxyType(
        {
            "full": _Amount(("aot_eager", "inductor", "cudagraphs"), ("float32", "bfloat16"), (10, 4), 1024),
            "tiny": _Amount(("eager",), ("float32",), (3, 3), 8),
        }
    )

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each compiler and format."""
        amount = self.amounts[setting.preset]
        for compiler in amount.compilers:
            for fmt in FORMATS:
                if fmt.name in amount.formats:
                    yield Task(f"{compiler} {fmt.name}", _compiled(compiler, fmt, amount, setting))

    def judge(self, data: Data) -> Judgement:
        """Judge the verdict; bits are a finding."""
        found = judge_verdict(data)
        return Judgement(found.holds, f"{found.sentence}; {compared_sentence(data['compared'])}")


def _compiled(compiler: str, fmt: FloatFormat, amount: _Amount, setting: Setting) -> Callable[[], Data]:
    def run() -> Data:
        construction = UnconditionalGeneration(*amount.space)
        try:
            backend = Compiled(compiler, setting.device).make(construction, fmt.dtype)
        except InvalidArgument as error:
            raise NotDoneError(str(error)) from None
        verdict = exhaust(construction, backend, claim="theorem-1")
        found = verdict_data(verdict, fmt.certifies(), promised=True)
        return {
            **found,
            "compared": compared_bits(construction, backend, fmt.arithmetic(setting.device), amount.compared),
        }

    return run
