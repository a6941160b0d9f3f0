"""The symbols and small matrix expressions of the weights.

Tokens and positions are 0-based; the paper counts from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.printing.latex import LatexPrinter

#: Vocabulary size, context size (Theorem 1), response size and input size (the two extensions).
V = sp.Symbol("V", integer=True, positive=True)
N = sp.Symbol("N", integer=True, positive=True)
N0 = sp.Symbol("N_0", integer=True, positive=True)
n_X = sp.Symbol("n_X", integer=True, positive=True)

#: The smallest power of two that is at least V; size and number of the bands of the banded readout; base of digits.
GRID = sp.Symbol("G", integer=True, positive=True)
BAND = sp.Symbol("B", integer=True, positive=True)
BANDS = sp.Symbol("H", integer=True, positive=True)
BASE = sp.Symbol("b", integer=True, positive=True)

#: Indices of a row and a column inside a matrix, a block of layers, and a digit inside a block.
ROW = sp.Symbol("i", integer=True, nonnegative=True)
COLUMN = sp.Symbol("j", integer=True, nonnegative=True)
BLOCK = sp.Symbol("l", integer=True, positive=True)
DIGIT = sp.Symbol("k", integer=True, positive=True)


class UnitRow(MatrixExpr):  # type: ignore[misc] # sympy ships no types
    """The row vector ``e_index^T`` of a given width: 1 at ``index`` (0-based), 0 elsewhere.

    Example:
        >>> UnitRow(3, 1).as_explicit()
        Matrix([[0, 1, 0]])

    """

    def __new__(cls, width: sp.Expr | int, index: sp.Expr | int) -> UnitRow:
        """Return the row; both arguments may be symbolic."""
        row: UnitRow = MatrixExpr.__new__(cls, sp.sympify(width), sp.sympify(index))
        return row

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        """1 x width."""
        return (sp.S.One, self.args[0])

    @property
    def index(self) -> sp.Expr:
        """The coordinate that is 1."""
        index: sp.Expr = self.args[1]
        return index

    def _entry(self, i: sp.Expr, j: sp.Expr, **_: Any) -> sp.Expr:
        return sp.KroneckerDelta(j, self.index)

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"e_{{{printer.doprint(self.index)}}}^{{\top}}"


def has_range(delta: sp.KroneckerDelta) -> bool:
    """Say whether a Kronecker delta has a range beside its two indices, outside which it is 0.

    Example:
        >>> has_range(sp.KroneckerDelta(ROW, COLUMN)), has_range(sp.KroneckerDelta(ROW, COLUMN, (0, 2)))
        (False, True)

    """
    return len(delta.args) > len(delta.indices)


def entries(
    rows: sp.Expr | int, columns: sp.Expr | int, entry: Callable[[sp.Symbol, sp.Symbol], sp.Expr]
) -> sp.FunctionMatrix:
    """Return the matrix whose entry ``(i, j)``, 0-based, is ``entry(i, j)``.

    Args:
        rows: number of rows, possibly symbolic.
        columns: number of columns, possibly symbolic.
        entry: called once, with the two index symbols.

    """
    return sp.FunctionMatrix(rows, columns, sp.Lambda((ROW, COLUMN), entry(ROW, COLUMN)))


class _PaperPrinter(LatexPrinter):  # type: ignore[misc] # sympy ships no types
    """LaTeX with the dimensions of the structured blocks, as in a paper."""

    def _print_Identity(self, expr: sp.Identity) -> str:
        return rf"I_{{{self._print(expr.shape[0])}}}"

    def _dimensions(self, expr: MatrixExpr) -> str:
        rows, columns = (rf"({self._print(size)})" if size.is_Add else self._print(size) for size in expr.shape)
        return rf"{{{rows} \times {columns}}}"

    def _print_ZeroMatrix(self, expr: sp.ZeroMatrix) -> str:
        return rf"0_{self._dimensions(expr)}"

    def _print_OneMatrix(self, expr: sp.OneMatrix) -> str:
        return rf"1_{self._dimensions(expr)}"

    def _print_FunctionMatrix(self, expr: sp.FunctionMatrix) -> str:
        rows, columns = expr.shape
        row, column = expr.lamda.variables
        limits = rf"0 \le {self._print(row)} < {self._print(rows)}"
        if columns != 1:
            limits += rf",\ 0 \le {self._print(column)} < {self._print(columns)}"
        return rf"\left[{self._print(expr.lamda.expr)}\right]_{{{limits}}}"


def latex(expr: sp.Basic) -> str:
    """Return LaTeX for a weight expression, with the dimensions of identity, zero and all-ones blocks shown."""
    text: str = _PaperPrinter().doprint(expr)
    return text
