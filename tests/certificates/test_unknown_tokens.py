"""Tokens of which only bounds are known: which operations are refused, and that bounds hold every value."""

from __future__ import annotations

import bisect
import copy
import itertools
import math
import operator
import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from constructions import Linear, Ratios, UnknownTokens, at_least, equals, look_up, one_hot, select
from constructions.bounded_runs import UnknownValue, run_on_bounds
from constructions.unknown_tokens import bounds, dependence, unknown_tokens
from tests.certificates.own import Given, as_numbers, nearest, read_first, rounded
from verify.certificates import bit_exact, certificate_arithmetic, certify
from verify.certificates.cells import cells
from verify.evidence.verdict import Verdict


def _tokens(run: Any, ends: Any) -> Any:
    """Return unknown tokens between pairs of numbers; the entry in place ``k`` depends on entry ``k`` of the target."""
    low, high = (np.array(part, dtype=np.int64) for part in zip(*ends, strict=True))
    names = np.array([1 << place for place in range(len(ends))])
    return unknown_tokens(run, low[None], high[None], names[None])


_ROW = [(0, 4)] * 3
_iadd: Any = operator.iadd
_imul: Any = operator.imul

#: What cannot be answered of one token.
OF_ONE: list[Callable[[Any], Any]] = [
    lambda token: token == 3,
    lambda token: token != 3,
    lambda token: token < 3,
    lambda token: token >= 3,
    lambda token: token > 3,
    bool,
    int,
    float,
    complex,
    str,
    repr,
    hash,
    abs,
    round,
    math.floor,
    math.trunc,
    bytes,
    bytearray,
    bin,
    operator.index,
    pickle.dumps,
    copy.copy,
    copy.deepcopy,
    vars,
    range,
    lambda token: [10, 11, 12, 13, 14][token],
    lambda token: "abcde"[token:],
    lambda token: {3: 1}[token],
    lambda token: {3: 1}.get(token, 0),
    lambda token: token in {3, 4},
    lambda token: token in (3, 4),
    lambda token: f"{token}",
    lambda token: f"{token:d}",
    lambda token: "%d" % token,  # noqa: UP031 # the old way of formatting is one more way to ask
    lambda token: "%s" % token,  # noqa: UP031 # the same
    lambda token: "a" * token,
    lambda token: [1] * token,
    [3, 4].count,
    [3, 4].index,
    lambda token: bisect.bisect([1, 2], token),
    math.sqrt,
    lambda token: math.gcd(token, 2),
    lambda token: struct.pack("q", token),
    chr,
    lambda token: max(token, 2),
    lambda token: sorted([token, 2]),
    lambda token: 1 if token else 0,
    lambda token: token and 1,
    lambda token: not token,
    lambda token: 2**token,
    lambda token: token**2,
    lambda token: token / 2,
    lambda token: 7 // token,
    lambda token: 7 % token,
    lambda token: token // 0,
    lambda token: token % -3,
    lambda token: token % token,
    lambda token: token & 1,
    lambda token: 1 ^ token,
    lambda token: token >> 1,
    lambda token: ~token,
    lambda token: token + 0.5,
    lambda token: token + "1",
    lambda token: token * np.float64(2),
    lambda token: token + np.uint64(2),
    lambda token: token * [1, 2],
    lambda token: token.item(),
    lambda token: token.tolist(),
    lambda token: token.real,
    lambda token: hasattr(token, "tobytes"),
    lambda token: getattr(token, "data", None),
    lambda token: setattr(token, "label", 1),
    np.int64,
    np.asarray,
    lambda token: np.array([token, 1]),
    lambda token: np.float64(3) < token,
    lambda token: np.int64(3) == token,
    lambda token: np.arange(5) == token,
    lambda token: np.arange(5)[token],
    np.arange,
    torch.tensor,
    lambda token: torch.arange(3) * token,
    len,
    list,
]


@pytest.mark.parametrize("decide", OF_ONE)
def test_what_decides_by_a_token_is_refused_and_written_down(decide: Callable[[Any], Any]) -> None:
    with run_on_bounds() as run:
        token = _tokens(run, _ROW)[0, 0]
        with pytest.raises((UnknownValue, TypeError, ValueError, RuntimeError)):
            decide(token)
        assert run.refusals


