"""Boxes of many cells of which few coordinates differ: the rest is computed once for all cells.

Cells of one step differ in the coordinates of the prompt that hold the decoded entry. Every intermediate is kept twice:
once as a single box that encloses ALL cells, and, for the few coordinates that differ, cell by cell. Both are results
of :class:`~verify.certificates.floats.arithmetic.RoundedArithmetic`, so that either is right by itself; the second is
tighter where it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np
from jaxtyping import Int

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.ratios import Ratios
from constructions.temperature import Temperature
from verify.arithmetic.base import Visible
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.floats.boxes import Box, RoundedWeight
from verify.certificates.floats.branched import BranchedArithmetic
from verify.certificates.floats.directed import largest_of
from verify.certificates.floats.sparse_rows import Places, SparseRows, by_what_differs
from verify.certificates.itself import Itself
from verify.certificates.shared_cells import SharedCells

if TYPE_CHECKING:
    from verify.certificates.floats.arithmetic import RoundedArithmetic

#: Results that are kept for numbers that recur, and numbers of all of them and of their arguments: 256 MiB of
#: float64. The least recently used go first.
_KEPT, _KEPT_NUMBERS = 2**10, 2**25


@final
class SparseArithmetic(EnclosingArithmetic[RoundedWeight, SparseRows, Box]):
    """Rounded arithmetic on :class:`SparseRows`; every operation is one, or two, of the arithmetic below it."""

    def __init__(self, base: RoundedArithmetic) -> None:
        """Bound what ``base`` bounds."""
        self.base = base
        self._known: dict[Any, tuple[Box | None, int]] = {}
        self._numbers = 0
        self.spec, self.name, self.fmt, self.device = base.spec, base.name, base.fmt, base.device

    @property
    def any_order(self) -> bool:
        """As the kind of kernel says."""
        return self.base.any_order

    def wild(self, *parts: SparseRows | Box) -> bool:
        """Return whether any factor may not be finite: it spreads over a row, also to what does not read it."""
        boxes = [part.shared if isinstance(part, SparseRows) else part for part in parts]
        largest = min(self.base.rounding.largest_factor, largest_of(self.base.fmt))
        return not all((box.magnitude <= largest).all() for box in boxes)

    def once(self, made: Callable[[], Box], boxes: Sequence[Box], *more: Hashable) -> Box:
        """Return a result that is computed once for equal numbers: what no token plays a part in recurs at every V."""
        key = tuple(box.contents for box in boxes), more
        found, size = self._known.pop(key, (None, 0))
        if found is None:
            found = made()
            size = 2 * sum(box.low.size for box in (found, *boxes))
            self._numbers += size
        self._known[key] = found, size  # the last to be forgotten
        while len(self._known) > _KEPT or self._numbers > _KEPT_NUMBERS:
            self._numbers -= self._known.pop(next(iter(self._known)))[1]
        return found

    def branched(self) -> Callable[[SharedCells], BranchedArithmetic]:
        """Return a function that makes the bounds of a pass over the tree of some cells."""
        return partial(BranchedArithmetic, self)

    def weight(self, matrix: ExactMatrix) -> RoundedWeight:
        """Return the matrix, every entry correctly rounded."""
        return self.base.weight(matrix)

    def prompt_between(self, low: Ratios, high: Ratios) -> SparseRows:
        """Return virtual tokens between two."""
        return by_what_differs(self.base.prompt_between(low, high))

    def reals_between(self, low: Ratios, high: Ratios) -> SparseRows:
        """Return rows of any real numbers between two."""
        return by_what_differs(self.base.reals_between(low, high))

    def embed_between(
        self, embedding: RoundedWeight, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> SparseRows:
        """Return bounds of the columns of tokens between two."""
        if (low == low[:1]).all() and (high == high[:1]).all():
            low, high = low[:1], high[:1]
        return by_what_differs(self.base.embed_between(embedding, low, high))

    def positions(self, context_size: int, start: int, stop: int) -> SparseRows:
        """Return rows of the identity."""
        return SparseRows(self.base.positions(context_size, start, stop))

    def beside(self, left: SparseRows, right: SparseRows) -> SparseRows:
        """Return the rows side by side."""
        places = np.concatenate([left.places, right.places + left.width])
        parts = [part for part in (left.varying, right.varying) if part is not None]
        varying = parts[0] if parts else None
        for part in parts[1:]:
            varying = self.base.beside(parts[0], part)
        return SparseRows(self.base.beside(left.shared, right.shared), places, varying)

    def below(self, top: SparseRows, bottom: SparseRows) -> SparseRows:
        """Return the rows one under the other."""
        shared = self.base.below(top.shared, bottom.shared)
        places = np.union1d(top.places, bottom.places)
        if not len(places):
            return SparseRows(shared)
        return SparseRows(shared, places, self.base.below(top.columns(places), bottom.columns(places)))

    def last(self, rows: SparseRows) -> SparseRows:
        """Return the last row."""
        varying = None if rows.varying is None else self.base.last(rows.varying)
        return SparseRows(self.base.last(rows.shared), rows.places, varying)

    def linear(self, rows: SparseRows, weight: RoundedWeight, bias: RoundedWeight | None = None) -> SparseRows:
        """Return ``W x + b``; what differs in it is what reads a coordinate that differs.

        A weight that may become infinite makes NaN of a coordinate that is 0, so that none may be left out.
        """
        if self.wild(rows) or weight.largest > self.base.rounding.largest_factor:
            return by_what_differs(self.base.linear(rows.dense(), weight, bias))
        shared = self._shared(rows.shared, weight, bias)
        differing = self.reading(rows, weight, bias)
        if differing is None:
            return SparseRows(shared)
        touched, x, part, shift = differing
        return SparseRows(shared, touched, self.base.linear(x, part, shift))

    def reading(
        self, rows: SparseRows, weight: RoundedWeight, bias: RoundedWeight | None
    ) -> tuple[Places, Box, RoundedWeight, RoundedWeight | None] | None:
        """Return the outputs that differ, what they read, and their weights and biases; ``None`` if none differs."""
        if rows.varying is None:
            return None
        touched = weight.rows_reading(rows.places)
        if not len(touched):
            return None
        # a coordinate that is 0 in every cell adds nothing to any sum
        read = np.flatnonzero(rows.shared.moving & weight.read_by(touched))
        part = weight.part(touched, read)
        shift = None if bias is None else bias.part(touched, np.zeros(1, dtype=np.int64))
        return touched, rows.columns(read), part, shift

    def _shared(self, rows: Box, weight: RoundedWeight, bias: RoundedWeight | None) -> Box:
        """Return ``W x + b`` of a single box; of the coordinates that a matrix reads, as often as they recur."""
        if bias is not None:
            return self.base.linear(rows, weight, bias)
        read = np.flatnonzero(weight.reads)
        part = weight.part(np.arange(weight.shape[0]), read)
        x = rows.columns(read)
        return self.once(
            lambda: self.base.linear(x, part), [x], "linear", part.values.shape, part.values.tobytes(), part.exact
        )

    def relu(self, rows: SparseRows) -> SparseRows:
        """Return ``max(0, .)``."""
        varying = None if rows.varying is None else self.base.relu(rows.varying)
        return SparseRows(self.base.relu(rows.shared), rows.places, varying)

    def pointwise(self, rows: SparseRows, activation: Activation) -> SparseRows:
        """Return an activation of every coordinate."""
        varying = None if rows.varying is None else self.base.pointwise(rows.varying, activation)
        key = "pointwise", Itself(activation)
        shared = self.once(lambda: self.base.pointwise(rows.shared, activation), [rows.shared], *key)
        return SparseRows(shared, rows.places, varying)

    def multiply(self, left: SparseRows, right: SparseRows) -> SparseRows:
        """Return the products; what differs in them is what differs in a factor."""
        shared, places = self.base.multiply(left.shared, right.shared), np.union1d(left.places, right.places)
        if not len(places):
            return SparseRows(shared)
        return SparseRows(shared, places, self.base.multiply(left.columns(places), right.columns(places)))

    def affine(self, rows: SparseRows, weight: RoundedWeight | None, bias: RoundedWeight | None) -> SparseRows:
        """Return ``w * x + b``."""
        shared = self.base.affine(rows.shared, weight, bias)
        if rows.varying is None:
            return SparseRows(shared)
        first = np.zeros(1, dtype=np.int64)
        parts = (None if part is None else part.part(rows.places, first) for part in (weight, bias))
        return SparseRows(shared, rows.places, self.base.affine(rows.varying, *parts))

    def normalise(self, rows: SparseRows, *, centred: bool, mean: bool, eps: Fraction) -> SparseRows:
        """Return every row over its root mean square: a coordinate that differs makes all of its row differ."""
        if rows.varying is None:
            return SparseRows(self.base.normalise(rows.shared, centred=centred, mean=mean, eps=eps))
        return by_what_differs(self.base.normalise(rows.dense(), centred=centred, mean=mean, eps=eps))

    def score_table(self, table: RoundedWeight, start: int, stop: int) -> Box:
        """Return the entries of a table, the same for every cell."""
        return self.base.score_table(table, start, stop)

    def shifted(self, scores: Box, shift: Box) -> Box:
        """Return the sum of scores and a table of them."""
        return self.base.shifted(scores, shift)

    def shifted_attention(
        self, scores: Box, shift: Box, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> Box:
        """Return bounds of the attention weights with a shift of the exponents."""
        return self.once(
            lambda: self.base.shifted_attention(scores, shift, visible, temperature, key_size=key_size),
            [scores, shift],
            "shifted attention",
            visible.shape,
            visible.tobytes(),
            temperature,
            key_size,
        )

    def scores(self, queries: SparseRows, keys: SparseRows) -> Box:
        """Return the inner products: of all cells at once unless a coordinate that is used differs."""
        if self.wild(queries, keys):
            return self.base.scores(queries.dense(), keys.dense())
        read = np.flatnonzero(queries.shared.moving & keys.shared.moving)
        q, k = queries.columns(read), keys.columns(read)
        return self.once(lambda: self.base.scores(q, k), [q, k], "scores")

    def attention(self, scores: Box, visible: Visible, temperature: Temperature, *, key_size: int) -> Box:
        """Return bounds of the attention weights."""
        return self.once(
            lambda: self.base.attention(scores, visible, temperature, key_size=key_size),
            [scores],
            "attention",
            visible.shape,
            visible.tobytes(),
            temperature,
            key_size,
        )

    def mix(self, attention: Box, values: SparseRows) -> SparseRows:
        """Return the weighted sums, coordinate by coordinate."""
        if attention.shape[0] > 1 or self.wild(attention, values):
            return by_what_differs(self.base.mix(attention, values.dense()))
        varying = None if values.varying is None else self.base.mix(attention, values.varying)
        shared = self.once(lambda: self.base.mix(attention, values.shared), [attention, values.shared], "mix")
        return SparseRows(shared, values.places, varying)

    def total(self, parts: Sequence[SparseRows]) -> SparseRows:
        """Return the sum of the heads' outputs, in any order."""
        shared = self.base.total([part.shared for part in parts])
        places = np.unique(np.concatenate([part.places for part in parts]))
        if not len(places):
            return SparseRows(shared)
        return SparseRows(shared, places, self.base.total([part.columns(places) for part in parts]))

    def margins(
        self,
        rows: SparseRows,
        weight: RoundedWeight,
        bias: RoundedWeight,
        expected: Int[np.ndarray, " cells"],
        *,
        points: int,
    ) -> Margins:
        """Return lower bounds of the margins of computed logits."""
        return self.base.margins(rows.dense(), weight, bias, expected, points=points)

    def assumptions(self) -> str:
        """Return what is assumed of the kernels."""
        return self.base.assumptions()

    def numbers(self, rows: SparseRows | Box) -> np.ndarray[Any, Any]:
        """Return the bounds side by side, shape ``batch x rows x width x 2``, as float64."""
        return self.base.numbers(rows.dense() if isinstance(rows, SparseRows) else rows)
