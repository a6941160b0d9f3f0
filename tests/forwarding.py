"""The operations of a number system handed on to another one, for arithmetics of the tests that change one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from constructions.exact_matrix import ExactMatrix
from constructions.temperature import Temperature
from verify.arithmetic.base import NumberSystem, Visible


class Forwarding(NumberSystem[Any, Any, Any]):
    """Everything that certificates and forward passes of the paper's layers ask for, as ``base`` has it."""

    base: Any

    def weight(self, matrix: ExactMatrix) -> Any:
        return self.base.weight(matrix)

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

    def numbers(self, rows: Any) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self.base.numbers(rows)
        return found
