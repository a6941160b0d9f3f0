"""One forward pass over new positions: everything that a layer needs beside its weights and its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

import numpy as np
from jaxtyping import Int

from constructions.layers.masks import Mask
from constructions.operations import Attended, Operations, RowsT, ScoresT, Visible, WeightT
from constructions.temperature import Temperature, Temperatures, head_temperature


@dataclass
class Cache(Generic[RowsT]):
    """Keys and values of the positions seen so far, by layer and head, and how many they are."""

    length: int = 0
    held: dict[tuple[str, str], tuple[RowsT, RowsT]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass(Generic[WeightT, RowsT, ScoresT]):
    """One forward pass over new positions: all that a layer needs beside its own weights and its input.

    Attributes:
        operations: the arithmetic.
        start: the first new position.
        count: how many new positions there are.
        mask: of the attention layers that have none of their own.
        temperature: of all heads, or of each by its name.
        cache: keys and values of the positions before, extended in place; ``None``: the new positions are all.
        record: called with the name of every intermediate and its value.

    """

    operations: Operations[WeightT, RowsT, ScoresT]
    start: int
    count: int
    mask: Mask
    temperature: Temperatures
    cache: Cache[RowsT] | None
    record: Callable[[str, RowsT | ScoresT], None]

    def temperature_of(self, head: str) -> Temperature:
        """Return a head's temperature."""
        return head_temperature(self.temperature, head)

    def visible(self, mask: Mask | None) -> Visible:
        """Return the keys that each new position sees under a layer's own mask, or the one of the pass."""
        return (self.mask if mask is None else mask).seen(self.start, self.count)

    def seen_first(self, visible: Visible) -> Attended:
        """Return what each new position sees with one more key in front, which all of them see."""
        return np.concatenate([np.ones((len(visible), 1), dtype=np.bool_), visible], axis=1)

    def table(self, held: WeightT, *, last_only: bool = False) -> RowsT:
        """Return the columns of a table of positions, one row for each new position."""
        stop = self.start + self.count
        indices: Int[np.ndarray, " rows"] = np.arange(stop - 1 if last_only else self.start, stop)
        return self.operations.embed(held, indices[None] if self.operations.batched else indices)
