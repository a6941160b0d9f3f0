"""Boxes of one pass over a tree of positions: every position of every step and user input once, for all cells.

What no cell changes is computed for all nodes of the tree together: rows one by one, and attention from every node to
those before it in its own pass. What differs among the cells of a place is computed at the virtual tokens and, after
attention, at the last node of its own pass. Places that differ in equal numbers at other coordinates are computed once
from where a layer reads these coordinates: that they are equal is looked up, not assumed.

Only passes are bounded in which attention weights are the same for all cells, and everything is finite.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn, final

import numpy as np
from jaxtyping import Bool, Int

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.ratios import Ratios
from constructions.temperature import Temperature
from verify.arithmetic.base import Visible
from verify.certificates.enclosing import EnclosingArithmetic, Margins
from verify.certificates.floats.boxes import Box, RoundedWeight
from verify.certificates.floats.branched_rows import BranchedRows, Differing, at_nodes, prompt_parts, rows_of
from verify.certificates.floats.places_reading import readings
from verify.certificates.floats.sparse_rows import Places, SparseRows
from verify.certificates.itself import Itself
from verify.certificates.shared_cells import SharedCells, Tree
from verify.certificates.sheets import UnsharedError

if TYPE_CHECKING:
    from verify.certificates.floats.sparse import SparseArithmetic

#: Of a place: its index, the outputs that differ, what they read, and their weights and biases.
_Reading = tuple[int, Places, Box, RoundedWeight, RoundedWeight | None]


@final
class BranchedArithmetic(EnclosingArithmetic[RoundedWeight, BranchedRows, Box]):
    """Rounded arithmetic on :class:`BranchedRows`; every operation is one of the arithmetics below it."""

    def __init__(self, sparse: SparseArithmetic, cells: SharedCells) -> None:
        """Bound what ``sparse`` bounds, for cells of one tree."""
        self._sparse, self._base, self._cells, self._tree = sparse, sparse.base, cells, Tree.of(cells)
        self._virtual = cells.low.shape[1]
        self.spec, self.name, self.fmt, self.device = sparse.spec, sparse.name, sparse.fmt, sparse.device

    # the input -------------------------------------------------------------------------------------------------------

    def prompt_of(self, embedding: RoundedWeight, any_embedding: Fraction | None) -> BranchedRows:
        """Return the embeddings at all nodes.

        Args:
            embedding: of tokens.
            any_embedding: a bound of all embeddings instead of a known one.

        """
        cells, base = self._cells, self._base
        shared = base.prompt_between(cells.low, cells.high)
        tokens = [
            np.concatenate([cells.users, fed[:, : cells.fed]], axis=1).reshape(1, -1)
            for fed in (cells.fed_low, cells.fed_high)
        ]
        if tokens[0].shape[1] and any_embedding is not None:
            numerators = np.full((1, tokens[0].shape[1], shared.shape[2]), any_embedding.numerator)
            ends = (Ratios(part, any_embedding.denominator) for part in (-numerators, numerators))
            shared = base.below(shared, base.reals_between(*ends))
        elif tokens[0].shape[1]:
            shared = base.below(shared, base.embed_between(embedding, *tokens))
        return BranchedRows(shared, prompt_parts(base, cells), narrowed=False, fmt=base.fmt)

    def positions(self, context_size: int, start: int, stop: int) -> BranchedRows:
        """Return the codes of the positions of all nodes."""
        return self._same(rows_of(self._base.positions(context_size, start, stop), self._tree.depth))

    def embed_between(
        self, embedding: RoundedWeight, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> BranchedRows:
        """Return rows of a table of positions, for all nodes."""
        return self._same(rows_of(self._base.embed_between(embedding, low, high), self._tree.depth))

    def _same(self, shared: Box) -> BranchedRows:
        """Return rows at which no cell differs."""
        return BranchedRows(shared, (None,) * len(self._cells.places), narrowed=False, fmt=self._base.fmt)

    # rows ------------------------------------------------------------------------------------------------------------

    def _view(self, rows: BranchedRows, index: int) -> SparseRows:
        """Return the rows of a place: of its last node if they are narrowed, of the virtual tokens otherwise."""
        return rows.of_place(index, self._tree.own[index], self._virtual)

    def _columns(self, rows: BranchedRows, index: int, chosen: Places) -> Box:
        """Return some coordinates of a place as one box."""
        part, exact = rows.parts[index], rows.shared.exact
        if part is None or part[1].shared is not None or not np.array_equal(part[0], chosen):
            return self._view(rows, index).columns(chosen)
        # the box itself, of which all that follows is known where it is that of another place
        return Box(part[1].low, part[1].high, part[1].grid, exact) if part[1].exact and not exact else part[1]

    def _finite(self, *boxes: Box) -> None:
        """Refuse what may not be finite: it spreads over a row, also to what does not read it.

        Raises:
            UnsharedError: it may not.

        """
        if self._sparse.wild(*boxes):
            raise UnsharedError("numbers that may not be finite")

    def linear(self, rows: BranchedRows, weight: RoundedWeight, bias: RoundedWeight | None = None) -> BranchedRows:
        """Return ``W x + b``."""
        self._finite(rows.shared)
        if weight.largest > self._base.rounding.largest_factor:
            raise UnsharedError("weights that may not be finite")
        parts: list[Differing] = [None] * len(rows.parts)
        for index, touched, x, factor, shift in self._readings(rows, weight, bias):
            parts[index] = touched, self._linear(x, factor, shift)
        return BranchedRows(self._linear(rows.shared, weight, bias), tuple(parts), rows.narrowed, rows.fmt)

    def _linear(self, x: Box, weight: RoundedWeight, bias: RoundedWeight | None) -> Box:
        """Return ``W x + b`` of a box, once for equal numbers."""
        numbers = tuple(held.contents for held in (weight, bias) if held is not None)
        return self._sparse.once(lambda: self._base.linear(x, weight, bias), [x], "linear", *numbers)

    def _readings(self, rows: BranchedRows, weight: RoundedWeight, bias: RoundedWeight | None) -> Iterator[_Reading]:
        """Yield the places at which outputs differ, which do, what they read, and their weights and biases."""
        reads = [index for index, part in enumerate(rows.parts) if part is not None and weight.reads[part[0]].any()]
        if not reads:
            return
        moving = rows.moving(np.array([self._tree.own[index] for index in reads]), self._virtual)
        found = readings(weight, bias, [rows.places(index) for index in reads], moving)
        if found is None:
            for index in reads:
                one = self._sparse.reading(self._view(rows, index), weight, bias)
                if one is not None:
                    yield index, *one
            return
        for at, index in enumerate(reads):
            x = self._columns(rows, index, found.read[at])
            yield index, found.touched[at], x, found.factors[at], None if found.shifts is None else found.shifts[at]

    def _each(self, rows: BranchedRows, change: Callable[[Box], Box], *key: Hashable) -> BranchedRows:
        """Return rows changed coordinate by coordinate."""
        self._finite(rows.shared)
        parts = tuple(
            None if part is None else (part[0], self._sparse.once(lambda box=part[1]: change(box), [part[1]], *key))  # type: ignore[misc] # bound at once
            for part in rows.parts
        )
        return BranchedRows(change(rows.shared), parts, rows.narrowed, rows.fmt)

    def relu(self, rows: BranchedRows) -> BranchedRows:
        """Return ``max(0, .)``."""
        return self._each(rows, self._base.relu, "relu")

    def pointwise(self, rows: BranchedRows, activation: Activation) -> BranchedRows:
        """Return an activation of every coordinate."""
        return self._each(rows, lambda box: self._base.pointwise(box, activation), "pointwise", Itself(activation))

    def beside(self, left: BranchedRows, right: BranchedRows) -> BranchedRows:
        """Return the rows side by side."""
        if left.narrowed != right.narrowed:
            raise UnsharedError("rows of several positions beside those of one")
        width = left.shared.shape[2]

        def part(first: Differing, second: Differing) -> Differing:
            if second is None:
                return first
            moved = second[0] + width
            if first is None:
                return moved, second[1]
            return np.concatenate([first[0], moved]), self._base.beside(first[1], second[1])

        parts = tuple(part(*pair) for pair in zip(left.parts, right.parts, strict=True))
        return BranchedRows(self._base.beside(left.shared, right.shared), parts, left.narrowed, left.fmt)

    def total(self, parts: Sequence[BranchedRows]) -> BranchedRows:
        """Return the sum of the heads' outputs, in any order."""
        if any(part.narrowed != parts[0].narrowed for part in parts):
            raise UnsharedError("rows of several positions added to those of one")
        self._finite(*(part.shared for part in parts))

        def total(index: int) -> Differing:
            differing = [each[0] for part in parts if (each := part.parts[index]) is not None]
            if not differing:
                return None
            places = differing[0] if len(differing) == 1 else np.unique(np.concatenate(differing))
            boxes = [self._columns(part, index, places) for part in parts]
            return places, self._sparse.once(lambda: self._base.total(boxes), boxes, "total")

        found = tuple(total(index) for index in range(len(parts[0].parts)))
        return BranchedRows(self._base.total([part.shared for part in parts]), found, parts[0].narrowed, parts[0].fmt)

    # attention -------------------------------------------------------------------------------------------------------

    def scores(self, queries: BranchedRows, keys: BranchedRows) -> Box:
        """Return the inner products of all pairs of nodes, which must be the same for all cells."""
        self._finite(queries.shared, keys.shared)
        used = queries.shared.moving & keys.shared.moving
        for rows in (queries, keys):
            if rows.narrowed or any(part is not None and used[part[0]].any() for part in rows.parts):
                raise UnsharedError("scores that differ among cells")
        return self._base.scores(queries.shared, keys.shared)

    def score_table(self, table: RoundedWeight, start: int, stop: int) -> Box:
        """Return the entries of a table at the positions of all pairs of nodes."""
        found, depth = self._base.score_table(table, start, stop), self._tree.depth
        low, high = (part[:, depth[:, None], depth] for part in (found.low, found.high))
        return Box(low, high, found.grid[depth], found.exact)

    def shifted(self, scores: Box, shift: Box) -> Box:
        """Return the sum of scores and a table of them."""
        return self._base.shifted(scores, shift)

    def attention(self, scores: Box, visible: Visible, temperature: Temperature, *, key_size: int) -> Box:
        """Return bounds of the attention weights of all pairs of nodes."""
        return self._base.attention(scores, self._seen(visible), temperature, key_size=key_size)

    def shifted_attention(
        self, scores: Box, shift: Box, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> Box:
        """Return bounds of the attention weights with a shift of the exponents."""
        return self._base.shifted_attention(scores, shift, self._seen(visible), temperature, key_size=key_size)

    def _seen(self, visible: Visible) -> Bool[np.ndarray, "nodes nodes"]:
        """Return which nodes each node sees, by what positions see, in its own pass."""
        depth, length = self._tree.depth, int(self._tree.depth.max()) + 1
        if visible.shape != (length, length):
            raise UnsharedError("attention to what is at no position")
        return np.asarray(visible[depth[:, None], depth] & self._tree.sees)

    def mix(self, attention: Box, values: BranchedRows) -> BranchedRows:
        """Return the weighted sums; of a place, at the last node of its own pass.

        A weight of 0 hides a finite number. Kernels that take no part in a node whose weight is 0 are told of the
        others alone; to any other kind of exponent all nodes that are seen matter.
        """
        if values.narrowed or attention.shape[0] > 1:
            raise UnsharedError("attention that differs among cells")
        self._finite(attention, values.shared)
        one_weight = self._base.kernel.exponential.one_weight

        def part(differing: Differing, own: int) -> Differing:
            if differing is None:
                return None
            nodes = np.flatnonzero(attention.magnitude[0, own] if one_weight else self._tree.sees[own])
            box = at_nodes(differing, values.shared, nodes)
            low, high = (part[:, own : own + 1, nodes] for part in (attention.low, attention.high))
            chosen = Box(low, high, attention.grid[nodes], attention.exact)
            return differing[0], self._sparse.once(lambda: self._base.mix(chosen, box), [chosen, box], "mix")

        parts = tuple(part(*pair) for pair in zip(values.parts, self._tree.own, strict=True))
        return BranchedRows(self._base.mix(attention, values.shared), parts, narrowed=True, fmt=self._base.fmt)

    # the readout -----------------------------------------------------------------------------------------------------

    def margins(
        self,
        rows: BranchedRows,
        weight: RoundedWeight,
        bias: RoundedWeight,
        expected: Int[np.ndarray, " cells"],
        *,
        points: int,
    ) -> Margins:
        """Return lower bounds of the margins of computed logits, place by place; equal places are one."""
        if not rows.narrowed:
            raise UnsharedError("no attention, so that every position is read")
        found, start, every = np.empty(len(expected)), 0, np.arange(rows.shared.shape[2])
        known: dict[Hashable, np.ndarray[Any, Any]] = {}
        for index, place in enumerate(self._cells.places):
            box, stop = self._columns(rows, index, every), start + len(place.expected)
            promised = expected[start:stop]
            key = box.contents, promised.tobytes()
            if key not in known:
                known[key] = self._base.margins(box, weight, bias, promised, points=points).lower
            found[start:stop] = known[key]
            start = stop
        return Margins(found)

    def weight(self, matrix: ExactMatrix) -> RoundedWeight:
        """Return the matrix, every entry correctly rounded."""
        return self._base.weight(matrix)

    def assumptions(self) -> str:
        """Return what is assumed of the kernels."""
        return self._base.assumptions()

    def numbers(self, rows: BranchedRows | Box) -> np.ndarray[Any, Any]:
        """Return the bounds of all nodes side by side, shape ``1 x nodes x width x 2``, as float64."""
        return self._base.numbers(rows.shared if isinstance(rows, BranchedRows) else rows)

    # what has no rule here -------------------------------------------------------------------------------------------

    def _refused(self, *args: Any, **options: Any) -> NoReturn:
        raise UnsharedError("an operation that joins coordinates or positions in another way")

    prompt_between = reals_between = below = last = multiply = affine = normalise = _refused
