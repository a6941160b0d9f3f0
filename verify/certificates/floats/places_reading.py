"""What a layer reads at many places at once, where all of these differ in as many coordinates.

Place by place a few numbers are looked up in a matrix, and each look-up takes longer than what is then computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from verify.certificates.floats.boxes import RoundedWeight
from verify.certificates.floats.sparse_rows import Places

#: Entries that are looked at together, of a byte each: those of a few megabytes.
_ENTRIES = 2**22


@dataclass(frozen=True, eq=False)
class Readings:
    """The outputs of a layer that differ at some places, and what they read there.

    Attributes:
        touched: for each place the outputs that read a coordinate which differs, ascending.
        read: for each place the coordinates that these read and that may be other than 0, ascending.
        factors: the weights of these outputs and coordinates.
        shifts: the biases of these outputs; ``None`` without any.

    """

    touched: Int[np.ndarray, "places outputs"]
    read: Int[np.ndarray, "places read"]
    factors: list[RoundedWeight]
    shifts: list[RoundedWeight] | None


def readings(
    weight: RoundedWeight,
    bias: RoundedWeight | None,
    differing: Sequence[Places],
    moving: Bool[np.ndarray, "places width"],
) -> Readings | None:
    """Return what the outputs that differ read; ``None`` where places have different numbers of these, or too many.

    Args:
        weight: of the layer.
        bias: of the layer.
        differing: for each place the coordinates that differ; some output reads one of them.
        moving: the coordinates that may be other than 0 there.

    """
    nonzero = weight.nonzero
    if nonzero is None or len({len(coordinates) for coordinates in differing}) > 1:
        return None
    coordinates = np.stack(differing)
    if coordinates.size * len(nonzero) > _ENTRIES:
        return None
    touched = _each(np.asarray(nonzero[:, coordinates].any(axis=2)).T)
    if touched is None or touched.size * nonzero.shape[1] > _ENTRIES:
        return None
    read = _each(np.asarray(nonzero[touched].any(axis=1) & moving))
    if read is None:
        return None
    at = touched[:, :, None], read[:, None, :]
    factors = _parts(weight, at)
    shifts = None if bias is None else _parts(bias, (touched[:, :, None], np.zeros((1, 1, 1), dtype=np.int64)))
    return Readings(touched, read, factors, shifts)


def _each(chosen: Bool[np.ndarray, "places all"]) -> Int[np.ndarray, "places chosen"] | None:
    """Return for each place what is chosen, ascending; ``None`` where that is not as many everywhere."""
    counts = chosen.sum(axis=1)
    if (counts != counts[0]).any():
        return None
    return np.nonzero(chosen)[1].reshape(len(chosen), int(counts[0]))


def _parts(weight: RoundedWeight, at: tuple[Any, Any]) -> list[RoundedWeight]:
    """Return some rows and columns for each place, entry by entry."""
    pairs = zip(weight.values[at], weight.grid[at], strict=True)
    return [RoundedWeight(values, grid, weight.exact) for values, grid in pairs]
