"""Decoding as a CUDA graph: captured with some cases, replayed with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from constructions import UnconditionalGeneration
from verify.device.base import Data, Judgement, Setting, Step, Task
from verify.device.comparing import bits_compared, compared_sentence
from verify.device.formats import FORMATS, FloatFormat
from verify.running.model import bind_construction


@final
class Graphs(Step):
    """Replay a captured generation with other cases, and compare it with the promised tokens and the eager pass."""

    name = "graphs"
    summary = "a generation as a CUDA graph: tokens, and bits against the eager pass"
    beside = "attention"
    seconds: ClassVar = {"full": 60.0, "tiny": 60.0}
    needs_cuda = True
    #: how many cases are replayed
    cases: ClassVar[Mapping[str, int]] = MappingProxyType({"full": 1024, "tiny": 8})

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each format."""
        for fmt in FORMATS:
            yield Task(fmt.name, _graph(fmt, self.cases[setting.preset], setting))

    def judge(self, data: Data) -> Judgement:
        """Every token must be as promised; bits are a finding."""
        if not 0 <= data["wrong"] <= data["cases"]:
            raise ValueError("wrong cases are some of all")
        holds = data["cases"] > 0 and data["wrong"] == 0
        return Judgement(holds, f"{data['wrong']} of {data['cases']} wrong; {compared_sentence(data['compared'])}")


def _graph(fmt: FloatFormat, cases: int, setting: Setting) -> Callable[[], Data]:
    def run() -> Data:
        from verify.device.graphs import Captured, FedSteps  # noqa: PLC0415 # torch takes seconds to import

        construction = UnconditionalGeneration(fmt.vocab_size, 20)
        arithmetic = fmt.arithmetic(setting.device)
        drawn = [construction.targets.sample(cases, seed=seed) for seed in (0, 1)]
        with arithmetic.running():
            steps = FedSteps(bind_construction(construction, arithmetic), construction, drawn[0])
            captured = Captured(steps)
            steps.load(drawn[1])  # other cases than those that were captured
            found = arithmetic.numbers(captured.run())
            return replayed(found, arithmetic.numbers(steps.run()), drawn[1])

    return run


def replayed(found: np.ndarray[Any, Any], eager: np.ndarray[Any, Any], targets: np.ndarray[Any, Any]) -> Data:
    """Return how the logits of a graph compare with those of the eager pass and with the promised tokens.

    Args:
        found: float64, cases x steps x outputs.
        eager: the same.
        targets: the promised tokens, cases x steps.

    """
    own = np.take_along_axis(found, targets[..., None], axis=-1)[..., 0]
    others = np.where(np.arange(found.shape[-1]) == targets[..., None], -np.inf, found).max(axis=-1)
    right = (own > others).all(axis=1)
    return {"cases": len(found), "wrong": int((~right).sum()), "compared": bits_compared(found, eager)}
