"""Pre-norm blocks around a residual stream: the reads and writes of an MLP, and the order of the layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import final

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.layers import Attention, Chain, Head, Layer, Norm, Residual, Sum
from constructions.stream import Stream

#: ``(written block, read block)`` and the matrix between them, as :meth:`Stream.reads` takes it.
Parts = Mapping[tuple[str, str], MatrixExpr]

#: A 1 x 1 matrix: one row that reads one coordinate.
ONE = sp.OneMatrix(1, 1)


def read(written: Stream, source: Stream, parts: Parts) -> MatrixExpr:
    """Return a matrix that reads ``source``, without the parts for blocks that it does not have.

    If the norms take the mean off, the stream has a block ``zero``. Every row that reads a norm then subtracts this
    coordinate so often that the row's entries sum to 0: the mean, common to all coordinates, drops out.
    """
    return written.reads(source, {place: part for place, part in parts.items() if place[1] in source.names})


@dataclass(frozen=True)
class Mlp:
    """An MLP, described by its reads and writes.

    Attributes:
        name: a word for its purpose.
        hidden: the blocks of its hidden rows.
        reads: from the stream to the hidden rows, after a norm; to the gates in a gated one.
        writes: from the hidden rows to the stream.
        values: from the stream to the numbers that the gates multiply; empty in one without gates.

    """

    name: str
    hidden: Stream = field(default_factory=Stream.of)
    reads: Parts = field(default_factory=dict)
    writes: Parts = field(default_factory=dict)
    values: Parts = field(default_factory=dict)

    def widened(self, width: sp.Expr) -> Stream:
        """Return the hidden rows with rows of zeros after them, as many as make up a width."""
        spare = sp.expand(width - self.hidden.width)
        return self.hidden if spare == 0 else Stream((*self.hidden.blocks, ("spare", spare)))


@final
@dataclass(frozen=True)
class Normed:
    """A norm without weights, before every attention, every MLP and the readout.

    Attributes:
        kind: the class of the norm.
        eps: added under its root.

    """

    kind: type[Norm]
    eps: Fraction

    def before(self, name: str) -> Norm:
        """Return the norm before something."""
        return self.kind(self.eps, name=f"norm before {name}")


class Arrangement(ABC):
    """The order of attention and MLP in a block, which decides in which block an MLP sees the fetched numbers."""

    @abstractmethod
    def placed(self, mlps: Sequence[Mlp]) -> list[Mlp | None]:
        """Return the MLP of every block, ``None`` for one that does nothing; attention fetches in the first block."""

    @abstractmethod
    def block(
        self, norm: Normed, attention: Attention[MatrixExpr], mlp: tuple[Layer[MatrixExpr], ...]
    ) -> Iterator[Layer[MatrixExpr]]:
        """Yield the residual layers of a block."""


@final
class Sequential(Arrangement):
    """The MLP comes after attention, and sees its output."""

    def placed(self, mlps: Sequence[Mlp]) -> list[Mlp | None]:
        """Return the MLPs."""
        return list(mlps)

    def block(
        self, norm: Normed, attention: Attention[MatrixExpr], mlp: tuple[Layer[MatrixExpr], ...]
    ) -> Iterator[Layer[MatrixExpr]]:
        """Yield attention and the MLP, each added to the stream."""
        yield Residual((norm.before(attention.name), attention), f"add {attention.name}")
        yield Residual((norm.before(mlp[0].name), *mlp), f"add {mlp[0].name}")


@final
class Parallel(Arrangement):
    """Attention and MLP see the same stream, and their sum is added to it."""

    def placed(self, mlps: Sequence[Mlp]) -> list[Mlp | None]:
        """Return nothing for the first block, where attention fetches, and then the MLPs."""
        return [None, *mlps]

    def block(
        self, norm: Normed, attention: Attention[MatrixExpr], mlp: tuple[Layer[MatrixExpr], ...]
    ) -> Iterator[Layer[MatrixExpr]]:
        """Yield one layer: both branches, added to the stream."""
        branches = (
            Chain((norm.before(attention.name), attention), f"branch {attention.name}"),
            Chain((norm.before(mlp[0].name), *mlp), f"branch {mlp[0].name}"),
        )
        both = f"{attention.name} and {mlp[0].name}"
        yield Residual((Sum(branches, both),), f"add {both}")


def uniform_attention(
    name: str, stream: Stream, heads: int = 1, values: Sequence[MatrixExpr] | None = None
) -> Attention[MatrixExpr]:
    """Return attention whose every score is 0, so that it averages its values; without values it adds nothing.

    Args:
        name: of the layer.
        stream: the residual stream.
        heads: how many; several are side by side, each with its share of the width.
        values: of the heads.

    """
    zero = sp.ZeroMatrix(stream.width / heads, stream.width)
    made = tuple(
        Head(f"mean {at}" if at else "mean", query=zero, key=zero, value=zero if values is None else values[at])
        for at in range(heads)
    )
    return Attention(made, name, output=None if heads == 1 else sp.Identity(stream.width))
