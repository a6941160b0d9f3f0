"""Rows, weights and scores in the engine, and operations on them that need no format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from constructions.operations import Visible
from verify.engine.strips import Constants, Piece, Strip, rows_of, times


@dataclass(frozen=True, eq=False)
class EngineRows:
    """Rows as strips.

    Attributes:
        strips: of all coordinates, at least one.
        batch: how many sequences they are of; 1 where they are the same for any number.

    """

    strips: tuple[Strip, ...]
    batch: int

    @property
    def length(self) -> int:
        """The number of positions."""
        return self.strips[0].length

    @property
    def widths(self) -> list[int]:
        """The number of coordinates of each strip."""
        return [strip.width for strip in self.strips]


@dataclass(frozen=True, eq=False)
class EngineWeight:
    """The entries of a weight that are not 0.

    Attributes:
        shape: rows x columns.
        rows: the row of each entry, ascending.
        columns: the column of each entry.
        values: the entries, in the dtype of the format.

    """

    shape: tuple[int, int]
    rows: Int[np.ndarray, " entries"]
    columns: Int[np.ndarray, " entries"]
    values: Constants

    def dense(self) -> Constants:
        """Return all entries."""
        found = np.zeros(self.shape, dtype=self.values.dtype)
        found[self.rows, self.columns] = self.values
        return found


@dataclass(frozen=True, eq=False)
class EngineScores:
    """Scores or weights of attention.

    Attributes:
        value: queries x keys x outer x inner.
        batch: as of rows.

    """

    value: Tensor
    batch: int

    @property
    def constant(self) -> bool:
        """Whether they are the same for all sequences."""
        return self.value.shape[-1] == self.value.shape[-2] == 1


def hidden_off(scores: Tensor, visible: Visible) -> Tensor:
    """Return scores with those of keys that are not seen at minus infinity."""
    if visible.all():
        return scores
    return scores.masked_fill(torch.from_numpy(~visible)[..., None, None], -torch.inf)


def sparse_parts(strip: Strip) -> Iterator[Strip]:
    """Yield the coordinates of constants of which at least half are 0 one by one, and other strips as they are."""
    if strip.pieces or 2 * np.count_nonzero(strip.constant) > strip.constant.size:
        yield strip
    else:
        yield from (strip.part(place, place + 1) for place in range(strip.width))


def multiplied(one: Strip, other: Strip) -> Strip:
    """Return the product of two strips, where both are live, and where one is constant and not 0 everywhere."""
    constant = one.constant * other.constant
    pieces = []
    whole = one.whole(), other.whole()
    live = [{place for piece in strip.pieces for place in piece.places} for strip in (one, other)]
    both = sorted(live[0] & live[1])
    if both:
        pieces.append(Piece(tuple(both), torch.mul(*(rows_of(value, both) for value in whole))))
    for mine, theirs, value, factors in (
        (live[0], live[1], whole[0], other.constant),
        (live[1], live[0], whole[1], one.constant),
    ):
        places = [place for place in sorted(mine - theirs) if factors[:, place].any()]
        if places:
            pieces.append(Piece(tuple(places), times(rows_of(value, places), factors[:, places])))
    return Strip(constant, tuple(pieces))
