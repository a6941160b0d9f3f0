"""Products of matrices as a library computes them on a matrix unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, final

import numpy as np
from jaxtyping import Float, Int

from constructions.formats import Format, get_format
from constructions.validation import InvalidArgument, check_choice, check_flag, check_integer
from verify.matrix_units.formats import (
    BF16,
    FP16,
    FP16_RESULT,
    FP32_RESULT,
    TF32,
    Result,
    rounded,
    truncated_to_tf32,
)
from verify.matrix_units.unit import MatrixUnit

_Array = Float[np.ndarray, "..."]

#: Products of one call of the unit: its arrays of 8-byte numbers then take a few dozen megabytes.
_AT_ONCE = 1 << 20


#: The formats in which libraries return products, by the words for the factors' formats.
RETURNED: Final[Mapping[str, Result]] = {
    FP16.name: FP16_RESULT,
    BF16.name: Result(BF16.name, get_format("bfloat16"), BF16, FP32_RESULT.nan),
    TF32.name: FP32_RESULT,
}


def _to_even(values: _Array) -> _Array:
    """Return float32 numbers rounded to the 11 bits of TF32, to nearest, ties to even."""
    return rounded(values.astype(np.float64), TF32.precision, FP32_RESULT, to_nearest=True)


def _away_from_zero(values: _Array) -> _Array:
    """Return float32 numbers rounded to the 11 bits of TF32, to nearest, ties away from zero.

    Half a unit of the last bit that stays is added to the magnitude, and the 13 bits below are cut off; a carry goes on
    into the exponent, as it must. Infinities and NaN stay.
    """
    values = np.ascontiguousarray(values)
    moved = ((values.view(np.int32) + 0x1000) & ~0x1FFF).view(np.float32)
    return np.where(np.isfinite(values), moved, values)


class Factors(NamedTuple):
    """How float32 numbers become factors of TF32.

    Attributes:
        read: returns the factors.
        sentence: the same in words.

    """

    read: Callable[[_Array], _Array]
    sentence: str


#: Ways to make factors of float32 numbers, by the words of ``--factors``. CuBLAS was seen to take the first on an H200.
FACTORS: Final[Mapping[str, Factors]] = {
    "even": Factors(_to_even, "rounded to TF32 by the library, ties to even"),
    "away": Factors(_away_from_zero, "rounded to TF32 by the library (cvt.rna), ties away from zero"),
    "truncated": Factors(truncated_to_tf32, "cut to TF32 by the instruction"),
}


@final
class Products:
    """Products of matrices on a unit: in which order a library adds up, and what it rounds.

    The terms of a sum go to the unit in ascending order of K, a block at a time, in one chain that starts from 0. The
    bias is added to the sum in float32, and the total is rounded once, to the format of the factors (float32 for TF32).
    An H200 under torch 2.11 does so for most shapes in fp16 and bf16. In tf32 it does so with a bias for most shapes of
    several columns and K > 1. Without a bias it adds up slices there: of 4 at K = 8, 16, 20 and 40, of 32 at K = 64 and
    128, and of 64 at K = 512.

    Attributes:
        unit: the unit.
        split: parts of K, each a chain of its own, of as many whole blocks as the others or, the last ones, fewer. The
            sums of the parts are added up in float32, from the first to the last.
        slice_size: the same by the products of a part, ``None`` where ``split`` says it.
        reduced: whether the sums of the parts are first rounded to the format of the factors, as torch allows unless it
            is told not to (``allow_bf16_reduced_precision_reduction``, and the same of fp16).
        factors: a word of :data:`FACTORS`: how float32 numbers become factors of TF32.

    Example:
        >>> products = Products(MatrixUnit("hopper", "bf16"))
        >>> ones = np.ones((1, 2, 300), dtype=np.float32)
        >>> products.multiplied(ones, ones)  # 300 and 301 are both 300 in bfloat16
        array([[[300., 300.],
                [300., 300.]]], dtype=float32)

    """

    def __init__(
        self,
        unit: MatrixUnit,
        *,
        split: int = 1,
        slice_size: int | None = None,
        reduced: bool = False,
        factors: str = "even",
    ) -> None:
        """Multiply on ``unit``.

        Raises:
            InvalidArgument: a format whose products no library here returns, no part, two ways to cut K, sums rounded
                where there is one part or where float32 is the format, or another rounding of factors that are no
                float32 numbers.

        """
        check_choice("format", unit.format, tuple(RETURNED))
        self.unit = unit
        self.split = check_integer("split", split, 1)
        self.slice_size = None if slice_size is None else check_integer("slice_size", slice_size, 1)
        self.reduced = check_flag("reduced", reduced)
        self.factors = check_choice("factors", factors, tuple(FACTORS))
        if slice_size is not None and split != 1:
            raise InvalidArgument(f"slice_size: expected no split with it, but got {slice_size} with {split} parts")
        if reduced and (RETURNED[unit.format] is FP32_RESULT or not self._parted):
            raise InvalidArgument(
                "reduced: expected fp16 or bf16 with a split of at least 2 or a slice_size, whose sums are rounded, but"
                f" got {unit.format} with {self._cut}"
            )
        if factors != "even" and unit.format != TF32.name:
            raise InvalidArgument(f"factors: expected tf32, whose factors are float32 numbers, but got {unit.format}")

    @property
    def _parted(self) -> bool:
        return self.split > 1 or self.slice_size is not None

    @property
    def _cut(self) -> str:
        """How K is cut, in words."""
        if self.slice_size is not None:
            return f"slices of {self.slice_size}"
        return "one chain" if self.split == 1 else f"{self.split} parts of whole blocks"

    @property
    def format(self) -> Format:
        """The format of the results."""
        return RETURNED[self.unit.format].format

    def nearest(self, values: _Array) -> _Array:
        """Return float32 numbers rounded to nearest in the format of the results, ties to even.

        Args:
            values: float32 array of any shape.

        Example:
            >>> Products(MatrixUnit("hopper", "fp16")).nearest(np.float32([1.004, 70000]))
            array([1.0039062,       inf], dtype=float32)

        """
        result = RETURNED[self.unit.format]
        if result is FP32_RESULT:
            return values
        return rounded(values.astype(np.float64), result.format.precision, result, to_nearest=True)

    def sentence(self) -> str:
        """Return how a library is taken to use the unit, and why the unit is believed to be the hardware's."""
        unit, cut = self.unit, self._cut
        if cut != "one chain":
            cut += (
                f", whose sums are {f'rounded to {self.format.name} and ' if self.reduced else ''}added up in float32"
            )
        read = f", factors {FACTORS[self.factors].sentence}" if unit.format == TF32.name else ""
        return (
            f"matrix units of {unit.generation} multiply {unit.format} as verify.MatrixUnit does"
            f" ({unit.evidence.kind}: {unit.evidence.note}){read}; libraries add up K in ascending blocks of"
            f" {unit.block.products}, in {cut}, then a bias in float32, and round once"
        )

    def multiplied(self, left: _Array, right: _Array, bias: _Array | None = None) -> _Array:
        """Return ``left right^T + b`` for each pair of matrices.

        Args:
            left: float32 numbers of the format, batch x rows x K.
            right: the same, batch x columns x K; one of the batches may be 1, and stands for any.
            bias: the same, one number for each column.

        Returns:
            Float32 numbers of the format, batch x rows x columns.

        """
        sums = self._sums(self._read(left), self._read(right))
        return self.nearest(sums if bias is None else sums + bias)

    def _read(self, values: _Array) -> _Array:
        return FACTORS[self.factors].read(values) if self.unit.format == TF32.name else values

    def _sums(self, left: _Array, right: _Array) -> _Array:
        """Return the sums, each pair of equal rows multiplied once: a sum depends on its factors alone."""
        rows, row_of = _distinct(left)
        columns, column_of = _distinct(right)
        pairs = row_of[:, :, None] * len(columns) + column_of[:, None, :]
        if len(rows) * len(columns) <= pairs.size:
            return np.asarray(self._table(rows, columns).reshape(-1)[pairs])
        asked, places = np.unique(pairs, return_inverse=True)
        found = np.empty(len(asked), dtype=np.float32)
        step = max(1, _AT_ONCE // max(1, rows.shape[1]))
        for start in range(0, len(asked), step):
            row, column = np.divmod(asked[start : start + step], len(columns))
            found[start : start + step] = self._chains(rows[row], columns[column])
        return found[places].reshape(pairs.shape)

    def _table(self, rows: _Array, columns: _Array) -> _Array:
        """Return the sum of every row with every column."""
        step = max(1, _AT_ONCE // max(1, columns.size))
        parts = [self._chains(rows[start : start + step, None], columns[None]) for start in range(0, len(rows), step)]
        return np.concatenate([np.empty((0, len(columns)), dtype=np.float32), *parts])

    def _chains(self, left: _Array, right: _Array) -> _Array:
        """Return the sums along the last axis, part by part."""
        length, start = left.shape[-1], np.zeros(1, dtype=np.float32)
        step = self._part_of(length)
        parts = [
            self.unit.multiply_add(left[..., first : first + step], right[..., first : first + step], start)
            for first in range(0, max(1, length), step)
        ]
        if self.reduced:
            parts = [self.nearest(part) for part in parts]
        return np.asarray(sum(parts[1:], parts[0]))

    def _part_of(self, length: int) -> int:
        """Return how many products a part has."""
        if self.slice_size is not None:
            return self.slice_size
        blocks = -(-length // self.unit.block.products)
        return max(1, -(-blocks // self.split)) * self.unit.block.products


def _distinct(rows: _Array) -> tuple[_Array, Int[np.ndarray, "batch rows"]]:
    """Return the rows that differ in any bit, and which one of them each row is."""
    flat = np.ascontiguousarray(rows).reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    if not flat.size:
        return flat[:1], np.zeros(rows.shape[:-1], dtype=np.int64)
    keys = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1])))[:, 0]
    _, first, places = np.unique(keys, return_index=True, return_inverse=True)
    return flat[first], places.reshape(rows.shape[:-1])
