"""``exp`` on the device at every argument of a format, as the certificates assume it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar, final

from verify.certificates.floats.kernel import EXP_ULPS
from verify.device.base import Data, Judgement, Setting, Step, Task
from verify.exponentials import Record, measure

#: The functions that are measured. Softmax may be made of the first two, of which certificates assume something.
_FUNCTIONS = ("exp", "softmax", "exp2")
_ASSUMED = _FUNCTIONS[:2]


@final
class Exponentials(Step):
    """Measure torch's exponentials at all arguments."""

    name = "exp"
    summary = "exp, the exp inside softmax, and exp2, at every argument of a format"
    seconds: ClassVar = {"full": 180.0, "tiny": 90.0}
    #: the formats, the small ones first
    formats: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {"full": ("float16", "bfloat16", "float32"), "tiny": ("float16",)}
    )

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each format and function."""
        for dtype in self.formats[setting.preset]:
            for function in _FUNCTIONS:
                yield Task(f"{function} {dtype}", partial(_measured, function, dtype, setting.device))

    def judge(self, data: Data) -> Judgement:
        """The assumptions about ``exp`` must hold at every argument; there are none about ``exp2``."""
        record = Record.from_json(data)
        if not record.complete:
            raise ValueError("not all arguments were measured")
        holds = record.within(EXP_ULPS) if record.function in _ASSUMED else None
        return Judgement(holds, "; ".join(record.lines(EXP_ULPS)))


def _measured(function: str, dtype: str, device: str) -> Data:
    return measure(function, dtype, device).to_json()
