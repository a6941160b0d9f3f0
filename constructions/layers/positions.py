"""How a transformer tells positions apart before its first layer."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np
from jaxtyping import Float, Int

from constructions.exact_matrix import ExactMatrix
from constructions.layers.passes import Pass
from constructions.layers.weighted import Weighted, held
from constructions.layers.widths import Width
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.validation import InvalidArgument, check_integer, reject


@dataclass(frozen=True, eq=False)
class Positions(Weighted[WeightT]):
    """A way to tell positions apart: it turns the embeddings of the new positions into the first layer's input.

    Code of your own may compute from the number of positions: certificates run it as generation does, step by step.
    """

    def prefix(self, outer: str) -> str:
        """Return the beginning of the names of its matrices."""
        return "positions."

    @abstractmethod
    def fitted(self: Positions[ExactMatrix], embedding_size: int, context_size: int) -> Width:
        """Return the width of the first layer's input.

        Raises:
            InvalidArgument: a table of another size.

        """

    @abstractmethod
    def apply(self, run: Pass[WeightT, RowsT, ScoresT], embedded: RowsT, context_size: int) -> RowsT:
        """Return the first layer's input."""


@final
@dataclass(frozen=True, eq=False)
class OneHot(Positions[WeightT]):
    """The one-hot code ``e_i`` of position ``i``, concatenated under the embedding (paper, section 2)."""

    by_position: ClassVar[bool] = True

    def fitted(self: Positions[ExactMatrix], embedding_size: int, context_size: int) -> Width:
        """Return the width of both."""
        origin = f"{counted(embedding_size, 'coordinate')} of the embedding and {counted(context_size, 'position')}"
        return Width(embedding_size + context_size, origin)

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], embedded: RowsT, context_size: int) -> RowsT:
        """Return the embeddings with the codes under them."""
        codes = run.operations.positions(context_size, run.start, run.start + run.count)
        return run.operations.beside(embedded, codes)


@final
@dataclass(frozen=True, eq=False)
class Added(Positions[WeightT]):
    """A vector for each position, learned or sinusoidal, added to the embedding.

    Attributes:
        table: embedding size x positions, the exact numbers that a model holds.

    """

    by_position: ClassVar[bool] = True

    table: WeightT = held("P")

    def __post_init__(self) -> None:
        self._expressions("positions")

    def fitted(self: Added[ExactMatrix], embedding_size: int, context_size: int) -> Width:
        """Return the embedding size."""
        rows, columns = self.table.shape
        if rows != embedding_size or columns < context_size:
            raise InvalidArgument(
                f"positions: expected a table of {embedding_size} x {context_size}, embedding size x context size, or"
                f" more columns, but it is {rows} x {columns}"
            )
        return Width(embedding_size, f"{counted(embedding_size, 'coordinate')} of the embedding")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], embedded: RowsT, context_size: int) -> RowsT:
        """Return the sums."""
        return run.operations.total([embedded, run.table(self.table)])


@final
@dataclass(frozen=True, eq=False)
class Unmarked(Positions[WeightT]):
    """Nothing: positions are told apart by rotary heads, by score biases, by the mask, or by nothing at all."""

    by_position: ClassVar[bool] = True

    def fitted(self: Positions[ExactMatrix], embedding_size: int, context_size: int) -> Width:
        """Return the embedding size."""
        return Width(embedding_size, f"{counted(embedding_size, 'coordinate')} of the embedding")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], embedded: RowsT, context_size: int) -> RowsT:
        """Return the embeddings."""
        return embedded


def sinusoidal(embedding_size: int, context_size: int, *, base: float = 10000.0) -> Added[Any]:
    """Return the table of Vaswani et al. (2017), at float32 as a model holds it.

    Row ``2i`` is ``sin(t / base^(2i/d))``, row ``2i + 1`` the cosine.

    Args:
        embedding_size: ``d``.
        context_size: number of positions.
        base: of the wavelengths.

    Raises:
        InvalidArgument: a size below 1, or a base that is not a positive number.

    Example:
        >>> sinusoidal(4, 3).table.shape
        (4, 3)

    """
    check_integer("embedding_size", embedding_size, 1)
    rows = np.arange(embedding_size)
    angles = angles_of(rows // 2, embedding_size, context_size, base)
    table = np.where(rows[:, None] % 2 == 0, np.sin(angles), np.cos(angles))
    return Added(table.astype(np.float32))


def angles_of(
    pairs: Int[np.ndarray, " rows"], size: int, context_size: int, base: float
) -> Float[np.ndarray, "rows t"]:
    """Return ``t / base^(2i/size)`` for pairs ``i`` of coordinates and positions ``t``, in float64.

    Raises:
        InvalidArgument: a base that is not a positive number, or no positions.

    """
    check_integer("context_size", context_size, 1)
    if isinstance(base, bool) or not isinstance(base, (int, float, Fraction)) or not 0 < base < math.inf:
        reject("base", "a positive number", base)
    return np.outer(float(base) ** (-2.0 * pairs / size), np.arange(context_size))


def counted(number: int, what: str) -> str:
    """Return a number and its noun, in the plural where it needs one."""
    return f"{number} {what}{'' if number == 1 else 's'}"
