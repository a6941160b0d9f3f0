"""Rows and weights as grids of blocks; a block that is zero, or a multiple of the identity, is never a tensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear


@dataclass(frozen=True)
class Blocks:
    """Rows as a direct sum of blocks.

    Attributes:
        length: number of rows.
        sizes: width of each block.
        parts: tensors of shape batch x stored x size (batch 1: the same for all), of at most ``length`` stored rows:
            the rows after them are zero, and ``None`` is a block of zeros.

    """

    length: int
    sizes: tuple[int, ...]
    parts: tuple[Tensor | None, ...]


@dataclass(frozen=True)
class BlockLeaf:
    """One block of a weight: a multiple of the identity, a constant, one number a row, or a dense tensor.

    Attributes:
        kind: of the exact block.
        scale: of an identity or a constant.
        dense: every number, or (with ``read``) the one number of each row.
        read: for each row of a sparse block the column of its number; 0 where the number is 0.

    """

    kind: str
    scale: float
    dense: Tensor | None
    read: Tensor | None = None


@dataclass(frozen=True)
class BlockWeight:
    """A weight as a grid of blocks; absent ones are zero."""

    row_sizes: tuple[int, ...]
    column_sizes: tuple[int, ...]
    leaves: dict[tuple[int, int], BlockLeaf]


def constant_of(leaf: BlockLeaf | None) -> Tensor | float | None:
    """Return what a block of a bias adds: a vector, one number for all coordinates, or nothing."""
    if leaf is None:
        return None
    return leaf.scale if leaf.dense is None else leaf.dense[:, 0]  # one column: never a choice of coordinates


def applied(leaf: BlockLeaf, part: Tensor, rows: int) -> Tensor:
    """Return a block of a weight applied to a block of rows."""
    if leaf.dense is not None and leaf.read is not None:
        return part.index_select(-1, leaf.read) * leaf.dense
    if leaf.dense is not None:
        return part * leaf.dense[:, 0] if leaf.dense.shape[1] == 1 else linear(part, leaf.dense)
    if leaf.kind == "constant":
        part = part.sum(-1, keepdim=True)
    part = part if leaf.scale == 1 else part * leaf.scale
    return part.expand(-1, -1, rows) if leaf.kind == "constant" and rows > 1 else part


def with_constant(dense: Tensor, part: Tensor, constant: Tensor) -> Tensor:
    """Return a dense block applied, and a vector added, in one pass."""
    return torch.addcmul(constant, part, dense[:, 0]) if dense.shape[1] == 1 else linear(part, dense, constant)
