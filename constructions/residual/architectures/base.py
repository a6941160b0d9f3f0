"""An architecture: all that a construction needs to know of a kind of language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.layers import Attention, Layer
from constructions.residual.blocks import Arrangement, Mlp, Normed, uniform_attention
from constructions.residual.selectors import Selector
from constructions.stream import Stream


@final
@dataclass(frozen=True)
class Architecture:
    """A kind of language model with a residual stream and norms without weights before everything that reads it.

    Attributes:
        name: a word.
        norm: the norm.
        selector: the kind of MLP, with its activation.
        arrangement: how attention and MLP follow each other.
        learned_positions: whether a learned vector is added for each position; if not, positions are counted.
        multiple: the width of the stream is a multiple of it.

    """

    name: str
    norm: Normed
    selector: Selector
    arrangement: Arrangement
    learned_positions: bool
    multiple: int = 1

    def layers(
        self, stream: Stream, fetch: Attention[MatrixExpr], mlps: Sequence[Mlp], hidden: sp.Expr, depth: int = 0
    ) -> tuple[Layer[MatrixExpr], ...]:
        """Return the blocks up to the norm before the readout.

        Args:
            stream: the residual stream.
            fetch: the attention of the first block; the others' adds nothing.
            mlps: the MLPs, one after another.
            hidden: the number of hidden rows of an MLP, the same in every block.
            depth: the number of blocks, where more than those that do something are wanted.

        """
        placed = self.arrangement.placed(mlps)
        placed += [None] * (depth - len(placed))
        found: list[Layer[MatrixExpr]] = []
        for at, mlp in enumerate(placed):
            attention = uniform_attention(f"attention {at}", stream, len(fetch.heads)) if at else fetch
            made = self.selector.layers(Mlp(f"mlp {at}") if mlp is None else mlp, stream, hidden)
            found += self.arrangement.block(self.norm, attention, made)
        return (*found, self.norm.before("readout"))
