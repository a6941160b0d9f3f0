"""The findings of identities that are held to their bounds, and the verdict that they make."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from verify.evidence.verdict import Method, Refutation, Verdict
from verify.prefixes.measured import Deviation
from verify.prefixes.passes import AnyArithmetic


@dataclass
class Tally:
    """The findings so far.

    Attributes:
        cases: layers on which the identity was held to a meaningful bound.
        skipped: layers whose bound is vacuous: infinite, or at least 1 for an attention weight.
        used: the largest part of a bound that a deviation used.
        vacuous: the first skipped layer, in words.
        broken: the first layer with a result that is not finite, or that is not what its bound is about, in words.
        found: the first violation.

    """

    cases: int = 0
    skipped: int = 0
    used: float = 0.0
    vacuous: str | None = None
    broken: str | None = None
    found: Refutation | None = None

    def add(self, found: Sequence[Deviation], subject: str, reproduce: str) -> None:
        """Count one layer."""
        for deviation in found:
            if deviation.bound is None:
                continue
            if not (np.isfinite(deviation.left).all() and np.isfinite(deviation.right).all()):
                self.broken = self.broken or f"{subject}: {deviation.where} is not finite"
                return
            if deviation.says_nothing():
                self.vacuous = self.vacuous or f"{subject}: the bound of {deviation.where} says nothing in this format"
                self.skipped += 1
                return
        self.cases += 1
        for deviation in found:
            used = deviation.used()
            self.used = max(self.used, float(used.max()))
            if self.found is None and (used > 1).any():
                place = tuple(int(axis) for axis in np.argwhere(used > 1)[0])
                self.found = _refutation(deviation, place, subject, reproduce)

    def verdict(
        self,
        claim: str,
        arithmetic: AnyArithmetic,
        *,
        parameters: dict[str, Any],
        method: Method,
        started: float,
        seed: int | None = None,
        assumptions: str | None = None,
        all_count: bool = False,
    ) -> Verdict:
        """Return the verdict.

        Args:
            claim: one of the identities.
            arithmetic: in which the layers ran.
            parameters: sizes, as JSON values.
            method: the kind of evidence.
            started: when, by ``time.perf_counter``.
            seed: of what was drawn.
            assumptions: of the bounds, by default those of the arithmetic.
            all_count: show nothing where the bound of any layer says nothing.

        """
        shown = self.cases > 0 and self.broken is None and self.used < 1 and not (all_count and self.skipped)
        holds = False if self.found is not None else True if shown else None
        exact = arithmetic.fmt is None
        undecided = None if self.found is not None else "a deviation is as large as its bound"
        reason = None if holds else self.broken or self.vacuous or undecided
        if holds and not exact:
            reason = f"the worst deviation uses {self.used:.3g} of the bound computed for its layer"
            if self.skipped:
                reason += f"; {self.skipped} more layers do not count: their bound says nothing in this format"
        return Verdict(
            claim=claim,
            parameters=parameters,
            method=method,
            arithmetic=arithmetic.name,
            device=arithmetic.device,
            holds=holds,
            cases=self.cases,
            margin=self.found.margin if self.found else None if exact or holds is None else 1 - self.used,
            refutation=self.found,
            seed=seed,
            seconds=time.perf_counter() - started,
            reason=reason,
            assumptions=arithmetic.assumptions() if assumptions is None else assumptions,
        )


def _refutation(deviation: Deviation, place: tuple[int, ...], subject: str, reproduce: str) -> Refutation:
    left, right = deviation.left[place], deviation.right[place]
    if deviation.bound is None:
        margin: Fraction | float = -Fraction(str(abs(left - right)))
        within = ""
    else:
        margin = float(deviation.bound[place] - abs(left - right))
        within = f" within {deviation.bound[place]:.3g}"
    return Refutation(
        subject=subject,
        place=f"{deviation.where} at [{', '.join(map(str, place))}]",
        expected=f"{right}{within}",
        produced=str(left),
        margin=margin,
        reproduce=reproduce,
    )