#: What numpy cannot answer of a row of tokens.
OF_MANY: list[Callable[[Any], Any]] = [
    lambda row: np.where(row == 3, 1, 0),
    lambda row: np.equal(row, row),
    lambda row: np.isin(row, [1, 2]),
    np.sort,
    np.argsort,
    lambda row: np.argmax(row, axis=1),
    np.unique,
    lambda row: np.bincount(row[0]),
    lambda row: row.astype(np.int32),
    lambda row: row.astype(bool),
    lambda row: row.astype(float),
    lambda row: row.astype(str),
    lambda row: row.astype(np.int64, casting="unsafe"),
    np.any,
    np.nonzero,
    np.count_nonzero,
    np.sign,
    np.abs,
    np.mean,
    np.prod,
    np.bitwise_and.reduce,
    np.add.reduce,
    lambda row: np.add.at(np.zeros(3, dtype=np.int64), [0, 1, 2], row[0]),
    lambda row: np.add(row, 1, out=np.zeros((1, 3), dtype=np.int64)),
    lambda row: np.add(row, 1, dtype=np.float64),
    lambda row: np.arange(5)[row],
    lambda row: row[row],
    lambda row: np.take(np.arange(5), row),
    lambda row: np.take(row, row),
    lambda row: np.take_along_axis(np.eye(5), row, axis=1),
    lambda row: np.take_along_axis(row, row, axis=1),
    lambda row: np.repeat(row, row[0]),
    lambda row: np.roll(row, row[0, 0]),
    lambda row: np.eye(5)[row[0]],
    lambda row: np.choose(row, [1, 2, 3, 4, 5]),
    lambda row: np.searchsorted([1, 2], row),
    np.lexsort,
    lambda row: np.array_equal(row, [[1, 2, 3]]),
    lambda row: np.isclose(row, 1),  # one of the functions that must refuse; nothing is compared
    lambda row: sorted(row[0]),
    lambda row: max(row[0]),
    lambda row: sum(row[0]) > 3,
    lambda row: len(set(row[0])),
    lambda row: row[0, 0] in list(row[0, 1:]),
    lambda row: 3 in row,
    lambda row: tuple(row[0]) == (1, 2, 3),
    lambda row: row.sum(dtype=np.int64),
    lambda row: row.tobytes(),
    lambda row: row.view(np.uint8),
    lambda row: row.tolist(),
    lambda row: row.flat,
    lambda row: row.base,
    np.asarray,
    np.ascontiguousarray,
    lambda row: np.array(list(row[0])),
    np.vectorize(lambda token: token),
    np.frompyfunc(lambda token: token, 1, 1),
    lambda row: np.fromiter(row[0], dtype=np.int64),
    np.nditer,
    np.array2string,
    lambda row: np.save("/dev/null", row),
    np.empty_like,
    lambda row: np.full_like(row, row[0, 0]),
    lambda row: np.einsum("ij->i", row),
    np.linalg.matrix_rank,
    lambda row: np.zeros(3, dtype=np.int64).__setitem__(0, row[0, 0]),
    lambda row: row.__setitem__((0, 0), 1),
    lambda row: _iadd(row, 1),
    lambda row: _iadd(row[:, 0], 1),
    lambda row: _iadd(np.zeros((1, 3), dtype=np.int64), row),
    lambda row: row @ row.T,
    lambda row: np.take(row, [0], 1, np.zeros((1, 1), dtype=np.int64)),
    lambda row: row.take([0], 1, np.zeros((1, 1), dtype=np.int64)),
    lambda row: np.stack([row, row], 0, np.zeros((2, 1, 3), dtype=np.int64)),
    lambda row: np.concatenate([row, row], 0, np.zeros((2, 3), dtype=np.int64)),
    lambda row: np.cumsum(row, 1, None, np.zeros((1, 3), dtype=np.int64)),
    lambda row: look_up([1, 2], row),
    lambda row: look_up([1, 2, 3, 4, 5], row + 1),
    lambda row: one_hot(row - 1, 5),
    lambda row: equals(row, row),
    lambda row: equals(row, 0.5),
    lambda row: select(row, 1, 0),
    lambda row: select(equals(row, 1), 0.5, 0),
    torch.as_tensor,
]


