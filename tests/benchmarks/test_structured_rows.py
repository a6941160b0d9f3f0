"""The structured arithmetic leaves rows of zeros out; every operation must still be the dense one.

The numbers are small integers (and one hardmax), so that all sums are exact in any order and equality is equality.
"""

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from constructions import Hardmax, lower
from verify.arithmetic.structured import Blocks, StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic

STRUCTURED, DENSE = StructuredTorchArithmetic("float64"), TorchArithmetic("float64")


def _integers(generator: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(generator.integers(-3, 4, size=shape).astype(np.float64))


@st.composite
def rows(draw: st.DrawFn, length: int | None = None, sizes: tuple[int, ...] | None = None) -> Blocks:
    """Blocks of which each has a batch of 1 or 3 and stores all rows, some of them, or is zero."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    length = draw(st.integers(1, 4)) if length is None else length
    sizes = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))) if sizes is None else sizes
    parts: list[torch.Tensor | None] = []
    for size in sizes:
        stored, batch = draw(st.integers(0, length)), draw(st.sampled_from((1, 3)))
        parts.append(_integers(generator, batch, stored, size) if stored else None)
    return Blocks(length, sizes, tuple(parts))


def _filled(blocks: Blocks) -> torch.Tensor:
    """Return the rows as one dense tensor of a batch of 3, by plain assignment."""
    dense = torch.zeros(3, blocks.length, sum(blocks.sizes), dtype=torch.float64)
    left = 0
    for part, size in zip(blocks.parts, blocks.sizes, strict=True):
        if part is not None:
            dense[:, : part.shape[1], left : left + size] = part
        left += size
    return dense


def _equal(structured: Blocks | torch.Tensor, dense: torch.Tensor) -> None:
    found = STRUCTURED.numbers(structured)
    np.testing.assert_array_equal(np.broadcast_to(found, dense.shape), dense.numpy())


@given(rows(), st.data())
def test_rows_one_under_the_other_and_the_last(top: Blocks, data: st.DataObject) -> None:
    bottom = data.draw(rows(sizes=top.sizes))
    _equal(STRUCTURED.below(top, bottom), DENSE.below(_filled(top), _filled(bottom)))
    _equal(STRUCTURED.last(top), DENSE.last(_filled(top)))
    _equal(STRUCTURED.relu(top), DENSE.relu(_filled(top)))


@given(rows(), st.data())
def test_the_heads_are_summed(first: Blocks, data: st.DataObject) -> None:
    others = [data.draw(rows(length=first.length, sizes=first.sizes)) for _ in range(data.draw(st.integers(0, 2)))]
    parts = [first, *others]
    _equal(STRUCTURED.total(parts), DENSE.total([_filled(part) for part in parts]))


@given(st.data())
def test_rows_cut_at_other_places_are_summed(data: st.DataObject) -> None:
    first, other = data.draw(rows(length=3, sizes=(2, 1, 3))), data.draw(rows(length=3, sizes=(1, 5)))
    _equal(STRUCTURED.total([first, other]), DENSE.total([_filled(first), _filled(other)]))


@given(rows(), st.data())
def test_scores_and_weighted_sums(queries: Blocks, data: st.DataObject) -> None:
    keys = data.draw(rows(sizes=queries.sizes))
    scores = STRUCTURED.scores(queries, keys)
    dense = DENSE.scores(_filled(queries), _filled(keys))
    _equal(scores, dense)
    visible = np.ones((queries.length, keys.length), dtype=np.bool_)
    one_hot = dense.argmax(-1, keepdim=True) == torch.arange(keys.length)
    weights = STRUCTURED.attention(one_hot.double(), visible, Hardmax(), key_size=1)
    _equal(STRUCTURED.mix(weights, keys), DENSE.mix(weights, _filled(keys)))


_VECTOR = sp.Matrix([[5], [-7], [2]])
_WEIGHTS = {
    "identity": 2 * sp.Identity(3),
    "ones": -sp.OneMatrix(3, 3),
    "column": sp.Matrix([[1], [0], [-2]]),
    "entries": sp.Matrix([[1, 2], [0, -1], [3, 0]]),
    "row of blocks": sp.BlockMatrix([[sp.Identity(3), sp.ZeroMatrix(3, 2), sp.OneMatrix(3, 1)]]),
    "column of blocks": sp.BlockMatrix([[sp.Identity(2)], [sp.OneMatrix(1, 2)]]),
    "zero": sp.ZeroMatrix(3, 2),
}
_BIASES = {
    "none": None,
    "zero": sp.ZeroMatrix(3, 1),
    "constant": -sp.OneMatrix(3, 1),
    "vector": _VECTOR,
    "blocks": sp.BlockMatrix([[sp.OneMatrix(2, 1)], [sp.ZeroMatrix(1, 1)]]),
}


@pytest.mark.share(10)
@pytest.mark.parametrize("bias", _BIASES)
@pytest.mark.parametrize("weight", _WEIGHTS)
@given(data=st.data())
def test_linear_layers(weight: str, bias: str, data: st.DataObject) -> None:
    matrix = lower(_WEIGHTS[weight], {})
    column = None if _BIASES[bias] is None else lower(_BIASES[bias], {})
    inputs = data.draw(rows(sizes=matrix.column_sizes))
    blocks = None if column is None else STRUCTURED.weight(column)
    dense = None if column is None else DENSE.weight(column)
    outputs = STRUCTURED.linear(inputs, STRUCTURED.weight(matrix), blocks)
    _equal(outputs, DENSE.linear(_filled(inputs), DENSE.weight(matrix), dense))


@given(rows(), st.sampled_from(("float64", "float32", "bfloat16", "float16")))
def test_the_first_of_the_largest_wins(logits: Blocks, dtype: str) -> None:
    typed = Blocks(
        logits.length,
        logits.sizes,
        tuple(None if part is None else part.to(getattr(torch, dtype)) for part in logits.parts),
    )
    found = StructuredTorchArithmetic(dtype).argmax(typed)
    expected = [[row.index(max(row)) for row in sequence] for sequence in _filled(logits).tolist()]
    np.testing.assert_array_equal(np.broadcast_to(found, (3, logits.length)), expected)
