"""Check that a weight fits the input of its layer; messages name the layer, the matrix and both shapes."""

from __future__ import annotations

from dataclasses import dataclass

from constructions.exact_matrix import ExactMatrix
from constructions.validation import InvalidArgument


@dataclass(frozen=True)
class Width:
    """The width of a layer's input, and where it comes from, for messages."""

    size: int
    origin: str

    def check(self, matrix: ExactMatrix, what: str, rows: int | None = None, reason: str | None = None) -> int:
        """Refuse a matrix that does not read this width; return its number of rows.

        Args:
            matrix: the weight.
            what: the weight in words.
            rows: how many rows it must have; any by default.
            reason: why so many rows.

        """
        wanted = (matrix.shape[0] if rows is None else rows, self.size)
        wide = f"its input is {self.size} wide: {self.origin}"
        tall = rows is None or rows == matrix.shape[0]
        check_shape(what, matrix, wanted, wide if tall or reason is None else f"{reason}, and {wide}")
        return wanted[0]


def check_shape(what: str, matrix: ExactMatrix, shape: tuple[int, int], reason: str) -> None:
    """Refuse a matrix of another shape.

    Raises:
        InvalidArgument: it has another one.

    """
    if matrix.shape != shape:
        rows, columns = matrix.shape
        raise InvalidArgument(
            f"layers: expected {what} to be {shape[0]} x {shape[1]} but it is {rows} x {columns}; {reason}"
        )
