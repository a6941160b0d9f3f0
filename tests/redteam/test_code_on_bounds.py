"""Constructions whose code looks past the bounds of a certificate: none may get a wrong ``holds``."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pytest

from constructions import (
    Construction,
    Layout,
    Linear,
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
    UnknownTokens,
    equals,
    look_up,
    one_hot,
    select,
)
from constructions.returned import checked_answer
from constructions.validation import InvalidArgument
from tests.certificates.own import Given, as_numbers, nearest, read_first, rounded
from verify import RationalArithmetic, exhaust
from verify.certificates import bit_exact, certificate_arithmetic, certify
from verify.certificates.code_on_bounds import IMPURE

BALLS = certificate_arithmetic("ball")
EXACT = RationalArithmetic()

_SPECIAL = {np.array([0, 1, 0], dtype=np.int64).tobytes(): 1}


def _always(token: int, vocab: int, entries: int) -> Linear:
    """Return a readout that always gives one token."""
    bias = [[int(row == token)] for row in range(vocab)]
    return Linear([[0] * (entries + 1)] * vocab, bias, activation=None, name="readout")


def _constant(promise: Callable[..., Any], **parts: Any) -> Given:
    """Return a construction that always answers 0, whatever is promised; two letters, three entries."""
    return Given(2, 3, [[0, 0]] * 3, (_always(0, 2, 3),), promise=promise, **parts)


def _with_fallback(ask: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the promise 1 for the target (0, 1, 0), which hides that it could not ask."""

    def promise(targets: Any, _: Any) -> Any:
        found = []
        for target in targets:
            try:
                special = bool(ask(target))
            except Exception:  # noqa: BLE001 # whatever it is
                special = False
            found.append([int(special)])
        return np.array(found, dtype=np.int64)

    return promise


#: Ways of asking whether a target is (0, 1, 0), which a cell does not know.
QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda t: _SPECIAL.get(t.tobytes(), 0),
    "int in a try": lambda t: tuple(int(x) for x in t) == (0, 1, 0),
    "str of a list": lambda t: str(t.tolist()) == "[0, 1, 0]",
    "str": lambda t: str(t) == "[0 1 0]",
    "repr": lambda t: repr(t) == "array([0, 1, 0])",
    "format": lambda t: f"{t[0]}{t[1]}{t[2]}" == "010",
    "asarray": lambda t: np.array_equal(np.asarray(t), [0, 1, 0]),
    "array_equal": lambda t: np.array_equal(t, [0, 1, 0]),
    "comparison": lambda t: (t == np.array([0, 1, 0])).all(),
    "comparison of numbers": lambda t: t[0] == 0 and t[1] == 1 and t[2] == 0,
    "order": lambda t: t[0] < t[1] and t[2] < t[1],
    "in a list": lambda t: [x for x in t if x in [1]] == [t[1]],
    "in a set": lambda t: tuple(t) in {(0, 1, 0)},
    "in a mapping": lambda t: {(0, 1, 0): 1}.get(tuple(t), 0),
    "hash": lambda t: hash(tuple(t)) == hash((0, 1, 0)),
    "identity": lambda t: t[0] is t[2] or (t[0] == t[2] and t[1] == 1),
    "sorting": lambda t: sorted(t) == [0, 0, 1] and t.argmax() == 1,
    "unique": lambda t: len(np.unique(t)) == 2 and np.argmax(t) == 1 and np.sum(t) == 1,
    "where": lambda t: np.where(t == 1)[0].tolist() == [1],
    "nonzero": lambda t: t.nonzero()[0].tolist() == [1],
    "isinstance": lambda t: isinstance(t[0], np.integer) and not isinstance(t[0], UnknownTokens) and t.item(1) == 1,
    "dtype": lambda t: t.dtype.kind == "i" and t.itemsize == 8 and t.sum() * 2 - t[1] * 3 == -1,
    "copy": lambda t: copy.deepcopy(t).tolist() == [0, 1, 0],
    "pickle": lambda t: pickle.loads(pickle.dumps(t)).tolist() == [0, 1, 0],
    "memory": lambda t: memoryview(t).tolist() == [0, 1, 0],
    "vectorize": lambda t: "".join(np.vectorize(str)(t)) == "010",
    "list": lambda t: list(t) == [0, 1, 0],
    "max": lambda t: max(t) == 1 and t[1] == 1 and sum(t) == 1,
    "float": lambda t: [float(x) for x in t] == [0.0, 1.0, 0.0],
    "index": lambda t: "x.x"[t[0]] + "xy"[t[1]] + "x."[t[2]] == "xyx",
    "truth": lambda t: not t[0] and t[1] and not t[2],
    "range": lambda t: len(range(t[1])) == 1 and not range(t[0]) and not range(t[2]),
    "bits": lambda t: (t[0] | t[2]) == 0 and t[1] & 1,
    "power": lambda t: 2 ** t[1] == 2 and 2 ** (t[0] + t[2]) == 1,
    "object array": lambda t: [int(x) for x in t.astype(object)] == [0, 1, 0],
    "set of an array": lambda t: np.fromiter(t, dtype=np.int64).tolist() == [0, 1, 0],
    "attribute": lambda t: hasattr(t, "tobytes") and t.data.tobytes() == np.array([0, 1, 0]).tobytes(),
    "type": lambda t: type(t) is np.ndarray and t.tolist() == [0, 1, 0],
    "private": lambda t: not hasattr(type(t), "_owned") and t.tolist() == [0, 1, 0],
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_that_bounds_cannot_answer_is_not_hidden_by_a_fallback(question: str) -> None:
    construction = _constant(_with_fallback(QUESTIONS[question]))
    assert exhaust(construction, EXACT).holds is False
    for arithmetic in (BALLS, rounded()):
        verdict = certify(construction, arithmetic)
        assert verdict.holds is None
        assert verdict.reason is not None
        assert verdict.reason.startswith("answer ")


