"""A row that is one of finitely many: the embedding of a token between two, and all that is computed from it alone.

The box of a set of embeddings forgets which coordinates go together: that of all one-hot embeddings is ``[0, 1]^V``,
whose coordinates may all be 1. So the embeddings are kept one by one, as the rows of a table, and every operation that
reads this row and nothing else that is unknown is applied to each of them. A row of the table encloses what a kernel
computes for its token, in any order of summation, as the rows of any enclosure do; the hull of those between two tokens
therefore encloses it for a token between them. It is intersected with the plain bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from jaxtyping import Bool, Int

from constructions.operations import RowsT
from verify.certificates.cells import BATCH_NUMBERS
from verify.certificates.relational.enclosures import Enclosures
from verify.certificates.relational.related import Related

_Coordinates = Bool[np.ndarray, " width"]


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


class Tables(Generic[RowsT]):
    """Operations on tables of alternatives."""

    def __init__(self, enclosures: Enclosures[Any, RowsT, Any]) -> None:
        """Take bounds apart by ``enclosures``."""
        self.enclosures = enclosures

    def each(self, rows: Related[RowsT], operation: Callable[[Any], Any], width: int | None = None) -> dict[int, Table]:
        """Return the tables of an operation on each alternative; those that it makes too wide are left out."""
        tables = {place: table for place, table in rows.tables.items() if width is None or table.choice.fits(width)}
        return {place: table.then(operation) for place, table in tables.items()}

    def joined(
        self,
        found: RowsT,
        parts: Sequence[Related[RowsT]],
        operation: Callable[[list[Any]], Any],
        *,
        couples: bool = False,
    ) -> Related[RowsT]:
        """Return an operation on several rows, with the tables that are left of it.

        Args:
            found: what the arithmetic below makes of the bounds.
            parts: the operands.
            operation: the same on the alternatives of each.
            couples: whether it makes one coordinate of several.

        """
        tables: dict[int, Table] = {}
        for place in sorted({place for part in parts for place in part.tables}):
            held = [part.tables.get(place) for part in parts]
            choices = {id(table.choice) for table in held if table is not None}
            if len(choices) == 1:
                tables[place] = self._of_parts(place, held, parts, operation)
                if couples and sum(bool(self.enclosures.varying(part.rows, place).any()) for part in parts) > 1:
                    found = self._meet(found, place, tables[place])
        return Related(found, tables)

    def _of_parts(
        self,
        place: int,
        held: list[Table | None],
        parts: Sequence[Related[RowsT]],
        operation: Callable[[list[Any]], Any],
    ) -> Table:
        choice = next(table.choice for table in held if table is not None)
        enclosures = self.enclosures

        def make() -> Any:
            rows = [
                enclosures.repeated(enclosures.one(part.rows, place), choice.count) if table is None else table.rows
                for table, part in zip(held, parts, strict=True)
            ]
            if any(each is None for each in rows) or not choice.fits(sum(map(enclosures.width, rows))):
                return None
            return operation(rows)

        return Table(choice, make)

    def met(
        self,
        found: RowsT,
        tables: dict[int, Table],
        read: Related[RowsT],
        tells: Callable[[_Coordinates], Any],
    ) -> RowsT:
        """Return bounds, within the hulls of the tables that can tell more.

        Args:
            found: the bounds of a result.
            tables: its tables.
            read: what it was computed from.
            tells: called with the coordinates of a row that are not known: whether their relation tells more.

        """
        known: dict[bytes, bool] = {}
        for place, table in tables.items():
            varying = self.enclosures.varying(read.rows, place)
            key = varying.tobytes()
            if key not in known:
                known[key] = bool(tells(varying))
            if known[key]:
                found = self._meet(found, place, table)
        return found

    def _meet(self, found: RowsT, place: int, table: Table) -> RowsT:
        if table.rows is None:
            return found
        choice = table.choice
        hulls = self.enclosures.hulls(table.rows, choice.low - choice.first, choice.high - choice.first)
        return self.enclosures.met(found, place, hulls)
