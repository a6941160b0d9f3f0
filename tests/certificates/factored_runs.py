"""Residual models with norms on drawn kernels and in torch, beside the bounds of every intermediate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions import Construction
from constructions.residual import ResidualConditional, ResidualGeneration
from tests.certificates.layered import DrawnArithmetic
from tests.certificates.own import rounded
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates.all_targets import Bound, bind_for_certificate, readout_input
from verify.certificates.cells import Cells, cells
from verify.certificates.relational import factored
from verify.running.model import Model, bind_construction, forward
from verify.running.trace import Trace


def theorem(which: int, architecture: Any, vocab: int = 5, count: int = 4) -> Construction:
    """Return Theorem 1 or 2."""
    if which == 1:
        return ResidualGeneration(vocab, count, architecture=architecture)
    return ResidualConditional(vocab, architecture=architecture)


@dataclass
class _Kept(Trace):
    """Keeps every intermediate."""

    def __post_init__(self) -> None:
        self.held: dict[str, Any] = {}

    def record(self, name: str, arithmetic: Any, value: Any) -> None:
        """Keep a value."""
        self.held[name] = value


def _bounds(construction: Construction, arithmetic: Any, batch: Cells) -> tuple[dict[str, Any], Any, Any]:
    """Return the bounds of every intermediate of a batch, the margins, and the arithmetic."""
    bound = bind_for_certificate(construction, arithmetic.for_cells())
    finer: Any = factored(bound.arithmetic)
    model = Model(finer, bound.model.transformer, bound.model.mask, bound.model.temperature)
    kept = _Kept()
    rows = readout_input(Bound(finer, model, bound.readout, bound.bias, bound.source), batch, trace=kept)
    assert not finer.undefined
    margins = finer.margins(rows, bound.readout.weight, bound.bias, batch.expected, points=1)
    # the logits, too, whose differences the margins are taken of
    kept.held["logits"] = finer.linear(rows, bound.readout.weight, bound.bias)
    return {name: finer.numbers(value) for name, value in kept.held.items()}, margins.lower, finer


def _members(batch: Cells, construction: Construction, rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Return targets and cells of members: the ends, and drawn ones."""
    space = construction.target_space
    low = batch.witness.reshape(len(batch.witness), -1)
    fixed = (batch.low.numerators == batch.high.numerators).reshape(len(low), -1)[:, : low.shape[1]]
    cell = np.tile(np.arange(len(low)), count)
    drawn = rng.integers(0, space.vocab_size, (len(cell), low.shape[1]))
    drawn[: len(low)], drawn[len(low) : 2 * len(low)] = 0, space.vocab_size - 1
    values = np.where(fixed[cell], low[cell], drawn)
    return values.reshape(len(cell), *space.shape), cell


def _run(construction: Construction, arithmetic: Any, prompt: Any, tokens: Any) -> dict[str, Any]:
    model = bind_construction(construction, arithmetic)
    kept = _Kept()
    rows = arithmetic.below(prompt, arithmetic.embed(model.embedding, tokens)) if tokens.shape[1] else prompt
    found = forward(model, rows, 1 + tokens.shape[1], last_only=True, trace=kept)
    return {
        **{name: arithmetic.numbers(value) for name, value in kept.held.items()},
        "logits": arithmetic.numbers(found),
    }


def outside(construction: Construction, fmt: str, seed: int, kernels: int, members: int) -> tuple[int, int, list[str]]:
    """Return how many logits and other numbers were compared, and which left their bounds."""
    rng, found, logits, count = np.random.default_rng(seed), [], 0, 0
    arithmetic = rounded(fmt)
    for batch in cells(construction, budget=2**20):
        bounds, margins, _ = _bounds(construction, arithmetic, batch)
        targets, cell = _members(batch, construction, rng, members)
        users = batch.user_low[cell]
        answers = construction.answer(targets, users)
        tokens = np.concatenate([users, answers[:, : batch.step]], axis=1)
        virtual = construction.virtual_tokens(targets)
        held = np.asarray(virtual.to_float(arithmetic.fmt), dtype=np.float64)
        ways: list[Any] = [DrawnArithmetic(fmt, np.random.default_rng((seed, at))) for at in range(kernels)]
        runs = [_run(construction, way, held, tokens) for way in ways]
        torched = TorchArithmetic(fmt)
        runs.append(_run(construction, torched, torched.prompt(virtual), tokens))
        for run in runs:
            for name, values in run.items():
                if name not in bounds:
                    continue
                low, high = (np.asarray(bounds[name][..., end]) for end in (0, 1))
                low, high = (part[cell] if len(part) > 1 else part for part in (low, high))
                bad = ~((values >= low[:, -values.shape[1] :]) & (values <= high[:, -values.shape[1] :]))
                count += values.size
                if bad.any():
                    found.append(f"{name} at step {batch.step}")
            made = run["logits"][:, -1]
            logits += made.size
            own = made[np.arange(len(made)), batch.expected[cell]]
            rest = made.copy()
            rest[np.arange(len(made)), batch.expected[cell]] = -np.inf
            if not (own - rest.max(axis=1) >= margins[cell]).all():
                found.append(f"a margin at step {batch.step}")
    return logits, count, found
