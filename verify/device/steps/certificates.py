"""The certificates against the device: its logits lie within the bounds that hold for every kernel of the format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from constructions import ConditionalGeneration, UnconditionalGeneration
from constructions.construction import Construction
from constructions.formats import get_format
from verify.certificates import certify
from verify.conformance.bounds import Cases, bounds_of
from verify.device.base import Data, Judgement, NotDoneError, Setting, Step, Task
from verify.device.formats import FORMATS, KERNELS, FloatFormat
from verify.evidence.tally import no_progress
from verify.running.cases import Runner, spaces


@dataclass(frozen=True)
class _Amount:
    """How many cases of which sizes are held against the bounds: as many positions, and tokens at most."""

    cases: int
    positions: int
    vocab_size: int


@final
class Certificates(Step):
    """Logits and margins of drawn cases, held against the bounds and the certified margin of their format."""

    name = "certificates"
    summary = "logits and margins of drawn cases within what the certificates allow"
    seconds: ClassVar = {"full": 90.0, "tiny": 60.0}
    amounts: ClassVar[Mapping[str, _Amount]] = MappingProxyType(
        {"full": _Amount(500, 20, 94), "tiny": _Amount(5, 4, 8)}
    )

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield a task for each construction, format and kernel."""
        amount = self.amounts[setting.preset]
        for fmt in FORMATS:
            size = min(fmt.vocab_size, amount.vocab_size)
            for made in (UnconditionalGeneration(size, amount.positions), ConditionalGeneration(size)):
                for kernel in KERNELS:
                    yield _task(made, fmt, kernel, amount, setting)

    def judge(self, data: Data) -> Judgement:
        """No logit may lie outside of its bounds, and no margin below the certified one."""
        cases, logits, outside = data["cases"], data["logits"], data["outside"]
        if not 0 <= outside <= logits:
            raise ValueError("logits outside are some of all")
        margin, certified = data["margin"], data["certified margin"]
        holds = cases > 0 and logits >= cases and outside == 0 and data["wrong"] == 0 and margin >= certified > 0
        return Judgement(
            holds,
            f"{outside} of {logits:,} logits of {cases} cases outside of {data['certificate']}; {data['wrong']} wrong"
            f" tokens; smallest margin {margin:.4g}, certified {certified:.4g}; the largest deviation took"
            f" {data['share']:.3g} of what is allowed",
        )


def _task(construction: Construction, fmt: FloatFormat, kernel: str, amount: _Amount, setting: Setting) -> Task:
    def run() -> Data:
        targets, users = spaces(construction)
        drawn = targets.sample(amount.cases, seed=1), users.sample(amount.cases, seed=2)
        cases = Cases(*drawn, construction.response(*drawn))
        exact, allowed, said = bounds_of(construction, get_format(fmt.dtype), cases, no_progress, tf32=fmt.tf32)
        verdict = certify(construction, fmt.certifies())
        if allowed is None or exact is None or verdict.holds is not True or verdict.margin is None:
            raise NotDoneError(f"no certificate: {said}; {verdict.reason}")
        outcome = Runner(construction, fmt.arithmetic(setting.device, kernel)).run(*drawn)
        logits = outcome.logits
        assert logits is not None, "an arithmetic gives its logits"
        inside = (allowed.low <= logits) & (logits <= allowed.high)  # false for NaN
        return {
            "construction": repr(construction),
            "certificate": fmt.certifies().name,
            "cases": len(logits),
            "logits": int(logits.size),
            "outside": int((~inside).sum()),
            "wrong": int(outcome.failures().sum()),
            "margin": float(outcome.smallest_margin()),
            "certified margin": float(verdict.margin),
            "share": _share(logits, exact, allowed),
        }

    return Task(f"{type(construction).__name__} {fmt.name} {kernel}", run)


def _share(logits: Any, exact: Any, allowed: Any) -> float:
    """Return the largest deviation from the exact logits, as a share of what is allowed on its side."""
    middle = (exact.low + exact.high) / 2
    above, below = logits - middle, middle - logits
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(above >= 0, above / (allowed.high - middle), below / (middle - allowed.low))
    return float(np.max(np.where(above == 0, 0.0, shares)))