@pytest.mark.parametrize("decide", OF_MANY)
def test_numpy_decides_nothing_by_unknown_tokens(decide: Callable[[Any], Any]) -> None:
    with run_on_bounds() as run:
        row = _tokens(run, _ROW)
        with pytest.raises((UnknownValue, TypeError, ValueError, RuntimeError, IndexError)):
            decide(row)
        assert run.refusals


def test_what_is_known_of_an_array() -> None:
    with run_on_bounds() as run:
        row = _tokens(run, _ROW)
        assert (len(row), row.shape, row.ndim, row.size, np.shape(row), np.ndim(row)) == (1, (1, 3), 2, 3, (1, 3), 2)
        assert row.dtype == np.int64
        assert row.astype(object).dtype == object
        assert np.zeros_like(row).tolist() == [[0, 0, 0]]
        assert np.zeros_like(row, dtype=np.int64, shape=(2,)).tolist() == [0, 0]
        assert np.ones_like(row).dtype == np.int64
        assert np.full_like(row, 7).tolist() == [[7, 7, 7]]
        assert row[0, 0] is not row[0, 0]
        assert [token.shape for token in row[0]] == [(), (), ()]
        assert isinstance(row, np.ndarray)  # so that it does not tell bounds from numbers
        assert isinstance(row[0, 0], np.int64)
        assert not isinstance(row[0, 0], (int, np.ndarray))
        assert not run.refusals


# every value lies between the bounds ---------------------------------------------------------------------------------


def _check(compute: Callable[[Any], Any], ends: list[tuple[int, int]]) -> None:
    """Hold the bounds of a computation against its value for every row of tokens, and what it depends on."""
    with run_on_bounds() as run:
        found = compute(_tokens(run, ends))
        assert not run.refusals
        table = {
            tokens: np.asarray(compute(np.array([tokens], dtype=np.int64)))
            for tokens in itertools.product(*(range(low, high + 1) for low, high in ends))
        }
        shape = next(iter(table.values())).shape
        if not isinstance(found, UnknownTokens):
            assert all(np.array_equal(value, found) for value in table.values())
            return
        low, high = bounds(found)
        assert found.shape == shape
        for value in table.values():
            same_type = value.dtype == found.dtype
            assert same_type or not value.ndim  # a Python integer has the type that it fits
            assert (low <= value).all()
            assert (value <= high).all()
        for entry in range(len(ends)):
            others: dict[Any, Any] = {}
            free = (dependence(found) >> entry) & 1 == 0  # an entry that is not named changes nothing
            for tokens, value in table.items():
                same = others.setdefault(tokens[:entry] + tokens[entry + 1 :], value)
                assert np.array_equal(same[free], value[free])


_MATRIX = np.array([[1, -2], [0, 3], [-1, 0]])

