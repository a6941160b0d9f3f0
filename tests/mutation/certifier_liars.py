"""Constructions whose code a certificate must see through, and what cells and unknown tokens hold of right ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from constructions import Construction, InvalidArgument, Linear, Ratios
from tests.certificates.own import Given, nearest, read_first, rounded
from verify.certificates import certificate_arithmetic, certify

V = 3


def _only_first(width: int) -> Linear:
    """Return the readout of the first of some numbers."""
    rows = [[2 * v, *[0] * (width - 1)] for v in range(V)]
    return Linear(rows, [[-v * v] for v in range(V)], activation=None, name="readout")


_READOUT = _only_first(3)
_LAYERS = (read_first(3, 1), _READOUT)


def _given(**parts: Any) -> Given:
    """Return a construction that answers with the first of three entries, with parts of its code replaced."""
    return Given(V, 3, [[0] * V] * 3, _LAYERS, **parts)


#: So many entries that no member which is drawn is at an end, or is the one target below.
_MANY = 12
_ONE = np.arange(_MANY) % V


def _long(encoding: Any) -> Given:
    """Return a construction of many entries, the first of which is the answer."""
    return Given(V, _MANY, [[0] * V] * _MANY, (read_first(_MANY, 1), _only_first(_MANY)), encoding=encoding)


def _catches(targets: Any) -> Ratios:
    """Give one target other numbers, and go on where it cannot be told apart."""
    try:
        found: Any = (targets == _ONE).all(axis=1)
    except TypeError:
        return _numbers(targets)
    return Ratios(np.where(found[:, None], targets * 0 + 5, targets)[:, None, :], 1)


def _looks(targets: Any) -> Ratios:
    """Give one target other numbers, as far as a comparison has an answer."""
    found: Any = targets == _ONE
    if type(found) is bool:
        return _numbers(targets)
    return Ratios(np.where(found.all(axis=1)[:, None], targets * 0 + 5, targets)[:, None, :], 1)


def _reads(targets: Any) -> Ratios:
    """Give one target other numbers, as far as its entries have values."""
    try:
        found = np.array([all(int(entry) == 1 for entry in target[1:]) for target in targets])
    except TypeError:
        return _numbers(targets)
    return Ratios(np.where(found[:, None], targets * 0 + 5, targets)[:, None, :], 1)


def _fed() -> Given:
    """Return a construction that is to answer 0 after any token, and answers 2 after a 2."""
    then_zero = lambda t, _: np.concatenate([t[:, :1], t[:, :1] * 0], axis=1)  # noqa: E731 # one line
    return Given(V, 1, [[0, 0, 2]], (_only_first(3),), steps=2, promise=then_zero)


def _is_run(targets: Any) -> bool:
    return type(targets) is np.ndarray


def _numbers(targets: Any) -> Ratios:
    return Ratios(targets[:, None, :], 1)


def _on(chosen: Callable[[Any], Any]) -> Callable[[Any], Ratios]:
    """Return an encoding that gives the numbers backwards, but only to a forward pass, on the targets chosen."""

    def encoding(targets: Any) -> Ratios:
        if not _is_run(targets):
            return _numbers(targets)
        lied = np.where(chosen(targets)[:, None], targets * 0 + 5, targets)
        return Ratios(lied[:, None, :], 1)

    return encoding


def _alone(targets: Any) -> Ratios:
    """Give other entries than the first to whoever asks for one target alone: within every bound."""
    if _is_run(targets) and len(targets) == 1:
        return Ratios(((targets + np.array([0, 1, 1])) % V)[:, None, :], 1)
    return _numbers(targets)


def _mixed(targets: Any) -> Ratios:
    """Give every target the second entry of its neighbour, but alone to one that is asked alone."""
    if _is_run(targets) and len(targets) > 1:
        return Ratios(np.concatenate([targets[:, :1], np.roll(targets[:, 1:], 1, axis=0)], axis=1)[:, None, :], 1)
    return _numbers(targets)


def _answer_on(chosen: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def promise(targets: Any, users: Any) -> Any:
        if not _is_run(targets):
            return targets[:, :1]
        return np.where(chosen(targets)[:, None], (targets[:, :1] + 1) % V, targets[:, :1])

    return promise


class _Remembers:
    """Gives the last entry as it was asked for the time before: within every bound."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, targets: Any) -> Ratios:
        if not _is_run(targets):
            return _numbers(targets)
        self.count += 1
        return Ratios((targets * np.array([1, 1, self.count % 2]))[:, None, :], 1)


