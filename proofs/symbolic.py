"""Vectors of symbolic size, and their images under the weights of a transformer, entry by entry.

The matrices are the constructions' own expressions. A product with a vector is a ``Sum`` over every block, which
sympy evaluates; nothing here knows what a weight ought to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from constructions import Head, Linear, Transformer
from constructions.expressions import has_range
from proofs.decide import Expr, ObligationFailed, ObligationUndecided, natural, relu, require_defined
from proofs.sums import total

#: Numbers or expressions that stand for symbols of the weights: ``{N: i + 1 + z}`` says that ``i`` is a position.
Given = Mapping[Any, Any]

# indices of the sums: a column of a weight, a coordinate of a query and key, a position
_COLUMN, _CODE, _POSITION = natural("column"), natural("code"), natural("position")


@dataclass(frozen=True)
class Piece:
    """Consecutive coordinates of a vector.

    Attributes:
        size: how many, possibly symbolic.
        entry: the ``index``-th of them, 0-based.

    """

    size: Expr
    entry: Callable[[Expr], Expr]


Vector = Sequence[Piece]


def position(transformer: Transformer, index: Expr, embedded: Piece, given: Given) -> Vector:
    """Return the input ``[embedded; e_index]`` of a position."""
    return embedded, one_hot(substituted(transformer.context_size, given), index)


def anywhere(transformer: Transformer, index: Expr, name: str, given: Given) -> Vector:
    """Return ``[u; e_index]`` with an embedding half ``u`` of which nothing is known."""
    size = substituted(transformer.embedding.shape[0], given)
    return position(transformer, index, unknown(size, name), given)


def only(value: Expr, index: Expr, size: Expr) -> Piece:
    """Return the coordinates that are ``value`` at ``index`` and unknown elsewhere."""
    rest = sp.Function("rest")

    def entry(place: Expr) -> Expr:
        here = sp.KroneckerDelta(place, index)
        return here * value + (1 - here) * rest(place)

    return Piece(sp.sympify(size), entry)


def one_hot(size: Expr, index: Expr) -> Piece:
    """Return the coordinates that are 1 at ``index`` and 0 elsewhere."""
    return Piece(sp.sympify(size), lambda place: sp.KroneckerDelta(place, index))


def unknown(size: Expr, name: str) -> Piece:
    """Return coordinates that may be anything, even complex numbers."""
    return Piece(sp.sympify(size), sp.Function(name))


def fraction_below_1(name: str) -> Callable[[Expr], Expr]:
    """Return an unknown function with values in ``[0, 1)``: ``p/(1+p)`` runs through them as ``p >= 0`` does."""
    share = sp.Function(name, real=True, nonnegative=True)
    return lambda index: share(index) / (1 + share(index))


def column(matrix: Any, index: Expr, given: Given) -> Piece:
    """Return a column of a weight, such as the embedding of a token."""
    matrix = substituted(matrix, given)
    return Piece(matrix.shape[0], lambda row: entry_of(matrix, row, index))


def substituted(expr: Any, given: Given) -> Any:
    """Return an expression with its symbols replaced."""
    return sp.sympify(expr).xreplace(dict(given))


def entry_of(matrix: Any, row: Expr, column: Expr) -> Expr:
    """Return an entry of a weight.

    Raises:
        ObligationUndecided: it is not shown to be a number for all sizes.

    """
    return _without_ranges(matrix[row, column])


def _grid(matrix: Any) -> list[list[Any]]:
    if isinstance(matrix, sp.BlockMatrix):
        rows, columns = matrix.blocks.shape
        return [[matrix.blocks[row, column] for column in range(columns)] for row in range(rows)]
    return [[matrix]]


def _block_row(matrix: Any, block: int, row: Expr, given: Given, where: str) -> list[Any]:
    grid = _grid(matrix)
    if block >= len(grid):
        raise ObligationFailed(f"false: {where} has {len(grid)} blocks of rows, not more than {block}")
    found = [substituted(part, given) for part in grid[block]]
    if (found[0].shape[0] - 1 - row).is_negative:
        raise ObligationFailed(f"false: {where} has a row {row} in block {block}, of {found[0].shape[0]} rows")
    return found


def blocks(matrix: Any, row: int, count: int, where: str) -> list[Any]:
    """Return the blocks of a row of blocks; raises :class:`ObligationFailed` unless there are ``count`` of them."""
    found = _grid(matrix)[row]
    if len(found) != count:
        raise ObligationFailed(f"false: {where} has {count} blocks of columns, it has {len(found)}")
    return found


def image(weight: Any, vector: Vector, row: Expr, *, given: Given, where: str, block: int = 0) -> Expr:
    """Return one entry of the product of a weight and a vector.

    Args:
        weight: a matrix expression of the constructions.
        vector: pieces whose sizes add up to the weight's number of columns.
        row: the row inside its block, 0-based.
        given: what the symbols of the weight stand for.
        where: the weight's name, for messages.
        block: the block of rows, 0 for a matrix without blocks.

    Raises:
        ObligationFailed: the weight does not fit the vector.
        ObligationUndecided: sympy cannot tell how the blocks of the weight lie in the pieces of the vector.

    """
    parts = _block_row(weight, block, row, given, where)
    sizes = [part.shape[1] for part in parts], [piece.size for piece in vector]
    result: Expr = sp.S.Zero
    for part, piece, part_start, piece_start, size in _overlaps(*sizes, where):
        if isinstance(parts[part], sp.ZeroMatrix):
            continue
        entry = _entry(parts[part], row, part_start + _COLUMN) * vector[piece].entry(piece_start + _COLUMN)
        result += total(entry, _COLUMN, size)
    return result


def _entry(matrix: Any, row: Expr, column: Expr) -> Expr:
    """Return an entry as :func:`entry_of` does, whose row and column the caller has held against the shape.

    Sympy would ask of both once more whether they may be in it, which takes longer than the entry.
    """
    if isinstance(matrix, sp.FunctionMatrix):
        return _without_ranges(matrix.lamda(row, column))
    return entry_of(matrix, row, column)


def _without_ranges(entry: Expr) -> Expr:
    """Return an entry of a weight once it is shown to be a number, without the ranges of its Kronecker deltas.

    Sympy gives the entries of an identity a range, which says that its row and column are in its shape, and forgets it
    where both are equal. No other delta of a weight has one: :func:`constructions.lowering.lower` refuses it.
    """
    require_defined("an entry of a weight", entry)
    ranged = {delta for delta in entry.atoms(sp.KroneckerDelta) if has_range(delta)}
    return entry.xreplace({delta: sp.KroneckerDelta(*delta.args[:2]) for delta in ranged})


def _overlaps(parts: Sequence[Expr], pieces: Sequence[Expr], where: str) -> Iterator[tuple[int, int, Expr, Expr, Expr]]:
    """Yield the common refinement of two partitions: both indices, both starts, and the size."""
    part = piece = 0
    part_start: Expr = sp.S.Zero
    piece_start: Expr = sp.S.Zero
    while part < len(parts) and piece < len(pieces):
        part_left, piece_left = parts[part] - part_start, pieces[piece] - piece_start
        longer = sp.expand(part_left - piece_left)
        if not (longer.is_nonnegative or longer.is_nonpositive):
            raise ObligationUndecided(f"undecided: {where}: which is longer, {part_left} columns or {piece_left}?")
        size = piece_left if longer.is_nonnegative else part_left
        yield part, piece, part_start, piece_start, size
        part_start, piece_start = part_start + size, piece_start + size
        if longer.is_nonpositive:
            part, part_start = part + 1, sp.S.Zero
        if longer.is_nonnegative:
            piece, piece_start = piece + 1, sp.S.Zero
    if part < len(parts) or piece < len(pieces):
        raise ObligationFailed(f"false: {where} has {sum(parts)} columns for a vector of {sum(pieces)} coordinates")


def affine(layer: Linear, vector: Vector, row: Expr, *, given: Given, block: int = 0) -> Expr:
    """Return one coordinate of ``W x + b``; for the arguments and errors see :func:`image`."""
    where = f"{layer.family or layer.name}.weight"
    weighted = image(layer.weight, vector, row, given=given, where=where, block=block)
    heights = [substituted(parts[0].shape[0], given) for parts in _grid(layer.weight)]
    bias = [substituted(parts[0], given) for parts in _grid(layer.given_bias)]
    if len(bias) == 1:  # one column for all blocks
        heights, row, block = [sum(heights)], sum(heights[:block]) + row, 0
    if len(bias) != len(heights) or not sp.expand_mul(bias[block].shape[0] - heights[block]).is_zero:
        raise ObligationFailed(f"false: {where} and its bias have the same rows")
    return weighted + _entry(bias[block], row, sp.S.Zero)


def output(layer: Linear, vector: Vector, row: Expr, *, given: Given, block: int = 0) -> Expr:
    """Return one coordinate of the layer's output; sympy decides the sign that its ReLU (if any) depends on."""
    before = affine(layer, vector, row, given=given, block=block)
    return relu(f"{layer.family or layer.name}: what its ReLU is given", before) if layer.has_relu else before


