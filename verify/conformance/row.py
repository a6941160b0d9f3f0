"""The outcome of one backend in one format on the known answers of one claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from verify.conformance.deviation import Deviation
from verify.evidence.verdict import Margin, Verdict, margin_to_json


@dataclass(frozen=True)
class InOtherBatch:
    """Cases that ran once more in another batch, compared with the first time bit for bit.

    Attributes:
        how: the other batch, in words.
        compared: how many cases.
        equal: how many gave the same bits.
        right: how many gave what is promised.
        within: how many gave logits within the certificate's bounds; all of them where there are no logits or bounds.

    """

    how: str
    compared: int
    equal: int
    right: int
    within: int

    def sentence(self) -> str | None:
        """Return how many cases gave other bits, in words; ``None`` where none did."""
        if self.equal == self.compared:
            return None
        return f"{self.compared - self.equal} of {self.compared} cases gave other bits {self.how}"

    def to_json(self) -> Mapping[str, Any]:
        """Return JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """One backend in one format, on the known answers of one claim.

    Attributes:
        claim: the claim's id.
        backend: its name, as ``--backend`` takes it.
        dtype: the format.
        missing: why it did not run: something that it needs is not here, or it cannot run this construction; ``None``
            where it ran.
        tokens: whether every answer is as promised.
        logits: whether every logit is within the certificate's bounds; ``None`` where there are no logits or bounds, or
            where none is outside of bounds that are too wide to decide every answer.
        without_logits: why ``logits`` is ``None``, where it ran.
        certificate: which one bounds the logits, with its assumptions; ``None`` where none does.
        right: how many cases are as promised.
        cases: how many ran.
        margin: the smallest margin over all cases, NaN where a logit is not finite; ``None`` where none is known.
        deviation: of the logits; ``None`` where there are none.
        batches: the same cases in other batches; empty where the backend runs its cases one by one.

    """

    claim: str
    backend: str
    dtype: str
    missing: str | None = None
    tokens: Verdict | None = None
    logits: Verdict | None = None
    without_logits: str | None = None
    certificate: str | None = None
    right: int = 0
    cases: int = 0
    margin: Margin | None = None
    deviation: Deviation | None = None
    batches: tuple[InOtherBatch, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether the backend ran at all."""
        return self.tokens is not None

    @property
    def passed(self) -> bool:
        """Whether every answer is as promised, and the verdict on the logits holds where there is one.

        A backend that did not run never passes.
        """
        return (
            self.tokens is not None and self.tokens.holds is True and (self.logits is None or bool(self.logits.holds))
        )

    @property
    def independent(self) -> bool | None:
        """Whether no bit depended on the batch; ``None`` where no other batch ran."""
        if not any(batch.compared for batch in self.batches):
            return None
        return all(batch.equal == batch.compared for batch in self.batches)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts about its tokens and its logits."""
        return tuple(verdict for verdict in (self.tokens, self.logits) if verdict is not None)

    def failures(self) -> list[str]:
        """Return, a line each, what speaks against it: a case, or why nothing is shown."""
        if self.missing is not None:
            return [f"{self.backend} {self.dtype} did not run: {self.missing}"]
        lines = []
        for verdict in self.verdicts:
            if verdict.case is not None:
                lines.append(verdict.case.sentence())
            elif verdict.holds is not True:
                lines.append(f"{verdict.arithmetic}: not shown: {verdict.reason}")
        return lines

    def to_json(self) -> Mapping[str, Any]:
        """Return JSON values: the verdicts as everywhere, and what was measured beside them."""
        return {
            "claim": self.claim,
            "backend": self.backend,
            "dtype": self.dtype,
            "ran": self.ran,
            "passed": self.passed,
            "missing": self.missing,
            "tokens": None if self.tokens is None else self.tokens.to_json(),
            "logits": None if self.logits is None else self.logits.to_json(),
            "without_logits": self.without_logits,
            "certificate": self.certificate,
            "right": self.right,
            "cases": self.cases,
            "margin": margin_to_json(self.margin),
            "deviation": None if self.deviation is None else self.deviation.to_json(),
            "batches": [batch.to_json() for batch in self.batches],
        }
