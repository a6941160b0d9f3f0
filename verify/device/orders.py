"""Orders in which a library may add up K on a unit, one of which may explain the results of a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.device.libraries import Call
from verify.matrix_units.formats import TF32, Singles
from verify.matrix_units.products import FACTORS, Products
from verify.matrix_units.unit import MatrixUnit

#: Products of one call of the unit, whose arrays of 8-byte numbers then take a few dozen megabytes.
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Order:
    """How K is added up.

    Attributes:
        name: for people.
        slice_size: products of a slice, a chain of its own on the unit; ``None`` for one chain.
        split: instead of that, how many slices there are.
        bias_first: whether the chain starts from the bias; otherwise it is added to the sum in float32.
        factors: how float32 numbers become factors of TF32, a word of ``products.FACTORS``.

    """

    name: str
    slice_size: int | None = None
    split: int = 1
    bias_first: bool = False
    factors: str = "even"

    def product(self, unit: MatrixUnit, call: Call, left: Singles, right: Singles, bias: Singles | None) -> Singles:
        """Return ``left right^T + bias``, added up in this order.

        Args:
            unit: the exact unit.
            call: how the product is asked for.
            left: float32 numbers, rows x K.
            right: the same, columns x K.
            bias: one number for each column.

        """
        if unit.format == TF32.name:
            left, right = (FACTORS[self.factors].read(values) for values in (left, right))
        step = max(1, _AT_ONCE // max(1, right.size))
        parts = [self._rows(unit, left[at : at + step], right, bias) for at in range(0, len(left), step)]
        found = np.concatenate(parts)
        if call.rounded:
            found = Products(unit).nearest(found)
        return found

    def _rows(self, unit: MatrixUnit, left: Singles, right: Singles, bias: Singles | None) -> Singles:
        size = self.slice_of(unit, left.shape[1])
        start = np.zeros(1, dtype=np.float32) if bias is None or not self.bias_first else bias[None]
        total: Singles | None = None
        for first in range(0, left.shape[1], size):
            part = (values[:, first : first + size] for values in (left, right))
            factors = next(part)[:, None], next(part)[None]
            found = unit.multiply_add(*factors, start)
            start = np.zeros(1, dtype=np.float32)
            with np.errstate(all="ignore"):  # sums of what is not finite
                total = found if total is None else total + found
        assert total is not None, "there is at least one product"
        with np.errstate(all="ignore"):
            return total if bias is None or self.bias_first else total + bias

    def slice_of(self, unit: MatrixUnit, length: int) -> int:
        """Return how many of ``length`` products a slice has."""
        if self.slice_size is not None:
            return min(self.slice_size, length)
        blocks = -(-length // unit.block.products)
        return min(length, -(-blocks // self.split) * unit.block.products)


def orders(call: Call, unit: MatrixUnit, length: int) -> list[Order]:
    """Return the orders that are tried for a call, the likely ones first; of those that are the same at ``K``, one.

    Args:
        call: how a product is asked for.
        unit: the exact unit.
        length: ``K``.

    """
    found: dict[tuple[Any, ...], Order] = {}
    for order in _all_orders(call):
        found.setdefault((order.slice_of(unit, length), order.bias_first, order.factors), order)
    return list(found.values())


def _all_orders(call: Call) -> Iterator[Order]:
    yield Order("one ascending chain" + (", then the bias" if call.biased else ""))
    if call.biased:
        yield Order("one ascending chain from the bias", bias_first=True)
    for size in (4, 8, 16, 32, 64, 128, 256):
        yield Order(f"slices of {size}, added up in float32", slice_size=size)
    if call.format == TF32.name:  # K = 2048 on an H200: parts that are multiples of 32, here of 96
        for size in (96, 160, 192):
            yield Order(f"slices of {size}, added up in float32", slice_size=size)
    for split in (2, 3, 4, 8):
        yield Order(f"{split} parts of whole blocks, added up in float32", split=split)
    if call.format == TF32.name:
        yield Order("one ascending chain, factors rounded half away from zero", factors="away")
        yield Order("one ascending chain, factors cut", factors="truncated")


def different(one: Singles, other: Singles) -> int:
    """Return how many numbers are not the same bit for bit; one NaN is as good as another."""
    same = one.view(np.uint32) == other.view(np.uint32)
    return int((~(same | (np.isnan(one) & np.isnan(other)))).sum())


def masks(length: int, big: float, small: float) -> tuple[Singles, Singles]:
    """Return factors of sums that show where two places meet: those of all pairs of places with the first one.

    In sum ``j`` place 0 holds ``big^2`` and place ``j`` its negative, and every other one ``small^2``, which vanishes
    beside ``big^2``. A term survives if it is added after the two have cancelled: the number of survivors says how many
    places join only then (FPRev, arXiv 2411.00442).

    Returns:
        Left and right factors, (K-1) x K; sum ``j`` is that of row ``j - 1`` of both.

    """
    left = np.full((length - 1, length), small, dtype=np.float32)
    right = left.copy()
    rows = np.arange(length - 1)
    left[:, 0], right[:, 0] = big, big
    left[rows, rows + 1], right[rows, rows + 1] = -big, big
    return left, right


def run_lengths(values: list[int]) -> list[list[int]]:
    """Return equal neighbours as pairs of a value and a count.

    Example:
        >>> run_lengths([5, 5, 2])
        [[5, 2], [2, 1]]

    """
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    return found
