"""One certificate after another: the same proof as ``certify``, where parts that recur are computed once.

Steps of the response differ little. So the boxes that promise the same token, at all steps and user inputs, are first
certified together, as their hull; boxes that the hull leaves open are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from constructions.construction import Construction
from verify.certificates.all_targets import BUDGET, POINTS, Bound, bind_for_certificate, readout_input
from verify.certificates.authored import wrong_run
from verify.certificates.cells import cells
from verify.certificates.code_on_bounds import CellsError
from verify.certificates.concluding import other_layout
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.boxes import Box, RoundedWeight
from verify.certificates.floats.sparse_rows import SparseRows
from verify.certificates.passes import check_parts
from verify.running.asked import asked_again

_Bound: TypeAlias = Bound[RoundedWeight, SparseRows, Box]

#: Numbers of the readout's input that are held at once.
_HELD_NUMBERS = 2**22


@dataclass(frozen=True)
class _Seen:
    """The readout's input in some cells of a step."""

    step: int
    box: Box
    expected: Int[np.ndarray, " cells"]


class Scanner:
    """Certifies constructions one by one, in one arithmetic."""

    def __init__(self, arithmetic: RoundedArithmetic, *, budget: int = BUDGET, points: int = POINTS) -> None:
        """Certify in ``arithmetic``.

        Args:
            arithmetic: bounds of the kernels.
            budget: the most cells of one construction.
            points: the most floats of a box that are tried one by one.

        """
        self._given, self.arithmetic = arithmetic, arithmetic.for_cells()
        self.budget, self.points = budget, points

    def undecided(self, construction: Construction) -> str | None:
        """Return ``None`` if every target with every user input is certain, otherwise the undecided part in words.

        Raises:
            InvalidArgument: the format cannot hold the numbers that the weights rely on.

        """
        with np.errstate(all="ignore"):  # numbers that are not finite are never certain
            bound = bind_for_certificate(construction, self.arithmetic)
            if bound.model.transformer.authored:  # whose code may change: bounds kept of other constructions are of it
                bound = bind_for_certificate(construction, self._given.for_cells())
            held: list[_Seen] = []
            steps = set[int]()
            count = numbers = 0
            try:
                check_parts(bound.model.transformer, bound.readout)
                for batch in cells(construction, budget=self.budget):
                    box = readout_input(bound, batch).dense()
                    held.append(_Seen(batch.step, box, batch.expected))
                    steps.add(batch.step)
                    count += len(batch.expected)
                    numbers += len(batch.expected) * box.shape[2]
                    if numbers > _HELD_NUMBERS:
                        found = self._first(bound, held)
                        if found is not None:
                            return found
                        held, numbers = [], 0
            except CellsError as error:
                return str(error)
            if not count:
                return "no cell was looked at"
            left = self._first(bound, held) if held else None
            authored = bound.model.transformer.authored
            return (
                left
                or other_layout(construction, steps)
                or asked_again(construction, bound.source)
                or wrong_run(construction, authored, self.arithmetic.fmt)
            )

    def _first(self, bound: _Bound, held: list[_Seen]) -> str | None:
        """Return the first token and position that are not certain."""
        tokens, hull = _hull(held)
        certain = np.zeros(bound.readout.weight.values.shape[0], dtype=np.bool_)
        certain[tokens] = self._certain(bound, hull, tokens)
        for seen in held:
            left = np.flatnonzero(~certain[seen.expected])
            if not len(left):
                continue
            low, high = _rows(seen.box, len(seen.expected))
            box = Box(low[left, None], high[left, None], seen.box.grid)
            failed = np.flatnonzero(~self._certain(bound, box, seen.expected[left]))
            if len(failed):
                return f"token {seen.expected[left[failed[0]]]} at response position {seen.step}"
        return None

    def _certain(self, bound: _Bound, box: Box, expected: Int[np.ndarray, " cells"]) -> Bool[np.ndarray, " cells"]:
        weight, bias = bound.readout.weight, bound.bias
        return self.arithmetic.base.margins(box, weight, bias, expected, points=self.points).certain


def _rows(box: Box, cells: int) -> tuple[Float[np.ndarray, "cells width"], Float[np.ndarray, "cells width"]]:
    """Return the bounds of the last row in every cell."""
    low, high = (np.broadcast_to(part[:, 0], (cells, part.shape[2])) for part in (box.low, box.high))
    return low, high


def _hull(held: list[_Seen]) -> tuple[Int[np.ndarray, " tokens"], Box]:
    """Return the promised tokens, and for each the smallest box that holds all its boxes."""
    expected = np.concatenate([seen.expected for seen in held])
    bounds = [_rows(seen.box, len(seen.expected)) for seen in held]
    tokens, place = np.unique(expected, return_inverse=True)
    shape = (len(tokens), bounds[0][0].shape[1])
    low, high = np.full(shape, np.inf, held[0].box.low.dtype), np.full(shape, -np.inf, held[0].box.low.dtype)
    np.minimum.at(low, place, np.concatenate([part[0] for part in bounds]))
    np.maximum.at(high, place, np.concatenate([part[1] for part in bounds]))
    grid = np.minimum.reduce([seen.box.grid for seen in held])
    return tokens, Box(low[:, None], high[:, None], grid)
