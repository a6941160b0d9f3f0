"""What cells say of columns of numbers, held against the numbers of many members."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from verify.certificates.chunks import blocks, columns_of


@dataclass(frozen=True, eq=False)
class Told:
    """Numbers in some columns, which cells of places have.

    Attributes:
        columns: in which cells say what a member has, place by place.
        places: for each of these columns the place whose cells say it.
        numbers: in these columns, one row for each cell of a place.
        width: how many columns members have.

    """

    columns: Int[np.ndarray, " told"]
    places: Int[np.ndarray, " told"]
    numbers: np.ndarray[Any, Any]
    width: int

    @cached_property
    def rest(self) -> Int[np.ndarray, " rest"]:
        """The other columns."""
        found = np.ones(self.width, dtype=np.bool_)
        found[self.columns] = False
        return np.flatnonzero(found)

    def differs(self, members: Shaped[np.ndarray, "members width"], cells: Int[np.ndarray, "members places"]) -> bool:
        """Return whether a member has another number than one of its cells.

        Args:
            members: their numbers, int64 or Python's integers as objects.
            cells: the cell of each place that each lies in.

        """
        count = self.numbers.shape[1]
        columns, places = columns_of(self.columns, members.shape[1]), columns_of(self.places, cells.shape[1])
        table, at = np.ascontiguousarray(self.numbers).reshape(-1), np.arange(count)
        for chosen in blocks(len(members), count):
            told = table[cells[chosen, places].astype(np.int64) * count + at]
            if (members[chosen, columns] != told).any():
                return True
        return False