COMPUTATIONS: list[Callable[[Any], Any]] = [
    lambda t: t[:, 0] + t[:, 1],
    lambda t: t[:, 0] - t[:, 1],
    lambda t: t[:, 0] * t[:, 1],
    lambda t: 3 * t - t[:, ::-1] * 2 + 1,
    lambda t: (t[:, 0] + 5 * t[:, 1]) % 4,
    lambda t: (t[:, 0] - t[:, 1]) // 3,
    lambda t: (5 * t[:, 0] + t[:, 1]) // 4 * 2 - (t[:, 1] - 7) % 5,
    lambda t: -t * (t[:, :1] - 2),
    lambda t: divmod(t * t[:, :1], 3)[1] + divmod(7 - t, 2)[0],
    lambda t: np.divmod(t, 3)[0] + np.remainder(t, 2),
    lambda t: (t + 20) % 30,
    lambda t: t * (t[:, ::-1] + 0 * t),
    lambda t: np.int64(2) * t + t[:, :1] * np.int64(-3),
    lambda t: np.int32(2) * t - np.array([1, 2, 3], dtype=np.int8),
    lambda t: t * np.array([True, False, True]),
    lambda t: t // np.array([1, 2, 3]),
    lambda t: np.array([[1, -1, 2]]) - t,
    lambda t: t @ _MATRIX,
    lambda t: _MATRIX.T @ t.T,
    lambda t: np.matmul(t[0], _MATRIX),
    lambda t: np.dot(t, _MATRIX) + np.dot(np.array([1, 0, -1]), t[0]),
    lambda t: t.astype(object) @ _MATRIX.astype(object) * 2**70,
    lambda t: t[0] @ np.array([1, 0, -4]),
    lambda t: t.sum(axis=1) + t.sum() - np.sum(t, axis=0, keepdims=True),
    lambda t: t.cumsum(axis=1) - np.cumsum(t),
    lambda t: t.max(axis=1) - t.min(axis=1),
    lambda t: np.maximum(t, 1) + np.minimum(t[:, :1], t),
    lambda t: np.clip(t, 1, 2) + t.clip(None, 1),
    lambda t: np.where(np.array([[True, False, True]]), t, 7),
    lambda t: np.where(np.array([[True, False, True]]), np.array([[4, 4, 4]]), t[:, ::-1]),
    lambda t: np.concatenate([np.array([[7]]), t], axis=1),
    lambda t: np.concatenate([t, 2 * t, np.array([[7]])], axis=1),
    lambda t: np.stack([t[:, 0], np.array([5])], axis=1),
    lambda t: np.hstack([t, t]) + np.vstack([t, t])[:1, :1],
    lambda t: t.reshape(3, 1).T + t.reshape((1, -1)),
    lambda t: np.reshape(t, (3,))[::-1],
    lambda t: t.ravel()[1:] - t.flatten()[:-1],
    lambda t: t[:, None].swapaxes(1, 2).squeeze(axis=2) + np.expand_dims(t, 0)[0],
    lambda t: np.tile(t, (2, 1)) + t.repeat(2, axis=0) * np.roll(t, 1, axis=1),
    lambda t: np.broadcast_to(t, (2, 3)) + np.moveaxis(t, 0, 1).transpose(),
    lambda t: np.take(t, [2, 0], axis=1) + t.take([0], axis=1),
    lambda t: np.take_along_axis(t, np.array([[2, 0]]), axis=1),
    lambda t: t[np.arange(1), np.array([1])],
    lambda t: t[:, np.array([True, False, True])],
    lambda t: t[..., 1:] + t[0, -1],
    lambda t: np.flip(t, axis=1) + t.copy(),
    lambda t: t.astype(object) * 2**80 // 2**79,
    lambda t: (t.astype(object) * 2**80 % 5 + t).astype(np.int64),
    lambda t: t.astype(object)[0, 0] * 3 + 2**70,
    lambda t: np.zeros((1, 3), dtype=object) + t,
    lambda t: np.zeros((1, 3), dtype=object) * 2 + t.astype(object),
    lambda t: np.array([[2**70, 0, 1]], dtype=object) * t,
    lambda t: sum(t[:, place] * 5**place for place in range(3)),
    lambda t: -t.astype(object)[0, 0] * 2**70 - 1,
    lambda t: -(t.astype(object) - 2**70),
    lambda t: +t[0, 0],
    lambda t: look_up([4, 1, 3, 0, 2], t[0, 0]),
    lambda t: one_hot(t, 5),
    lambda t: one_hot(t, 5) @ np.array([4, 1, 3, 0, 2]),
    lambda t: one_hot(t[0, 1], 5) * t[0, 0],
    lambda t: look_up([4, 1, 3, 0, 2], t),
    lambda t: look_up([[4, 1], [3, 0], [2, 2], [1, 1], [0, 9]], t[:, 0]),
    lambda t: equals(t, 2) + 2 * equals(t, np.array([0, 1, 5])),
    lambda t: equals(t[:, 0] - t[:, 1], 0),
    lambda t: at_least(t, 2) * (1 - at_least(t, 4)) - at_least(t, [0, 9, 1]),
    lambda t: select(equals(t, 2), 1, t),
    lambda t: select(at_least(t[:, :1], 3), t[:, ::-1], np.array([[7, 8, 9]])),
    lambda t: select(np.array([[True, False, True]]), t, 0),
    lambda t: select(at_least(t, 9), t * 100, 0),
    lambda t: 4,
]


@pytest.mark.share(90)
@pytest.mark.parametrize("compute", COMPUTATIONS)
@pytest.mark.parametrize("ends", [_ROW, [(1, 3), (2, 2), (0, 4)], [(0, 0), (3, 4), (1, 1)], [(2, 4), (0, 1), (3, 3)]])
def test_bounds_hold_every_value_and_dependence_every_entry(
    compute: Callable[[Any], Any], ends: list[tuple[int, int]]
) -> None:
    _check(compute, ends)


