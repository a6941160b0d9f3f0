r"""The three-layer MLP that Theorems 1 and 2 share: select a coordinate, reduce to a scalar, read it out."""

from __future__ import annotations

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.expressions import V, entries
from constructions.transformer import Linear

#: The width of the readout's input.
SCALAR = 1


def readout_weight() -> MatrixExpr:
    r"""Return the readout's weight ``2v/V - 1``, V x 1.

    ``-(x - v/V)^2 = (2v/V) x - (v/V)^2 - x^2``; adding ``x^2 - x + 1/4``, which is the same for every token, leaves
    the affine logit ``(2v/V - 1) x + 1/4 - (v/V)^2``. So the nearest grid value ``v/V`` wins (paper, Figure 4).
    """
    return entries(V, 1, lambda v, _: 2 * v / V - 1)


def readout_bias() -> MatrixExpr:
    r"""Return the readout's bias ``1/4 - (v/V)^2``, V x 1; see :func:`readout_weight`."""
    return entries(V, 1, lambda v, _: sp.Rational(1, 4) - (v / V) ** 2)


def selection_mlp(width: sp.Expr, *, prefix: str = "") -> tuple[Linear, ...]:
    r"""Return the MLP that decodes ``e_j + s`` (a one-hot plus numbers in ``[0, 1)``) to the token nearest ``s_j V``.

    - ``select``: ``ReLU(h - 1)`` leaves ``s_j`` in coordinate ``j`` and 0 elsewhere, as ``s_r - 1 < 0``.
    - ``sum``: the all-ones row; the scalar ``x = s_j``.
    - ``readout``: logits ``(2v/V - 1) x + 1/4 - (v/V)^2``.

    Args:
        width: the number of coordinates of ``h``.
        prefix: put in front of the layers' names.

    """
    return (
        Linear(sp.Identity(width), -sp.OneMatrix(width, 1), name=f"{prefix}select"),
        Linear(sp.OneMatrix(SCALAR, width), sp.ZeroMatrix(SCALAR, 1), name=f"{prefix}sum"),
        Linear(readout_weight(), readout_bias(), relu=False, name=f"{prefix}readout"),
    )
