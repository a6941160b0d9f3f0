"""The questions that relations put to an arithmetic of bounds: rows taken apart, put together and intersected.

An arithmetic whose rows are bounds of many cells (its outer rows) computes with rows of a single cell as well (inner
rows: of a batch of 1). A file for each arithmetic registers how the two go together with :func:`enclosures_of`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import singledispatch
from typing import Any, Generic

import numpy as np
from jaxtyping import Bool, Float, Int
from typing_extensions import TypeVar

from constructions.operations import RowsT, WeightT
from verify.certificates.enclosing import EnclosingArithmetic
from verify.certificates.relational.factors.kernels import Kernels
from verify.certificates.relational.related import Origin, Scaled

InnerT = TypeVar("InnerT", default=Any)


class Enclosures(ABC, Generic[WeightT, RowsT, InnerT]):
    """How the bounds of one arithmetic are taken apart and put together.

    Attributes:
        inner: the arithmetic of inner rows; its operations are those of the outer rows.
        symbols: the functions of :mod:`verify.certificates.relational.monomials` for the outer rows; ``None`` for none.
        kernels: what computed numbers may be off by; ``None`` where the rules of rows with factors do not hold.

    """

    symbols: Any = None
    kernels: Kernels | None = None
    inner: EnclosingArithmetic[WeightT, InnerT, Any]

    @abstractmethod
    def count(self, rows: RowsT) -> int:
        """Return the number of rows."""

    @abstractmethod
    def width(self, inner: InnerT) -> int:
        """Return the number of coordinates of inner rows."""

    @abstractmethod
    def one(self, rows: RowsT, place: int) -> InnerT:
        """Return a row as one inner row that encloses it in every cell."""

    @abstractmethod
    def repeated(self, inner: InnerT, count: int) -> InnerT:
        """Return an inner row so many times."""

    @abstractmethod
    def hulls(self, inner: InnerT, first: Int[np.ndarray, " cells"], last: Int[np.ndarray, " cells"]) -> RowsT:
        """Return for every cell the hull of the inner rows between two, both included, as one row."""

    @abstractmethod
    def met(self, rows: RowsT, place: int, other: RowsT) -> RowsT:
        """Return the rows with the one at ``place`` in both enclosures: its own, and ``other``, of one row.

        Both enclose what a kernel computes, so their intersection does. If they do not meet, the rows stay as they are.
        """

    def finite(self, rows: RowsT) -> bool:
        """Return whether rows of a norm are certainly numbers; asked only where the arithmetic below could not tell."""
        del rows
        return False

    def scaled_margins(
        self, scaled: Scaled[RowsT], weight: WeightT, bias: WeightT, expected: Int[np.ndarray, " cells"]
    ) -> Float[np.ndarray, " cells"] | None:
        """Return lower bounds of the margins of logits that read rows with one factor each; ``None`` for no bounds."""
        del scaled, weight, bias, expected
        return None

    @abstractmethod
    def varying(self, rows: RowsT, place: int) -> Bool[np.ndarray, " width"]:
        """Return the coordinates of a row that are not a single number, the same in every cell."""

    @abstractmethod
    def along_lines(
        self, found: RowsT, origin: Origin[RowsT], hidden: RowsT, weight: WeightT, bias: WeightT | None
    ) -> RowsT:
        """Return bounds of ``W h + b`` within ``found``, by what coordinates of ``h`` have in common.

        Args:
            found: bounds of it.
            origin: where ``h`` comes from, ``h = f(W_1 x + b_1)``.
            hidden: bounds of ``h``.
            weight: ``W``.
            bias: ``b``.

        """

    @abstractmethod
    def dense(self, weight: WeightT) -> Float[np.ndarray, "rows columns"]:
        """Return a matrix as the nearest float64 numbers."""

    @abstractmethod
    def of_numbers(
        self, low: Float[np.ndarray, "cells rows width"], high: Float[np.ndarray, "cells rows width"]
    ) -> RowsT:
        """Return outer rows of all numbers between float64 bounds that the arithmetic may have there."""

    @abstractmethod
    def reads(self, weight: WeightT) -> Bool[np.ndarray, "rows columns"]:
        """Return where a matrix is not 0."""


@singledispatch
def enclosures_of(arithmetic: object) -> Enclosures[Any, Any, Any] | None:
    """Return how an arithmetic's bounds are taken apart; ``None`` for one that has not registered how."""
    del arithmetic
    return None
