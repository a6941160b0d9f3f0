"""Every lowering of every weight, entry by entry, against matrices built here by index arithmetic in Fractions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Literal

import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Construction,
    LongerInputs,
    LongerResponses,
    UnconditionalGeneration,
    lower,
)
from verify.arithmetic import NumpyArithmetic, RationalArithmetic, SymbolicArithmetic
from verify.arithmetic.structured import Blocks, StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic

Dense = list[list[Fraction]]
HALF = Fraction(1, 2)


def _matrix(rows: int, columns: int, entries: Iterable[tuple[int, int, Fraction | int]] = ()) -> Dense:
    dense = [[Fraction(0)] * columns for _ in range(rows)]
    for row, column, value in entries:
        dense[row][column] += value
    return dense


def _eye(size: int, top: int = 0, left: int = 0, scale: Fraction | int = 1) -> list[tuple[int, int, Fraction | int]]:
    return [(top + index, left + index, scale) for index in range(size)]


def _ones(rows: range, columns: range, scale: Fraction | int = 1) -> list[tuple[int, int, Fraction | int]]:
    return [(row, column, scale) for row in rows for column in columns]


def _selection(width: int, vocab_size: int, prefix: str = "") -> dict[str, Dense]:
    V = vocab_size
    return {
        f"{prefix}select.weight": _matrix(width, width, _eye(width)),
        f"{prefix}select.bias": _matrix(width, 1, _ones(range(width), range(1), -1)),
        f"{prefix}sum.weight": _matrix(1, width, _ones(range(1), range(width))),
        f"{prefix}sum.bias": _matrix(1, 1),
        f"{prefix}readout.weight": [[Fraction(2 * v, V) - 1] for v in range(V)],
        f"{prefix}readout.bias": [[Fraction(1, 4) - Fraction(v * v, V * V)] for v in range(V)],
    }


def _heads(layer: str, **heads: tuple[Dense, Dense, Dense]) -> dict[str, Dense]:
    parts = ("query", "key", "value")
    return {f"{layer}.{name}.{part}": heads[name][place] for name in heads for place, part in enumerate(parts)}


def _theorem_1(vocab_size: int, context_size: int) -> dict[str, Dense]:
    V, N = vocab_size, context_size
    own = _matrix(N, 2 * N, _eye(N, left=N))
    first = (_matrix(1, 2 * N, _ones(range(1), range(N, 2 * N))), _matrix(1, 2 * N, [(0, N, 1)]))
    heads = _heads("attention", self=(own, own, own), first=(*first, _matrix(N, 2 * N, _eye(N))))
    return {"embedding": _matrix(N, V), **heads, **_selection(N, V)}


def _theorem_2(vocab_size: int) -> dict[str, Dense]:
    V = vocab_size
    own = _matrix(2, V + 2, _eye(2, left=V))
    first = (_matrix(1, V + 2, _ones(range(1), range(V, V + 2))), _matrix(1, V + 2, [(0, V, 1)]))
    value = _matrix(V, V + 2, _eye(V))
    heads = _heads("attention", self=(own, own, value), first=(*first, value))
    return {"embedding": _matrix(V, V, _eye(V)), **heads, **_selection(V, V)}


def _longer_responses(vocab_size: int, n: int) -> dict[str, Dense]:
    V = vocab_size
    width = V + 2 * n
    back = (_matrix(n, width, _eye(n, left=V + n)), _matrix(n, width, _eye(n, left=V)))
    user = (_matrix(1, width, _ones(range(1), range(V, width))), _matrix(1, width, [(0, V + n, 1)]))
    value = _matrix(V, width, _eye(V))
    heads = _heads("attention", back=(*back, value), user=(*user, value))
    return {"embedding": _matrix(V, V, _eye(V)), **heads, **_selection(V, V)}


def _block_attention(vocab_size: int, n: int, block: int) -> dict[str, Dense]:
    V, N = vocab_size, n + 1
    width, out = (V + N if block == 1 else 2 * V + N), (V if block == n else 2 * V + N)
    token = 0 if block == 1 else V
    own = _matrix(N, width, _eye(N, left=width - N))
    carried = _eye(V, left=token)
    if block < n:
        carried += _eye(V, top=V, left=token) + _eye(N, top=2 * V, left=width - N)
    query = _matrix(1, width, _ones(range(1), range(width - N, width)))
    look = (query, _matrix(1, width, [(0, width - N + block - 1, 1)]), _matrix(out, width, _eye(V)))
    return _heads(f"block{block}.attention", self=(own, own, _matrix(out, width, carried)), look=look)


def _block_mlp(vocab_size: int, n: int, block: int, lift: str) -> dict[str, Dense]:
    """Return the unpacking of block ``l < n``, layer by layer; columns of a layer are the rows of the one before."""
    V, N, name = vocab_size, n + 1, f"block{block}"
    D = V ** (n - block)
    B, masked = V**D, lift == "mask" and block == 1
    carry = V + N
    weights = (
        _eye(V) + _eye(V, V, V, 2) + _eye(V, 2 * V, V, 2) + _eye(N, 3 * V, 2 * V, 2) + _eye(N, 3 * V + N, 2 * V, 2)
    )
    shifts = [0 if masked else -1] * V + [2 * masked - HALF] * V + [2 * masked - 3 * HALF] * V + [-HALF] * N
    shifts += [-3 * HALF] * N
    found = {f"{name}.select.weight": _matrix(3 * V + 2 * N, 2 * V + N, weights)}
    found[f"{name}.select.bias"] = [[Fraction(value)] for value in shifts]
    for k in range(1, D + 1):
        place, rows = V ** (D - k), V - 1 + 1 + (k - 1) + carry
        if k == 1:
            compare = _ones(range(V - 1), range(V), -B) + _ones(range(V - 1, V), range(V), B)
            compare += _eye(V, V, V) + _eye(V, V, 2 * V, -1) + _eye(N, 2 * V, 3 * V) + _eye(N, 2 * V, 3 * V + N, -1)
            found[f"{name}.compare1.weight"] = _matrix(rows, 3 * V + 2 * N, compare)
        else:
            upper, lower, rest, before = range(V - 1), range(V - 1, 2 * V - 2), 2 * V - 2, V ** (D - k + 1)
            below, last = range(V - 1), range(V + k - 2, V + k - 1)
            compare = _ones(below, upper, before) + _ones(below, lower, -before)
            compare += _ones(below, range(rest, rest + 1), -1)
            compare += _ones(range(V - 1, V), upper, -before) + _ones(range(V - 1, V), lower, before)
            compare += [(V - 1, rest, 1), *_eye(k - 2, V, rest + 1)]
            compare += _ones(last, upper) + _ones(last, lower, -1) + _eye(carry, V + k - 1, rest + 1 + k - 2)
            found[f"{name}.compare{k}.weight"] = _matrix(rows, 2 * V - 2 + 1 + (k - 2) + carry, compare)
        places = [(c - 1, 0, Fraction(c * place)) for c in range(1, V)]
        found[f"{name}.compare{k}.bias"] = _matrix(rows, 1, places)
        step = _eye(V - 1, 0, 0, -2) + _eye(V - 1, V - 1, 0, -2) + _eye(1 + (k - 1) + carry, 2 * V - 2, V - 1)
        found[f"{name}.step{k}.weight"] = _matrix(rows + V - 1, rows, step)
        ramp = _ones(range(V - 1), range(1), 3 * HALF) + _ones(range(V - 1, 2 * V - 2), range(1), HALF)
        found[f"{name}.step{k}.bias"] = _matrix(rows + V - 1, 1, ramp)
    K, first_digit = D // V, 2 * V - 1
    pack: list[tuple[int, int, Fraction | int]] = []
    for row in range(V):
        for t in range(K):
            digit, weight = row * K + t + 1, Fraction(1, V ** (1 + t))
            if digit < D:
                pack.append((row, first_digit + digit - 1, weight))
            else:
                pack += _ones(range(row, row + 1), range(V - 1), weight)
                pack += _ones(range(row, row + 1), range(V - 1, 2 * V - 2), -weight)
    pack += _eye(carry, V, first_digit + D - 1)
    found[f"{name}.pack.weight"] = _matrix(2 * V + N, first_digit + D - 1 + carry, pack)
    found[f"{name}.pack.bias"] = _matrix(2 * V + N, 1)
    return found


def _longer_inputs(vocab_size: int, n: int, lift: Literal["add", "mask"]) -> dict[str, Dense]:
    V = vocab_size
    found = {"embedding": _matrix(V, V, _eye(V) + (_ones(range(V), range(V), -1) if lift == "mask" else []))}
    for block in range(1, n + 1):
        found |= _block_attention(V, n, block)
        found |= _block_mlp(V, n, block, lift) if block < n else _selection(V, V, f"block{block}.")
    return found


Case = tuple[Construction, dict[str, Dense]]
LIFTS: tuple[Literal["add", "mask"], ...] = ("add", "mask")

CASES: list[Case] = [
    *((UnconditionalGeneration(V, N), _theorem_1(V, N)) for V, N in ((1, 1), (1, 4), (5, 1), (2, 2), (10, 9))),
    *((ConditionalGeneration(V), _theorem_2(V)) for V in (1, 2, 11)),
    *((LongerResponses(V, n), _longer_responses(V, n)) for V, n in ((1, 1), (1, 3), (4, 1), (3, 2), (6, 5))),
    *(
        (LongerInputs(V, n, lift), _longer_inputs(V, n, lift))
        for V, n in ((1, 2), (2, 2), (5, 2), (1, 3), (3, 3), (2, 4))
        for lift in LIFTS
    ),
]
WITH_WEIGHTS = pytest.mark.parametrize(("construction", "expected"), CASES, ids=[repr(case[0]) for case in CASES])

_size = st.integers(1, 12)
RANDOM: st.SearchStrategy[Case] = st.one_of(
    st.tuples(st.integers(1, 300), _size).map(lambda sizes: (UnconditionalGeneration(*sizes), _theorem_1(*sizes))),
    st.integers(1, 40).map(lambda size: (ConditionalGeneration(size), _theorem_2(size))),
    st.tuples(_size, _size).map(lambda sizes: (LongerResponses(*sizes), _longer_responses(*sizes))),
    st.tuples(st.integers(1, 6), st.just(2), st.sampled_from(LIFTS)).map(
        lambda options: (LongerInputs(*options), _longer_inputs(*options))
    ),
)


def _check_exact(construction: Construction, expected: dict[str, Dense]) -> None:
    matrices = construction.transformer.lowered.matrices()
    assert list(matrices) == list(expected)  # every weight, in the order in which it is used
    for name, matrix in matrices.items():
        assert matrix.shape == (len(expected[name]), len(expected[name][0])), name
        assert matrix.to_fractions() == expected[name], name


def _check_rounded(
    construction: Construction,
    expected: dict[str, Dense],
    dtype: str,
    correctly_rounded: Callable[[Fraction, float, str], bool],
) -> None:
    matrices = construction.transformer.lowered.matrices()
    for name, matrix in matrices.items():
        held: dict[str, Any] = {"torch": TorchArithmetic(dtype).weight(matrix)}
        assert held["torch"].dtype == getattr(torch, dtype)
        if dtype != "bfloat16":
            held["numpy"] = NumpyArithmetic(dtype).weight(matrix)
            assert held["numpy"].dtype == dtype
        for library, weight in held.items():
            assert tuple(weight.shape) == matrix.shape
            pairs = {
                (exact, float(rounded))
                for exacts, row in zip(expected[name], weight.tolist(), strict=True)
                for exact, rounded in zip(exacts, row, strict=True)
            }
            wrong = [pair for pair in pairs if not correctly_rounded(*pair, dtype)]
            assert not wrong, (library, name)


@pytest.mark.share(4)
@WITH_WEIGHTS
def test_exact_rationals(construction: Construction, expected: dict[str, Dense]) -> None:
    _check_exact(construction, expected)


@WITH_WEIGHTS
def test_python_flint_and_sympy(construction: Construction, expected: dict[str, Dense]) -> None:
    rational, symbolic = RationalArithmetic(), SymbolicArithmetic()
    for name, matrix in construction.transformer.lowered.matrices().items():
        assert rational.numbers(rational.weight(matrix)).tolist() == expected[name], name
        symbols = symbolic.weight(matrix).tolist()
        assert [[Fraction(int(value.p), int(value.q)) for value in row] for row in symbols] == expected[name], name


@pytest.mark.share(10)
@WITH_WEIGHTS
@pytest.mark.parametrize("dtype", FORMATS)
def test_floats_are_correctly_rounded(
    construction: Construction,
    expected: dict[str, Dense],
    dtype: str,
    correctly_rounded: Callable[[Fraction, float, str], bool],
) -> None:
    largest = max(abs(value) for rows in expected.values() for row in rows for value in row)
    if largest <= FORMATS[dtype].largest:
        _check_rounded(construction, expected, dtype, correctly_rounded)
        return
    with pytest.raises(OverflowError, match=f"beyond the largest number of {dtype}"):
        [matrix.to_numpy(FORMATS[dtype]) for matrix in construction.transformer.lowered.matrices().values()]


@given(RANDOM, st.sampled_from(["float64", "float32", "bfloat16"]))
def test_random_sizes(correctly_rounded: Callable[[Fraction, float, str], bool], case: Case, dtype: str) -> None:
    _check_exact(*case)
    _check_rounded(*case, dtype, correctly_rounded)


@WITH_WEIGHTS
def test_the_structured_weights_are_the_dense_ones(construction: Construction, expected: dict[str, Dense]) -> None:
    structured, dense = StructuredTorchArithmetic("float64"), TorchArithmetic("float64")
    for name, matrix in construction.transformer.lowered.matrices().items():
        rows, columns = len(expected[name]), len(expected[name][0])
        weight = structured.weight(matrix)
        basis = Blocks(columns, (columns,), (torch.eye(columns, dtype=torch.float64)[None],))
        assert structured.numbers(structured.linear(basis, weight))[0].T.tolist() == dense.weight(matrix).tolist(), name
        if columns == 1:  # a bias is added, not multiplied
            nothing = structured.weight(lower(sp.ZeroMatrix(rows, 1), {}))
            added = structured.numbers(structured.linear(Blocks(1, (1,), (None,)), nothing, weight))
            assert added[0, 0].tolist() == dense.weight(matrix)[:, 0].tolist(), name
