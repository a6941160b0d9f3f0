"""A transformer's weights as LaTeX for a paper, or as plain text for a terminal: symbolic, or at given numbers."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from constructions.exact_matrix import ExactMatrix
from constructions.expressions import UnitRow, latex
from constructions.transformer import Matrix, Transformer


def weights(transformer: Transformer) -> Iterator[tuple[str, str, Matrix]]:
    """Yield ``(where, LaTeX name, expression)`` for every weight; layers of one family come once.

    Args:
        transformer: symbolic weights.

    """
    yield "embedding", "E", transformer.embedding
    yield from (("positions", name, held) for _, name, held in transformer.positions.own_weights)
    seen: set[str] = set()
    for layer in transformer.leaves:
        family = layer.family or layer.name
        if family not in seen:
            seen.add(family)
            yield from layer.typeset()


def transformer_latex(transformer: Transformer) -> str:
    """Return the symbolic block matrices as one ``aligned`` environment."""
    lines = [rf"\text{{{where}:}}\quad {name} &= {latex(expr)}" for where, name, expr in weights(transformer)]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def transformer_text(transformer: Transformer) -> str:
    """Return the symbolic block matrices as plain text, one weight a line."""
    return "\n".join(f"{where}: {name} = {_flat(expr)}" for where, name, expr in weights(transformer))


def _flat(expr: Matrix) -> str:
    if isinstance(expr, sp.BlockMatrix):
        blocks = expr.blocks
        rows = [", ".join(_flat(blocks[i, j]) for j in range(blocks.shape[1])) for i in range(blocks.shape[0])]
        return "[" + "; ".join(rows) + "]"
    if isinstance(expr, sp.FunctionMatrix):
        rows, columns = expr.shape
        return f"[{expr.lamda.expr}]({_size(rows)} x {_size(columns)})"
    if isinstance(expr, UnitRow):
        return f"e_{expr.index}^T({_size(expr.shape[0])} x {_size(expr.shape[1])})"
    named = {sp.Identity: "I", sp.ZeroMatrix: "0", sp.OneMatrix: "1"}
    for kind, letter in named.items():
        if isinstance(expr, kind):
            return f"{letter}({_size(expr.shape[0])} x {_size(expr.shape[1])})"
    if isinstance(expr, sp.MatMul):
        scalar, matrices = expr.as_coeff_matrices()
        return " ".join([f"({scalar})", *(_flat(part) for part in matrices)])
    if isinstance(expr, sp.MatAdd):
        return " + ".join(_flat(part) for part in expr.args)
    return str(expr)


def _size(size: sp.Expr) -> str:
    return f"({size})" if size.is_Add else str(size)


def numbers_text(matrix: ExactMatrix) -> str:
    """Return an exact matrix as rows of fractions, columns aligned."""
    rows = [[str(value) for value in row] for row in matrix.to_fractions()]
    width = max((len(cell) for row in rows for cell in row), default=0)
    return "\n".join("[ " + " ".join(cell.rjust(width) for cell in row) + " ]" for row in rows)
