"""The residual stream with named parts: a weight matrix is written by what it reads and what it writes, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.validation import InvalidArgument


@dataclass(frozen=True)
class Stream:
    """An ordered direct sum of named subspaces.

    Attributes:
        blocks: ``(name, size)`` pairs from the first coordinate to the last; sizes may be symbolic.

    Example:
        >>> import sympy as sp
        >>> stream = Stream.of(embedding=2, position=3)
        >>> read = Stream.of(code=3).reads(stream, {("code", "position"): sp.Identity(3)})
        >>> read.shape
        (3, 5)
        >>> read.as_explicit()
        Matrix([
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1]])

    """

    blocks: tuple[tuple[str, sp.Expr], ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise InvalidArgument(f"blocks: expected distinct names but got {', '.join(names)}")

    @classmethod
    def of(cls, **sizes: sp.Expr | int) -> Stream:
        """Return the stream whose blocks are the keyword arguments, in their order."""
        return cls(tuple((name, sp.sympify(size)) for name, size in sizes.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the blocks, in order."""
        return tuple(name for name, _ in self.blocks)

    @property
    def width(self) -> sp.Expr:
        """The number of coordinates, possibly symbolic."""
        return sp.Add(*(size for _, size in self.blocks))

    def __getitem__(self, name: str) -> sp.Expr:
        """Return the size of the block ``name``; an unknown name is an :class:`InvalidArgument`."""
        for known, size in self.blocks:
            if known == name:
                return size
        raise InvalidArgument(f"block: expected one of {', '.join(self.names)} but got {name!r} (type str)")

    def before(self, name: str) -> sp.Expr:
        """Return the number of coordinates before the block ``name``; an unknown name is an :class:`InvalidArgument`.

        Example:
            >>> Stream.of(embedding=2, position=3).before("position")
            2

        """
        _ = self[name]
        return sp.Add(*(size for _, size in self.blocks[: self.names.index(name)]))

    def reads(self, source: Stream, parts: Mapping[tuple[str, str], MatrixExpr]) -> MatrixExpr:
        """Return the matrix from ``source`` to this stream that is ``parts`` and zero elsewhere.

        Args:
            source: the stream that the matrix reads.
            parts: for ``(written block, read block)`` the matrix between them, of shape written size x read size.

        Returns:
            Block matrix of shape ``self.width`` x ``source.width``.

        Raises:
            InvalidArgument: an unknown block, or a part whose shape is not that of its blocks: vectors of different
                bases do not add.

        """
        for (written, read), part in parts.items():
            wanted = (self[written], source[read])
            if any(sp.expand(have - want) != 0 for have, want in zip(part.shape, wanted, strict=True)):
                raise InvalidArgument(
                    f"parts[{written!r}, {read!r}]: expected shape {wanted} but got {tuple(part.shape)}"
                    f" (type {type(part).__name__})"
                )
        return sp.BlockMatrix(
            [
                [parts.get((written, read), sp.ZeroMatrix(rows, columns)) for read, columns in source.blocks]
                for written, rows in self.blocks
            ]
        )

    def constant(self, parts: Mapping[str, MatrixExpr]) -> MatrixExpr:
        """Return the column vector (a bias) that is ``parts`` block by block and zero elsewhere.

        Args:
            parts: for a block's name the column of shape size x 1.

        Returns:
            Block matrix of shape ``self.width`` x 1.

        Raises:
            InvalidArgument: an unknown block, or a part of another shape.

        """
        return self.reads(Stream.of(one=1), {(name, "one"): part for name, part in parts.items()})
