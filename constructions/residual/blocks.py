"""Pre-norm blocks around a residual stream: what an MLP reads and writes, and how the blocks follow each other."""

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

#: A 1 x 1 matrix: what one coordinate of a row of its own reads.
ONE = sp.OneMatrix(1, 1)


def read(written: Stream, source: Stream, parts: Parts) -> MatrixExpr:
    """Return a matrix that reads ``source``, without the parts for blocks that it does not have.

    A stream has a block ``zero`` where its norms take the mean off: there every row that is read after a norm takes
    this coordinate off, so that its sum is 0 and the mean, common to all coordinates, drops out.
    """
    return written.reads(source, {place: part for place, part in parts.items() if place[1] in source.names})


@dataclass(frozen=True)
class Mlp:
    """An MLP by what it does.

    Attributes:
        name: what it does, in a word.
        hidden: the blocks of its hidden rows.
        reads: what they read of the stream, after a norm; the gate's rows in a gated one.
        writes: what the stream gets of them.
        values: what the gates multiply; nothing in one without gates.

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
        eps: what is added under its root.

    """

    kind: type[Norm]
    eps: Fraction

    def before(self, name: str) -> Norm:
        """Return the norm before something."""
        return self.kind(self.eps, name=f"norm before {name}")


class Arrangement(ABC):
    """How attention and MLP follow each other in a block, and so in which block an MLP sees what was fetched."""

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
    """The MLP sees what attention wrote in the same block."""

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
