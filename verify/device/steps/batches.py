"""Whether a case's logits depend on the batch that it is in: alone, and in batches of several sizes, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, final

from constructions import UnconditionalGeneration
from verify.device.base import Data, Judgement, Setting, Step, Task
from verify.device.formats import FORMATS, KERNELS, FloatFormat
from verify.running.batches import BATCH_SIZES, batch_dependence
from verify.running.cases import Runner, spaces


@dataclass(frozen=True)
class _Amount:
    """How many drawn cases are put into batches of which sizes."""

    cases: int
    sizes: Sequence[int]


@final
class Batches(Step):
    """Drawn cases of Theorem 1 at the largest sizes of each format, first, in the middle and last in batches."""

    name = "batches"
    summary = "the same case alone and in batches of several sizes, bit by bit"
    beside = "verify"
    seconds: ClassVar = {"full": 60.0, "tiny": 60.0}
    amounts: ClassVar[Mapping[str, _Amount]] = MappingProxyType(
        {"full": _Amount(3, (*BATCH_SIZES, 4096)), "tiny": _Amount(1, BATCH_SIZES[:2])}
    )

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each format and kernel."""
        amount = self.amounts[setting.preset]
        for fmt in FORMATS:
            for kernel in KERNELS:
                yield Task(f"{fmt.name} {kernel}", _run(fmt, kernel, amount, setting))

    def judge(self, data: Data) -> Judgement:
        """Every case must be right in every batch; that its bits stay the same is a finding."""
        sizes, right, cases = data["sizes"], 0, 0
        parts = []
        for size, counts in sizes.items():
            if not 0 <= counts["equal"] <= counts["compared"] or not 0 <= counts["right"] <= counts["compared"]:
                raise ValueError(f"counts of batches of {size} do not fit")
            right, cases = right + counts["right"], cases + counts["compared"]
            apart = "" if counts["equal"] == counts["compared"] else f", apart by up to {counts['difference']}"
            parts.append(f"{counts['equal']} of {counts['compared']} equal in batches of {size}{apart}")
        return Judgement(cases > 0 and right == cases, f"{right} of {cases} right; {'; '.join(parts)}")


def _run(fmt: FloatFormat, kernel: str, amount: _Amount, setting: Setting) -> Any:
    def run() -> Data:
        construction = UnconditionalGeneration(fmt.vocab_size, 20)
        runner = Runner(construction, fmt.arithmetic(setting.device, kernel))
        targets, users = spaces(construction)
        sizes: dict[str, dict[str, Any]] = {
            str(size): {"compared": 0, "equal": 0, "right": 0, "difference": 0.0} for size in amount.sizes
        }
        for seed, target in enumerate(targets.sample(amount.cases, seed=0)):
            given = users.sample(1, seed=0)[0]
            for found in batch_dependence(runner, target, given, sizes=amount.sizes, seed=seed):
                counts = sizes[str(found.size)]
                counts["compared"] += 1
                counts["equal"] += found.equal
                counts["right"] += found.right
                counts["difference"] = max(counts["difference"], found.largest_difference)
        return {"construction": repr(construction), "sizes": sizes}

    return run