def score(head: Head, at: Vector, key: Vector, *, given: Given) -> Expr:
    """Return ``(W_Q x_i) . (W_K x_j)`` for the inputs ``at`` of position ``i`` and ``key`` of position ``j``."""
    asked = image(head.query, at, _CODE, given=given, where=f"{head.name}.query")
    offered = image(head.own_key, key, _CODE, given=given, where=f"{head.name}.key")
    sizes = [substituted(part.shape[0], given) for part in (head.query, head.own_key)]
    if not sp.expand(sizes[0] - sizes[1]).is_zero:
        raise ObligationFailed(f"false: {head.name} has queries of size {sizes[0]} and keys of size {sizes[1]}")
    return total(asked * offered, _CODE, sizes[0])


def read(head: Head, key: Vector, row: Expr, *, given: Given, block: int = 0) -> Expr:
    """Return coordinate ``row`` of ``W_V x_j``, the head's output when all attention is on that key."""
    return image(head.own_value, key, row, given=given, where=f"{head.name}.value", block=block)


def softmax_read(
    head: Head,
    at: Vector,
    key: Callable[[Expr], Vector],
    row: Expr,
    q: Expr,
    *,
    visible: Expr,
    given: Given,
) -> Expr:
    """Return coordinate ``row`` of a head's output over the first ``visible`` keys, where a score ``c`` weighs ``q^c``.

    Raises:
        ObligationUndecided: a score is not shown to be 0 or 1, where ``q^c = 1 + (q - 1) c``.

    """
    scored = _within(score(head, at, key(_POSITION), given=given), visible)
    if not (scored in (0, 1) or isinstance(scored, sp.KroneckerDelta)):
        raise ObligationUndecided(f"undecided: {head.name}: is the score {scored} always 0 or 1?")
    weighed = 1 + (q - 1) * scored
    value = _within(read(head, key(_POSITION), row, given=given), visible)
    return total(weighed * value, _POSITION, visible) / total(weighed, _POSITION, visible)


