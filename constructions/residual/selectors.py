"""How an MLP selects one number of the virtual token; a kind of MLP is one file beside this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.activations import Activation
from constructions.layers import Layer
from constructions.residual.blocks import Mlp
from constructions.residual.bounds import Fetched
from constructions.stream import Stream


@dataclass(frozen=True)
class Selector(ABC):
    """A kind of MLP, and how one of its kind, or a few, select a number of the virtual token.

    Either a 1 in a block ``place`` of the stream says which number to select, or a ``count`` does: the share of the
    positions so far that come after the virtual token. Afterwards the blocks ``selected`` and ``scale`` hold ``z`` and
    ``o``, which are the number and 1, times one positive factor.

    Attributes:
        activation: of the MLP, or of its gates in a gated one.

    """

    activation: Activation

    @abstractmethod
    def blocks(self, size: sp.Expr, *, counted: bool) -> Mapping[str, sp.Expr | int]:
        """Return the blocks of the stream that selecting reads or writes, beside the numbers and the 1 beside them.

        Args:
            size: how many numbers there are.
            counted: whether a count says which number to select.

        """

    @abstractmethod
    def mlps(self, size: sp.Expr, *, counted: bool) -> Sequence[Mlp]:
        """Return the MLPs that select, one after another."""

    @abstractmethod
    def numbers(self, fetched: Fetched, vocab_size: int, *, counted: bool) -> Mapping[sp.Symbol, int]:
        """Return the masks and gains of the MLPs."""

    @abstractmethod
    def scale_squared(self, fetched: Fetched, numbers: Mapping[sp.Symbol, int]) -> Fraction:
        """Return a lower bound of the square of ``o``, for models that do not count.

        Args:
            fetched: the known facts about the rows.
            numbers: the masks and gains.

        """

    @abstractmethod
    def layers(self, mlp: Mlp, stream: Stream, width: sp.Expr) -> tuple[Layer[MatrixExpr], ...]:
        """Return the layers of an MLP of this kind, with ``width`` hidden rows."""
