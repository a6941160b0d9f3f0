"""An obligation: a statement about the object of a claim itself, which sympy must show to be true."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

from proofs.decide import Decision, ObligationUndecided

#: Takes the subject of the claim: a transformer, or for any attention layer the rule by which it weighs.
Check = Callable[[Any], Iterator[Decision]]


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
        """True: a proof exists only for statements that were decided to be true."""
        return bool(self.decisions)


@final
@dataclass(frozen=True)
class Obligation:
    """A statement for ALL sizes, positions and tokens, which sympy decides on the symbolic weights.

    Attributes:
        id: the claim's id, a dot, and the topic.
        statement: in words.
        latex: in LaTeX, without dollar signs.
        check: yields the decisions that together are the statement, given the subject; raises when one fails.
        subject: returns the subject of the claim, such as a transformer. Its expressions are symbolic: the numbers it
            was built with play no part.

    Example:
        >>> from proofs import get_claim
        >>> obligation = get_claim("theorem-2").obligations[0]
        >>> obligation.id
        'theorem-2.self-scores'
        >>> obligation.discharge().holds
        True

    """

    id: str
    statement: str
    latex: str
    check: Check
    subject: Callable[[], Any]

    def discharge(self, transformer: Any = None) -> Proof:
        """Return the proof.

        Args:
            transformer: another subject (other weights) that is held to the same statement; the claim's own by default.

        Raises:
            ObligationFailed: the statement is false of these weights.
            ObligationUndecided: sympy cannot decide it, or nothing at all was decided: not shown.

        """
        start = time.perf_counter()
        decisions = tuple(self.check(self.subject() if transformer is None else transformer))
        if not decisions:
            raise ObligationUndecided(f"undecided: {self.id}: its check decided nothing")
        return Proof(self.id, decisions, time.perf_counter() - start)
