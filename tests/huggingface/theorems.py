"""Theorems 1 and 2 for the stock classes: the targets that tests ask for, and the exact logits."""

from __future__ import annotations

from fractions import Fraction
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


def half_gap(logits: np.ndarray[Any, Any], answer: np.ndarray[Any, Any]) -> float:
    """Return half of the smallest distance of a promised token's true logit from another."""
    best = np.take_along_axis(logits, answer[:, None], axis=1)
    others = np.where(np.arange(logits.shape[1]) == answer[:, None], -np.inf, logits)
    return float((best[:, 0] - others.max(axis=1)).min()) / 2


def as_fraction(value: float) -> Fraction:
    """Return a float exactly."""
    return Fraction(value)
