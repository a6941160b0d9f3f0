"""Code that is no pure function of its arguments: none may get a wrong ``holds``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from constructions import Ratios
from tests.certificates.own import Given, rounded
from tests.redteam.test_code_on_bounds import _row, _zero, nearest_row
from verify.certificates import bit_exact, certify


class _Changing:
    """Code that gives other numbers every other time that it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def shift(self) -> int:
        self.calls += 1
        return self.calls % 2


def test_code_that_remembers_is_no_pure_function() -> None:
    changing = _Changing()
    encoding = lambda t: Ratios((t * 4 + changing.shift())[:, None, :], 4)  # noqa: E731 # one line
    for certificate in (certify, bit_exact):
        verdict = certificate(_row(encoding), rounded())
        assert verdict.holds is None
        assert verdict.reason is not None
        assert verdict.reason.startswith("encode ")
    promise = lambda t, _: t * changing.shift()  # noqa: E731 # one line
    verdict = certify(Given(5, 1, [[0] * 5], (nearest_row(5),), promise=promise), rounded())
    assert verdict.holds is None
    assert verdict.reason is not None
    assert verdict.reason.startswith("answer ")


def test_code_that_draws_is_no_pure_function() -> None:
    random = np.random.default_rng(1)
    encoding = lambda t: Ratios((t * 9 + random.integers(2))[:, None, :], 9)  # noqa: E731 # one line
    for _ in range(5):
        assert certify(_row(encoding), rounded()).holds is None
        assert bit_exact(_row(encoding), rounded()).holds is None


def test_code_that_gives_the_same_memory_again_hides_nothing() -> None:
    memory = np.zeros((1, 1, 1), dtype=np.int64)

    def encoding(targets: Any) -> Ratios:
        nonlocal memory
        if type(targets) is np.ndarray:
            memory = np.resize(memory, (len(targets), 1, 1)) if len(memory) != len(targets) else memory
            memory[:] = targets[:, None, :]
        return Ratios(memory[: len(targets)], 3)

    construction = Given(5, 1, [[0] * 5], (nearest_row(5),), encoding=encoding, promise=_zero)
    assert certify(construction, rounded()).holds is None
    assert bit_exact(construction, rounded()).holds is None


@pytest.mark.parametrize(
    "mixed",
    [
        lambda t: t[::-1],
        lambda t: np.roll(t, 1, axis=0),
        lambda t: t[:1] + 0 * t,
        lambda t: t - t[:1] + t[::-1][:1],
        lambda t: t + (len(t) == 1),
        lambda t: t + (len(t) > 200) * (t[:1] * 0 + 1),
        lambda t: np.take(t, np.arange(len(t))[::-1], axis=0),
    ],
)
def test_a_target_is_encoded_and_answered_by_itself(mixed: Callable[[Any], Any]) -> None:
    wrong = (
        _row(lambda t: Ratios(mixed(t)[:, None, :], 1)),
        Given(5, 1, [[0] * 5], (nearest_row(5),), promise=lambda t, _: mixed(t) % 5),
    )
    for construction in wrong:
        verdict = certify(construction, rounded())
        assert verdict.holds is None
    assert bit_exact(wrong[0], rounded()).holds is None


def test_tokens_kept_from_another_call_are_refused() -> None:
    kept: list[Any] = []

    def encoding(targets: Any) -> Ratios:
        kept.append(targets)
        return Ratios(targets[:, None, :], 1)

    for promise in (lambda t, _: kept[-1], lambda t, _: kept[-1] * 1, lambda t, _: kept[0][:1] + t * 0):
        construction = Given(5, 1, [[0] * 5], (nearest_row(5),), encoding=encoding, promise=promise)
        assert certify(construction, rounded()).holds is None


def test_code_that_changes_what_it_is_given_does_no_harm() -> None:
    def encoding(targets: Any) -> Ratios:
        numbers = targets.copy()
        numbers += 1
        return Ratios((numbers - 1)[:, None, :], 1)

    assert certify(_row(encoding), rounded()).holds is True
