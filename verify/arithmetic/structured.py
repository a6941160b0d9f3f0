"""Floats with torch, block by block: an identity block costs nothing, and what no token touches is computed once.

The same numbers as the dense arithmetic up to the order of sums and to fused multiply-adds. A zero block is never
multiplied, an identity block is never a matrix, a block with at most one number in each row is a choice of coordinates
and a product with a vector (so that a readout of a vocabulary by its bands is three numbers a token), rows that are
the same for the whole batch (position codes, and with them the attention weights) have a batch axis of 1, and rows of
zeros at the end (the tokens' embeddings, where the embedding is 0) are not stored at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import one_hot, pad

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix, Leaf
from constructions.formats import round_to_format
from constructions.ratios import Ratios
from verify.arithmetic.blocks import BlockLeaf, BlockWeight, applied, constant_of, with_constant
from verify.arithmetic.blocks import Blocks as Blocks
from verify.arithmetic.families import STRUCTURED
from verify.arithmetic.tensor_layers import normalised
from verify.arithmetic.tensors import TorchArithmetic, TorchBase, same_batch

#: Types for which numpy has a vectorised argmax.
_NUMPY_ARGMAX = (torch.float32, torch.float64)


@final
class StructuredTorchArithmetic(TorchBase[BlockWeight, Blocks]):
    """Torch tensors, one for each block of the residual stream.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> exhaust(UnconditionalGeneration(4, 3), StructuredTorchArithmetic("float32")).holds
        True

    """

    family = STRUCTURED

    def __init__(self, dtype: str = "float32", device: str | torch.device = "cpu", *, tf32: bool = False) -> None:
        """Hold numbers as ``dtype`` on ``device``; with ``tf32``, allow TF32 in products.

        Raises:
            InvalidArgument: TF32 without float32, or a device that is not there.

        """
        super().__init__(dtype, device, tf32=tf32)
        self._all_codes: dict[int, Tensor] = {}

    def dense(self) -> TorchArithmetic:
        """Return the dense arithmetic of the same format, on the same device."""
        return TorchArithmetic(self.fmt.name, self.device, tf32=self.precision == "high")

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
        found = leaf.nonzero
        if columns > 1 and (np.diff(found.rows) > 0).all():  # entries come by rows
            numbers, read = np.zeros(rows), np.zeros(rows, dtype=np.int64)
            numbers[found.rows], read[found.rows] = found.values.to_float(self.fmt), found.columns
            places = torch.from_numpy(read).to(self.torch_device)
            return BlockLeaf(leaf.kind, 1.0, self._tensor(numbers), places)
        dense = ExactMatrix((rows,), (columns,), {(0, 0): leaf}).to_numpy(self.fmt)
        return BlockLeaf(leaf.kind, 1.0, self._tensor(dense))

    def prompt(self, virtual_tokens: Ratios) -> Blocks:
        """Return the virtual tokens, every entry correctly rounded."""
        values = self._tensor(virtual_tokens.to_float(self.fmt))
        return Blocks(values.shape[1], (values.shape[2],), (values,))

    def embed(self, embedding: BlockWeight, tokens: Int[np.ndarray, "*batch length"]) -> Blocks:
        """Return the columns of the embedding as rows; a zero embedding stays a block of zeros."""
        rows, columns = sum(embedding.row_sizes), sum(embedding.column_sizes)
        single = len(embedding.row_sizes) == len(embedding.column_sizes) == 1
        leaf = embedding.leaves.get((0, 0)) if single else None
        if len(embedding.leaves) == 0:
            return Blocks(tokens.shape[-1], (rows,), (None,))
        places = torch.from_numpy(tokens).to(self.torch_device)
        if leaf is not None and leaf.dense is not None and leaf.read is None:
            return Blocks(tokens.shape[-1], (rows,), (leaf.dense.T[places],))
        codes = one_hot(places, columns).to(self.torch_dtype)
        return self.linear(Blocks(tokens.shape[-1], (columns,), (codes,)), embedding)

    def positions(self, context_size: int, start: int, stop: int) -> Blocks:
        """Return rows of the identity, the same for the whole batch."""
        if context_size not in self._all_codes:
            self._all_codes[context_size] = self._codes(context_size, 0, context_size)
        return Blocks(stop - start, (context_size,), (self._all_codes[context_size][:, start:stop],))

    def beside(self, left: Blocks, right: Blocks) -> Blocks:
        """Return the blocks of both."""
        return Blocks(left.length, left.sizes + right.sizes, left.parts + right.parts)

    def below(self, top: Blocks, bottom: Blocks) -> Blocks:
        """Return the rows one under the other."""
        bottom = self._split(bottom, top.sizes)
        parts = [
            self._stack(upper, top.length, lower, size)
            for upper, lower, size in zip(top.parts, bottom.parts, top.sizes, strict=True)
        ]
        return Blocks(top.length + bottom.length, top.sizes, tuple(parts))

    def _stack(self, upper: Tensor | None, above: int, lower: Tensor | None, size: int) -> Tensor | None:
        if lower is None:
            return upper
        upper = self._stored(upper, above, size)
        return torch.cat(same_batch(upper, lower), dim=1)

    def _stored(self, part: Tensor | None, length: int, size: int) -> Tensor:
        """Return a block with all its rows stored."""
        if part is None:
            return torch.zeros(1, length, size, dtype=self.torch_dtype, device=self.torch_device)
        missing = length - part.shape[1]
        return pad(part, (0, 0, 0, missing)) if missing else part

    def last(self, rows: Blocks) -> Blocks:
        """Return the last row."""
        parts = (None if part is None or part.shape[1] < rows.length else part[:, -1:] for part in rows.parts)
        return Blocks(1, rows.sizes, tuple(parts))

    def _split(self, rows: Blocks, sizes: tuple[int, ...]) -> Blocks:
        """Return the same rows cut at other places; blocks that only need to be cut keep their batch axis of 1."""
        if rows.sizes == sizes:
            return rows
        parts: list[Tensor | None] = []
        pending = list(sizes)
        for part, size in zip(rows.parts, rows.sizes, strict=True):
            taken: list[int] = []
            while pending and sum(taken) + pending[0] <= size:
                taken.append(pending.pop(0))
            if sum(taken) != size:
                return Blocks(rows.length, sizes, tuple(torch.split(self._dense(rows), list(sizes), dim=-1)))
            parts += [None] * len(taken) if part is None else list(torch.split(part, taken, dim=-1))
        return Blocks(rows.length, sizes, tuple(parts))

    def _dense(self, rows: Blocks) -> Tensor:
        parts = [self._stored(part, rows.length, size) for part, size in zip(rows.parts, rows.sizes, strict=True)]
        if len(parts) == 1:
            return parts[0]
        batch = next((part.shape[0] for part in parts if part.shape[0] != 1), 1)
        return torch.cat([part.expand(batch, -1, -1) for part in parts], dim=-1)

    def linear(self, rows: Blocks, weight: BlockWeight, bias: BlockWeight | None = None) -> Blocks:
        """Return ``W x + b``, block by block."""
        rows = self._split(rows, weight.column_sizes)
        constants = [None] * len(weight.row_sizes) if bias is None else self._constants(bias, weight.row_sizes)
        parts = [self._written(rows, weight, block, constant) for block, constant in enumerate(constants)]
        return Blocks(rows.length, weight.row_sizes, tuple(parts))

    def _constants(self, bias: BlockWeight, sizes: tuple[int, ...]) -> list[Tensor | float | None]:
        """Return what the bias adds to each block: a vector, one number for all coordinates, or nothing."""
        if not bias.leaves:
            return [None] * len(sizes)
        if bias.row_sizes == sizes:
            return [constant_of(bias.leaves.get((block, 0))) for block in range(len(sizes))]
        return list(torch.split(self._column(bias), list(sizes)))  # it may be cut otherwise than its weight

    def _column(self, weight: BlockWeight) -> Tensor:
        """Return a weight of one column as a vector."""
        one = Blocks(1, (1,), (torch.ones(1, 1, 1, dtype=self.torch_dtype, device=self.torch_device),))
        return self._dense(self.linear(one, weight))[0, 0]

    def _written(self, rows: Blocks, weight: BlockWeight, block: int, constant: Tensor | float | None) -> Tensor | None:
        size = weight.row_sizes[block]
        terms = [
            (leaf, part)
            for column, part in enumerate(rows.parts)
            if part is not None and (leaf := weight.leaves.get((block, column))) is not None
        ]
        if constant is None:
            return self._sum([applied(leaf, part, size) for leaf, part in terms], size)
        if not terms:
            return self._stored(None, rows.length, size) + constant
        leaf, part = terms[0]
        if len(terms) == 1 and leaf.dense is not None and leaf.read is None and isinstance(constant, Tensor):
            # one pass and one new tensor: for the readout the memory traffic of its V logits is the cost
            return with_constant(leaf.dense, self._stored(part, rows.length, part.shape[2]), constant)
        total = self._sum([applied(leaf, part, size) for leaf, part in terms], size)
        return self._stored(total, rows.length, size) + constant

    def _sum(self, terms: Sequence[Tensor | None], size: int) -> Tensor | None:
        """Return the sum of blocks, of which each may have rows of zeros after those that it stores."""
        total: Tensor | None = None
        for term in terms:
            if total is None or term is None:
                total = term if total is None else total
            else:
                stored = max(total.shape[1], term.shape[1])
                total = self._stored(total, stored, size) + self._stored(term, stored, size)
        return total

    def relu(self, rows: Blocks) -> Blocks:
        """Return ``max(0, .)``."""
        return Blocks(rows.length, rows.sizes, tuple(None if part is None else part.relu() for part in rows.parts))

    def pointwise(self, rows: Blocks, activation: Activation) -> Blocks:
        """Return the activation of each block; what is 0 stays so where the function is 0 at 0."""
        kept = activation.exact(Fraction(0)) == 0
        parts = [
            None if part is None and kept else part if kept else self._stored(part, rows.length, size)
            for part, size in zip(rows.parts, rows.sizes, strict=True)
        ]
        found = tuple(None if part is None else activation.torch(part) for part in parts)
        return Blocks(rows.length, rows.sizes, found)

    def multiply(self, left: Blocks, right: Blocks) -> Blocks:
        """Return the product, block by block: zero where one of them is."""
        pairs = zip(left.parts, self._split(right, left.sizes).parts, strict=True)
        parts: list[Tensor | None] = []
        for part, other in pairs:
            if part is None or other is None:
                parts.append(None)
                continue
            stored = min(part.shape[1], other.shape[1])
            parts.append(part[:, :stored] * other[:, :stored])
        return Blocks(left.length, left.sizes, tuple(parts))

    def normalise(self, rows: Blocks, *, centred: bool, mean: bool, eps: Fraction) -> Blocks:
        """Return the rows as one dense block, held once where they are the same for the whole batch."""
        found = normalised(self._dense(rows), self.fmt, centred=centred, mean=mean, eps=eps)
        return Blocks(rows.length, (sum(rows.sizes),), (found,))

    def affine(self, rows: Blocks, weight: BlockWeight | None, bias: BlockWeight | None) -> Blocks:
        """Return ``w * x + b`` as one dense block, the product rounded first."""
        found = self._dense(rows)
        found = found if weight is None else found * self._column(weight)
        found = found if bias is None else found + self._column(bias)
        return Blocks(rows.length, (sum(rows.sizes),), (found,))

    def score_table(self, table: BlockWeight, start: int, stop: int) -> Tensor:
        """Return a part of the table, dense, the same for the whole batch."""
        positions = sum(table.column_sizes)
        codes = Blocks(positions, (positions,), (self._codes(positions, 0, positions),))
        return self._dense(self.linear(codes, table)).transpose(-1, -2)[:, start:stop, :stop]

    def scores(self, queries: Blocks, keys: Blocks) -> Tensor:
        """Return the inner products, block by block."""
        products = [
            self._stored(query, queries.length, size) @ self._stored(key, keys.length, size).transpose(-1, -2)
            for query, key, size in zip(
                queries.parts, self._split(keys, queries.sizes).parts, queries.sizes, strict=True
            )
            if query is not None and key is not None
        ]
        return self._stored(self._sum(products, keys.length), queries.length, keys.length)

    def mix(self, attention: Tensor, values: Blocks) -> Blocks:
        """Return the weighted sums; rows of zeros have no part in them."""
        parts: list[Tensor | None] = []
        for part in values.parts:
            seen = attention if part is None else attention[..., : part.shape[1]]
            # over a single row the product is an outer one, which torch multiplies faster than it batches products
            parts.append(None if part is None else seen * part if part.shape[1] == 1 else seen @ part)
        return Blocks(attention.shape[1], values.sizes, tuple(parts))

    def total(self, parts: Sequence[Blocks]) -> Blocks:
        """Return the sum, head by head."""
        first = parts[0]
        columns = zip(*(self._split(part, first.sizes).parts for part in parts), strict=True)
        summed = (self._sum(terms, size) for terms, size in zip(columns, first.sizes, strict=True))
        return Blocks(first.length, first.sizes, tuple(summed))

    def argmax(self, logits: Blocks) -> Int[np.ndarray, "batch rows"]:
        """Return the first coordinate of the largest value of every row (see the dense arithmetic)."""
        dense = self._dense(logits)
        if dense.device.type == "cpu" and dense.dtype in _NUMPY_ARGMAX:
            # numpy reads the same memory; its argmax is vectorised along a row and torch's is not, three times faster
            return np.asarray(dense.numpy().argmax(-1))
        return dense.argmax(-1).cpu().numpy()

    def numbers(self, rows: Blocks | Tensor) -> np.ndarray[Any, Any]:
        """Return float64, which holds every format."""
        dense = rows if isinstance(rows, Tensor) else self._dense(rows)
        values: np.ndarray[Any, Any] = dense.to("cpu", torch.float64).numpy()
        return values