def test_dependence_on_more_entries_than_an_int64_has_bits() -> None:
    count = 200
    sums: list[tuple[Callable[[Any], Any], set[int]]] = [
        (lambda t: t[0, 199] + t[0, 61], {199, 61}),
        (lambda t: -(t[0, 199] - t[0, 0]), {199, 0}),
        (lambda t: t[0, 62] * t[0, 63], {62, 63}),
        (lambda t: t.sum(), set(range(count))),
        (lambda t: t[0, 60:65].sum(), {60, 61, 62, 63, 64}),
        (lambda t: t[0, :65].cumsum()[64], set(range(65))),
        (lambda t: t[0] @ np.eye(count, dtype=np.int64)[63], {63}),
        (lambda t: (t @ np.eye(count, dtype=np.int64))[0, 199], {199}),
        (lambda t: t[0] @ (np.arange(count) == 5).astype(np.int64), {5}),
        (lambda t: select(equals(t[0, 63], 1), t[0, 64], t[0, 0]), {63, 64, 0}),
        (lambda t: look_up([1, 2], t[0, 63]), {63}),
        (lambda t: np.stack([t[0, 63], t[0, 5]])[0] % 3, {63}),
        (lambda t: 0 * t[0, 63] + t[0, 1], {1}),
    ]
    names = np.array([1 << entry for entry in range(count)], dtype=object)
    low = np.zeros((1, count), dtype=np.int64)
    for compute, entries in sums:
        with run_on_bounds() as run:
            found = compute(unknown_tokens(run, low, low + 1, names[None]))
            assert not run.refusals
            bits = int(dependence(found))
            assert {entry for entry in range(count) if bits >> entry & 1} == entries


_KNOWN = st.integers(-6, 6)
_LEAVES = st.sampled_from([lambda t: t, lambda t: t[:, ::-1], lambda t: t[:, :1], lambda t: t.sum(axis=1)[:, None]])


def _grown(inner: Any) -> Any:
    """Return a strategy of larger expressions."""

    def two(parts: Any) -> Callable[[Any], Any]:
        (one, other), combine = parts
        return lambda t: combine(one(t), other(t))

    def by_known(parts: Any) -> Callable[[Any], Any]:
        one, number, combine = parts
        return lambda t: combine(one(t), number)

    pairs = st.sampled_from([operator.add, operator.sub, operator.mul, np.minimum, np.maximum])
    known = st.sampled_from([operator.add, operator.mul, lambda a, b: b - a, equals, at_least])
    divided = st.sampled_from([operator.floordiv, operator.mod, lambda a, b: look_up(np.arange(9)[::-1] ** 2, a % b)])
    chosen = st.tuples(inner, inner, inner, _KNOWN).map(
        lambda parts: lambda t: select(at_least(parts[0](t), parts[3]), parts[1](t), parts[2](t))
    )
    return st.one_of(
        st.tuples(st.tuples(inner, inner), pairs).map(two),
        st.tuples(inner, _KNOWN, known).map(by_known),
        st.tuples(inner, st.integers(1, 9), divided).map(by_known),
        inner.map(lambda one: lambda t: -one(t)),
        chosen,
    )


@given(
    st.recursive(_LEAVES, _grown, max_leaves=6),
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2)).map(lambda p: (p[0], p[0] + p[1])), min_size=2, max_size=3
    ),
)
def test_bounds_of_any_expression_hold_every_value(compute: Callable[[Any], Any], ends: list[tuple[int, int]]) -> None:
    _check(compute, ends)


# int64 ---------------------------------------------------------------------------------------------------------------

_LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    "compute",
    [
        lambda t: t + (_LARGEST - 3),
        lambda t: t * 2**61,
        lambda t: t * 2**60 * 4 // 2**60,
        lambda t: t * (4 - t) * 2**61,
        lambda t: -(t * (-(2**61)) - 2**61 * 3),
        lambda t: t - 2**62 - 2**62 - 1,
        lambda t: t + 2**63,
        lambda t: t % 2**64,
        lambda t: (t * 2**60).sum() - (t * 2**60).sum(),
        lambda t: (t * 2**60).cumsum(axis=1)[:, 0],
        lambda t: t @ np.full((3, 1), 2**60),
        lambda t: t.astype(object)[0, 0] * np.int64(2**62),
        lambda t: np.array([2**62]) * t.astype(object)[0, 0],
        lambda t: np.multiply(t.astype(object)[0, 0], 2**62),
        lambda t: np.int8(100) * t.astype(object)[0, 0],
        lambda t: (t.astype(object) * 2**62).astype(np.int64),
        lambda t: np.stack([t.astype(object)[0, 0] * 2**62, t[0, 0]]),
        lambda t: select(equals(t, 1), t.astype(object)[0, 0] * 2**62, 0),
    ],
)
def test_an_enclosure_that_leaves_int64_is_refused(compute: Callable[[Any], Any]) -> None:
    with run_on_bounds() as run:
        with pytest.raises(UnknownValue):
            compute(_tokens(run, _ROW))
        assert run.refusals


