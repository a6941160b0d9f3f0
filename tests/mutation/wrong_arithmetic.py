"""Faults of meaning: an arithmetic that does everything as another one does, but for one operation.

The forward pass runs on it unchanged, in rationals, numpy and torch alike, so that a fault is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from constructions import Ratios, Temperature
from constructions.exact_matrix import ExactMatrix, Leaf
from verify.arithmetic import Arithmetic
from verify.arithmetic.base import Visible

AnyArithmetic = Arithmetic[Any, Any, Any]


class Delegating(Arithmetic[Any, Any, Any]):
    """The arithmetic ``base``, operation by operation."""

    batched: ClassVar[bool] = False

    def __init__(self, base: AnyArithmetic) -> None:
        self.base = base
        self.name, self.fmt, self.device = base.name, base.fmt, base.device

    def weight(self, matrix: ExactMatrix) -> Any:
        return self.base.weight(matrix)

    def prompt(self, virtual_tokens: Ratios) -> Any:
        return self.base.prompt(virtual_tokens)

    def embed(self, embedding: Any, tokens: Any) -> Any:
        return self.base.embed(embedding, tokens)

    def positions(self, context_size: int, start: int, stop: int) -> Any:
        return self.base.positions(context_size, start, stop)

    def beside(self, left: Any, right: Any) -> Any:
        return self.base.beside(left, right)

    def below(self, top: Any, bottom: Any) -> Any:
        return self.base.below(top, bottom)

    def last(self, rows: Any) -> Any:
        return self.base.last(rows)

    def linear(self, rows: Any, weight: Any, bias: Any = None) -> Any:
        return self.base.linear(rows, weight, bias)

    def relu(self, rows: Any) -> Any:
        return self.base.relu(rows)

    def scores(self, queries: Any, keys: Any) -> Any:
        return self.base.scores(queries, keys)

    def attention(self, scores: Any, visible: Visible, temperature: Temperature, *, key_size: int) -> Any:
        return self.base.attention(scores, visible, temperature, key_size=key_size)

    def mix(self, attention: Any, values: Any) -> Any:
        return self.base.mix(attention, values)

    def total(self, parts: Sequence[Any]) -> Any:
        return self.base.total(parts)

    def argmax(self, logits: Any) -> Any:
        return self.base.argmax(logits)

    def numbers(self, rows: Any) -> np.ndarray[Any, Any]:
        return self.base.numbers(rows)

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
