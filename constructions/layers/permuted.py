"""Rows in which some coordinates stand for tokens, and weights that commute with every permutation of the tokens.

A permutation of the tokens moves the coordinates that stand for tokens, and leaves all others in place. A weight
commutes with it if moving its inputs moves its outputs in the same way. All permutations are products of a swap of the
first two tokens and of a turn by one place, so that a weight that commutes with these two commutes with all. A weight
keeps its blocks: a multiple of the identity between runs of tokens, or a constant over whole runs, commutes as it is
written, and only what is held entry by entry is permuted and compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any, Self

import numpy as np
from jaxtyping import Int

from constructions.entries import Entries
from constructions.exact_matrix import ExactMatrix, Leaf, as_entries, leaf_count

#: The most entries of a block to compare one by one. It bounds the work, and nothing that is shown: the mask lift at
#: V = 2,048, with nearly as many, takes 0.7 s and 0.6 GiB. A larger block is not shown to commute.
MOST_ENTRIES = 2**22


@dataclass(frozen=True)
class TokenCoordinates:
    """Which coordinates of a row stand for tokens.

    Attributes:
        size: how many coordinates there are.
        tokens: how many tokens.
        starts: the first coordinate of each run that stands for all tokens, in their order; ascending, and no two runs
            have a coordinate in common.

    Example:
        >>> from constructions import lower
        >>> both = TokenCoordinates(3, 3, (0,))
        >>> both.commutes(lower([[2, 1, 1], [1, 2, 1], [1, 1, 2]], {}), both)
        True
        >>> both.commutes(lower([[2, 1, 1], [1, 2, 1], [1, 1, 3]], {}), both)
        False

    """

    size: int
    tokens: int
    starts: tuple[int, ...] = ()

    def still(self, size: int) -> Self:
        """Return rows of another size in which no coordinate stands for a token."""
        return type(self)(size, self.tokens)

    def onto(self, weight: ExactMatrix) -> TokenCoordinates | None:
        """Return which outputs of ``W x`` stand for tokens, if ``W`` commutes with every permutation; else ``None``.

        A block of rows stays in place where all its rows are constant over tokens, and else is a run of tokens.

        Args:
            weight: whose columns are these coordinates.

        """
        starts = []
        tops = accumulate(weight.row_sizes, initial=0)
        for row, (top, height) in enumerate(zip(tops, weight.row_sizes, strict=False)):
            leaves = {(0, column): leaf for (at, column), leaf in weight.leaves.items() if at == row}
            block = ExactMatrix((height,), weight.column_sizes, leaves)
            if self.still(height).commutes(block, self):
                continue
            if height != self.tokens or not TokenCoordinates(height, self.tokens, (0,)).commutes(block, self):
                return None
            starts.append(top)
        return TokenCoordinates(weight.shape[0], self.tokens, tuple(starts))

    def commutes(self, weight: ExactMatrix, columns: TokenCoordinates) -> bool:
        """Return whether a matrix is the same when its rows and its columns are permuted as the tokens are.

        Args:
            weight: whose rows are these coordinates.
            columns: what its columns are.

        """
        if weight.shape != (self.size, columns.size) or self.tokens != columns.tokens:
            return False
        loose: list[Entries] = []
        for top, left, height, width, leaf in weight.placed():
            down, across = range(top, top + height), range(left, left + width)
            if self._kept(leaf, columns, down, across):
                continue
            if leaf_count(leaf, height, width) > MOST_ENTRIES:
                return False
            entries = as_entries(leaf, height, width)
            loose.append(Entries(entries.rows + top, entries.columns + left, entries.values))
        return not loose or self._same(reduce(Entries.__add__, loose), columns)

    def _kept(self, leaf: Leaf, columns: TokenCoordinates, down: range, across: range) -> bool:
        """Return whether every permutation leaves a block as it is, by how it is written."""
        inside = [*self._runs(down)[:1], *columns._runs(across)[:1]]
        if leaf.kind == "constant" or not inside:
            return self._uncut(down) and columns._uncut(across)
        return leaf.kind == "identity" and [range(start, start + self.tokens) for start in inside] == [down, across]

    def _runs(self, chosen: range) -> list[int]:
        """Return the starts of the runs that lie in a range."""
        return [start for start in self.starts if chosen.start <= start and start + self.tokens <= chosen.stop]

    def _uncut(self, chosen: range) -> bool:
        """Return whether each run lies in a range or beside it."""
        beside = [start for start in self.starts if start >= chosen.stop or start + self.tokens <= chosen.start]
        return len(beside) + len(self._runs(chosen)) == len(self.starts)

    def _same(self, entries: Entries, columns: TokenCoordinates) -> bool:
        """Return whether the two permutations that make all others leave some entries as they are."""
        held = Entries.collected(entries.rows, entries.columns, entries.values)
        for order in _generators(self.tokens):
            down, across = self._moved(order), columns._moved(order)
            found = Entries.collected(down[entries.rows], across[entries.columns], entries.values)
            pairs: Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = zip(
                *((part.rows, part.columns, part.values.numerators) for part in (held, found)), strict=True
            )
            if not all(np.array_equal(one, other) for one, other in pairs):
                return False
        return True

    def _moved(self, order: Int[np.ndarray, " tokens"]) -> Int[np.ndarray, " size"]:
        """Return where each coordinate goes when token ``i`` becomes token ``order[i]``."""
        places = np.arange(self.size)
        for start in self.starts:
            places[start : start + self.tokens] = start + order
        return places


def _generators(tokens: int) -> tuple[Int[np.ndarray, " tokens"], ...]:
    """Return a swap of the first two tokens, and a turn by one place: every permutation is a product of these."""
    swap = np.arange(tokens)
    swap[:2] = swap[:2][::-1]
    return swap, np.roll(np.arange(tokens), 1)
