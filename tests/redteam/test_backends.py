"""Backends that cheat, forget, break or lie: none of them is shown to hold, and a right one is never spoiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch

from constructions import Argmin, Domain, InvalidArgument, Number, Ratios, Specification, TargetSpace, specify
from verify import CallableBackend, Verdict, check, exhaust, fuzz, sweep
from verify.evidence.finder import find_counterexample

#: The sum of three letters modulo five.
PROMISE = specify(Domain.of(5, 3), lambda x: x.sum(axis=1, keepdims=True) % 5)


def _right(tokens: Any) -> Any:
    return tokens.sum(axis=1) % 5


def _logits(virtual: Any, tokens: Any) -> Any:
    return np.eye(5)[_right(tokens)]


def _tokens(virtual: Any, tokens: Any) -> Any:
    return _right(tokens)[:, None]


EVIDENCE: dict[str, Callable[[Any], Verdict]] = {
    "exhaust": lambda runs: exhaust(PROMISE, runs),
    "fuzz": lambda runs: fuzz(st.just(PROMISE), runs, examples=60, claim="sum"),
    "sweep": lambda runs: sweep(
        lambda size: specify(Domain.of(size, 3), lambda x: x.sum(axis=1, keepdims=True) % 5, output_vocab_size=5),
        runs,
        max_vocab_size=5,
        claim="sum",
    ),
    "find": lambda runs: find_counterexample(lambda size: PROMISE, {"size": [5]}, runs, claim="sum"),
    "check": lambda runs: check(PROMISE, target=[], user_input=[4, 3, 1], backend=runs),
}


def _never_holds(runs: Callable[[], Any], *, but: tuple[str, ...] = ()) -> None:
    for kind, evidence in EVIDENCE.items():
        if kind in but:
            continue
        try:
            verdict = evidence(runs())
        except InvalidArgument:  # as good
            continue
        assert verdict.holds is not True, kind
        assert verdict.reason is not None or verdict.counterexample is not None


@pytest.mark.parametrize("kind", EVIDENCE)
def test_a_right_one_holds(kind: str) -> None:
    assert EVIDENCE[kind](CallableBackend(_logits)).holds is True
    assert EVIDENCE[kind](CallableBackend(_tokens, gives="tokens")).holds is True


# state ---------------------------------------------------------------------------------------------------------------


def _until(calls: int, gives: str) -> CallableBackend:
    """Be right for some calls, and a token further on after them."""
    left = [calls]

    def kernel(virtual: Any, tokens: Any) -> Any:
        left[0] -= 1
        made = (_right(tokens) + (left[0] < 0)) % 5
        return np.eye(5)[made] if gives == "logits" else made[:, None]

    return CallableBackend(kernel, gives="logits" if gives == "logits" else "tokens")


@pytest.mark.parametrize("gives", ["logits", "tokens"])
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_one_that_is_right_for_a_while_is_not_shown(calls: int, gives: str) -> None:
    _never_holds(lambda: _until(calls, gives), but=("check",) if calls > 2 else ())


def _by_order() -> CallableBackend:
    """Say what an enumeration promises, case by case, without looking at the input."""
    promised, asked = _right(PROMISE.user_inputs.unrank_range(0, 125)), [0]

    def kernel(virtual: Any, tokens: Any) -> Any:
        start = asked[0]
        asked[0] += len(tokens)
        return promised[np.arange(start, asked[0]) % 125][:, None]

    return CallableBackend(kernel, gives="tokens")


def test_one_that_answers_by_the_order_of_an_enumeration_is_noticed() -> None:
    verdict = exhaust(PROMISE, _by_order())
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "is no function" in verdict.reason
    _never_holds(_by_order)


@pytest.mark.parametrize("wrong_in", ["ones", "many"])
def test_one_that_looks_at_the_size_of_its_batch_is_noticed(wrong_in: str) -> None:
    def kernel(virtual: Any, tokens: Any) -> Any:
        wrong = (len(tokens) == 1) == (wrong_in == "ones")
        return np.eye(5)[(_right(tokens) + wrong) % 5]

    verdict = exhaust(PROMISE, CallableBackend(kernel))
    assert verdict.holds is not True
    # one that is right in every batch that a kind of evidence runs is right there
    _never_holds(lambda: CallableBackend(kernel), but=("fuzz", "check") if wrong_in == "many" else ())


def test_one_that_confuses_the_rows_of_its_batch_is_caught() -> None:
    _never_holds(
        lambda: CallableBackend(lambda virtual, tokens: np.roll(_logits(virtual, tokens), 1, axis=0)),
        but=("fuzz", "check"),
    )
    assert exhaust(PROMISE, CallableBackend(lambda v, t: np.sort(_tokens(v, t), axis=0), gives="tokens")).holds is False


def test_one_that_draws_is_caught() -> None:
    draw = np.random.default_rng(0)

    def kernel(virtual: Any, tokens: Any) -> Any:
        return np.eye(5)[np.where(draw.random(len(tokens)) < 0.9, _right(tokens), 0)]

    _never_holds(lambda: CallableBackend(kernel), but=("check",))


# buffers and arguments -----------------------------------------------------------------------------------------------


def test_views_of_one_buffer_do_not_spoil_each_other() -> None:
    buffer, held = np.zeros((4096, 1, 5)), list[Any]()

    def kernel(virtual: Any, tokens: Any) -> Any:
        buffer[:] = 0
        np.put_along_axis(buffer[: len(tokens)], _right(tokens)[:, None, None], 1, axis=2)
        for before in held:  # what it gave before is not looked at again
            before[:] = -1
        held.append(tokens)
        return buffer[: len(tokens), 0]

    verdict = exhaust(PROMISE, CallableBackend(lambda v, t: kernel(v, t.astype(np.int64))))
    assert (verdict.holds, verdict.margin) == (True, 1.0)


def test_one_that_writes_into_its_arguments_changes_nothing_for_others() -> None:
    steps = specify(Domain.of(5, 2), lambda x: np.stack([x.sum(1) % 5, (x.sum(1) * 2) % 5], axis=1), response=2)

    def kernel(virtual: Any, tokens: Any) -> Any:
        made = np.eye(5)[tokens.sum(axis=1) % 5]
        tokens[:] = 0
        return made

    verdict = exhaust(steps, CallableBackend(kernel))
    assert (verdict.holds, verdict.cases) == (True, 25)


def test_one_that_changes_the_array_it_gave_changes_nothing() -> None:
    given: list[Any] = []

    def kernel(virtual: Any, tokens: Any) -> Any:
        for before in given:
            before[:] = 4
        given.append(_tokens(virtual, tokens))
        return given[-1]

    verdict = exhaust(PROMISE, CallableBackend(kernel, gives="tokens"))
    assert verdict.holds is True


# what it gives -------------------------------------------------------------------------------------------------------

WRONG_KINDS: dict[str, tuple[str, Callable[[Any, Any], Any], str]] = {
    "floats for tokens": ("tokens", lambda v, t: _tokens(v, t) + 0.0, "tokens from callable .*float64"),
    "booleans": ("tokens", lambda v, t: _tokens(v, t) > 0, "integers of shape .*bool"),
    "a list": ("tokens", lambda v, t: _tokens(v, t).tolist(), "an array or a tensor .*list"),
    "nothing": ("tokens", lambda v, t: None, "an array or a tensor .*NoneType"),
    "tokens without an axis": ("tokens", lambda v, t: _right(t), "integers of shape [0-9]+ x 1"),
    "a token too many": ("tokens", lambda v, t: np.hstack([_tokens(v, t)] * 2), "but got an array of int64 of shape"),
    "a case too few": ("tokens", lambda v, t: _tokens(v, t)[1:], "integers of shape"),
    "a token beyond the vocabulary": ("tokens", lambda v, t: _tokens(v, t) + 5, r"in 0\.\.4 but got [5-9]"),
    "a negative token": ("tokens", lambda v, t: _tokens(v, t) - 5, r"in 0\.\.4 but got -[1-5]"),
    "unsigned tokens far beyond": ("tokens", lambda v, t: _tokens(v, t).astype(np.uint64) + 2**63, r"in 0\.\.4 but"),
    "objects": ("tokens", lambda v, t: _tokens(v, t).astype(object), "integers of shape .*object"),
    "spans of time": ("tokens", lambda v, t: _tokens(v, t).astype("m8[s]"), "integers of shape .*timedelta64"),
    "tokens for logits": ("logits", _tokens, "logits .*int64.*gives='tokens'"),
    "complex logits": ("logits", lambda v, t: _logits(v, t) + 0j, "logits .*complex128"),
    "logits as objects": ("logits", lambda v, t: _logits(v, t).astype(object), "logits .*object"),
    "a logit too few": ("logits", lambda v, t: _logits(v, t)[:, :4], "of shape [0-9]+ x 3 x 5 or [0-9]+ x 5 but"),
    "one position too few": ("logits", lambda v, t: np.stack([_logits(v, t)] * 2, axis=1), "logits .*of shape"),
    "logits for one case": ("logits", lambda v, t: _logits(v, t)[0], "logits .*of shape"),
    "an error": ("logits", lambda v, t: 1 / 0, "raised ZeroDivisionError: division by zero"),
    "an error of its own": ("tokens", lambda v, t: t[:, 99], "raised IndexError"),
    "a class": ("logits", lambda v, t: np.ndarray, "an array or a tensor"),
}


@pytest.mark.parametrize("name", WRONG_KINDS)
@pytest.mark.parametrize("kind", EVIDENCE)
def test_what_is_no_answer_is_refused_in_one_line(name: str, kind: str) -> None:
    gives, kernel, message = WRONG_KINDS[name]
    with pytest.raises(InvalidArgument, match=f"^backend: expected.*{message}") as caught:
        EVIDENCE[kind](CallableBackend(kernel, gives="tokens" if gives == "tokens" else "logits"))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, -1, slice(None)])
def test_a_logit_that_is_not_finite_never_verifies(value: float, place: Any) -> None:
    def kernel(virtual: Any, tokens: Any) -> Any:
        made = _logits(virtual, tokens)
        made[..., place] = value
        return made

    _never_holds(lambda: CallableBackend(kernel))
    promise = specify(Domain.of(5, 1), lambda x: x, output_vocab_size=1, decoding=Number(10**9))
    number = exhaust(promise, CallableBackend(lambda v, t: np.full((len(t), 1), value)))
    assert number.holds is False


def test_a_tie_never_verifies() -> None:
    _never_holds(lambda: CallableBackend(lambda v, t: np.zeros((len(t), 5))))
    zero = specify(Domain.of(5, 3), lambda x: 0 * x[:, :1])  # token 0 wins every tie by the order of tokens
    for promise in (zero, specify(Domain.of(5, 3), lambda x: 0 * x[:, :1], decoding=Argmin())):
        assert exhaust(promise, CallableBackend(lambda v, t: np.zeros((len(t), 5)))).holds is False


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_are_taken_with_and_without_gradients(dtype: Any) -> None:
    weights = torch.eye(5, dtype=dtype, requires_grad=True)
    runs = CallableBackend(lambda v, t: weights[torch.from_numpy(t).sum(dim=1) % 5])
    assert exhaust(PROMISE, runs).holds is True
    tokens = CallableBackend(lambda v, t: (torch.from_numpy(t).sum(dim=1, keepdim=True) % 5).int(), gives="tokens")
    assert exhaust(PROMISE, tokens).holds is True


def test_interruptions_and_memory_are_not_taken_for_its_mistakes() -> None:
    for raised in (KeyboardInterrupt, MemoryError):

        def kernel(virtual: Any, tokens: Any, raised: type[BaseException] = raised) -> Any:
            raise raised

        with pytest.raises(raised):
            exhaust(PROMISE, CallableBackend(kernel))


# the promise ---------------------------------------------------------------------------------------------------------


def test_a_promise_that_changes_is_noticed() -> None:
    asked = [0]

    def answer(x: Any) -> Any:
        asked[0] += 1
        return (x.sum(axis=1, keepdims=True) + (asked[0] > 1)) % 5

    verdict = exhaust(specify(Domain.of(5, 3), answer), CallableBackend(_logits))
    assert verdict.holds is not True


def test_a_promise_that_writes_into_the_input_does_not_reach_the_backend() -> None:
    def answer(x: Any) -> Any:
        made = x.sum(axis=1, keepdims=True) % 5
        x[:] = 0
        return made

    assert exhaust(specify(Domain.of(5, 3), answer), CallableBackend(_logits)).holds is True


def test_several_targets_without_a_prompt_are_refused() -> None:
    from dataclasses import dataclass

    from constructions import Layout

    @dataclass(frozen=True, repr=False)
    class Untold(Specification):
        vocab_size: int = 3
        layout = Layout(virtual=0, user=1, response=1)
        targets = TargetSpace(3, (1,))

        def answer(self, targets: Any, user_inputs: Any) -> Any:
            return targets

    with pytest.raises(InvalidArgument, match="targets of Untold: expected a single one"):
        exhaust(Untold(), CallableBackend(lambda v, t: np.eye(3)[t[:, -1]]))


def test_a_promise_in_floats_is_refused() -> None:
    for answer in (lambda x: x / 3, lambda x: Ratios(x / 3, 1), lambda x: x.tolist()):
        promise = specify(Domain.of(5, 1), answer, output_vocab_size=1, decoding=Number(1))
        with pytest.raises(InvalidArgument, match="answer: expected Ratios, or integers"):
            exhaust(promise, CallableBackend(lambda v, t: t / 3.0))
