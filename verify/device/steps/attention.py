"""The attention step by every kernel of torch's ``scaled_dot_product_attention``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

from constructions import UnconditionalGeneration
from constructions.validation import InvalidArgument
from verify.arithmetic.sdpa_kernels import KERNELS
from verify.device.base import AbsentError, Data, Judgement, Setting, Step, Task
from verify.device.comparing import compared_bits, compared_sentence
from verify.device.formats import FORMATS, FloatFormat
from verify.device.judging import judge_verdict, verdict_data
from verify.evidence.enumeration import exhaust
from verify.evidence.verdict import Verdict


@dataclass(frozen=True)
class _Amount:
    """A space that is exhausted, and how many drawn cases of a larger size are compared bit by bit."""

    space: tuple[int, int]
    compared: int


@final
class Attention(Step):
    """Exhaust a space by each kernel in each format, and compare logits of drawn cases with the step by step attention.

    No space has more cases than 65,535, the most blocks of one axis that a kernel may start.
    """

    name = "attention"
    summary = "kernels of scaled_dot_product_attention: every case of a space, and bits against attention step by step"
    seconds: ClassVar = {"full": 90.0, "tiny": 60.0}
    amounts: ClassVar[Mapping[str, _Amount]] = MappingProxyType(
        {"full": _Amount((10, 4), 1024), "tiny": _Amount((3, 3), 8)}
    )

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each kernel and format."""
        amount = self.amounts[setting.preset]
        for kernel in KERNELS:
            for fmt in FORMATS:
                if not fmt.tf32:  # SdpaArithmetic multiplies at the precision of its format
                    yield _task(kernel, fmt, amount, setting)

    def judge(self, data: Data) -> Judgement:
        """Judge the verdict; the comparison of bits is a finding."""
        found = judge_verdict(data)
        return Judgement(found.holds, f"{found.sentence}; {compared_sentence(data['compared'])}")


def _task(kernel: str, fmt: FloatFormat, amount: _Amount, setting: Setting) -> Task:
    def run() -> Data:
        from verify.arithmetic.sdpa import SdpaArithmetic  # noqa: PLC0415 # torch takes seconds to import

        try:
            arithmetic = SdpaArithmetic(fmt.dtype, kernel, setting.device)
        except InvalidArgument as error:
            raise AbsentError(str(error)) from None
        verdict: Verdict = exhaust(UnconditionalGeneration(*amount.space), arithmetic, claim="theorem-1")
        larger = UnconditionalGeneration(fmt.vocab_size, 20)
        compared = compared_bits(larger, arithmetic, fmt.arithmetic(setting.device), amount.compared)
        return {**verdict_data(verdict, fmt.certifies(), promised=True), "compared": compared}

    return Task(f"{kernel} {fmt.name}", run)
