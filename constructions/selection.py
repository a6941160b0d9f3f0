r"""The three-layer MLP that Theorems 1 and 2 share: select a coordinate, reduce to a scalar, read it out."""

from __future__ import annotations

import sympy as sp

from constructions.encodings import PAPER, Coding
from constructions.readouts import decoder
from constructions.readouts import readout_bias as readout_bias
from constructions.readouts import readout_weight as readout_weight
from constructions.transformer import Linear


def selection_mlp(width: sp.Expr, coding: Coding = PAPER, *, prefix: str = "") -> tuple[Linear, ...]:
    r"""Return the MLP that decodes a lifted coordinate plus the tokens' numbers ``s`` to the token nearest ``s_j``.

    In the paper's coding, of ``e_j + s``, a one-hot plus numbers ``y/V``:

    - ``select``: ``ReLU(h - 1)`` leaves ``s_j`` in coordinate ``j`` and 0 elsewhere, as ``s_r - 1 < 0``.
    - ``sum``: the all-ones row; the scalar ``x = s_j``.
    - ``readout``: logits ``(2v/V - 1) x + 1/4 - (v/V)^2``.

    Args:
        width: the number of coordinates of ``h``.
        coding: encoding, lift and readout; see :mod:`constructions.encodings` and :mod:`constructions.readouts`.
        prefix: put in front of the layers' names.

    Example:
        >>> import sympy as sp
        >>> [layer.name for layer in selection_mlp(sp.Symbol("N", integer=True, positive=True))]
        ['select', 'sum', 'readout']

    """
    select = Linear(sp.Identity(width), coding.lowered_by(width), name=f"{prefix}select")
    return (select, *decoder(width, coding, prefix=prefix))