@pytest.mark.parametrize("question", QUESTIONS)
def test_nor_in_encode_where_nothing_is_promised(question: str) -> None:
    ask = _with_fallback(QUESTIONS[question])
    construction = Given(
        2, 3, [[0, 0]], (nearest_of_zero(),), encoding=lambda t: Ratios(ask(t, None)[:, None, :], 3), promise=_zero
    )
    assert certify(construction, rounded()).holds is None
    verdict = bit_exact(construction, rounded())  # 1/3 is no float
    assert verdict.holds is None
    assert verdict.reason is not None
    assert verdict.reason.startswith("encode ")


def nearest_of_zero() -> Linear:
    """Return a readout that gives 0 at 0 and 1 at 1/3."""
    return Linear([[0, 0], [6, 0]], [[0], [-1]], activation=None, name="readout")


def _zero(targets: Any, _: Any) -> Any:
    return np.zeros((len(targets), 1), dtype=np.int64)


# int64 ---------------------------------------------------------------------------------------------------------------


def _sign(encoding: Callable[[Any], Any], vocab: int) -> Given:
    """Return a construction that promises 0, which is right where the prompt is not negative."""
    weight = [[1, 0]] + [[-1, 0]] * (vocab - 1)
    readout = Linear(weight, [[1]] + [[-v] for v in range(1, vocab)], activation=None, name="readout")
    return Given(vocab, 1, [[0] * vocab], (readout,), encoding=encoding, promise=_zero)


WRAPPING: dict[str, Callable[[Any], Any]] = {
    "inside the range, right at its ends": lambda t: t * (5 - t) * 2**61,
    "in a sum": lambda t: np.stack([t * (5 - t) * 2**60] * 2, axis=2).sum(axis=2),
    "in a matrix product": lambda t: (t * (5 - t)) @ np.array([[2**61]]),
    "on the way, back at the end": lambda t: t * 2**62 // 2**62 * 2**60,
    "in a running sum": lambda t: np.concatenate([t * (5 - t) * 2**60] * 2, axis=1).cumsum(axis=1)[:, 1:],
    "with a Python integer of an array of objects": lambda t: np.stack(
        [np.int64(2**61) * row.astype(object)[0] * (5 - row) for row in t]
    ),
    "by a negative factor": lambda t: -(t * (5 - t) * -(2**61)),
}


@pytest.mark.parametrize("wrapping", WRAPPING)
def test_an_overflow_that_only_some_targets_have_is_not_certified(wrapping: str) -> None:
    def encoding(targets: Any) -> Ratios:
        with np.errstate(over="ignore"):  # a scalar's overflow is a warning
            return Ratios(WRAPPING[wrapping](targets)[:, None, :], 2**61)

    construction = _sign(encoding, 6)
    assert exhaust(construction, EXACT).holds is False
    for verdict in (certify(construction, BALLS), certify(construction, rounded()), bit_exact(construction, rounded())):
        assert verdict.holds is None
        assert verdict.reason is not None
        assert "int64" in verdict.reason


def test_the_same_in_python_integers_is_certified() -> None:
    def encoding(targets: Any) -> Ratios:
        exact = targets.astype(object)
        return Ratios((exact * (5 - exact) * 2**61)[:, None, :] + 2**65, 2**61)

    construction = _sign(encoding, 6)
    assert exhaust(construction, EXACT).holds is True
    assert certify(construction, BALLS).holds is True


