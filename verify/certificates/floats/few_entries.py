"""Margins at a large readout of few entries in each row: by digits where it has them, else by bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Shaped

from verify.certificates.floats.additive import additive_margins
from verify.certificates.floats.bands import banded_margins
from verify.certificates.floats.boxes import RoundedWeight
from verify.certificates.floats.directed import largest_of

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic
    from verify.certificates.floats.sparse_weight import SparseWeight

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


def margins_of_few_entries(
    arithmetic: RoundedArithmetic,
    inputs: tuple[_Array, _Array, Int[np.ndarray, " width"]],
    weight: SparseWeight,
    bias: RoundedWeight,
    expected: Int[np.ndarray, " cells"],
    *,
    points: int,
) -> _Array:
    """Return lower bounds of the margins of some cells; ``-inf`` where a number may not be finite.

    Where digits leave a cell undecided, bands look at the one of the smallest bound. If they decide it they look at the
    others, and if not, nothing would be shown by that.

    Args:
        arithmetic: the float arithmetic.
        inputs: bounds of the readout's input, cells x width each, and its grid.
        weight: of the readout, V x width, with ``V >= 2``.
        bias: of the readout, V x 1.
        expected: the promised tokens.
        points: the most floats of a box that are tried one by one.

    """
    low, high, grid = inputs
    largest = min(arithmetic.rounding.largest_factor, largest_of(arithmetic.fmt))
    found = np.full(len(expected), -np.inf, dtype=weight.dtype)
    if not (np.abs(weight.numbers) <= largest).all():
        return found
    finite = np.flatnonzero(((np.abs(low) <= largest) & (np.abs(high) <= largest)).all(axis=1))
    if not len(finite):
        return found
    if len(finite) < len(expected):
        low, high = low[finite], high[finite]
    margins = additive_margins(arithmetic, (low, high, grid), weight, bias, expected[finite])
    left = np.flatnonzero(~(margins > 0))
    for chosen in (left[np.argsort(margins[left])[:1]], left):
        if not len(chosen):
            break
        part = low[chosen], high[chosen], grid
        margins[chosen] = banded_margins(arithmetic, part, weight, bias, expected[finite][chosen], points=points)
        if not (margins[chosen] > 0).all():
            break
    found[finite] = margins
    return found
