"""Bugs put into the verifier itself: does it still refuse the canaries, or do the canaries show the bug?

``resisted``: no evidence says that a canary holds, as another check stands behind the broken one. ``shown``: some
canary is accepted, so that the tests of this folder fail on such a verifier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest

from constructions import Construction, InvalidArgument, TargetSpace
from tests.mutation.canaries import every_verdict
from tests.mutation.mutated import Mutated
from verify import NumpyArithmetic
from verify.backends import transformer as transformer_backend
from verify.evidence import tally as verify_tally
from verify.evidence import verdict as verify_verdict
from verify.running import cases as verify_cases
from verify.running import respond
from verify.running.model import bind_construction, exact_logits

Patch = Callable[[pytest.MonkeyPatch], None]
Fate = Literal["resisted", "shown"]


@dataclass(frozen=True)
class Bug:
    """A bug of the verifier.

    Attributes:
        name: what is broken.
        patch: breaks it.
        fate: what becomes of it.

    """

    name: str
    patch: Patch
    fate: Fate


def _attribute(owner: Any, name: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(owner, name, value)


def _failures(rule: Callable[[Any], Any]) -> Patch:
    return _attribute(verify_cases.Outcome, "failures", lambda outcome: np.asarray(rule(outcome), dtype=np.bool_))


def _outcomes(change: Callable[[Any], Any]) -> Patch:
    right = verify_cases._outcome
    return _attribute(verify_cases, "_outcome", lambda *given: change(right(*given)))


def _no_evidence_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verify_verdict.Verdict, "__post_init__", lambda _: None)


def _nothing_fails(patch: pytest.MonkeyPatch) -> None:
    _failures(lambda outcome: np.zeros(outcome.produced.shape))(patch)


def _both(*patches: Patch) -> Patch:
    def patch_all(patch: pytest.MonkeyPatch) -> None:
        for each in patches:
            each(patch)

    return patch_all


def _half_the_space(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TargetSpace, "size", property(lambda space: max(1, space.vocab_size**space.digits // 2)))


def _always_the_first_half(patch: pytest.MonkeyPatch) -> None:
    right = TargetSpace.unrank_range

    def first_half(space: TargetSpace, start: int, stop: int) -> Any:
        targets = right(space, start, stop)
        return targets[np.arange(len(targets)) // 2]

    patch.setattr(TargetSpace, "unrank_range", first_half)


def _right_weights(patch: pytest.MonkeyPatch) -> None:
    """Run the weights of the construction that a mutant was made from: a cache with too small a key."""
    right = bind_construction
    patch.setattr(transformer_backend, "bind_construction", lambda mutant, each, **_: right(_origin(mutant), each))


def _origin(construction: Construction) -> Construction:
    return construction.right if isinstance(construction, Mutated) else construction


def _the_model_is_asked(patch: pytest.MonkeyPatch) -> None:
    """Promise whatever is produced."""
    right = verify_cases._outcome

    def agreeing(_: Any, produced: Any, logits: Any, decoding: Any) -> Any:
        return right(produced, produced, logits, decoding)

    patch.setattr(verify_cases, "_outcome", agreeing)


def _first_alone(outcome: Any) -> Any:
    failed = (outcome.produced != outcome.expected) | ~np.asarray(outcome.margins > 0, dtype=np.bool_)
    return failed & (np.arange(failed.shape[1]) == 0)


def _logits_of_another_row(axis: int) -> Patch:
    """Read the logits of the step before (-2), or of the case before (0), beside the right tokens."""
    right = exact_logits

    def read(arithmetic: Any, generation: Any) -> Any:
        logits = right(arithmetic, generation)
        return np.roll(logits, 1, axis=axis) if axis < 0 or logits.ndim > 2 else logits

    return _attribute(respond, "exact_logits", read)


def _accumulated_in(dtype: str) -> Patch:
    """Add up the products of a layer in a smaller format than the arithmetic's."""

    def linear(_: Any, rows: Any, weight: Any, bias: Any = None) -> Any:
        total = (rows.astype(dtype) @ weight.T.astype(dtype)).astype(rows.dtype)
        return total if bias is None else total + bias[:, 0]

    return _attribute(NumpyArithmetic, "linear", linear)


BUGS: tuple[Bug, ...] = (
    Bug("no case ever fails", _nothing_fails, "resisted"),
    Bug("a tie passes", _failures(lambda o: (o.produced != o.expected) | ~(o.margins >= 0)), "resisted"),
    Bug("only tokens are compared", _failures(lambda o: o.produced != o.expected), "resisted"),
    Bug("only margins are looked at", _failures(lambda o: ~(o.margins > 0)), "resisted"),
    Bug("only the first token is looked at", _failures(_first_alone), "resisted"),
    Bug("the comparison has the wrong polarity", _failures(lambda o: o.margins > 0), "resisted"),
    Bug("margins have the wrong sign", _outcomes(lambda o: replace(o, margins=-o.margins)), "resisted"),
    Bug("margins lose their sign", _outcomes(lambda o: replace(o, margins=abs(o.margins))), "resisted"),
    Bug("margins are all 1", _outcomes(lambda o: replace(o, margins=np.ones(o.margins.shape))), "shown"),
    Bug("the tokens produced are those promised", _outcomes(lambda o: replace(o, produced=o.expected)), "resisted"),
    Bug("the oracle returns the tokens produced", _the_model_is_asked, "resisted"),
    Bug(
        "the largest margin counts",
        _attribute(verify_cases.Outcome, "smallest_margin", lambda outcome: max(outcome.margins.reshape(-1).tolist())),
        "resisted",
    ),
    Bug("a verdict asks for no evidence", _no_evidence_asked, "resisted"),
    Bug("no case fails, and a verdict asks for no evidence", _both(_nothing_fails, _no_evidence_asked), "shown"),
    Bug("the space is counted as half of it", _half_the_space, "shown"),
    Bug("the second half of a batch is never reached", _always_the_first_half, "shown"),
    Bug("weights come from the right construction", _right_weights, "shown"),
    Bug("logits are read at the step before", _logits_of_another_row(-2), "resisted"),
    Bug("logits are read at the case before", _logits_of_another_row(0), "resisted"),
    Bug("sums are accumulated in float32", _accumulated_in("float32"), "resisted"),
    Bug("sums are accumulated in float16", _accumulated_in("float16"), "resisted"),
    Bug("nothing is asked again", _attribute(verify_tally.Witnesses, "changed", lambda _: None), "resisted"),
)


def accepted() -> list[str]:
    """Return the evidence that says that a canary holds; a refusal is none."""
    found = []
    for name, run in every_verdict():
        try:
            holds = run().holds
        except (InvalidArgument, AssertionError):
            continue
        if holds is True:
            found.append(name)
    return found
