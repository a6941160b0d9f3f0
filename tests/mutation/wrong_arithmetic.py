"""Faults of meaning: an arithmetic that does everything as another one does, but for one operation.

The forward pass runs on it unchanged, in rationals, numpy and torch alike, so that a fault is written once.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, ClassVar

from constructions import Ratios
from constructions.exact_matrix import ExactMatrix, Leaf
from tests.forwarding import Forwarding
from verify.arithmetic import Arithmetic

AnyArithmetic = Arithmetic[Any, Any, Any]


class Delegating(Forwarding, Arithmetic[Any, Any, Any]):
    """The arithmetic ``base``, operation by operation."""

    batched: ClassVar[bool] = False

    def __init__(self, base: AnyArithmetic) -> None:
        self.base = base
        self.name, self.fmt, self.device = base.name, base.fmt, base.device

    def prompt(self, virtual_tokens: Ratios) -> Any:
        return self.base.prompt(virtual_tokens)

    def embed(self, embedding: Any, tokens: Any) -> Any:
        return self.base.embed(embedding, tokens)

    def argmax(self, logits: Any) -> Any:
        return self.base.argmax(logits)

    def times(self, rows: Any, factor: Fraction) -> Any:
        """Return the rows times a number: a fault made of a scaled identity, in any arithmetic."""
        width = self.base.numbers(rows).shape[-1]
        scaled = ExactMatrix((width,), (width,), {(0, 0): Leaf("identity", factor)})
        return self.base.linear(rows, self.base.weight(scaled))


def wrapped(operation: str, fault: Callable[..., Any]) -> Callable[[AnyArithmetic], AnyArithmetic]:
    """Return what makes a faulty arithmetic of a right one.

    Args:
        operation: the one that is faulty.
        fault: called with the :class:`Delegating` arithmetic, which has the right operations under ``base``, and the
            operation's arguments.

    """

    def wrap(base: AnyArithmetic) -> AnyArithmetic:
        made = type("Faulty", (Delegating,), {operation: fault, "batched": base.batched})
        arithmetic: AnyArithmetic = made(base)
        return arithmetic

    return wrap
