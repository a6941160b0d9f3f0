"""From a symbolic weight expression to exact numbers: the one place where V and N become integers.

Every other form of a weight (numpy, torch, python-flint) is a conversion of the :class:`ExactMatrix` made here, so
that no weight is written twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.entries import Entries
from constructions.entry_functions import Unsupported, entries_of
from constructions.exact_code import Bindings as Bindings
from constructions.exact_code import not_rational, scalar_function
from constructions.exact_matrix import ExactMatrix, Leaf, as_entries, check_dense
from constructions.expressions import UnitRow
from constructions.validation import InvalidArgument


def evaluate(expr: sp.Expr | int, bindings: Bindings) -> Fraction:
    """Return the exact value of a scalar expression at the given bindings.

    Raises:
        InvalidArgument: a symbol without a number.

    """
    expr = sp.sympify(expr)
    if expr.is_Rational:
        return Fraction(int(expr.p), int(expr.q))
    if expr.is_Symbol and expr in bindings:
        return Fraction(bindings[expr])
    if expr.is_number:
        raise not_rational(expr)
    return scalar_function(expr, (), bindings)()


def lower(expr: Any, bindings: Bindings) -> ExactMatrix:
    """Return the exact rational matrix of a weight expression at given numbers.

    Args:
        expr: a sympy matrix expression in the package's vocabulary (blocks, sums and scalar multiples of identities,
            zeros, ones, unit rows, entry functions, transposes, Kronecker products with an identity and explicit
            matrices), an explicit matrix as nested sequences or an array, or an exact matrix, which stays as it is.
        bindings: the number of every symbol in it.

    Raises:
        InvalidArgument: a symbol without a number, a size that is not a natural number, or an expression of another
            kind.

    Example:
        >>> import sympy as sp
        >>> V = sp.Symbol("V", integer=True, positive=True)
        >>> lower(sp.Identity(V) / V, {V: 2}).to_fractions()
        [[Fraction(1, 2), Fraction(0, 1)], [Fraction(0, 1), Fraction(1, 2)]]

    """
    if isinstance(expr, ExactMatrix):
        return expr
    if not isinstance(expr, (MatrixExpr, sp.MatrixBase)):
        expr = explicit_matrix("matrix", expr)
    if isinstance(expr, sp.MatMul):
        scalar, matrices = expr.as_coeff_matrices()
        if len(matrices) == 1 and isinstance(matrices[0], sp.BlockMatrix):
            whole, factor = lower(matrices[0], bindings), evaluate(scalar, bindings)
            scaled = {place: _scaled(leaf, factor) for place, leaf in whole.leaves.items()}
            kept = {place: leaf for place, leaf in scaled.items() if leaf is not None}
            return ExactMatrix(whole.row_sizes, whole.column_sizes, kept)
    if isinstance(expr, sp.BlockMatrix):
        grid = expr.blocks
        row_sizes = tuple(_size(grid[row, 0].shape[0], bindings) for row in range(grid.shape[0]))
        column_sizes = tuple(_size(grid[0, column].shape[1], bindings) for column in range(grid.shape[1]))
        leaves = {
            (row, column): leaf
            for row in range(grid.shape[0])
            for column in range(grid.shape[1])
            if (leaf := _lower_leaf(grid[row, column], bindings)) is not None
        }
        return ExactMatrix(row_sizes, column_sizes, leaves)
    rows, columns = (_size(size, bindings) for size in expr.shape)
    leaf = _lower_leaf(expr, bindings)
    return ExactMatrix((rows,), (columns,), {} if leaf is None else {(0, 0): leaf})


def _size(expr: sp.Expr, bindings: Bindings) -> int:
    size = evaluate(expr, bindings)
    if size.denominator != 1 or size < 0:
        raise InvalidArgument(f"matrix size: expected a natural number but {expr} is {size}")
    return int(size)


def _entries_leaf(entries: Entries) -> Leaf | None:
    return Leaf("entries", nonzero=entries) if len(entries) else None


def _scaled(leaf: Leaf | None, factor: Fraction) -> Leaf | None:
    if leaf is None or factor == 0:
        return None
    if leaf.nonzero is None:
        return Leaf(leaf.kind, leaf.scale * factor)
    return leaf if factor == 1 else _entries_leaf(leaf.nonzero.scaled(factor))


def _lower_function(expr: sp.FunctionMatrix, rows: int, columns: int, bindings: Bindings) -> Leaf | None:
    """Return the block of an entry function: over whole arrays if it can be, entry by entry if not."""
    indices, entry = tuple(expr.lamda.variables), expr.lamda.expr
    exact = scalar_function(entry, indices, bindings)
    known = {symbol: int(bindings[symbol]) for symbol in entry.free_symbols - set(indices)}
    try:
        return _entries_leaf(entries_of(entry, rows, columns, indices, known))
    except Unsupported:
        check_dense(rows, columns)
        places = ((row, column) for row in range(rows) for column in range(columns))
        return _entries_leaf(Entries.of((row, column, exact(row, column)) for row, column in places))


def _lower_leaf(expr: Any, bindings: Bindings) -> Leaf | None:
    """Return one block at given numbers, ``None`` when it is zero."""
    rows, columns = (_size(size, bindings) for size in expr.shape)
    if isinstance(expr, sp.ZeroMatrix) or rows == 0 or columns == 0:
        return None
    if isinstance(expr, sp.Identity):
        return Leaf("identity")
    if isinstance(expr, sp.OneMatrix):
        return Leaf("constant")
    if isinstance(expr, UnitRow):
        index = _size(expr.index, bindings)
        return _entries_leaf(Entries.of([(0, index, Fraction(1))])) if index < columns else None
    if isinstance(expr, sp.FunctionMatrix):
        return _lower_function(expr, rows, columns, bindings)
    if isinstance(expr, sp.MatMul):
        scalar, matrices = expr.as_coeff_matrices()
        if len(matrices) == 1:
            return _scaled(_lower_leaf(matrices[0], bindings), evaluate(scalar, bindings))
    if isinstance(expr, sp.MatAdd):
        summed = Entries.of([])
        for part in expr.args:
            summed += as_entries(_lower_leaf(part, bindings), rows, columns)
        return _entries_leaf(summed)
    if isinstance(expr, sp.Transpose):
        leaf = _lower_leaf(expr.arg, bindings)
        return leaf if leaf is None or leaf.nonzero is None else _entries_leaf(leaf.nonzero.transposed())
    if isinstance(expr, sp.KroneckerProduct):
        sizes = [(_size(part.shape[0], bindings), _size(part.shape[1], bindings)) for part in expr.args]
        first, *rest = [
            as_entries(_lower_leaf(part, bindings), *size) for part, size in zip(expr.args, sizes, strict=True)
        ]
        for part, size in zip(rest, sizes[1:], strict=True):
            first = first.kronecker(part, size)
        return _entries_leaf(first)
    if isinstance(expr, sp.MatrixBase):
        found = ((row, column, evaluate(value, bindings)) for (row, column), value in expr.todok().items())
        return _entries_leaf(Entries.of(entry for entry in found if entry[2]))
    raise InvalidArgument(f"matrix: expected an expression that can be lowered but got {expr} ({type(expr).__name__})")


def explicit_matrix(name: str, value: Any) -> sp.ImmutableDenseMatrix:
    """Return numbers as an exact sympy matrix; a float counts as the dyadic rational that it is.

    Args:
        name: the argument as the caller knows it.
        value: a two-dimensional nested sequence or array of integers, Fractions, sympy Rationals or finite floats.

    Raises:
        InvalidArgument: not two-dimensional, or an entry that is not a finite number.

    """
    if hasattr(value, "detach"):  # a torch tensor, without importing torch; bfloat16 has no numpy dtype
        value = value.detach().cpu().double().numpy()
    if not isinstance(value, (Sequence, np.ndarray)):
        raise InvalidArgument(f"{name}: expected a two-dimensional matrix but got {type(value).__name__}")
    rows = [list(row) if isinstance(row, (Sequence, np.ndarray)) else None for row in value]
    lengths = {len(row) for row in rows if row is not None}
    if None in rows or len(lengths) > 1:
        found = "entries that are no rows" if None in rows else f"rows of {min(lengths)} and {max(lengths)} entries"
        raise InvalidArgument(
            f"{name}: expected a two-dimensional matrix but got {type(value).__name__} of {len(rows)}: {found}"
        )
    return sp.ImmutableDenseMatrix([[_exact_entry(name, entry) for entry in row or ()] for row in rows])


def exact_rows(name: str, value: Any, shape: tuple[int, int]) -> tuple[tuple[Fraction, ...], ...]:
    """Return a matrix of rational numbers as rows of Fractions, which compare and hash by their entries.

    Args:
        name: the argument as the caller knows it.
        value: as :func:`explicit_matrix` takes it.
        shape: rows and columns that it must have.

    Raises:
        InvalidArgument: another shape, or an entry that is not a finite rational number.

    """
    matrix = explicit_matrix(name, value)
    if matrix.shape != shape:
        wanted, found = (" x ".join(map(str, sizes)) for sizes in (shape, matrix.shape))
        raise InvalidArgument(f"{name}: expected a matrix of {wanted} numbers but got one of {found}")
    for entry in matrix:
        if not entry.is_Rational:
            raise InvalidArgument(f"{name}: expected rational numbers but got {entry}")
    return tuple(tuple(evaluate(entry, {}) for entry in row) for row in matrix.tolist())


def _exact_entry(name: str, entry: Any) -> sp.Expr:
    if isinstance(entry, sp.Expr):
        return entry
    if isinstance(entry, (bool, np.bool_, str)):
        raise InvalidArgument(f"{name}: expected finite numbers but got {entry!r} (type {type(entry).__name__})")
    try:
        fraction = Fraction(entry.item() if isinstance(entry, np.generic) else entry)
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgument(
            f"{name}: expected finite numbers but got {entry!r} (type {type(entry).__name__})"
        ) from None
    return sp.Rational(fraction.numerator, fraction.denominator)