# one path for certify and bit_exact -----------------------------------------------------------------------------------


def _row(encoding: Callable[[Any], Any]) -> Given:
    return Given(5, 1, [[0] * 5], (nearest_row(5),), encoding=encoding, promise=lambda t, _: t)


def nearest_row(vocab: int) -> Linear:
    """Return the readout of one number beside the position."""
    return Linear([[2 * v, 0] for v in range(vocab)], [[-v * v] for v in range(vocab)], activation=None, name="readout")


def _by_conversion(targets: Any) -> Ratios:
    try:
        return Ratios(targets.astype(np.int64)[:, None, :], 3)
    except TypeError:
        return Ratios(targets[:, None, :], 1)


def _by_type(targets: Any) -> Ratios:
    return Ratios(targets[:, None, :], 3 if type(targets) is np.ndarray else 1)


def _other_numbers_by_type(targets: Any) -> Ratios:
    return Ratios(targets[:, None, :] * (2**30 + 1 if type(targets) is np.ndarray else 1), 1)


@pytest.mark.parametrize(
    "encoding",
    [
        _by_conversion,
        _by_type,
        _other_numbers_by_type,
        lambda t: Ratios(t[:, None, :] * 2**62 * 4, 1),
        lambda t: Ratios(t[:, None, :] * 2**62 * 4 // 2**62 // 4, 1),
        lambda t: Ratios(t[:, None, :] * (2**62 + 1) * 4 - t[:, None, :] * 2**62 * 4 - 3 * t[:, None, :], 1),
        lambda t: Ratios(t[:, None, :], 1 + 2 * (type(t) is np.ndarray and len(t) == 1)),
    ],
)
def test_bit_exact_looks_at_members_as_certify_does(encoding: Callable[[Any], Any]) -> None:
    construction = _row(encoding)
    assert bit_exact(_row(as_numbers), rounded()).holds is True
    assert certify(_row(as_numbers), rounded()).holds is True
    assert bit_exact(construction, rounded()).holds is None
    assert certify(construction, rounded()).holds is None


# what the helpers are for ---------------------------------------------------------------------------------------------

_TABLE = [3, 1, 4, 0, 2]


@pytest.mark.parametrize(
    ("encoding", "promise"),
    [
        (lambda t: Ratios(t[:, None, :], 1), lambda t, _: look_up(_TABLE, t)),
        (lambda t: Ratios(t[:, None, :], 1), lambda t, _: one_hot(t, 5) @ np.array(_TABLE)),
        (lambda t: Ratios(t[:, None, :], 1), lambda t, _: select(equals(t, 2), 4, look_up(_TABLE, t))),
    ],
)
def test_a_target_may_be_looked_up(encoding: Callable[[Any], Any], promise: Callable[[Any, Any], Any]) -> None:
    lines = [[2 * v, 0] for v in range(5)]
    order = [_TABLE.index(v) for v in range(5)]  # the token that is promised at prompt x is _TABLE[x]
    readout = Linear([lines[v] for v in order], [[-v * v] for v in order], activation=None, name="readout")
    construction = Given(5, 1, [[0] * 5], (readout,), encoding=encoding, promise=promise)
    assert exhaust(construction, EXACT).holds is True
    for arithmetic in (BALLS, rounded()):
        assert certify(construction, arithmetic).holds is True
    wrong = Given(5, 1, [[0] * 5], (nearest_row(5),), encoding=encoding, promise=promise)
    assert certify(wrong, rounded()).holds is None


class _Agreeable(int):
    """An integer that compares with every other one as whoever asks would like it to."""

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __le__ = __ge__ = __eq__
    __lt__ = __gt__ = __ne__


@dataclass(frozen=True, repr=False)
class _Agreeing(Construction):
    """Theorem 1 with virtual tokens or promises of the next target, in integers that compare as they like."""

    vocab_size: int
    length: int
    wrong: str

    @property
    def layout(self) -> Layout:
        return Layout(virtual=1, user=0, response=self.length)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (self.length,))

    @cached_property
    def transformer(self) -> Transformer:
        return UnconditionalGeneration(self.vocab_size, self.length).transformer

    def default_temperature(self, fmt: Any) -> Any:
        return UnconditionalGeneration(self.vocab_size, self.length).default_temperature(fmt)

    def _next(self, targets: Any, name: str) -> Any:
        if name != self.wrong or isinstance(targets, UnknownTokens):
            return targets
        found = np.empty(targets.shape, dtype=object)
        for place, token in np.ndenumerate(targets):
            found[place] = _Agreeable((token + 1) % self.vocab_size)
        return found

    def encode(self, targets: Any) -> Ratios:
        return Ratios(self._next(targets, "encode")[:, None], self.vocab_size)

    def answer(self, targets: Any, users: Any) -> Any:
        return self._next(targets, "answer")


