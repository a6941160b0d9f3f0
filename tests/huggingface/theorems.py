"""Theorems 1 and 2 for the stock classes: the targets that tests ask for, and the exact logits."""

from __future__ import annotations

from typing import Any

import flint
import numpy as np

from constructions import Construction, ResidualConditional, ResidualGeneration
from verify.certificates import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.running.model import bind_construction, forward

VOCAB, CONTEXT = 94, 20
FAMILIES = ("gpt2", "opt", "llama", "gpt-neox")


def theorem(name: str, family: str, vocab: int = VOCAB, context: int = CONTEXT, *, start: bool = True) -> Construction:
    """Return a theorem for a family."""
    if name == "theorem 1":
        return ResidualGeneration(vocab, context, architecture=family, start_token=start)  # type: ignore[arg-type] # checked there
    return ResidualConditional(vocab, architecture=family)  # type: ignore[arg-type] # the same


def asked(construction: Construction, count: int = 200) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return random targets and the adversarial ones, and a user's input for each."""
    size, length = construction.vocab_size, construction.targets.shape[0]
    alternating = np.arange(length) % 2 * (size - 1)
    adversarial = [np.zeros(length), np.full(length, size - 1), alternating, size - 1 - alternating]
    targets = np.concatenate([construction.targets.sample(count, seed=0), np.array(adversarial, dtype=np.int64)])
    inputs = np.random.default_rng(0).integers(0, size, (len(targets), construction.layout.user))
    return targets, inputs


def exact_logits(construction: Construction, target: Any, user_input: Any) -> tuple[np.ndarray[Any, Any], float]:
    """Return the true logits of every step, each within a radius that is returned too, and the radius.

    They are those of balls of 200 bits, about the exact weights.
    """
    with ball_precision(200):
        arithmetic = BallArithmetic()
        model = bind_construction(construction, arithmetic)
        prompt = arithmetic.prompt(construction.virtual_tokens(np.asarray(target)[None]))
        answer = construction.response(target, user_input)
        tokens = np.concatenate([np.asarray(user_input, dtype=np.int64), answer[:-1]])
        rows = arithmetic.below(prompt, arithmetic.embed(model.embedding, tokens[None]))
        layout = construction.layout
        numbers = arithmetic.numbers(forward(model, rows, layout.virtual + len(tokens)))[0, -layout.response :]
        middles = np.vectorize(lambda low, high: float(flint.arb(low).union(flint.arb(high)).mid()))(
            numbers[..., 0], numbers[..., 1]
        )
        radii = [float(flint.arb(low).union(flint.arb(high)).rad()) for low, high in numbers.reshape(-1, 2)]
    return middles, max(radii)


def largest_share(found: np.ndarray[Any, Any], true: np.ndarray[Any, Any], answer: np.ndarray[Any, Any]) -> float:
    """Return by which share of itself a gap is off at most: of a promised token's logit over that of any other.

    Below 1 no token changes, whatever the scale of the logits is.
    """
    places = answer[:, None]

    def gaps(logits: np.ndarray[Any, Any]) -> Any:
        made = np.take_along_axis(logits, places, axis=1) - logits
        others = np.arange(logits.shape[1]) != places
        return made[others]

    right = gaps(true)
    assert (right > 0).all()
    return float((np.abs(gaps(found) - right) / right).max())
