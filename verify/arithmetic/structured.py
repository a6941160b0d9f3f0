"""Floats with torch, block by block: an identity block costs nothing, and what no token touches is computed once.

The same numbers as the dense arithmetic up to the order of sums and to fused multiply-adds. A zero block is never
multiplied, an identity block is never a matrix, and rows that are the same for the whole batch (position codes, and
with them the attention weights) have a batch axis of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import linear

from constructions.formats import round_to_format
from constructions.lowering import ExactMatrix, Leaf
from constructions.ratios import Ratios
from verify.arithmetic.tensors import TorchBase


@dataclass(frozen=True)
class Blocks:
    """Rows as a direct sum of blocks.

    Attributes:
        length: number of rows.
        sizes: width of each block.
        parts: tensors of shape batch x rows x size (batch 1: the same for all), ``None`` for a block of zeros.

    """

    length: int
    sizes: tuple[int, ...]
    parts: tuple[Tensor | None, ...]


@dataclass(frozen=True)
class BlockLeaf:
    """One block of a weight: a multiple of the identity, a constant, or a dense tensor."""

    kind: str
    scale: float
    dense: Tensor | None


@dataclass(frozen=True)
class BlockWeight:
    """A weight as a grid of blocks; absent ones are zero."""

    row_sizes: tuple[int, ...]
    column_sizes: tuple[int, ...]
    leaves: dict[tuple[int, int], BlockLeaf]


@final
class StructuredTorchArithmetic(TorchBase[BlockWeight, Blocks]):
    """Torch tensors, one for each block of the residual stream."""

    def weight(self, matrix: ExactMatrix) -> BlockWeight:
        """Return the weight block by block, every number correctly rounded."""
        leaves = {
            place: self._leaf(leaf, matrix.row_sizes[place[0]], matrix.column_sizes[place[1]])
            for place, leaf in matrix.leaves.items()
        }
        return BlockWeight(matrix.row_sizes, matrix.column_sizes, leaves)

    def _leaf(self, leaf: Leaf, rows: int, columns: int) -> BlockLeaf:
        if leaf.nonzero is None:
            return BlockLeaf(leaf.kind, round_to_format(leaf.scale, self.fmt), None)
        dense = ExactMatrix((rows,), (columns,), {(0, 0): leaf}).to_numpy(self.fmt)
        return BlockLeaf(leaf.kind, 1.0, self._tensor(dense))

    def prompt(self, virtual_tokens: Ratios) -> Blocks:
        """Return the virtual tokens, every entry correctly rounded."""
        values = self._tensor(virtual_tokens.to_float(self.fmt))
        return Blocks(values.shape[1], (values.shape[2],), (values,))

    def embed(self, embedding: BlockWeight, tokens: Int[np.ndarray, "*batch length"]) -> Blocks:
        """Return the columns of the embedding as rows; a zero embedding stays a block of zeros."""
        rows, columns = sum(embedding.row_sizes), sum(embedding.column_sizes)
        leaf = embedding.leaves.get((0, 0))
        if len(embedding.leaves) == 0:
            return Blocks(tokens.shape[-1], (rows,), (None,))
        places = torch.from_numpy(tokens).to(self.torch_device)
        if len(embedding.row_sizes) == len(embedding.column_sizes) == 1 and leaf and leaf.dense is not None:
            return Blocks(tokens.shape[-1], (rows,), (leaf.dense.T[places],))
        if len(embedding.row_sizes) == len(embedding.column_sizes) == 1 and leaf and leaf.kind == "identity":
            codes = torch.nn.functional.one_hot(places, columns).to(self.torch_dtype) * leaf.scale
            return Blocks(tokens.shape[-1], (rows,), (codes,))
        one_hot = torch.nn.functional.one_hot(places, columns).to(self.torch_dtype)
        return self.linear(Blocks(tokens.shape[-1], (columns,), (one_hot,)), embedding)

    def positions(self, context_size: int, start: int, stop: int) -> Blocks:
        """Return rows of the identity, the same for the whole batch."""
        return Blocks(stop - start, (context_size,), (self._codes(context_size, start, stop),))

    def beside(self, left: Blocks, right: Blocks) -> Blocks:
        """Return the blocks of both."""
        return Blocks(left.length, left.sizes + right.sizes, left.parts + right.parts)

    def below(self, top: Blocks, bottom: Blocks) -> Blocks:
        """Return the rows one under the other."""
        bottom = self._split(bottom, top.sizes)
        parts = [
            self._stack(upper, top.length, lower, bottom.length, size)
            for upper, lower, size in zip(top.parts, bottom.parts, top.sizes, strict=True)
        ]
        return Blocks(top.length + bottom.length, top.sizes, tuple(parts))

    def _stack(self, upper: Tensor | None, above: int, lower: Tensor | None, under: int, size: int) -> Tensor | None:
        if upper is None and lower is None:
            return None
        upper = self._zeros(above, size) if upper is None else upper
        lower = self._zeros(under, size) if lower is None else lower
        batch = max(upper.shape[0], lower.shape[0])
        return torch.cat((upper.expand(batch, -1, -1), lower.expand(batch, -1, -1)), dim=1)

    def _zeros(self, length: int, size: int) -> Tensor:
        return torch.zeros(1, length, size, dtype=self.torch_dtype, device=self.torch_device)

    def last(self, rows: Blocks) -> Blocks:
        """Return the last row."""
        return Blocks(1, rows.sizes, tuple(None if part is None else part[:, -1:] for part in rows.parts))

    def _split(self, rows: Blocks, sizes: tuple[int, ...]) -> Blocks:
        """Return the same rows cut at other places."""
        if rows.sizes == sizes:
            return rows
        dense = self._dense(rows)
        return Blocks(rows.length, sizes, tuple(torch.split(dense, list(sizes), dim=-1)))

    def _dense(self, rows: Blocks) -> Tensor:
        parts = [
            self._zeros(rows.length, size) if part is None else part
            for part, size in zip(rows.parts, rows.sizes, strict=True)
        ]
        batch = max(part.shape[0] for part in parts)
        return torch.cat([part.expand(batch, -1, -1) for part in parts], dim=-1)

    def linear(self, rows: Blocks, weight: BlockWeight, bias: BlockWeight | None = None) -> Blocks:
        """Return ``W x + b``, block by block."""
        rows = self._refine(rows, weight.column_sizes)
        parts = [self._written(rows, weight, bias, block) for block in range(len(weight.row_sizes))]
        return Blocks(rows.length, weight.row_sizes, tuple(parts))

    def _refine(self, rows: Blocks, sizes: tuple[int, ...]) -> Blocks:
        """Return the rows cut at ``sizes``; blocks that only need to be cut keep their batch axis of 1."""
        if rows.sizes == sizes:
            return rows
        parts: list[Tensor | None] = []
        pending = list(sizes)
        for part, size in zip(rows.parts, rows.sizes, strict=True):
            taken: list[int] = []
            while pending and sum(taken) + pending[0] <= size:
                taken.append(pending.pop(0))
            if sum(taken) != size:
                return self._split(rows, sizes)
            parts += [None] * len(taken) if part is None else list(torch.split(part, taken, dim=-1))
        return Blocks(rows.length, sizes, tuple(parts))

    def _written(self, rows: Blocks, weight: BlockWeight, bias: BlockWeight | None, block: int) -> Tensor | None:
        size = weight.row_sizes[block]
        total: Tensor | None = None
        constant: Tensor | None = None
        for column, part in enumerate(rows.parts):
            leaf = weight.leaves.get((block, column))
            if leaf is not None and part is not None:
                term = _apply(leaf, part, size)
                total = term if total is None else total + term
        if bias is None:
            return total
        if bias.leaves:
            constant = torch.split(self._bias(bias), list(weight.row_sizes))[block]
        if constant is None or not size:
            return total
        return self._zeros(rows.length, size) + constant if total is None else total + constant

    def _bias(self, bias: BlockWeight) -> Tensor:
        parts = []
        for block, size in enumerate(bias.row_sizes):
            leaf = bias.leaves.get((block, 0))
            if leaf is None:
                parts.append(self._zeros(1, size)[0, 0])
            elif leaf.dense is None:
                parts.append(self._zeros(1, size)[0, 0] + leaf.scale)
            else:
                parts.append(leaf.dense[:, 0])
        return torch.cat(parts)

    def relu(self, rows: Blocks) -> Blocks:
        """Return ``max(0, .)``."""
        return Blocks(rows.length, rows.sizes, tuple(None if part is None else part.relu() for part in rows.parts))

    def scores(self, queries: Blocks, keys: Blocks) -> Tensor:
        """Return the inner products, block by block."""
        total = torch.zeros(1, queries.length, keys.length, dtype=self.torch_dtype, device=self.torch_device)
        for query, key in zip(queries.parts, self._refine(keys, queries.sizes).parts, strict=True):
            if query is not None and key is not None:
                total = total + query @ key.transpose(-1, -2)
        return total

    def mix(self, attention: Tensor, values: Blocks) -> Blocks:
        """Return the weighted sums."""
        parts = tuple(None if part is None else attention @ part for part in values.parts)
        return Blocks(attention.shape[1], values.sizes, parts)

    def total(self, parts: Sequence[Blocks]) -> Blocks:
        """Return the sum, head by head."""
        first = parts[0]
        summed = list(first.parts)
        for other in parts[1:]:
            for place, part in enumerate(self._split(other, first.sizes).parts):
                mine = summed[place]
                summed[place] = part if mine is None else mine if part is None else mine + part
        return Blocks(first.length, first.sizes, tuple(summed))

    def argmax(self, logits: Blocks) -> Int[np.ndarray, "batch rows"]:
        """Return the first coordinate of the largest value of every row (see the dense arithmetic)."""
        return self._dense(logits).argmax(-1).cpu().numpy()

    def numbers(self, rows: Blocks | Tensor) -> np.ndarray[Any, Any]:
        """Return float64, which holds every format."""
        dense = rows if isinstance(rows, Tensor) else self._dense(rows)
        values: np.ndarray[Any, Any] = dense.to("cpu", torch.float64).numpy()
        return values


def _apply(leaf: BlockLeaf, part: Tensor, rows: int) -> Tensor:
    if leaf.dense is not None:
        return part * leaf.dense[:, 0] if leaf.dense.shape[1] == 1 else linear(part, leaf.dense)
    if leaf.kind == "constant":
        part = part.sum(-1, keepdim=True)
        part = part if rows == 1 else part.expand(-1, -1, rows)
    return part if leaf.scale == 1 else part * leaf.scale