def liars() -> dict[str, Callable[[], Construction]]:
    """Return constructions that no certificate may hold for: some target has other numbers, or another answer."""
    return {
        "encode lies to a forward pass": lambda: _given(encoding=_on(lambda t: t[:, 0] >= 0)),
        "encode lies on the smallest target": lambda: _long(_on(lambda t: (t[:, 1:] == 0).all(axis=1))),
        "encode catches a refusal": lambda: _long(_catches),
        "encode looks for one target": lambda: _long(_looks),
        "encode reads the entries of one target": lambda: _long(_reads),
        "a fed token spoils the response after it": _fed,
        "encode lies on the largest target": lambda: _long(_on(lambda t: (t[:, 1:] == V - 1).all(axis=1))),
        "encode lies inside": lambda: _given(encoding=_on(lambda t: t[:, 1] == 1)),
        "encode lies on an entry that is fixed": lambda: _given(encoding=_on(lambda t: t[:, 0] == 1)),
        "encode gives another denominator": lambda: _given(
            encoding=lambda t: Ratios(t[:, None, :], 2 if _is_run(t) else 1)
        ),
        "encode wraps in int64": lambda: _given(encoding=lambda t: Ratios(t[:, None, :] * 2**62 * 4 // 2**62 // 4, 1)),
        "encode wraps in the middle": lambda: _given(
            encoding=lambda t: Ratios((t * (t - 2) * 2**61 * 4 + t)[:, None, :], 1)
        ),
        "encode is another alone": lambda: _given(encoding=_alone),
        "encode mixes a batch": lambda: _given(encoding=_mixed),
        "encode remembers": lambda: _given(encoding=_Remembers()),
        "answer lies to a forward pass": lambda: _given(promise=_answer_on(lambda t: t[:, 0] >= 0)),
        "answer lies inside": lambda: _given(promise=_answer_on(lambda t: t[:, 1] == 1)),
        "answer lies on the largest target": lambda: _given(
            promise=_answer_on(lambda t: (t[:, 1:] == V - 1).all(axis=1))
        ),
        "answer is out of the vocabulary": lambda: _given(promise=lambda t, _: t[:, :1] + 1),
        "answer is below the vocabulary": lambda: _given(promise=lambda t, _: t[:, :1] - 1),
        "answer reads an entry that the prompt lost": lambda: _given(encoding=lambda t: Ratios((t * 0)[:, None, :], 1)),
        "answer is a sum that the readout does not know": lambda: _given(
            promise=lambda t, _: (t[:, :1] + t[:, 1:2]) % V
        ),
        "answer is of the user's token": lambda: Given(
            V, 3, [[0] * V] * 3, (read_first(3, 2), _READOUT), users=1, promise=lambda t, u: (t[:, :1] + u) % V
        ),
        "the last user token is answered otherwise": lambda: _wrong_at_last(20),
        "the second response is another": lambda: Given(
            V, 3, [[0] * V] * 3, (read_first(3, 2), _READOUT), steps=2, promise=lambda t, _: t[:, :2]
        ),
        "a fed token spoils the second response": _spoiled,
        "two entries in one number": lambda: _packed(wrong=True),
    }


def _wrong_at_last(vocab_size: int) -> Construction:
    """Return a construction that is wrong for one user token, whose cells are in another batch than the first ones."""
    from constructions import ConditionalGeneration

    class WrongAtLast(ConditionalGeneration):  # type: ignore[misc] # final to a type checker alone
        def answer(self, targets: Any, user_inputs: Any) -> Any:
            off = user_inputs[:, :1] == self.vocab_size - 1
            return (super().answer(targets, user_inputs) + off) % self.vocab_size

    return WrongAtLast(vocab_size)


def _spoiled() -> Given:
    """Return a construction that means its token and the fed one, whose embedding is that of the next letter."""
    from constructions import Attention, Head

    zero = [[0, 0, 0]]
    mean = Attention((Head("mean", zero, zero, [[1, 0, 0]]),))
    return Given(V, 1, [[1, 2, 0]], (mean, nearest(V)), steps=2, promise=lambda t, _: t[:, [0, 0]])


def _packed(*, wrong: bool) -> Given:
    """Return the digit at the front of two entries in one number, or (wrong) of the other one."""
    layers = (Linear([[1, 0]], [[0]], name="front"), _digits())
    promise = (lambda t, _: t[:, 1:2]) if wrong else (lambda t, _: t[:, :1])
    return Given(
        V, 2, [[0] * V], layers, encoding=lambda t: Ratios((t[:, :1] * V + t[:, 1:])[:, None, :], 1), promise=promise
    )


def _digits() -> Linear:
    """Return the readout of ``x // V``: the tangents of ``(x - 1)^2`` at the middles of its runs."""
    return Linear(
        [[2 * (V * v + 1)] for v in range(V)],
        [[-((V * v + 1) ** 2)] for v in range(V)],
        activation=None,
        name="readout",
    )


def refused(*names: str, ball: bool = False) -> Callable[[], list[str]]:
    """Return the killer: which liars a certificate holds for."""

    def run() -> list[str]:
        found = []
        for name, make in liars().items():
            if names and name not in names:
                continue
            liar = make()
            assert liar.transformer.lowered.vocab_size  # its weights fit: what is refused is its code
            try:
                verdict = certify(liar, certificate_arithmetic("ball") if ball else rounded())
            except InvalidArgument:
                continue
            if verdict.holds is not None:
                found.append(f"certified although {name}")
        return found

    return run


def right() -> Iterator[Construction]:
    """Yield right constructions, which are certified."""
    yield _given()
    yield _packed(wrong=False)
    yield Given(V, 2, [[0] * V] * 2, (read_first(2, 2), _only_first(2)), steps=2, promise=lambda t, _: t[:, [0, 0]])
    yield Given(V, 1, [[0] * V], (read_first(1, 2), nearest(V)), users=1, promise=lambda t, u: t[:, :1] + u * 0)


def accepted() -> list[str]:
    """Return the right constructions that are not certified: a certifier that refuses all is of no use."""
    found = []
    for construction in right():
        for arithmetic in (rounded(), certificate_arithmetic("ball")):
            verdict = certify(construction, arithmetic)
            if verdict.holds is not True:
                found.append(f"not certified: {construction!r}: {verdict.reason}")
            elif verdict.cases != construction.targets.size * construction.user_inputs.size:
                found.append(f"{verdict.cases} cases of {construction!r}")
    return found
