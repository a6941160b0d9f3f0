"""Bugs put into decodings, domains, backends and the search: the battery of right and wrong models must notice each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from constructions import Argmax, Argmin, Domain, InvalidArgument, Number, specify
from verify import CallableBackend, exhaust, sweep
from verify.backends import callables, outputs
from verify.evidence.search import Search
from verify.evidence.tally import Tally, Witnesses
from verify.running.cases import Outcome, Runner

SIZE = 4


def _kernel(change: Callable[[Any, Any], Any]) -> CallableBackend:
    """Say the last token, by logits that fall with the square of the distance from it, after a change."""

    def kernel(virtual: Any, tokens: Any) -> Any:
        return change(-((np.arange(SIZE) - tokens[:, -1:]) ** 2.0), tokens)

    return CallableBackend(kernel)


def _number(value: Callable[[Any], Any]) -> CallableBackend:
    return CallableBackend(lambda virtual, tokens: value(tokens[:, -1:] + 0.0))


def _said(promise: Any, kernel: CallableBackend) -> bool | None:
    return exhaust(promise, kernel).holds


def battery() -> Iterator[bool]:
    """Yield for right and wrong backends whether the verdict is what it must be."""
    last = specify(Domain.of(SIZE, 2), lambda x: x[:, 1:])
    rising = Domain.of(SIZE, 2, lambda x: x[:, 0] <= x[:, 1])
    flipped = specify(Domain.of(SIZE, 2), lambda x: x[:, 1:], decoding=Argmin())
    half = specify(Domain.of(SIZE, 1), lambda x: x, output_vocab_size=1, decoding=Number("1/2"))
    yield _said(last, _kernel(lambda logits, _: logits)) is True
    right_one = exhaust(last, _kernel(lambda logits, _: logits))
    yield (right_one.cases, right_one.margin) == (SIZE**2, 1.0)
    yield _said(last, _kernel(lambda logits, tokens: np.where(tokens[:, -1:] == SIZE - 1, 0, logits))) is False
    late = _kernel(lambda logits, x: np.where(x[:, :1] == SIZE - 1, -logits, logits))
    yield _said(last, late) is False
    yield _said(last, _kernel(lambda logits, _: logits * 0)) is False
    yield _said(last, _kernel(lambda logits, _: logits + np.nan)) is False
    yield _said(flipped, _kernel(lambda logits, _: logits)) is False
    yield _said(flipped, _kernel(lambda logits, _: -logits)) is True
    yield _said(flipped, _kernel(lambda logits, _: logits * 0)) is False
    yield _said(half, _number(lambda x: x + 0.25)) is True
    yield _said(half, _number(lambda x: x + 0.5)) is False
    yield _said(half, _number(lambda x: x - 0.5)) is False
    yield _said(half, _number(lambda x: x + 0.75)) is False
    yield exhaust(half, _number(lambda x: x + 0.125)).margin == 0.375
    # right on the domain alone
    within = specify(rising, lambda x: x[:, 1:])
    outside_wrong = _kernel(lambda logits, tokens: np.where(tokens[:, :1] > tokens[:, 1:], -logits, logits))
    yield _said(within, outside_wrong) is True
    yield exhaust(within, outside_wrong).space == SIZE * (SIZE + 1) // 2
    last_wrong = _kernel(lambda logits, x: np.where(x[:, :1] == SIZE - 1, -logits, logits))
    yield _said(within, last_wrong) is False
    # right once
    asked = [0]

    def once(logits: Any, _: Any) -> Any:
        asked[0] += 1
        return logits if asked[0] == 1 else logits[:, ::-1]

    yield _said(last, _kernel(once)) is None
    # wrong at the third size
    narrow = sweep(
        lambda size: specify(Domain.of(size, 2), lambda x: x[:, 1:], vocab_size=size, output_vocab_size=SIZE),
        _kernel(lambda logits, tokens: np.where(tokens[:, -1:] == 2, -logits, logits)),
        max_vocab_size=SIZE,
        claim="last",
    )
    yield narrow.holds is False
    # tokens alone
    right = CallableBackend(lambda virtual, tokens: tokens[:, -1:], gives="tokens")
    wrong = CallableBackend(lambda virtual, tokens: tokens[:, :1], gives="tokens")
    yield _said(last, right) is True
    yield _said(last, wrong) is False


def _noticed() -> bool:
    """Say whether the battery notices something; a refusal, or an error of a broken verifier, is noticed as well."""
    try:
        return not all(battery())
    except (InvalidArgument, AssertionError, IndexError, ValueError):
        return True


def test_the_battery_finds_nothing_wrong_as_it_is() -> None:
    assert all(battery())


Patch = Callable[[pytest.MonkeyPatch], None]


def _set(owner: Any, name: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(owner, name, value)


def _changed(owner: Any, name: str, change: Callable[[Any], Any]) -> Patch:
    right = getattr(owner, name)
    return _set(owner, name, lambda *given, **named: change(right(*given, **named)))


def _generous_number(patch: pytest.MonkeyPatch) -> None:
    """Let exactly the tolerance be near enough, in margin and comparison."""
    tiny = np.finfo(np.float64).tiny
    left = Number._left

    def more(self: Number, expected: Any, produced: Any) -> Any:
        found = left(self, expected, produced)
        return np.array([value + tiny if value == 0 else value for value in found.reshape(-1)], dtype=object).reshape(
            found.shape
        )

    patch.setattr(Number, "_left", more)


def _without_the_last_batch(patch: pytest.MonkeyPatch) -> None:
    right = Search.through
    patch.setattr(
        Search, "through", lambda self, runner, batches, **more: right(self, runner, list(batches)[:-1], **more)
    )


def _first_member_alone(patch: pytest.MonkeyPatch) -> None:
    right = Search.over
    patch.setattr(Search, "over", lambda self, members, batches: right(self, members[:1], batches))


MUTANTS: dict[str, Patch] = {
    "argmin with the sign of argmax": _set(Argmin, "margins", Argmax.margins),
    "argmin produces the argmax": _set(Argmin, "produced", Argmax.produced),
    "argmax produces the argmin": _set(Argmax, "produced", Argmin.produced),
    "margins are twice as large": _changed(Argmax, "margins", lambda margins: 2 * margins),
    "the tolerance itself is near enough": _generous_number,
    "a number's margin is its distance": _changed(Number, "margins", lambda margins: 0.5 - margins),
    "a number is always near": _changed(Number, "_left", abs),
    "the domain is counted one short": _set(Domain, "size", property(lambda self: self.combinations - 1)),
    "the domain forgets its predicate": _set(Domain, "size", property(lambda self: self.combinations)),
    "the domain starts a place late": _changed(Domain, "unrank_range", lambda rows: rows[np.arange(len(rows)) // 2]),
    "the predicate is turned round": _changed(Domain, "_asked", lambda said: ~said),
    "the last batch is not run": _without_the_last_batch,
    "only the first size is run": _first_member_alone,
    "no batch fails": _set(Outcome, "failures", lambda self: np.zeros(self.expected.shape, dtype=bool)),
    "a failure is confirmed and forgotten": _set(Tally, "_refute", lambda self, found: None),
    "nothing is asked again": _set(Witnesses, "changed", lambda self: None),
    "tokens are not compared": _set(Argmax, "differ", lambda self, *_: np.zeros((1, 1), dtype=bool)),
    "tokens beyond the case are its own": _changed(
        callables, "checked_tokens", lambda tokens: np.repeat(tokens[:1], len(tokens), axis=0)
    ),
    "logits are those of the first case": _changed(
        outputs, "checked_logits", lambda logits: np.repeat(logits[:1], len(logits), axis=0)
    ),
    "what was promised is what was produced": _changed(
        Runner, "run", lambda made: replace(made, produced=made.expected, margins=made.margins * 0 + 1)
    ),
}


#: Where another check stands behind the broken one: the battery's verdicts stay as they are.
RESISTED: dict[str, Patch] = {
    "margins without their sign": _changed(Argmax, "margins", abs),
    "a number's margin is positive": _changed(Number, "margins", abs),
    "a number is compared with nothing": _set(Number, "differ", lambda self, *given: np.zeros((1, 1), dtype=bool)),
    "tokens are not compared": _set(Argmax, "differ", lambda self, *given: np.zeros((1, 1), dtype=bool)),
}


@pytest.mark.parametrize("name", RESISTED)
def test_these_are_resisted_where_there_are_margins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    RESISTED[name](monkeypatch)
    *with_margins, _, _ = battery()
    assert all(with_margins)


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    assert _noticed()
