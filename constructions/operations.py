"""The operations that layers are written in: a layer asks for them, and every arithmetic has its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn

import numpy as np
from jaxtyping import Bool, Int
from typing_extensions import TypeVar

from constructions.activations import Activation
from constructions.temperature import Temperature
from constructions.validation import InvalidArgument

#: A weight matrix, the rows of a sequence (one row a position), attention scores or weights, in an arithmetic. Whoever
#: only builds transformers need not say what holds their weights.
WeightT = TypeVar("WeightT", default=Any)
RowsT = TypeVar("RowsT", default=Any)
ScoresT = TypeVar("ScoresT", default=Any)

if TYPE_CHECKING:
    #: ``visible[i, j]``: whether the i-th new position sees position j.
    Visible = Bool[np.ndarray, "rows keys"]
    #: The same for the keys that a softmax is taken over, which may be more than the positions.
    Attended = Bool[np.ndarray, "rows attended"]
else:  # a tracer of torch, whose sizes are symbols, has tensors here
    Visible, Attended = Bool[Any, "rows keys"], Bool[Any, "rows attended"]


class Operations(ABC, Generic[WeightT, RowsT, ScoresT]):
    """The operations of a forward pass on rows, weights and scores.

    Rows hold one vector for each position, for a batch of sequences where ``batched`` is true and for a single one
    otherwise. Shapes below leave the batch axis out.

    Attributes:
        name: as verdicts call it, such as ``rational`` or ``torch float32``.
        batched: whether rows carry a batch axis in front.

    """

    name: str
    batched: ClassVar[bool] = False

    # rows ------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def embed(self, embedding: WeightT, tokens: Int[np.ndarray, "*batch length"]) -> RowsT:
        """Return the rows ``E[:, token]``; a table of positions is read the same way."""

    @abstractmethod
    def positions(self, context_size: int, start: int, stop: int) -> RowsT:
        """Return the one-hot position codes of positions ``start..stop-1``."""

    @abstractmethod
    def beside(self, left: RowsT, right: RowsT) -> RowsT:
        """Return rows with the coordinates of ``right`` after those of ``left``."""

    @abstractmethod
    def below(self, top: RowsT, bottom: RowsT) -> RowsT:
        """Return the rows of ``bottom`` after those of ``top``."""

    @abstractmethod
    def last(self, rows: RowsT) -> RowsT:
        """Return the last row alone."""

    # layers ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def linear(self, rows: RowsT, weight: WeightT, bias: WeightT | None = None) -> RowsT:
        """Return ``W x + b`` for every row ``x``."""

    @abstractmethod
    def relu(self, rows: RowsT) -> RowsT:
        """Return ``max(0, .)`` of every coordinate."""

    @abstractmethod
    def total(self, parts: Sequence[RowsT]) -> RowsT:
        """Return the sum of rows of one shape, from the first to the last."""

    def pointwise(self, rows: RowsT, activation: Activation) -> RowsT:
        """Return an activation of every coordinate, by what the activation says of itself.

        Raises:
            InvalidArgument: an activation that this arithmetic cannot compute, such as an irrational one exactly.

        """
        self._lacks(f"activation {activation.name}")

    def multiply(self, left: RowsT, right: RowsT) -> RowsT:
        """Return the product of two rows of one width, coordinate by coordinate; one batch of 1 stands for any."""
        self._lacks("product of two rows")

    def normalise(self, rows: RowsT, *, centred: bool, mean: bool, eps: Fraction) -> RowsT:
        """Return every row over the square root of its mean square.

        Args:
            rows: ``x``, one vector a position.
            centred: take the mean of the coordinates off first, as layer normalisation does.
            mean: divide by ``sqrt(mean(x^2) + eps)``; otherwise by ``sqrt(sum(x^2) + eps)``, the Euclidean length.
            eps: added under the root, exactly; a float kernel rounds it to the format.

        """
        self._lacks("norm")

    def affine(self, rows: RowsT, weight: WeightT | None, bias: WeightT | None) -> RowsT:
        """Return ``w * x + b`` coordinate by coordinate, with ``w`` and ``b`` columns; ``None`` leaves one out."""
        self._lacks("norm with a weight or a bias")

    # attention -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def scores(self, queries: RowsT, keys: RowsT) -> ScoresT:
        """Return the inner products of every query with every key, queries x keys."""

    def score_table(self, table: WeightT, start: int, stop: int) -> ScoresT:
        """Return the entries of a table of positions x positions: rows ``start..stop-1``, columns ``0..stop-1``.

        Args:
            table: a weight, entry ``(i, j)`` for the query at position ``i`` and the key at position ``j``.
            start: the first query's position.
            stop: one more than the last query's position.

        """
        self._lacks("score bias")

    def shifted(self, scores: ScoresT, shift: ScoresT) -> ScoresT:
        """Return the sum of scores and a table of them, see :meth:`score_table`."""
        self._lacks("score bias")

    @abstractmethod
    def attention(self, scores: ScoresT, visible: Visible, temperature: Temperature, *, key_size: int) -> ScoresT:
        """Return the attention weights: every row sums to 1 over the visible keys.

        Args:
            scores: queries x keys.
            visible: which keys each query sees, at least one.
            temperature: hardmax, softmax, or softmax at an exact ``q``.
            key_size: ``k`` of the head.

        Raises:
            InvalidArgument: a temperature that this arithmetic cannot compute with.

        """

    def shifted_attention(
        self, scores: ScoresT, shift: ScoresT, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> ScoresT:
        """Return ``softmax(T/sqrt(k) * scores + shift)``, as libraries add ALiBi: after the scores were scaled.

        Args:
            scores: queries x keys.
            shift: a table of exponents, see :meth:`score_table`.
            visible: as in :meth:`attention`.
            temperature: a finite ``T``.
            key_size: ``k`` of the head.

        Raises:
            InvalidArgument: hardmax or an exact ``q``, which have no exponent to add to.

        """
        self._lacks("score bias that is added after scaling")

    @abstractmethod
    def mix(self, attention: ScoresT, values: RowsT) -> RowsT:
        """Return for every query the sum of the values weighted by its attention."""

    def _lacks(self, operation: str) -> NoReturn:
        raise InvalidArgument(f"arithmetic: expected one that has a {operation}, but {self.name} has none")
