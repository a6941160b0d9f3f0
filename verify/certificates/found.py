"""Cells that a certificate has looked at, and the first that it could not decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from verify.certificates.enclosing import Margins


@dataclass
class Found:
    """What is known of the cells so far.

    Attributes:
        count: how many cells were looked at.
        members: how many targets were run as a forward pass runs them.
        margin: the smallest margin; NaN where one is.
        reason: why nothing is shown; ``None`` while every cell is certain.
        by: why cells that were not looked at are certain too, as the beginning of a sentence; empty without such cells.
        together: how many targets were run so for all cells at once, before any of them was looked at.
        steps: the steps of the response of which cells were looked at.

    """

    count: int = 0
    members: int = 0
    margin: float = np.inf
    reason: str | None = None
    by: str = ""
    together: int = 0
    steps: frozenset[int] = frozenset()

    @property
    def looked_at(self) -> int:
        """How many targets were run as a forward pass runs them, in all."""
        return self.members + self.together

    def lower(self, margin: float) -> None:
        """Take the smallest margin of further cells."""
        self.margin = float(np.minimum(self.margin, margin))  # NaN stays NaN

    def add(
        self,
        margins: Margins,
        expected: Int[np.ndarray, " cells"],
        users: Int[np.ndarray, "cells user"],
        step: int,
    ) -> None:
        """Add cells of a step of the response.

        Args:
            margins: of the cells.
            expected: the promised tokens.
            users: the user's tokens.
            step: which response token.

        """
        self.count += len(expected)
        self.steps |= {step}
        self.lower(float(margins.lower.min()))
        undecided = np.flatnonzero(~margins.certain)
        if len(undecided):
            # the one of the smallest margin, which is the verdict's
            first = undecided[int(np.argmin(margins.lower[undecided]))]
            given = f" with user input {users[first].tolist()}" if users.shape[1] else ""
            self.reason = f"not decided: token {expected[first]} at response position {step}{given}"
