"""Oracles of cells that share: they hold every target, have the margins of cells by themselves, and refuse liars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import flint
import numpy as np

from constructions import (
    Attention,
    ConditionalGeneration,
    Construction,
    Head,
    Linear,
    LongerResponses,
    RationalSoftmax,
    Ratios,
    Softmax,
    UnconditionalGeneration,
)
from constructions.layers.masks import Mask
from tests.certificates.own import Encode, Given, Promise, as_numbers, nearest, read_first, rounded, shared_margins
from tests.mutation.certifier_liars import _READOUT, V, _given
from verify.certificates import all_targets, shared_cells
from verify.certificates.balls.columns import Column, known_column
from verify.certificates.cells import cells
from verify.certificates.code_on_bounds import CellsError
from verify.certificates.floats import boxes
from verify.certificates.floats.boxes import Box, RoundedWeight
from verify.certificates.floats.directed import grid_of
from verify.certificates.sheets import UnsharedError

Array = np.ndarray[Any, Any]
#: Numbers of all nodes may be on finer grids than those of one pass: that costs units in the last place of float64,
#: far less than this share. What another node leaks, at the temperatures here, costs more: one in thousands.
_LOOSER = 2.0**-20


def generating(
    biases: tuple[Fraction, ...] = (Fraction(-4),) * 3, promise: Promise = lambda t, _: t, numbers: Encode = as_numbers
) -> Given:
    """Return Theorem 1 with explicit weights, and a bias of its own for every position."""
    size = len(biases)
    own = [[0] * size + [int(row == column) for column in range(size)] for row in range(size)]
    first = Head("first", [[0] * size + [1] * size], [own[0]], [[*row[size:], *[0] * size] for row in own])
    heads = (Head("self", own, own, [[4 * entry for entry in row] for row in own]), first)
    select = Linear([row[size:] for row in own], [[bias] for bias in biases], name="select")
    layers = (Attention(heads), select, Linear([[1] * size], [[0]], name="sum"), nearest(V))
    return Given(V, size, [[0] * V] * size, layers, steps=size, promise=promise, encoding=numbers)


def sharing() -> list[Construction]:
    """Return right constructions whose cells share, of every kind of layout."""
    embedding = [[(2 * row + 3 * column) % 5 for column in range(6)] for row in range(4)]
    return [
        UnconditionalGeneration(7, 5),
        UnconditionalGeneration(6, 4, embedding=embedding),
        UnconditionalGeneration(6, 4, embedding=embedding, temperature=RationalSoftmax(Fraction(2**12))),
        UnconditionalGeneration(5, 3, mask="none", encoding="integer", lift="mask", readout="hat"),
        ConditionalGeneration(6),
        ConditionalGeneration(5, temperature=RationalSoftmax(Fraction(2**9))),
        LongerResponses(4, 3),
        LongerResponses(3, 2, temperature=RationalSoftmax(Fraction(2**9))),
        _given(),
        generating((Fraction(-4), Fraction(-17, 4), Fraction(-15, 4))),
        Given(V, 1, [[0] * V], (read_first(1, 2), nearest(V)), users=1, promise=lambda t, u: t[:, :1] + u * 0),
        # the smallest numerator is one of int64, the largest one of Python's integers
        _given(encoding=lambda t: Ratios((t.astype(object) * 2**70)[:, None, :], 2**70)),
    ]


@contextmanager
def from_the_first_cell() -> Iterator[None]:
    """Let cells share, however few they are."""
    before = shared_cells.SHARED_FROM
    shared_cells.SHARED_FROM = 0
    try:
        yield
    finally:
        shared_cells.SHARED_FROM = before


def margins(construction: Construction, dtype: str = "float32") -> Iterator[tuple[Any, Any, Array]]:
    """Yield batches of cells that share, their places, and the margins there."""
    bound = all_targets.bind_for_certificate(construction, rounded(dtype).for_cells())
    with from_the_first_cell(), np.errstate(all="ignore"):
        for batch, found in shared_margins(bound, construction, budget=10_000, points=64):
            ends = np.cumsum([len(place.expected) for place in batch.places])
            for place, lower in zip(batch.places, np.split(found.lower, ends[:-1]), strict=True):
                yield batch, place, lower


def agreeing(*formats: str) -> Callable[[], list[str]]:
    """Return the killer: cells that have other margins than the same cells by themselves."""

    def run() -> list[str]:
        for made, dtype in product(sharing(), formats):
            bound = all_targets.bind_for_certificate(made, rounded(dtype).for_cells())
            alone: dict[tuple[Any, ...], float] = {}
            with np.errstate(all="ignore"):
                for each in cells(made, budget=10_000):
                    lower = all_targets._margins(bound, each, 64).lower
                    for user, token, margin in zip(each.user_low.tolist(), each.expected, lower, strict=True):
                        key = each.step, *user, int(token)
                        alone[key] = min(alone.get(key, np.inf), float(margin))
            held: dict[tuple[Any, ...], float] = {}
            for batch, place, lower in margins(made, dtype):
                for token, margin in zip(place.expected, lower, strict=True):
                    key = place.step, *batch.users[place.branch].tolist(), int(token)
                    held[key] = min(held.get(key, np.inf), float(margin))
            if held.keys() != alone.keys():
                return [f"{made!r}: cells {sorted(held.keys() ^ alone.keys())}"]
            for key, margin in held.items():
                if not alone[key] * (1 - _LOOSER) <= margin <= alone[key]:
                    return [f"{made!r} {dtype} {key}: {margin} is not {alone[key]}"]
        return []

    return run


def covering() -> list[str]:
    """Return a target, user input and step that no cell holds, or that a cell promises another token."""
    turned = generating(promise=lambda t, _: (t + np.array([0, 1, 0])) % V)  # whose cells are right, if not certain
    for made in (*sharing(), turned):
        targets = made.targets.sample(200, seed=5)
        prompts = made.encode(targets).numerators.reshape(len(targets), -1)
        seen = set()
        for batch, place, _ in margins(made):
            user = batch.users[place.branch]
            seen.add((place.step, *user.tolist()))
            answers = made.answer(targets, np.tile(user, (len(targets), 1)))
            at = place.coordinates
            same = (prompts[:, None, at] == place.numerators[None]).all(axis=2)
            held = (same & (answers[:, place.step][:, None] == place.expected[None])).any(axis=1)
            inside = (batch.low.numerators.reshape(-1) <= prompts) & (prompts <= batch.high.numerators.reshape(-1))
            fed = answers[:, : place.step]
            ends = batch.fed_low[place.branch, : place.step], batch.fed_high[place.branch, : place.step]
            if not (held.all() and inside.all() and (ends[0] <= fed).all() and (fed <= ends[1]).all()):
                return [f"{made!r}: step {place.step}, user input {user.tolist()}"]
        users = made.user_inputs.unrank_range(0, made.user_inputs.size).tolist()
        wanted = {(step, *user) for step in range(made.layout.response) for user in users}
        if seen != wanted:
            return [f"{made!r}: steps and user inputs {sorted(seen ^ wanted)}"]
    return []


class _Newest(Mask):
    """Every position sees the last one alone, which is another one whenever there is one more."""

    name, causal = "the newest", False

    def visible(self, start: int, count: int) -> Any:
        found = np.zeros((count, start + count), dtype=np.bool_)
        found[:, -1] = True
        return found


def unshared() -> list[str]:
    """Return what is shared although its cells differ in more than their own coordinates."""
    zero = [0] * 5
    looks = Head("looks", [[1, *zero[1:]]], [[1, *zero[1:]]], [[*row, 0, 0] for row in np.eye(3, dtype=int).tolist()])
    newest = Attention(read_first(3, 2).heads, mask=_Newest())
    large = Linear([[1, 0, 0], [0, 1, 0], [0, 0, 60_000]], [[0]] * 3, name="large")
    linked = lambda t: Ratios(np.stack([t[:, 0] * V + t[:, 1], t[:, 1] * V + t[:, 2], t[:, 2]], axis=1)[:, None], 1)  # noqa: E731 # one line
    given: dict[str, tuple[str, Construction]] = {
        "scores that read the prompt": (
            "float32",
            Given(V, 3, [[0] * V] * 3, (Attention((looks,)), _READOUT), steps=2, promise=lambda t, _: t[:, [0, 0]]),
        ),
        "no attention": ("float32", Given(V, 1, [[0] * V], (Linear([[1, 0]], [[0]], name="front"), nearest(V)))),
        "a mask that changes with the length": (
            "float32",
            Given(V, 3, [[0] * V] * 3, (newest, _READOUT), steps=2, promise=lambda t, _: t[:, [0, 0]]),
        ),
        "scores scaled by the length": (
            "float32",
            UnconditionalGeneration(4, 3, temperature=Softmax(1000, scaled_by="length")),
        ),
        "a number that overflows": ("float16", Given(V, 3, [[0] * V] * 3, (read_first(3, 1), large, _READOUT))),
        "coordinates that are linked": (
            "float32",
            Given(V, 3, [[0] * V] * 3, (read_first(3, 1), _READOUT), encoding=linked),
        ),
    }
    found = []
    for name, (dtype, made) in given.items():
        try:
            list(margins(made, dtype))
        except (UnsharedError, CellsError):
            continue
        found.append(f"shared: {name}")
    return found


# sums of few terms ----------------------------------------------------------------------------------------------------


def few_terms() -> list[str]:
    """Return scores and mixes of few terms that do not hold the exact ones, or have numbers off their grid."""
    rng, arithmetic = np.random.default_rng(3), rounded("float32")

    def box(shape: tuple[int, ...], share: float) -> tuple[Box, Array]:
        values = np.where(rng.random(shape) < share, rng.integers(-9, 10, shape), 0).astype(np.float64)
        values[:, :, 0] *= 0.25
        return Box.point(values, arithmetic.fmt), values

    for round_ in range(120):
        rows, keys, width = rng.integers(1, 7, 3)
        share = rng.choice([0.2, 0.5, 1], 2)
        (q, queries), (k, held) = box((2, rows, width), share[0]), box((2, keys, width), share[1])
        (a, weights), (v, values) = box((2, rows, keys), share[0]), box((2, keys, width), share[1])
        for name, found, exact in (
            ("scores", arithmetic.scores(q, k), queries @ held.swapaxes(1, 2)),
            ("mix", arithmetic.mix(a, v), weights @ values),
        ):
            if ((exact < found.low) | (found.high < exact)).any():
                return [f"{name} {round_}: outside"]
            grid = np.broadcast_to(np.ldexp(1.0, np.minimum(found.grid, 60)), exact.shape)
            if (exact % grid != 0).any():
                return [f"{name} {round_}: off the grid"]
    return []


# balls ----------------------------------------------------------------------------------------------------------------


def balls() -> list[str]:
    """Return cells of balls that have other margins in a batch than alone, or products that are not between bounds."""
    ends = np.array([[flint.arb(-3)], [flint.arb(2)]], dtype=object)
    for factor in (-2, 0, 3):
        found = Column(ends, ends + 1).times(known_column(np.array([[flint.arb(factor)]], dtype=object)))
        if not all(
            (found.low <= part * factor).all() and (part * factor <= found.high).all() for part in (ends, ends + 1)
        ):
            return [f"a product with {factor} is not between its bounds"]
    # the first two entries are fixed, as a number depends on both, so that the last number is from 0 to the second
    ends_differ = lambda t: Ratios(  # noqa: E731 # one expression
        np.stack([t[:, 0], np.minimum(t[:, 0], t[:, 1]), np.minimum(t[:, 1], t[:, 2])], axis=-1)[:, None, :], 1
    )
    rows = [[2 * v, 0, Fraction(-v, 8)] for v in range(V)]
    tilted = Linear(rows, [[-v * v] for v in range(V)], activation=None, name="readout")
    below = Given(V, 3, [[0] * V] * 3, (read_first(3, 1), tilted), encoding=ends_differ)
    for made in (*sharing()[:8], below):
        ball = all_targets.certificate_arithmetic("ball")
        with ball.bounding():
            bound = all_targets.bind_for_certificate(made, ball)
            for batch in cells(made, budget=10_000):
                together = all_targets._margins(bound, batch, 1).lower
                for cell in range(0, len(batch.expected), 2):
                    chosen = {
                        name: getattr(batch, name)[cell : cell + 1]
                        for name in (
                            "low",
                            "high",
                            "user_low",
                            "user_high",
                            "fed_low",
                            "fed_high",
                            "expected",
                            "witness",
                        )
                    }
                    alone = all_targets._margins(bound, replace(batch, **chosen), 1).lower[0]
                    if not abs(together[cell] - alone) <= 1e-12 * abs(alone):
                        return [f"{made!r}, step {batch.step}, cell {cell}: {together[cell]}, alone {alone}"]
    return []


# matrices of few entries ----------------------------------------------------------------------------------------------


def of_few(*killers: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """Return the killers run on matrices of few entries, however small these are."""

    def run() -> list[str]:
        before = boxes.FEW_FROM
        boxes.FEW_FROM = 0
        try:
            return [line for killer in killers for line in killer()]
        finally:
            boxes.FEW_FROM = before

    return run


def places_of_few() -> list[str]:
    """Return matrices of few entries whose products are not those of all their entries."""
    rng, arithmetic = np.random.default_rng(8), rounded("float64")
    for _ in range(60):
        rows, columns = rng.integers(1, 8, 2)
        held = np.zeros((rows, columns))
        for row in held:
            row[rng.integers(0, columns, 2)] = rng.integers(-5, 6, 2)
        x = rng.integers(-9, 10, (2, 3, columns)).astype(np.float64)
        given = RoundedWeight(held.astype(np.longdouble), grid_of(held), exact=True)
        found = arithmetic.linear(Box.point(x, arithmetic.fmt), given)
        if not ((found.low == x @ held.T) & (found.high == x @ held.T)).all():
            return [f"{held.tolist()} times {x.tolist()}"]
    return []
