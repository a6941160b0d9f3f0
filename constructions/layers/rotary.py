"""Rotary positions: queries and keys are turned by angles that grow with the position (Su et al., RoFormer, 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from constructions.exact_matrix import ExactMatrix
from constructions.layers.passes import Pass
from constructions.layers.positions import angles_of
from constructions.layers.weighted import Weighted, check_name, held
from constructions.layers.widths import check_shape
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.validation import InvalidArgument, check_integer, reject


@dataclass(frozen=True, eq=False)
class Rotary(Weighted[WeightT]):
    """``x -> c_t * x + s_t * (P x)`` at position ``t``: pairs of coordinates are turned by one angle each.

    The cosines and sines are irrational; a real model holds them rounded, and so does this: every entry is the exact
    number that the model holds. :func:`rotary` computes them as libraries do.

    Attributes:
        cosines: ``c``, key size x positions.
        sines: ``s``, key size x positions.
        turn: ``P``, key size x key size: it takes every pair ``(a, b)`` to ``(-b, a)``.
        name: a word.

    """

    by_position: ClassVar[bool] = True

    cosines: WeightT = held("c")
    sines: WeightT = held("s")
    turn: WeightT = held("P")
    name: str = "rotary"

    def __post_init__(self) -> None:
        check_name("rotary", self.name)
        self._expressions("a Rotary")

    def turned(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return rows of the new positions, each turned by its position's angles.

        Args:
            run: the forward pass.
            rows: queries or keys.
            last_only: whether they are those of the last position alone.

        """
        operations = run.operations
        straight = operations.multiply(rows, run.table(self.cosines, last_only=last_only))
        across = operations.multiply(operations.linear(rows, self.turn), run.table(self.sines, last_only=last_only))
        return operations.total([straight, across])

    def check_positions(self: Rotary[ExactMatrix], context_size: int) -> None:
        """Refuse tables of fewer positions than the context has."""
        if self.cosines.shape[1] < context_size:
            raise InvalidArgument(
                f"rotary {self.name}: expected cosines and sines of at least {context_size} positions, the context"
                f" size, but got {self.cosines.shape[1]}"
            )

    def check(self: Rotary[ExactMatrix], where: str, key_size: int) -> None:
        """Refuse tables of another size than the keys.

        Raises:
            InvalidArgument: they are of another size.

        """
        positions = self.cosines.shape[1]
        tall = "one row for each coordinate of the keys"
        check_shape(f"cosines of {where}", self.cosines, (key_size, positions), tall)
        check_shape(f"sines of {where}", self.sines, (key_size, positions), f"{tall}, as the cosines")
        check_shape(f"turn of {where}", self.turn, (key_size, key_size), tall)


def rotary(key_size: int, context_size: int, *, base: float = 10000.0, interleaved: bool = False) -> Rotary[Any]:
    """Return the rotary positions that libraries use, at float32 as they hold them.

    Pair ``i`` turns by ``t / base^(2i/k)`` at position ``t``. The angles are computed in float64 and the cosines and
    sines rounded to float32: a model that computes them otherwise holds slightly other numbers, which
    :class:`Rotary` takes as they are.

    Args:
        key_size: ``k``, even.
        context_size: number of positions.
        base: of the angles.
        interleaved: whether pairs are neighbours ``(2i, 2i + 1)``, as in the paper; otherwise ``(i, i + k/2)``, as in
            Llama and GPT-NeoX.

    Raises:
        InvalidArgument: an odd size, or a base that is not a positive number.

    """
    check_integer("key_size", key_size, 2)
    if key_size % 2:
        reject("key_size", "an even integer", key_size)
    half = key_size // 2
    angles = angles_of(np.arange(half), key_size, context_size, base)
    places = [(2 * pair, 2 * pair + 1) if interleaved else (pair, pair + half) for pair in range(half)]
    cosines, sines = (np.empty((key_size, context_size), dtype=np.float32) for _ in range(2))
    turn = sp.zeros(key_size, key_size)
    for pair, (first, second) in enumerate(places):
        cosines[[first, second]], sines[[first, second]] = np.cos(angles[pair]), np.sin(angles[pair])
        turn[first, second], turn[second, first] = -1, 1
    return Rotary(cosines, sines, sp.ImmutableDenseMatrix(turn))