def _within(expr: Expr, visible: Expr) -> Expr:
    """Return ``expr`` without the conditions that are always met, as the summed position is below ``visible``.

    A condition that holds below ``visible`` is dropped, and so is one on a Kronecker delta that holds where the delta
    is not 0 anyway.
    """
    below = visible - 1 - natural("c")

    def settle(*cases: Any) -> Expr:
        settled = [(value, _holds(where, below)) for value, where in cases]
        if len(settled) == 2 and settled[1] == (0, sp.true) and isinstance(settled[0][0], sp.KroneckerDelta):
            delta, where = settled[0]
            others = [index for index in delta.args[:2] if index != _POSITION]
            if len(others) == 1 and _holds(where, others[0]) == sp.true:
                return delta
        return sp.Piecewise(*settled)

    return expr.replace(sp.Piecewise, settle)


def _holds(where: Any, place: Expr) -> Any:
    """Return true when a condition on the summed position holds at ``place``, and the condition itself otherwise."""
    return sp.true if where.subs(_POSITION, place) == sp.true else where


def trichotomy(size: Any) -> Iterator[tuple[str, Expr, Expr, dict[Any, Any]]]:
    """Yield every order of two indices below ``size``: its name, both indices, and what ``size`` then stands for.

    With naturals ``i``, ``a``, ``z``: ``j = i``, ``j = i + 1 + a`` or ``i = j + 1 + a``, and ``size`` is ``1 + z`` more
    than the larger one. These are all pairs ``0 <= i, j < size``.

    Args:
        size: a symbol of the weights.

    """
    low, gap, rest = natural("i"), natural("a"), natural("z")
    high = low + 1 + gap
    yield "j = i", low, low, {size: low + 1 + rest}
    yield "j > i", low, high, {size: high + 1 + rest}
    yield "j < i", high, low, {size: high + 1 + rest}
