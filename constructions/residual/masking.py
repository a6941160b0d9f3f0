"""Selection by masks: every number but one is pushed far below 0, where an activation makes it 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.expressions import entries
from constructions.layers import Layer, Linear
from constructions.residual.blocks import ONE, Mlp, read
from constructions.residual.bounds import Fetched, mask_weight, selecting_gain
from constructions.residual.counted_places import distance_gain, distance_mask, distance_selecting_gain
from constructions.residual.selectors import Selector
from constructions.residual.symbols import FIRST, GAIN, MASK, PLACE_GAIN
from constructions.stream import Stream


@final
@dataclass(frozen=True)
class Masking(Selector):
    r"""An MLP of one activation, as in GPT-2: unit ``j`` is ``act(gamma (S_j + M (P_j - g)))``.

    ``P`` is 1 at the place of the number to select and 0 elsewhere, ``g`` is 1. A further unit is ``act(gamma c)``,
    with the 1 that came with the numbers. All units beside the selected one are 0 as ``M`` is large, and the
    activation is the argument itself as the gain ``gamma`` is: so it is as good as a ReLU, which every positive factor
    of the row passes.

    Where the place is counted, another MLP comes first. With ``p = q/(q+1)`` at position ``q``, it makes
    ``P_j = -|(q_j + 1) p - q_j| = -|q - q_j|/(q + 1)``, which is 0 at the place of number ``j`` alone, by two hinges
    for each place; and no ``g`` is needed.
    """

    def blocks(self, size: sp.Expr, *, counted: bool) -> Mapping[str, sp.Expr | int]:
        """Return the place and the 1 of every content row, and the count if there is one."""
        return {"place": size, "content": 1, **({"count": 1} if counted else {})}

    def mlps(self, size: sp.Expr, *, counted: bool) -> Sequence[Mlp]:
        """Return the MLP that selects; where positions are counted, after one that turns the count into distances."""
        column = sp.OneMatrix(size, 1)
        content = {} if counted else {("number", "content"): -GAIN * MASK * column}
        select = Mlp(
            "select",
            Stream.of(number=size, scale=1),
            reads={
                ("number", "numbers"): GAIN * sp.Identity(size),
                ("number", "place"): GAIN * MASK * sp.Identity(size),
                **content,
                # the rows sum to gamma, or to gamma (1 + M) where no content takes the mask off again
                ("number", "zero"): -GAIN * (1 + MASK) * column if counted else -GAIN * column,
                ("scale", "virtual"): GAIN * ONE,
                ("scale", "zero"): -GAIN * ONE,
            },
            writes={("selected", "number"): column.T, ("scale", "scale"): ONE},
        )
        return [_distances(size), select] if counted else [select]

    def numbers(self, fetched: Fetched, vocab_size: int, *, counted: bool) -> Mapping[sp.Symbol, int]:
        """Return the mask and the gains."""
        if counted:
            return {
                MASK: distance_mask(fetched),
                PLACE_GAIN: distance_gain(self.activation, fetched, vocab_size),
                GAIN: distance_selecting_gain(self.activation, fetched, vocab_size),
            }
        return {MASK: mask_weight(fetched), GAIN: selecting_gain(self.activation, fetched, vocab_size)}

    def scale_squared(self, fetched: Fetched, numbers: Mapping[sp.Symbol, int]) -> Fraction:
        """Return a lower bound of ``(gamma f beta)^2``."""
        return numbers[GAIN] ** 2 * fetched.unit_squared(fetched.last)

    def layers(self, mlp: Mlp, stream: Stream, width: sp.Expr) -> tuple[Layer[MatrixExpr], ...]:
        """Return two linear layers, the first one with the activation."""
        hidden = mlp.widened(width)
        return (
            Linear(read(hidden, stream, mlp.reads), None, self.activation, mlp.name),
            Linear(stream.reads(hidden, mlp.writes), None, None, f"write {mlp.name}"),
        )


def _distances(size: sp.Expr) -> Mlp:
    """Return the MLP that writes ``-|q - q_j|/(q + 1)`` for every place, with ``q_j = j + f``."""

    def column(entry: sp.Expr) -> MatrixExpr:
        return entries(size, 1, lambda j, _: PLACE_GAIN * entry.subs(_PLACE, j + FIRST))

    return Mlp(
        "place",
        Stream.of(after=size, before=size),
        reads={
            ("after", "count"): column(_PLACE + 1),
            ("after", "content"): column(-_PLACE),
            ("after", "zero"): column(sp.Integer(-1)),
            ("before", "count"): column(-_PLACE - 1),
            ("before", "content"): column(_PLACE),
            ("before", "zero"): column(sp.Integer(1)),
        },
        writes={("place", side): -sp.Identity(size) / PLACE_GAIN for side in ("after", "before")},
    )


_PLACE = sp.Symbol("q", integer=True, nonnegative=True)
