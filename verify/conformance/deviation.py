"""Logits against the exact ones, and against the bounds of a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from constructions.decoding import Answers
from verify.conformance.answers import KnownAnswers
from verify.evidence.verdict import margin_to_json


@dataclass(frozen=True)
class Deviation:
    """The logits of a backend against the exact ones and against what a certificate allows.

    Attributes:
        compared: how many logits: those of the steps that were fed the promised tokens.
        missed: how many were not compared, as an earlier token was wrong or their case did not run.
        largest: the largest distance from the exact logit, NaN where a logit is not finite; ``None`` where no exact
            logit is known.
        allowance: the largest distance that the certificate allows at the logit where ``largest`` is; ``None`` where it
            bounds none.
        outside: how many logits are not within the certificate's bounds; ``None`` where it bounds none.

    """

    compared: int
    missed: int
    largest: float | None
    allowance: float | None
    outside: int | None

    @property
    def complete(self) -> bool:
        """Whether there was something to compare, and all of it was."""
        return self.compared > 0 and self.missed == 0

    def to_json(self) -> Mapping[str, Any]:
        """Return JSON values; what is not finite is a word."""
        return {
            "compared": self.compared,
            "missed": self.missed,
            "largest": margin_to_json(self.largest),
            "allowance": margin_to_json(self.allowance),
            "outside": self.outside,
        }


def within(
    answers: KnownAnswers, cases: Int[np.ndarray, " some"], logits: Float[np.ndarray, "some response outputs"]
) -> Bool[np.ndarray, "some response outputs"]:
    """Return which logits of some cases are within the certificate's bounds; all of them where it bounds none."""
    if answers.allowed is None:
        return np.ones(logits.shape, dtype=np.bool_)
    return np.asarray((logits >= answers.allowed.low[cases]) & (logits <= answers.allowed.high[cases]))  # not NaN


def deviation(
    answers: KnownAnswers, produced: Answers, logits: Float[np.ndarray, "some response outputs"]
) -> tuple[Deviation, tuple[int, int, int] | None]:
    """Return how far the logits of the first cases are off, and the first of them outside the bounds.

    Args:
        answers: the cases.
        produced: the answers of the first of them, as many as ran.
        logits: theirs.

    Returns:
        The deviation; and the case, the step and the output of the first logit outside, ``None`` where there is none.

    """
    some = np.arange(len(logits))
    wrong = np.asarray(produced != answers.promised[some], dtype=np.bool_)
    # a wrong token that is fed back is another input: the steps after it cannot be compared
    right_before: Bool[np.ndarray, "some response"] = np.asarray(np.cumsum(wrong, axis=1) - wrong == 0)
    if answers.specification.layout.read is not None:  # nothing is fed back
        right_before[:] = True
    compared = np.broadcast_to(right_before[..., None], logits.shape)
    count = int(compared.sum())
    missed = len(answers) * logits[:1].size - count
    largest, allowance = None, None
    if answers.exact is not None and count:
        below, above = answers.exact.low[some], answers.exact.high[some]
        with np.errstate(invalid="ignore"):
            off = np.maximum(np.abs(logits - below), np.abs(logits - above))
        off = np.where(compared, np.where(np.isfinite(logits), off, np.nan), -np.inf)
        place = np.unravel_index(int(np.argmax(off)), off.shape)  # that of a NaN, where there is one
        largest = float(off[place])
        if answers.allowed is not None:
            low, high = answers.allowed.low[place], answers.allowed.high[place]
            allowance = float(max(high - below[place], above[place] - low))
    out = [
        (case, step, output) for case, step, output in np.argwhere(compared & ~within(answers, some, logits)).tolist()
    ]
    outside = None if answers.allowed is None else len(out)
    return Deviation(count, missed, largest, allowance, outside), out[0] if out else None
