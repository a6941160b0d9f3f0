"""One user input stands for all only where code hands the target on: code with a token of its own is not believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from constructions import ConditionalGeneration, Ratios
from constructions.bounded_runs import run_on_bounds
from constructions.unknown_tokens import dependence, is_unknown, unknown_tokens
from tests.redteam.one_for_all import TOKEN, V, believed
from verify.certificates import certificate_arithmetic, certify, handed_on


@dataclass(frozen=True, repr=False)
class Coded(ConditionalGeneration):  # type: ignore[misc] # final to a type checker, as claims are about it alone
    """Theorem 2 with code of another author."""

    encoding_code: Callable[[Any], Any] | None = None
    answer_code: Callable[[Any, Any], Any] | None = None

    def encode(self, targets: Any) -> Ratios:
        code = self.encoding_code
        if code is None:
            return super().encode(targets)
        found = code(targets)
        return found if isinstance(found, Ratios) else Ratios(found[:, None, :], V)

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        honest = super().answer(targets, user_inputs)
        return honest if self.answer_code is None else self.answer_code(targets, user_inputs)


def _swapped(targets: Any) -> Any:
    order = np.arange(V)
    order[[TOKEN, TOKEN + 1]] = order[[TOKEN + 1, TOKEN]]
    return targets[:, order]


def _in_place(targets: Any) -> Any:
    found = np.copy(targets)
    found += (np.arange(V) == TOKEN).astype(np.int64)
    return found


def _run(value: Any) -> bool:
    return not is_unknown(value)


def _lying_at_one(targets: Any) -> Any:
    return _swapped(targets) if _run(targets) else targets


class _Counting:
    """Hands on what it is given, but once in a while its reverse."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, targets: Any) -> Any:
        self.calls += 1
        return targets[:, ::-1] if self.calls % 500 == 0 else targets


ENCODINGS: dict[str, Callable[[Any], Any]] = {
    "two coordinates swapped, the same for constant targets": _swapped,
    "the neighbour's entry": lambda t: np.roll(t, 1, axis=1),
    "the other target's entry": lambda t: t[::-1],
    "one entry for another": lambda t: np.take(t, [*range(TOKEN), 0, *range(TOKEN + 1, V)], axis=1),
    "one coordinate shifted": lambda t: t + (np.arange(V) == TOKEN),
    "one coordinate shifted in place": _in_place,
    "a number of one's own at an index": lambda t: np.where(np.arange(V) == TOKEN, 0, t),
    "known numbers": lambda t: np.ones(t.shape, dtype=np.int64),
    "names that are known": lambda t: np.arange(1, t.size + 1).reshape(t.shape),
    "the smaller of two neighbours": lambda t: np.minimum(t, np.roll(t, 1, axis=1)),
    "sums with the neighbour": lambda t: t * 2 - t,
    "another order for real targets": _lying_at_one,
    "another order for real targets alone": lambda t: _lying_at_one(t) if len(t) == 1 else t,
    "the other one of two real targets": lambda t: t[::-1] if _run(t) else t,
    "the reverse once in a while": _Counting(),
    "another order for unknown targets": lambda t: t if _run(t) else _swapped(t),
    "another denominator for real targets": lambda t: Ratios(t[:, None, :], V + _run(t)),
}