@pytest.mark.parametrize(
    ("compute", "ends"),
    [
        (lambda t: t + (_LARGEST - 4), (_LARGEST - 4, _LARGEST)),
        (lambda t: -_LARGEST - 1 + t, (-_LARGEST - 1, -_LARGEST + 3)),
        (lambda t: t * 2**60, (0, 2**62)),
        (lambda t: t.astype(object) * 2**61, (0, 2**63)),
        (lambda t: t.astype(object)[0, 0] * 2**61, (0, 2**63)),
        (lambda t: (t.astype(object) * (_LARGEST // 4)).astype(np.int64), (0, _LARGEST // 4 * 4)),
    ],
)
def test_at_the_ends_of_int64_bounds_are_exact(compute: Callable[[Any], Any], ends: tuple[int, int]) -> None:
    with run_on_bounds() as run:
        low, high = bounds(compute(_tokens(run, _ROW)))
        assert (low.min(), high.max()) == ends
        assert not run.refusals


# changes in place ----------------------------------------------------------------------------------------------------


def test_a_number_of_ones_own_may_be_changed_in_place() -> None:
    def packed(targets: Any) -> Any:
        number = 0
        for place in range(3):
            number += targets[:, place] * 5**place
        also = number
        number *= 2
        number -= 1
        return also + number  # numpy changes both names

    _check(packed, _ROW)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: _iadd(t, 1),
        lambda t: _imul(t[:, :2], 2),
        lambda t: [part := t + 1, row := part[0], _iadd(row, 1)],
        lambda t: [part := t + 1, _ := part.T, _iadd(part, 1)],
        lambda t: [part := t + 1, _ := np.reshape(part, -1), _iadd(part, 1)],
        lambda t: [part := t + 1, _iadd(part, np.zeros((2, 3), dtype=np.int64))],
    ],
)
def test_what_others_may_share_is_not_changed_in_place(change: Callable[[Any], Any]) -> None:
    with run_on_bounds() as run:
        with pytest.raises(UnknownValue):
            change(_tokens(run, _ROW))
        assert run.refusals


def test_tokens_are_of_no_use_after_their_run() -> None:
    with run_on_bounds() as run:
        kept = _tokens(run, _ROW)
    uses: list[Callable[[Any], Any]] = [lambda _: kept + 1, lambda _: kept[0], lambda row: row + kept]
    with run_on_bounds() as later:
        for use in uses:
            with pytest.raises(UnknownValue):
                use(_tokens(later, _ROW))
        assert len(later.refusals) == len(uses)


# in a certificate ----------------------------------------------------------------------------------------------------


def _verdict(**parts: Any) -> Verdict:
    return certify(Given(3, 3, [[0, 0, 0]] * 3, _FIRST, **parts), rounded())


def _readout() -> Linear:
    return Linear([[2 * v, 0, 0] for v in range(3)], [[-v * v] for v in range(3)], activation=None, name="readout")


_FIRST = (read_first(3, 1), _readout())


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"promise": lambda t, _: np.where(t[:, :1] == 2, 1, t[:, :1])}, "comparison"),
        ({"promise": lambda t, _: np.sort(t, axis=1)[:, :1]}, "numpy.sort"),
        ({"promise": lambda t, _: np.stack([r[:1] if r[0] in list(r[1:]) else r[1:2] for r in t])}, "comparison"),
        ({"promise": lambda t, _: t[:, :1] + 1}, "outside the vocabulary"),
        ({"promise": lambda t, _: t[:, :1] - 1}, "outside the vocabulary"),
        ({"promise": lambda t, _: t[:, :2]}, "shape (1, 1), not (1, 2)"),
        ({"promise": lambda t, _: t[:, 0]}, "shape (1, 1), not (1,)"),
        ({"promise": lambda t, _: [[0]] * len(t)}, "not a value of type list"),
        ({"promise": lambda t, _: np.full((len(t), 1), 0.5)}, "must give integers, not float64"),
        ({"promise": lambda t, _: np.array([[{2: 0}[row[0]]] for row in t])}, "a hash"),
        ({"promise": lambda t, _: np.array([[{7: 0}.get(row[0], 0)] for row in t])}, "a hash"),
        ({"promise": lambda t, _: t[:, :1] if t.dtype == object else 2 - t[:, :1]}, "not decided"),
        ({"promise": lambda t, _: t[:, :1] if type(t) is UnknownTokens else 2 - t[:, :1]}, "tokens outside"),
        ({"encoding": lambda t: Ratios(np.eye(3, dtype=np.int64)[t[:, 0]][:, None], 1)}, "encode cannot run"),
        ({"encoding": lambda t: Ratios(t[:, None, :2], 1)}, "shape (1, 1, 3), not (1, 1, 2)"),
        ({"encoding": lambda t: t[:, None]}, "must give Ratios"),
        ({"encoding": lambda t: Ratios(t[:, None, :] * 2**62 * 4 // 2**62 // 4, 1)}, "leaves int64"),
        (
            {"encoding": lambda t: Ratios(t[:, None, :], 1 if type(t) is UnknownTokens else 2)},
            "numbers outside",
        ),
    ],
)
def test_code_that_cannot_run_on_bounds_is_not_certified(parts: dict[str, Any], word: str) -> None:
    verdict = _verdict(**parts)
    assert verdict.holds is None
    assert verdict.reason is not None
    assert word in verdict.reason


def test_the_same_construction_without_a_fault_is_certified() -> None:
    verdict = _verdict()
    assert verdict.holds is True
    assert verdict.reason is not None
    # one least and one largest target of each of 3 cells, and 86 rounds of drawn ones: at least 256
    assert verdict.reason.endswith(
        "pure functions of their arguments, as they were for 264 targets drawn inside the cells and at their ends"
    )


def test_no_response_shows_nothing() -> None:
    empty = Given(3, 1, [[0, 0, 0]], (read_first(1, 1), nearest(3)), users=1, steps=0, promise=lambda t, _: t[:, :0])
    for verdict in (
        certify(empty, rounded()),
        certify(empty, certificate_arithmetic("ball")),
        bit_exact(empty, rounded()),
    ):
        assert verdict.holds is None
        assert verdict.cases == 0
        assert verdict.reason in {"no cell was looked at", "there is no response"}


def test_cells_cover_every_target_and_every_input_exactly_once() -> None:
    sums = lambda t, u: (t[:, :1] + t[:, 1:2] + u) % 3  # noqa: E731 # one line
    layers = (read_first(3, 2), _readout())
    construction = Given(3, 3, [[0, 1, 2]] * 3, layers, users=1, promise=sums, encoding=as_numbers)
    seen: dict[tuple[int, ...], int] = {}
    for batch in cells(construction, budget=100):
        for cell in range(len(batch.expected)):
            user = int(batch.user_low[cell, 0])
            assert user == batch.user_high[cell, 0]
            for target in np.ndindex(3, 3, 3):
                inside = (batch.low.numerators[cell, 0] <= target) & (target <= batch.high.numerators[cell, 0])
                if inside.all():
                    assert batch.expected[cell] == (target[0] + target[1] + user) % 3
                    seen[*target, user] = seen.get((*target, user), 0) + 1
    assert len(seen) == 3**4
    assert set(seen.values()) == {1}


def test_the_budget_is_a_bound_of_the_cells() -> None:
    construction = Given(3, 3, [[0, 0, 0]] * 3, _FIRST)
    enough = certify(construction, rounded(), budget=3)
    short = certify(construction, rounded(), budget=2)
    assert enough.holds is True
    assert short.holds is None
    assert short.reason is not None
    assert "budget of 2" in short.reason