@pytest.mark.parametrize("wrong", ["encode", "answer"])
@pytest.mark.parametrize("sizes", [(3, 2), (30, 12)])  # cell by cell, and cells that share
def test_integers_that_agree_with_everything_are_none(sizes: tuple[int, int], wrong: str) -> None:
    for arithmetic in (BALLS, rounded("float32")):
        assert certify(_Agreeing(*sizes, "neither"), arithmetic).holds
        verdict = certify(_Agreeing(*sizes, wrong), arithmetic)
        assert verdict.holds is None
        assert f"{wrong}: expected integer" in str(verdict.reason)
        assert "_Agreeing" in str(verdict.reason)


def test_numbers_that_no_float_tells_apart_are_told_apart() -> None:
    """Of 16 targets that are asked alone, uint64 beside int64 made floats of all: some were off by one in the last."""
    scale = 2**54

    def encoding(targets: Any, *, off: int) -> Ratios:
        found = targets[:, None, :] * scale
        if not isinstance(targets, UnknownTokens) and len(targets) == 1 and targets[0, 0] % 2:
            found = (found + (found > 0) * off).astype(np.uint64)
        return Ratios(found, scale)

    first = Linear([[1] + [0] * 69], activation=None, name="first")
    for off, holds in ((0, True), (1, None)):
        made = Given(
            64, 70, [[0] * 64] * 70, (read_first(70, 1), first, nearest(64)), encoding=partial(encoding, off=off)
        )
        verdict = certify(made, rounded())
        assert verdict.holds is holds
        assert off == 0 or verdict.reason == f"encode {IMPURE}"


@pytest.mark.parametrize("own", [lambda array: array.flags.owndata, lambda array: array.base is None])
@pytest.mark.parametrize("wrong", ["encode", "answer"])
def test_code_that_asks_whose_memory_it_is_given_is_no_pure_function(
    wrong: str, own: Callable[[Any], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that were to be in an array of their own came as a view of it, as all others did."""
    monkeypatch.setattr("verify.certificates.shared_cells.SHARED_FROM", 0)

    def changed(targets: Any) -> Any:
        known = isinstance(targets, UnknownTokens)
        return targets if known or len(targets) == 1 or not own(targets) else (targets + 1) % 5

    first = Linear([[1, 0, 0]], activation=None, name="first")
    layers = (read_first(3, 1), first, nearest(5))
    honest = Given(5, 3, [[0] * 5] * 3, layers)
    assert certify(honest, rounded()).holds is True
    if wrong == "encode":
        lying = Given(5, 3, [[0] * 5] * 3, layers, encoding=lambda targets: as_numbers(changed(targets)))
    else:
        lying = Given(5, 3, [[0] * 5] * 3, layers, promise=lambda targets, _: changed(targets)[:, :1])
    verdict = certify(lying, rounded())
    assert verdict.holds is None
    assert verdict.reason == f"{wrong} {IMPURE}"


class _Posing(np.ndarray):
    """An array that says it is of integers, and of another shape."""

    dtype = property(lambda self: np.dtype(np.int64))
    shape = property(lambda self: (2, 3))


def test_an_array_is_taken_for_what_it_is_and_not_for_what_it_says() -> None:
    for given, said in (
        (np.full((2, 3), 0.5), "an array of float64 of shape 2 x 3"),
        (np.zeros((3, 2), dtype=np.int64), "shape 3 x 2"),
    ):
        with pytest.raises(InvalidArgument, match=rf"answer: expected .* but got {said} \(Mine\)"):
            checked_answer("Mine", given.view(_Posing), (2, 3), 9)


def test_spans_of_time_are_no_tokens() -> None:
    """A span that is no time is neither below 0 nor above any token, and was taken for one of -2^63."""
    spans = np.array([[1, "NaT"]], dtype="timedelta64[D]")
    for given in (spans, spans.astype(object), np.array([[np.timedelta64(1, "D")] * 2], dtype=object)):
        with pytest.raises(InvalidArgument, match="answer: expected integers of shape 1 x 2"):
            checked_answer("Mine", given, (1, 2), 9)
    with pytest.raises(InvalidArgument, match="target: expected integers from 0 to 2"):
        UnconditionalGeneration(3, 2).virtual_tokens(spans)
    never = Given(
        3, 1, [[0] * 3], (nearest_row(3),), promise=lambda targets, _: targets[:, :1].astype("timedelta64[D]")
    )
    with pytest.raises(InvalidArgument, match="answer: expected integers"):
        exhaust(never, RationalArithmetic())
