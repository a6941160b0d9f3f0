"""Rows, weights and scores as numpy arrays: the operations that move numbers and round none."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format
from constructions.ratios import Ratios
from verify.arithmetic.base import Arithmetic

Array: TypeAlias = Float[np.ndarray, "..."]


class ArrayBase(Arithmetic[Array, Array, Array]):
    """The common part of the arithmetics on numpy arrays, which are batched and run on the cpu.

    Attributes:
        fmt: the format of all numbers.
        dtype: of the arrays; it holds the format.

    """

    batched: ClassVar[bool] = True
    fmt: Format
    device = "cpu"
    dtype: np.dtype[Any]

    def weight(self, matrix: ExactMatrix) -> Array:
        """Return the matrix, every entry correctly rounded."""
        return np.asarray(matrix.to_numpy(self.fmt), dtype=self.dtype)

    def held(self, numbers: np.ndarray[Any, Any]) -> Array:
        """Return floats that the format holds, in the format."""
        return numbers.astype(self.dtype)

    def prompt(self, virtual_tokens: Ratios) -> Array:
        """Return the virtual tokens, every entry correctly rounded."""
        return np.asarray(virtual_tokens.to_float(self.fmt), dtype=self.dtype)

    def embed(self, embedding: Array, tokens: Int[np.ndarray, "*batch length"]) -> Array:
        """Return the columns of the embedding as rows."""
        return np.asarray(embedding.T[tokens])

    def positions(self, context_size: int, start: int, stop: int) -> Array:
        """Return rows of the identity, shape 1 x rows x context."""
        return np.eye(context_size, dtype=self.dtype)[None, start:stop]

    def beside(self, left: Array, right: Array) -> Array:
        """Return the rows side by side."""
        return np.concatenate(_same_batch(left, right), axis=-1)

    def below(self, top: Array, bottom: Array) -> Array:
        """Return the rows one under the other."""
        return np.concatenate(_same_batch(top, bottom), axis=-2)

    def last(self, rows: Array) -> Array:
        """Return the last row."""
        return np.asarray(rows[..., -1:, :])

    def relu(self, rows: Array) -> Array:
        """Return ``max(0, .)``; NaN stays NaN."""
        return np.asarray(np.maximum(rows, self.dtype.type(0)))

    def score_table(self, table: Array, start: int, stop: int) -> Array:
        """Return a part of the table, the same for the whole batch."""
        return np.asarray(table[None, start:stop, :stop])

    def argmax(self, logits: Array) -> Int[np.ndarray, "*batch rows"]:
        """Return the first coordinate of the largest value of every row (a NaN counts as the largest)."""
        return np.asarray(logits.argmax(axis=-1))

    def numbers(self, rows: Array) -> np.ndarray[Any, Any]:
        """Return float64, which holds every format."""
        return np.asarray(rows, dtype=np.float64)


def _same_batch(left: Array, right: Array) -> tuple[Array, Array]:
    batch = right.shape[0] if left.shape[0] == 1 else left.shape[0]  # not the larger: a batch may be empty
    return tuple(np.broadcast_to(part, (batch, *part.shape[1:])) for part in (left, right))  # type: ignore[return-value] # two of them
