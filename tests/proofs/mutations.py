"""Changes of the weights of a transformer, for mutants that obligations must refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sympy as sp

from constructions import Attention, Linear, Transformer, UnitRow
from constructions.expressions import V, entries

Mutation = Callable[[Transformer], Transformer]


def head(layer: str, name: str, part: str, change: Callable[[Any], Any]) -> Mutation:
    """Return the mutation that changes one matrix of a head, in the layer or the family of that name."""

    def mutated(transformer: Transformer) -> Transformer:
        layers = tuple(
            replace(item, heads=tuple(map(changed, item.heads)))
            if isinstance(item, Attention) and layer in (item.name, item.family)
            else item
            for item in transformer.layers
        )
        return replace(transformer, layers=layers)

    def changed(item: Any) -> Any:
        return replace(item, **{part: change(getattr(item, part))}) if item.name == name else item

    return mutated


def linear(layer: str, **changes: Any) -> Mutation:
    """Return the mutation that changes parts of an MLP layer; a callable gets what was there."""

    def mutated(transformer: Transformer) -> Transformer:
        layers = tuple(
            replace(item, **{part: to(getattr(item, part)) if callable(to) else to for part, to in changes.items()})
            if isinstance(item, Linear) and layer in (item.name, item.family)
            else item
            for item in transformer.layers
        )
        return replace(transformer, layers=layers)

    return mutated


def embedding(matrix: Any) -> Mutation:
    return lambda transformer: replace(transformer, embedding=matrix)


def block(row: int, column: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the change of one block of a block matrix."""

    def changed(matrix: Any) -> Any:
        rows, columns = matrix.blocks.shape
        grid = [[matrix.blocks[r, c] for c in range(columns)] for r in range(rows)]
        grid[row][column] = change(grid[row][column])
        return sp.BlockMatrix(grid)

    return changed


def doubled(matrix: Any) -> Any:
    return 2 * matrix


def swapped(matrix: Any) -> Any:
    """Return a block row with its blocks in reverse: embedding and position exchanged."""
    columns = matrix.blocks.shape[1]
    return sp.BlockMatrix([[matrix.blocks[0, column] for column in reversed(range(columns))]])


def transposed(matrix: Any) -> Any:
    return sp.BlockMatrix([[part.T] for part in matrix.blocks]) if isinstance(matrix, sp.BlockMatrix) else matrix.T


def ones(matrix: Any) -> Any:
    return sp.OneMatrix(*matrix.shape)


def zeros(matrix: Any) -> Any:
    return sp.ZeroMatrix(*matrix.shape)


def at(index: int | sp.Expr) -> Callable[[Any], Any]:
    """Return the change of a unit row to another coordinate."""
    return lambda row: UnitRow(row.shape[1], index)


# the grid is shifted by one token, in the bias; in the weight alone the shift is the same for all logits, and harmless
OFF_BY_ONE = entries(V, 1, lambda v, _: sp.Rational(1, 4) - ((v + 1) / V) ** 2)
HARMLESS_SHIFT = entries(V, 1, lambda v, _: 2 * (v + 1) / V - 1)
HALF_SLOPE = entries(V, 1, lambda v, _: v / V - 1)


def doubled_blocks(matrix: Any) -> Any:
    columns = matrix.blocks.shape[1]
    return sp.BlockMatrix([[2 * matrix.blocks[0, column] for column in range(columns)]])


def negated(matrix: Any) -> Any:
    return -matrix


def doubled_rows(matrix: Any) -> Any:
    """Return a column of blocks, each of them doubled."""
    return sp.BlockMatrix([[2 * matrix.blocks[row, 0]] for row in range(matrix.blocks.shape[0])])
