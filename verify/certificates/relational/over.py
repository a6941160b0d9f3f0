"""An arithmetic of bounds that keeps more than another one: what it leaves to that one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from constructions.exact_matrix import ExactMatrix
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.temperature import Temperature
from verify.arithmetic.base import Visible
from verify.certificates.enclosing import EnclosingArithmetic


class OverArithmetic(EnclosingArithmetic[WeightT, RowsT, ScoresT]):
    """Weights, scores and assumptions of the arithmetic below; a subclass has rows of its own.

    Attributes:
        base: the arithmetic below.

    """

    def __init__(self, base: EnclosingArithmetic[WeightT, Any, ScoresT]) -> None:
        """Leave weights and scores to ``base``."""
        self.base = base
        self.name, self.fmt, self.device = base.name, base.fmt, base.device

    @property
    def undefined(self) -> bool:
        """Whether something may be no number at all."""
        return self.base.undefined

    @undefined.setter
    def undefined(self, value: bool) -> None:
        self.base.undefined = value

    def weight(self, matrix: ExactMatrix) -> WeightT:
        """Return the matrix."""
        return self.base.weight(matrix)

    def score_table(self, table: WeightT, start: int, stop: int) -> ScoresT:
        """Return the entries of a table of positions x positions."""
        return self.base.score_table(table, start, stop)

    def shifted(self, scores: ScoresT, shift: ScoresT) -> ScoresT:
        """Return the sum of scores and a table of them."""
        return self.base.shifted(scores, shift)

    def attention(self, scores: ScoresT, visible: Visible, temperature: Temperature, *, key_size: int) -> ScoresT:
        """Return the attention weights."""
        return self.base.attention(scores, visible, temperature, key_size=key_size)

    def shifted_attention(
        self, scores: ScoresT, shift: ScoresT, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> ScoresT:
        """Return the attention weights of scores that a table is added to once they are scaled."""
        return self.base.shifted_attention(scores, shift, visible, temperature, key_size=key_size)

    def assumptions(self) -> str:
        """Return what the arithmetic below assumes."""
        return self.base.assumptions()

    def bounding(self) -> AbstractContextManager[None]:
        """Return the settings of the arithmetic below."""
        return self.base.bounding()
