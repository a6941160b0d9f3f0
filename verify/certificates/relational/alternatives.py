"""A row that is one of finitely many: the embedding of a token between two, and all that is computed from it alone.

The box of a set of embeddings forgets which coordinates go together: that of all one-hot embeddings is ``[0, 1]^V``,
whose coordinates may all be 1. So the embeddings are kept one by one, as the rows of a table, and every operation that
reads this row and nothing else that is unknown is applied to each of them. A row of the table encloses what a kernel
computes for its token, in any order of summation, as the rows of any enclosure do; the hull of those between two tokens
therefore encloses it for a token between them. It is intersected with the plain bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
from jaxtyping import Int

from constructions.operations import RowsT
from verify.certificates.cells import BATCH_NUMBERS


@dataclass(frozen=True, eq=False)
class Choice:
    """An unknown token; two rows are computed from the same one if they have the same object.

    Attributes:
        low: the smallest token in each cell.
        high: the largest one.

    """

    low: Int[np.ndarray, " cells"]
    high: Int[np.ndarray, " cells"]

    @property
    def first(self) -> int:
        """The token of the first alternative."""
        return int(self.low.min())

    @property
    def count(self) -> int:
        """How many alternatives there are."""
        return int(self.high.max()) - self.first + 1

    def fits(self, width: int) -> bool:
        """Return whether a table of so many coordinates takes no more memory than a batch of cells may."""
        return self.count * width <= BATCH_NUMBERS


class Table:
    """The alternatives of one row, computed when they are first asked for.

    Attributes:
        choice: the token that decides which of them it is.

    """

    def __init__(self, choice: Choice, make: Callable[[], Any]) -> None:
        """Hold what ``make`` returns: inner rows, one for each alternative, or ``None`` where there are too many."""
        self.choice = choice
        self._make: Callable[[], Any] | None = make
        self._rows: Any = None

    @property
    def rows(self) -> Any:
        """The inner rows, ``None`` where there are too many."""
        if self._make is not None:
            self._rows, self._make = self._make(), None  # what they are made of is no longer needed
        return self._rows

    def then(self, operation: Callable[[Any], Any]) -> Table:
        """Return the table of an operation on each alternative."""

        def make() -> Any:
            rows = self.rows
            return None if rows is None else operation(rows)

        return Table(self.choice, make)


@dataclass(frozen=True, eq=False)
class Related(Generic[RowsT]):
    """Rows, and what is known of them beside bounds of every coordinate.

    Attributes:
        rows: the bounds.
        tables: the rows, by their places, that are known to be one of finitely many.

    """

    rows: RowsT
    tables: Mapping[int, Table] = field(default_factory=dict)
