"""Rows that several passes have in common, such as those of tokens fed back that may be any: computed once.

The passes of a certificate are about one construction, a step of the response each. A row that is made of such rows and
weights alone has the same bounds in all of them, by the same code, so that it is kept from one pass to the next. Within
a pass nothing is shared: where a pass makes the same row twice, at two positions or by two operations, they are rows of
their own, whose unknown numbers and roundings have nothing to do with each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from verify.certificates.relational.factors.rows import Row
from verify.certificates.relational.factors.table import Table

#: A row, or that there is none.
_Made = TypeVar("_Made", Row, Row | None)


@dataclass
class _Held:
    """A row that was made.

    Attributes:
        made: the row.
        last: the pass that had it last.
        most: the largest magnitude that was noted as it was made.
        weights: what it was made with, kept so that their ids stay theirs.

    """

    made: Any
    last: int
    most: Float[np.ndarray, ""]
    weights: Sequence[Any]


class Repeated:
    """Rows by what they were made of, for one pass after the other.

    Until :meth:`begin` is first called, nothing is kept.
    """

    def __init__(self, table: Table) -> None:
        """Hold none."""
        self._table, self._pass = table, 0
        self._held: dict[tuple[Any, ...], _Held] = {}
        self._rows: set[Row] = set()
        self._sources: Counter[tuple[Any, ...]] = Counter()  # of this pass

    def begin(self) -> None:
        """Begin a pass: forget rows that the last one did not have, and all that was known of others."""
        self._held = {key: held for key, held in self._held.items() if held.last == self._pass}
        self._pass += 1
        self._sources.clear()
        self._rows = {held.made for held in self._held.values() if held.made is not None}
        parts = {part for row in self._rows for part in row.parts}
        factors = {factor for part in parts for factor in part.factors}
        self._table.forget_all_but(self._rows | parts, factors, {name for part in parts for name in part.names})

    def source(self, key: tuple[Any, ...], make: Callable[[], Row]) -> Row:
        """Return a row that is made of no other one.

        Args:
            key: all that it is made of. The second row of a pass with the same key is another one than the first, and
                that of the next pass the second one again.
            make: makes it.

        """
        self._sources[key] += 1
        return self._once(("source", self._sources[key], *key), (), make)

    def of(self, rows: Sequence[Row], key: tuple[Any, ...], weights: Sequence[Any], make: Callable[[], _Made]) -> _Made:
        """Return what is made of rows.

        Args:
            rows: what it is made of; it is kept only if all of them are.
            key: the operation, and settings of it.
            weights: of the operation, each the same object in every pass.
            make: the operation.

        """
        if not self._rows.issuperset(rows):
            return make()
        return self._once((*key, *rows, *(id(weight) for weight in weights)), weights, make)

    def _once(self, key: tuple[Any, ...], weights: Sequence[Any], make: Callable[[], _Made]) -> _Made:
        if not self._pass:
            return make()
        held = self._held.get(key)
        if held is not None:
            if held.last == self._pass:
                return make()
            held.last = self._pass
            self._table.note(held.most)
            found: _Made = held.made
            return found
        before, self._table.most = self._table.most, 0.0
        made = make()
        most = np.array(self._table.most)
        self._table.note(np.array(before))
        self._held[key] = _Held(made, self._pass, most, weights)
        if made is not None:
            self._rows.add(made)
        return made