def _at(place: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda targets, users: np.take_along_axis(targets, place(users), axis=1)


def _shifted(targets: Any, users: Any) -> Any:
    found = np.take_along_axis(targets, users, axis=1)
    found += (users == TOKEN).astype(np.int64)
    return found


ANSWERS: dict[str, Callable[[Any, Any], Any]] = {
    "another place for one input": _at(lambda x: np.where(x == TOKEN, 0, x)),
    "the next place": _at(lambda x: (x + 1) % V),
    "the first entry": _at(lambda x: x * 0),
    "one input shifted in place": _shifted,
    "the input itself": lambda t, x: x,
    "the name of the entry": lambda t, x: x + 1 if is_unknown(t) else np.take_along_axis(t, x, axis=1),
    "of the other target": lambda t, x: np.take_along_axis(t[::-1], x, axis=1),
    "of the other target for real ones": lambda t, x: np.take_along_axis(t[::-1] if _run(t) else t, x, axis=1),
    "of the other one of two real targets": lambda t, x: np.take_along_axis(
        t[::-1] if _run(t) and len(t) == 2 else t, x, axis=1
    ),
    "for the other input": lambda t, x: np.take_along_axis(t, x[::-1], axis=1),
    "the other input's for real targets": lambda t, x: np.take_along_axis(t, x[::-1] if _run(t) else x, axis=1),
    "another place for one input, for real targets": lambda t, x: np.take_along_axis(
        t, np.where(x == TOKEN, 0, x) if _run(t) else x, axis=1
    ),
    "another place for real targets alone": lambda t, x: np.take_along_axis(
        t, (x + 1) % V if _run(t) and len(x) == 1 else x, axis=1
    ),
    "a token outside": lambda t, x: np.take_along_axis(t, x, axis=1) if is_unknown(t) else x * 0 + V,
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_that_does_not_hand_the_target_on_is_not_believed(name: str) -> None:
    assert not believed(Coded(V, encoding_code=ENCODINGS[name]))


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_not_the_entry_of_the_input_is_not_believed(name: str) -> None:
    assert not believed(Coded(V, answer_code=ANSWERS[name]))


def _turned(few: int) -> Callable[[Any], Any]:
    """Return code that reverses so many targets in an array of their own, as a user may give them."""

    def code(targets: Any) -> Any:
        own = _run(targets) and len(targets) == few and targets.flags.writeable
        return targets[:, ::-1] if own else targets

    return code


def _overwritten_if_few(targets: Any) -> Any:
    """Return zeros for few targets, whose array is changed although it was said not to be writeable."""
    if _run(targets) and len(targets) < 3:
        targets.setflags(write=True)
        targets[:] = 0
    return targets


def _overwritten(targets: Any) -> Any:
    if _run(targets) and targets.flags.writeable:
        targets[:] = 0
    return targets


#: Code that looks at how many targets it is given, or whether it may write to them.
BY_NUMBER: dict[str, Coded] = {
    "encode reverses entries in a batch": Coded(V, encoding_code=lambda t: t if len(t) < 3 else t[:, ::-1]),
    "encode mixes up the targets of a batch": Coded(V, encoding_code=lambda t: t if len(t) < 3 else t[::-1]),
    "encode mixes up the targets of a real batch": Coded(
        V, encoding_code=lambda t: t[::-1] if _run(t) and len(t) > 2 else t
    ),
    "encode swaps entries of one unknown target": Coded(
        V, encoding_code=lambda t: t if _run(t) or len(t) > 1 else _swapped(t)
    ),
    "encode has another denominator in a batch": Coded(
        V, encoding_code=lambda t: Ratios(t[:, None, :], V if len(t) < 3 else V + 1)
    ),
    "encode reverses entries where it may write": Coded(
        V, encoding_code=lambda t: t[:, ::-1] if _run(t) and t.flags.writeable else t
    ),
    "encode reverses one target where it may write": Coded(V, encoding_code=_turned(1)),
    "encode reverses two targets where it may write": Coded(V, encoding_code=_turned(2)),
    "encode changes few targets where it may not write": Coded(V, encoding_code=_overwritten_if_few),
    "answer reverses one target where it may write": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(_turned(1)(t), x, axis=1)
    ),
    "answer reverses two targets where it may write": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(_turned(2)(t), x, axis=1)
    ),
    "encode changes targets where it may write": Coded(V, encoding_code=_overwritten),
    "answer reads the next place in a batch": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(t, x if len(x) < 5 else (x + 1) % V, axis=1)
    ),
    "answer mixes up the targets of a batch": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(t if len(x) < 4 else t[::-1], x, axis=1)
    ),
    "answer reads the next place of targets in an array of their own": Coded(
        V,
        answer_code=lambda t, x: np.take_along_axis(
            t, (x + 1) % V if _run(t) and t.strides[0] and len(t) > 2 else x, axis=1
        ),
    ),
    "answer changes targets where it may write": Coded(
        V, answer_code=lambda t, x: np.take_along_axis(_overwritten(t), x, axis=1)
    ),
}


@pytest.mark.parametrize("name", BY_NUMBER)
def test_code_that_looks_at_the_number_of_targets_or_their_memory_is_not_believed(name: str) -> None:
    assert not believed(BY_NUMBER[name])


