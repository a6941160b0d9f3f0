"""ROUNDED: floats as boxes that hold whatever a kernel computes, in any order of summation, with or without FMA.

The rule of a sum is in :mod:`verify.certificates.floats.sums`, linear maps in :mod:`verify.certificates.floats.linear`,
attention in :mod:`verify.certificates.floats.softmax`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
from jaxtyping import Int, Shaped

from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format, get_format
from constructions.ratios import Ratios
from constructions.validation import InvalidArgument
from verify.arithmetic.families import ROUNDED
from verify.arithmetic.spec import Setting
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.floats.boxes import Box, collapsed, tainted, unbounded
from verify.certificates.floats.boxes import RoundedWeight as RoundedWeight
from verify.certificates.floats.directed import (
    EVERYTHING,
    grid_of,
)
from verify.certificates.floats.kernel import Kernel
from verify.certificates.floats.linear import LinearBounds
from verify.certificates.floats.margins import rounded_margins
from verify.certificates.floats.norms import NormBounds
from verify.certificates.floats.pointwise import ActivationBounds
from verify.certificates.floats.rounding.matrix_unit import NO_UNIT, format_of
from verify.certificates.floats.score_bias import ScoreBiasBounds
from verify.certificates.floats.slots import met_grids, mix_factors, score_factors
from verify.certificates.floats.sparse import SparseArithmetic
from verify.certificates.floats.sparse_weight import SparseWeight, constant_rows
from verify.certificates.floats.sums import Piece, Sums

#: float64 or longdouble, which jaxtyping does not know as a float.
_Array = Shaped[np.ndarray, "..."]


@final
class RoundedArithmetic(
    LinearBounds, ScoreBiasBounds, NormBounds, ActivationBounds, EnclosingArithmetic[RoundedWeight, Box, Box]
):
    """The float arithmetic of a certificate.

    Attributes:
        kernel: what is assumed of the kernels.
        fmt: the number format.

    Example:
        >>> from constructions import FORMATS
        >>> from verify.certificates import Kernel
        >>> RoundedArithmetic(Kernel(FORMATS["float16"])).name
        'rounded float16'

    """

    fmt: Format
    device = "any"

    def __init__(self, kernel: Kernel) -> None:
        """Bound the kernels that ``kernel`` describes."""
        super().__init__(kernel)
        options: dict[str, Setting] = {"products": kernel.products, "tf32": kernel.tf32, "exp": kernel.exp}
        options |= {"unit": kernel.matrix_unit, "full_reduction": kernel.full_reduction}
        self.spec = ROUNDED.spec(kernel.fmt.name, self.device, options)
        self.name = self.spec.name

    @classmethod
    def of(
        cls,
        dtype: str = "float32",
        *,
        products: str = "either",
        tf32: bool = False,
        exp: str = "library",
        unit: str = NO_UNIT,
        full_reduction: bool = False,
    ) -> RoundedArithmetic:
        """Return the bounds of the kernels of a format; see :class:`~verify.certificates.floats.kernel.Kernel`.

        With a unit, ``dtype`` may also be the format of its factors: ``fp16``, ``bf16`` or ``tf32``.
        """
        fmt = get_format(dtype if unit == NO_UNIT else format_of(dtype))
        return cls(Kernel(fmt, products, tf32, exp, unit, full_reduction))

    def weight(self, matrix: ExactMatrix) -> RoundedWeight:
        """Return the matrix, every entry correctly rounded."""
        few = SparseWeight.of(matrix, self.fmt, self._dtype)
        if few is not None:
            return few
        thin = constant_rows(matrix)
        held = (matrix if thin is None else thin).to_numpy(self.fmt)
        values, grid = np.asarray(held, dtype=self._dtype), grid_of(held)
        if thin is not None:
            values, grid = np.broadcast_to(values, matrix.shape), np.broadcast_to(grid, matrix.shape)
        return RoundedWeight(values, grid, matrix.held_by(self.fmt))

    def prompt_between(self, low: Ratios, high: Ratios) -> Box:
        """Return virtual tokens between two, each a whole number of ``1/d``, with ``d`` the denominator of both.

        Rounding is monotone, so it rounds the bounds. A number ``n/d`` that is not 0 is at least ``1/d``, so its float
        is a multiple of the spacing there. Of what may be any real number, see :meth:`reals_between`.
        """
        denominator = low.denominator
        below = np.asarray(low.to_float(self.fmt), dtype=self._dtype)
        above = np.asarray(high.to_float(self.fmt), dtype=self._dtype)
        numerators = [part.numerators for part in (low, high) if part.numerators.size]
        largest = max((max(-int(part.min()), int(part.max())) for part in numerators), default=0)
        power = denominator & (denominator - 1) == 0
        finest = 1 - denominator.bit_length()
        exact = power and largest <= 2**self.fmt.precision and finest > self.fmt.min_exponent - self.fmt.precision
        if exact:
            grid = finest
        else:
            least = -denominator.bit_length()  # 2^least < 1/d
            grid = max(least, self.fmt.min_exponent) - self.fmt.precision + 1
        grids = np.full(below.shape[-1], grid, dtype=np.int64)
        zero = ((below == 0) & (above == 0)).all(axis=(0, 1))
        grids[zero] = EVERYTHING
        return self.box(below, above, grids, exact=exact)

    def reals_between(self, low: Ratios, high: Ratios) -> Box:
        """Return rows of ANY real numbers between two, as the format holds them: on no grid but the format's own.

        Raises:
            InvalidArgument: numbers beyond the largest of the format.

        """
        try:
            below, above = (np.asarray(part.to_float(self.fmt), dtype=self._dtype) for part in (low, high))
        except OverflowError:
            largest = f"{float(self.fmt.largest):.4g}"
            raise InvalidArgument(
                f"any_embedding: expected a bound that {self.fmt.name} holds, at most {largest}, but got one beyond it"
            ) from None
        grids = np.full(below.shape[-1], self.fmt.min_exponent - self.fmt.precision + 1, dtype=np.int64)
        grids[((below == 0) & (above == 0)).all(axis=(0, 1))] = EVERYTHING
        return self.box(below, above, grids, exact=False)

    def embed_between(
        self, embedding: RoundedWeight, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> Box:
        """Return bounds of the columns of tokens between two.

        Raises:
            IndexError: tokens that the table has no column for; a slice from -1 would leave out columns from 0.

        """
        if low.size and (low.min() < 0 or high.max() >= embedding.shape[1]):
            raise IndexError(f"tokens from {low.min()} to {high.max()} where there are {embedding.shape[1]} columns")
        pairs, place = np.unique(np.stack([low.reshape(-1), high.reshape(-1)], axis=1), axis=0, return_inverse=True)
        width = embedding.shape[0]
        below = np.empty((len(pairs), width), dtype=self._dtype)
        above = np.empty((len(pairs), width), dtype=self._dtype)
        for index, (first, last) in enumerate(pairs.tolist()):
            below[index], above[index] = embedding.between(first, last)
        grid = embedding.row_grids
        shape = (*low.shape, width)
        place = place.reshape(-1)
        return self.box(below[place].reshape(shape), above[place].reshape(shape), grid, exact=embedding.exact)

    def positions(self, context_size: int, start: int, stop: int) -> Box:
        """Return rows of the identity."""
        codes = np.eye(context_size, dtype=self._dtype)[None, start:stop]
        return Box(codes, codes, np.zeros(context_size, dtype=np.int64))

    def beside(self, left: Box, right: Box) -> Box:
        """Return the rows side by side."""
        batch = max(left.shape[0], right.shape[0])
        low, high = (
            np.concatenate([np.broadcast_to(part, (batch, *part.shape[1:])) for part in parts], axis=-1)
            for parts in ((left.low, right.low), (left.high, right.high))
        )
        shared = np.concatenate([left.sharing, right.sharing])
        return Box(low, high, np.concatenate([left.grid, right.grid]), left.exact and right.exact, shared)

    def below(self, top: Box, bottom: Box) -> Box:
        """Return the rows one under the other."""
        batch = max(top.shape[0], bottom.shape[0])
        low, high = (
            np.concatenate([np.broadcast_to(part, (batch, *part.shape[1:])) for part in parts], axis=-2)
            for parts in ((top.low, bottom.low), (top.high, bottom.high))
        )
        exact = top.exact and bottom.exact
        return Box(low, high, np.minimum(top.grid, bottom.grid), exact, top.sharing & bottom.sharing)

    def last(self, rows: Box) -> Box:
        """Return the last row."""
        return rows.rows(slice(-1, None))

    # operations -----------------------------------------------------------------------------------------------------

    def relu(self, rows: Box) -> Box:
        """Return ``max(0, .)``; what may be anything may be NaN, and stays so."""
        anything = np.isinf(rows.low) & np.isinf(rows.high)
        low, high = np.maximum(rows.low, 0), np.maximum(rows.high, 0)
        if anything.any():
            low, high = np.where(anything, -np.inf, low), np.where(anything, np.inf, high)
        grid = np.where(((low == 0) & (high == 0)).all(axis=(0, 1)), EVERYTHING, rows.grid)
        return Box(low, high, grid, rows.exact)

    def scores(self, queries: Box, keys: Box) -> Box:
        """Return the inner products."""
        used = np.flatnonzero(queries.moving & keys.moving)
        q, k = collapsed(queries.columns(used)), collapsed(keys.columns(used))
        products = (self.times(*factors) for factors in score_factors(q, k))
        pieces = ((*piece[:5], int(met_grids(piece).min(initial=EVERYTHING))) for piece in products)
        shape = (max(q.shape[0], k.shape[0]), queries.shape[1], keys.shape[1])
        terms = self.gathered(pieces, shape)
        low, high, whole = self.summed(terms)
        grid = np.full(keys.shape[1], terms.grid, dtype=np.int64)
        found = self.box(low, high, grid, exact=whole and queries.exact and keys.exact)
        for rows, across in ((queries, False), (keys, True)):
            wild = unbounded(rows, along=-1) | self.beyond(rows.magnitude, along=-1)
            found = tainted(found, wild.swapaxes(-1, -2) if across else wild)
        return found

    def mix(self, attention: Box, values: Box) -> Box:
        """Return the weighted sums."""
        shape = (max(attention.shape[0], values.shape[0]), attention.shape[1], values.shape[2])
        grids = np.full(values.shape[2], EVERYTHING, dtype=np.int64)

        def pieces() -> Iterator[Piece]:
            for factors in mix_factors(attention, values):
                piece = self.times(*factors)
                np.minimum(grids, met_grids(piece), out=grids)
                yield (*piece[:5], int(np.min(piece[5], initial=EVERYTHING)))

        low, high, whole = self.summed(self.gathered(pieces(), shape))
        found = self.box(low, high, grids, exact=whole and attention.exact and values.exact)
        # a weight of 0 does not hide what is not finite
        found = tainted(found, unbounded(attention, along=-1))
        found = tainted(found, unbounded(values, along=-2) | self.beyond(values.magnitude, along=-2))
        return self.kernel.exponential.mixed(self, found, values)

    def total(self, parts: Sequence[Box]) -> Box:
        """Return the sum of the heads' outputs, in any order."""
        shape = (max(part.shape[0] for part in parts), *parts[0].shape[1:])
        none = np.zeros((), dtype=self._dtype)
        pieces: list[Piece] = [
            (part.low, part.high, part.magnitude, none, none, int(part.grid.min(initial=EVERYTHING))) for part in parts
        ]
        low, high, whole = self._elementwise.summed(self.gathered(pieces, shape))
        grid = np.minimum.reduce([part.grid for part in parts])
        return self.box(low, high, grid, exact=whole and all(part.exact for part in parts))

    @cached_property
    def _elementwise(self) -> Sums:
        """The rule of sums that are no products of matrices."""
        return self if self.kernel.elementwise is self.kernel else Sums(self.kernel.elementwise)

    # certificates ----------------------------------------------------------------------------------------------------

    def margins(
        self,
        rows: Box,
        weight: RoundedWeight,
        bias: RoundedWeight,
        expected: Int[np.ndarray, " cells"],
        *,
        points: int,
    ) -> Margins:
        """Return lower bounds of the margins of computed logits."""
        return rounded_margins(self, rows, weight, bias, expected, points=points)

    @property
    def any_order(self) -> bool:
        """As the kind of kernel says."""
        return self.kernel.rounding.any_order

    def for_cells(self) -> SparseArithmetic:
        """Return the boxes that share what does not differ between cells, of which nothing is assumed yet."""
        return SparseArithmetic(RoundedArithmetic(self.kernel))

    def numbers(self, rows: Box) -> np.ndarray[Any, Any]:
        """Return the bounds side by side, shape ``batch x rows x width x 2``, as float64."""
        return np.stack([rows.low, rows.high], axis=-1).astype(np.float64)
