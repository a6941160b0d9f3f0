"""What an obligation is: a statement about the very weights of a construction that sympy must show to be true."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

from constructions import Transformer
from proofs.decide import Decision, ObligationUndecided

Check = Callable[[Transformer], Iterator[Decision]]


@final
@dataclass(frozen=True)
class Proof:
    """The record of a discharged obligation.

    Attributes:
        obligation: the obligation's id.
        decisions: everything that sympy decided on the way; at least one.
        seconds: how long it took.

    """

    obligation: str
    decisions: tuple[Decision, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        """True: a proof exists only for what was decided to be true."""
        return bool(self.decisions)


@final
@dataclass(frozen=True)
class Obligation:
    """A statement for ALL sizes, positions and tokens, which sympy decides on the symbolic weights.

    Attributes:
        id: the claim's id, a dot, and what it is about.
        statement: in words.
        latex: in LaTeX, without dollar signs.
        check: yields the decisions that together are the statement, given a transformer; raises when one fails.
        subject: returns the transformer that the claim is about. Its expressions are symbolic, so that the numbers it
            was built with play no part.

    """

    id: str
    statement: str
    latex: str
    check: Check
    subject: Callable[[], Transformer]

    def discharge(self, transformer: Transformer | None = None) -> Proof:
        """Return the proof.

        Args:
            transformer: other weights to hold to the same statement; those of the claim when ``None``.

        Raises:
            ObligationFailed: the statement is false of these weights.
            ObligationUndecided: sympy cannot decide it, or nothing at all was decided: not shown.

        """
        start = time.perf_counter()
        decisions = tuple(self.check(self.subject() if transformer is None else transformer))
        if not decisions:
            raise ObligationUndecided(f"undecided: {self.id}: its check decided nothing")
        return Proof(self.id, decisions, time.perf_counter() - start)