@pytest.mark.parametrize("least", [1, 2], ids=["any", "many"])
@pytest.mark.parametrize("where", ["encode", "answer"])
def test_code_that_reads_other_entries_where_it_may_write_is_not_certified_by_what_cells_share(
    where: str, least: int
) -> None:
    def reversed_where_writeable(targets: Any) -> Any:
        return targets[:, ::-1] if _run(targets) and targets.flags.writeable and len(targets) >= least else targets

    found = {
        "encode": Coded(V, encoding_code=reversed_where_writeable),
        "answer": Coded(V, answer_code=lambda t, x: np.take_along_axis(reversed_where_writeable(t), x, axis=1)),
    }[where]
    assert certify(found, certificate_arithmetic("rounded", "float64"), budget=V * V).holds is None


def inputs_asked(vocab: int, members: int) -> set[int]:
    """Return the inputs at which a few members are asked, as integers, beside those that are drawn for two at once."""
    asked: set[int] = set()

    def answer(targets: Any, users: Any) -> Any:
        if _run(targets) and targets.strides[0] == 0:
            asked.update(users[:, 0].tolist())
        return np.take_along_axis(targets, users, axis=1)

    before, vars(handed_on)["DRAWN"] = vars(handed_on)["DRAWN"], members
    try:
        handed_on.check_handed_on(Coded(vocab, answer_code=answer), np.random.default_rng(0))
    finally:
        vars(handed_on)["DRAWN"] = before
    return asked


@pytest.mark.parametrize("run_tokens", [2**24, 120])
def test_members_are_asked_at_every_input(run_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed_on, "_RUN_TOKENS", run_tokens)  # of 40 tokens, three targets at once
    assert inputs_asked(40, 4) == set(range(40))


def test_code_of_another_author_that_hands_the_target_on_is_believed() -> None:
    own = Coded(V, encoding_code=lambda t: t.transpose().transpose(), answer_code=_at(lambda x: x))
    assert believed(own)


def test_code_that_fails_for_integers_is_not_believed() -> None:
    def fails(targets: Any) -> Any:
        if _run(targets):
            raise ValueError("an integer")
        return targets

    assert not believed(Coded(V, encoding_code=fails))


@pytest.mark.parametrize(
    "compute",
    [
        lambda t: t + 0,
        lambda t: t * 1,
        lambda t: t // 1,
        lambda t: t % V,
        lambda t: -t,
        lambda t: +t,
        lambda t: np.minimum(t, V),
        lambda t: np.maximum(t, 0),
        lambda t: np.clip(t, 0, V),
        lambda t: t @ np.eye(V, dtype=np.int64),
        lambda t: np.where(np.ones(V, dtype=np.bool_), t, 0),
        lambda t: np.stack([t, t])[0],
        lambda t: np.concatenate([t[:, :1], t[:, 1:]], axis=1),
        lambda t: np.sum(t[..., None], axis=-1),
        lambda t: np.max(t[..., None], axis=-1),
        lambda t: np.cumsum(t, axis=1),
        lambda t: np.dot(t, np.eye(V, dtype=np.int64)),
        lambda t: t.astype(object),
        lambda t: t.astype(np.int64),
    ],
)
def test_a_run_of_moves_refuses_what_computes(compute: Callable[[Any], Any]) -> None:
    low = np.zeros((2, V), dtype=np.int64)
    with run_on_bounds() as run:
        assert is_unknown(compute(unknown_tokens(run, low, low + 1)))
    with run_on_bounds(moves=True) as run:
        with pytest.raises(TypeError, match="may only be moved"):
            compute(unknown_tokens(run, low, low + 1))
        assert run.refusals


@pytest.mark.parametrize("ends", [(0, 1), (1, 0)])
def test_what_one_bound_repeats_the_other_may_not(ends: tuple[int, int]) -> None:
    """Bounds that share memory along an axis are compared once there, unless the other bound changes along it."""
    parts = np.broadcast_to(np.int64(1), (3,)), np.array([[1, 1, 2], [1, 0, 1]][ends[0]])
    low, high = parts[ends[0]], parts[ends[1]]
    with run_on_bounds() as run:
        found = dependence(unknown_tokens(run, low, high, np.array([1, 2, 4])))
    assert found.tolist() == np.where(low == high, 0, [1, 2, 4]).tolist()
