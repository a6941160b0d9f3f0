"""A construction's code runs on tokens of which only bounds are known: what it may do with them, and what not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from constructions import Linear, Ratios
from tests.certificates.own import Given, as_numbers, nearest, read_first, rounded
from verify.certificates import bit_exact, certificate_arithmetic, certify
from verify.certificates.between import Between, bounds, dependence
from verify.certificates.cells import cells
from verify.verdict import Verdict

UNKNOWN = Between(0, 4, frozenset({0}))


@pytest.mark.parametrize(
    "decide",
    [
        lambda token: token == 3,
        lambda token: token != 3,
        lambda token: token < 3,
        lambda token: token >= 3,
        bool,
        int,
        float,
        str,
        hash,
        abs,
        lambda token: [10, 11, 12, 13, 14][token],
        lambda token: {3: 1}[token],
        lambda token: f"{token}",
        lambda token: token in (3, 4),
        [3, 4].count,
        lambda token: 2**token,
        lambda token: token**2,
        lambda token: token / 2,
        lambda token: 7 // token,
        lambda token: 7 % token,
        lambda token: token // 0,
        lambda token: token % -3,
        lambda token: token % token,
        lambda token: token & 1,
        lambda token: token ^ 1,
        lambda token: token >> 1,
        lambda token: token + 0.5,
        lambda token: token * True,
        round,
    ],
)
def test_what_decides_by_a_token_is_refused(decide: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        decide(UNKNOWN)


_ROW = np.array([[Between(0, 4, frozenset({entry})) for entry in range(3)]], dtype=object)


@pytest.mark.parametrize(
    "decide",
    [
        lambda row: np.where(row == 3, 1, 0),
        lambda row: np.equal(row, row),
        lambda row: np.isin(row, [1, 2]),
        np.sort,
        np.argsort,
        lambda row: np.argmax(row, axis=1),
        lambda row: np.maximum(row, 2),
        lambda row: row.max(),
        lambda row: np.clip(row, 1, 2),
        np.unique,
        lambda row: np.bincount(row[0]),
        lambda row: row.astype(np.int64),
        lambda row: row.astype(bool),
        lambda row: row.astype(float),
        lambda row: row.astype(str),
        np.any,
        np.nonzero,
        np.count_nonzero,
        np.sign,
        lambda row: np.arange(5)[row],
        lambda row: np.take(np.arange(5), row),
        lambda row: np.take_along_axis(np.eye(5), row, axis=1),
        lambda row: np.eye(5)[row[0]],
        lambda row: np.choose(row, [1, 2, 3, 4, 5]),
        lambda row: np.searchsorted([1, 2], row),
        np.lexsort,
        lambda row: np.array_equal(row, [[1, 2, 3]]),
        lambda row: np.isclose(row, 1),  # one of the functions that must refuse; nothing is compared
        lambda row: row.tolist()[0].index(3),
        lambda row: sorted(row[0]),
        lambda row: max(row[0]),
        lambda row: sum(row[0]) > 3,
        lambda row: len(set(row[0])),
        lambda row: row[0, 0] in list(row[0, 1:]),
        lambda row: tuple(row[0]) == (1, 2, 3),
        lambda row: row.sum(dtype=np.int64),
    ],
)
def test_numpy_decides_nothing_by_unknown_tokens(decide: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, IndexError, ValueError)):
        decide(_ROW)


@pytest.mark.parametrize(
    "compute",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: 3 * a - b * 2 + 1,
        lambda a, b: (a + 5 * b) % 4,
        lambda a, b: (a - b) // 3,
        lambda a, b: (5 * a + b) // 4 * 2 - (b - 7) % 5,
        lambda a, b: -a * (b - 2),
        lambda a, b: divmod(a * b, 3)[1] + divmod(7 - b, 2)[0],
        lambda a, b: (a + 20) % 30,
        lambda a, b: a * (b + 0 * a),
        lambda a, b: np.int64(2) * a + b * np.int64(-3),
        lambda a, b: a,
        lambda a, b: 4,
    ],
)
def test_bounds_hold_every_value_and_dependence_every_entry(compute: Callable[[Any, Any], Any]) -> None:
    for low_a, high_a, low_b, high_b in ((0, 4, 0, 4), (1, 3, 2, 2), (0, 0, 3, 4), (2, 4, 0, 1)):
        found = compute(Between(low_a, high_a, frozenset({0})), Between(low_b, high_b, frozenset({1})))
        least, most = (int(part[0]) for part in bounds(np.array([found], dtype=object)))
        table = {(a, b): compute(a, b) for a in range(low_a, high_a + 1) for b in range(low_b, high_b + 1)}
        assert least <= min(table.values())
        assert max(table.values()) <= most
        for entry in {0, 1} - dependence(found):  # an entry that is not named changes nothing
            others: dict[int, int] = {}
            for key, value in table.items():
                assert others.setdefault(key[1 - entry], value) == value


def _verdict(**parts: Any) -> Verdict:
    return certify(Given(3, 3, [[0, 0, 0]] * 3, _FIRST, **parts), rounded())


_READOUT = Linear([[2 * v, 0, 0] for v in range(3)], [[-v * v] for v in range(3)], relu=False, name="readout")
_FIRST = (read_first(3, 1), _READOUT)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"promise": lambda t, _: np.where(t[:, :1] == 2, 1, t[:, :1])}, "compared"),
        ({"promise": lambda t, _: np.sort(t, axis=1)[:, :1]}, "not supported"),
        ({"promise": lambda t, _: [[row[1] if row[0] in list(row[1:]) else row[0]] for row in t]}, "compared"),
        ({"promise": lambda t, _: t[:, :1] + 1}, "outside the vocabulary"),
        ({"promise": lambda t, _: t[:, :1] - 1}, "outside the vocabulary"),
        ({"promise": lambda t, _: t[:, :2]}, "reshape"),
        ({"promise": lambda t, _: [[0.5]] * len(t)}, "integers"),
        ({"promise": lambda t, _: [[{2: 0}[row[0]]] for row in t]}, "unhashable"),
        ({"promise": lambda t, _: [[{7: 0}.get(row[0], row[1])] for row in t]}, "unhashable"),
        ({"promise": lambda t, _: t[:, :1] if t.dtype == object else 2 - t[:, :1]}, "other tokens"),
        ({"encoding": lambda t: Ratios(np.eye(3, dtype=np.int64)[t[:, 0]][:, None], 1)}, "encode cannot run"),
        ({"encoding": lambda t: Ratios(t[:, None, :2], 1)}, "reshape"),
        ({"encoding": lambda t: Ratios(t[:, None, :] * 2**62 * 4 // 2**62 // 4, 1)}, "other numbers"),
        ({"encoding": lambda t: Ratios(t[:, None, :], 1 if t.dtype == object else 2)}, "other numbers"),
    ],
)
def test_code_that_cannot_run_on_bounds_is_not_certified(parts: dict[str, Any], word: str) -> None:
    verdict = _verdict(**parts)
    assert verdict.holds is None
    assert verdict.reason is not None
    assert word in verdict.reason


def test_the_same_construction_without_a_fault_is_certified() -> None:
    assert _verdict().holds is True
    assert _verdict(encoding=lambda t: Ratios(t, 1), promise=lambda t, _: t[:, 0]).holds is True  # shapes are free


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
    layers = (read_first(3, 2), _READOUT)
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
