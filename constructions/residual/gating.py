"""Selection by gates: a gate that is 0 lets nothing pass, whatever the activation, as it is 0 at 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.expressions import UnitRow, entries
from constructions.layers import Gated, Layer, Linear
from constructions.residual.blocks import ONE, Mlp, read
from constructions.residual.bounds import Fetched, stepping_gain
from constructions.residual.selectors import Selector
from constructions.residual.symbols import FIRST, GAIN
from constructions.stream import Stream


@final
@dataclass(frozen=True)
class Gating(Selector):
    r"""A gated MLP, as in Llama: ``act`` of a gate times a value.

    With a place ``P``, unit ``j`` is ``act(P_j) S_j``, and one more is ``act(P_0 + P_1 + ...) c``: the one gate that is
    not 0 is common to both, and nothing has to be large.

    With a count ``p = q/(q+1)`` at position ``q``, units make steps. Number ``j`` is selected at ``q = q_j``, and
    ``2 q_j (q_j + 1) p - (2 q_j^2 - 1)`` is -1 one position earlier and 1 there; the double of it, less 1 and more 1
    before a bend at 0, differ by 2 from there on and are both 0 before. So two gates with the values
    ``S_j - S_{j-1}`` and ``-(S_j - S_{j-1})`` add the difference from ``q_j`` on, and ``S_0`` is there from the start:
    the sum telescopes to ``S_j``. Every hinge is homogeneous in ``p`` and ``g``, the 1 of a content row.
    """

    def blocks(self, size: sp.Expr, *, counted: bool) -> Mapping[str, sp.Expr | int]:
        """Return the place, or the count and the 1 of every content row."""
        return {"content": 1, "count": 1} if counted else {"place": size}

    def mlps(self, size: sp.Expr, *, counted: bool) -> Sequence[Mlp]:
        """Return one MLP."""
        return [_steps(size) if counted else _places(size)]

    def numbers(self, fetched: Fetched, vocab_size: int, *, counted: bool) -> Mapping[sp.Symbol, int]:
        """Return the gain of steps; places need none."""
        return {GAIN: stepping_gain(self.activation, fetched, vocab_size)} if counted else {}

    def scale_squared(self, fetched: Fetched, numbers: Mapping[sp.Symbol, int]) -> Fraction:
        """Return a lower bound of ``(act(f) f beta)^2``: ``act(x) >= x/2`` for a positive ``x``."""
        return fetched.factor_squared(fetched.first) * fetched.unit_squared(fetched.last) / 4

    def layers(self, mlp: Mlp, stream: Stream, width: sp.Expr) -> tuple[Layer[MatrixExpr], ...]:
        """Return a product of two linear layers, and a third one after it."""
        hidden = mlp.widened(width)
        gate = Linear(read(hidden, stream, mlp.reads), None, self.activation, f"gate of {mlp.name}")
        value = Linear(read(hidden, stream, mlp.values), None, None, f"value of {mlp.name}")
        return (
            Gated(gate, value, mlp.name),
            Linear(stream.reads(hidden, mlp.writes), None, None, f"write {mlp.name}"),
        )


def _places(size: sp.Expr) -> Mlp:
    row = sp.OneMatrix(1, size)
    return Mlp(
        "select",
        Stream.of(number=size, scale=1),
        reads={
            ("number", "place"): sp.Identity(size),
            ("number", "zero"): -row.T,
            ("scale", "place"): row,
            ("scale", "zero"): -size * ONE,
        },
        values={
            ("number", "numbers"): sp.Identity(size),
            ("number", "zero"): -row.T,
            ("scale", "virtual"): ONE,
            ("scale", "zero"): -ONE,
        },
        writes={("selected", "number"): row, ("scale", "scale"): ONE},
    )


def _steps(size: sp.Expr) -> Mlp:
    """Return the MLP of steps, with ``q_j = j + f`` for the ``j``-th number."""

    def column(hinge: sp.Expr) -> MatrixExpr:
        return entries(size - 1, 1, lambda j, _: GAIN * hinge.subs(_PLACE, j + 1 + FIRST))

    slope = 4 * _PLACE * (_PLACE + 1)
    bends = {"rising": 4 * _PLACE**2 - 3, "risen": 4 * _PLACE**2 - 1}
    difference = entries(size - 1, size, lambda j, k: sp.KroneckerDelta(k, j + 1) - sp.KroneckerDelta(k, j))
    reads: dict[tuple[str, str], MatrixExpr] = {}
    for unit, bend in bends.items():
        reads |= {
            (unit, "count"): column(slope),
            (unit, "content"): column(-bend),
            (unit, "zero"): column(sp.expand(bend - slope)),
        }
    for unit in ("start", "scale"):
        reads |= {(unit, "content"): 2 * GAIN * ONE, (unit, "zero"): -2 * GAIN * ONE}
    row = sp.OneMatrix(1, size - 1)
    return Mlp(
        "select",
        Stream.of(rising=size - 1, risen=size - 1, start=1, scale=1),
        reads=reads,
        values={
            ("rising", "numbers"): difference,
            ("risen", "numbers"): difference,
            ("start", "numbers"): UnitRow(size, 0),
            ("start", "zero"): -ONE,
            ("scale", "virtual"): ONE,
            ("scale", "zero"): -ONE,
        },
        writes={
            ("selected", "rising"): row,
            ("selected", "risen"): -row,
            ("selected", "start"): ONE,
            ("scale", "scale"): ONE,
        },
    )


_PLACE = sp.Symbol("q", integer=True, positive=True)
