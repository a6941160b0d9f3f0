"""Oracles of what is known of targets: cells, bounds of unknown tokens, int64, and constructions that do round."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from constructions import Construction, InvalidArgument, Linear, Ratios
from constructions.bounded_runs import UnknownValue, run_on_bounds
from constructions.token_functions import at_least, equals, look_up, one_hot, select
from constructions.unknown_arithmetic import INT64_ENTRIES
from constructions.unknown_tokens import bounds, dependence, is_unknown, unknown_tokens
from tests.certificates.own import Given, nearest, read_first, rounded
from tests.mutation.certifier_liars import _READOUT, V, _given, _is_run
from verify.certificates import bit_exact, certify
from verify.certificates.cells import cells


def covering() -> list[str]:
    """Return the targets and user inputs that no cell of a step holds with its answer, among small constructions."""
    sums = lambda t, u: (t[:, :1] + t[:, 1:2] + u) % V  # noqa: E731 # one line
    two = lambda t, _: np.concatenate([t[:, 1:2], (t[:, :1] + 2 * t[:, 2:]) % V], axis=1)  # noqa: E731 # one line
    both = lambda t: Ratios(np.stack([t[:, 0] * V + t[:, 2], t[:, 1], t[:, 2] * 0], axis=-1)[:, None, :], 1)  # noqa: E731 # one line
    layers = (read_first(3, 2), _READOUT)
    shown: tuple[Given, ...] = (
        _given(),
        Given(V, 3, [[0] * V] * 3, layers, users=1, promise=sums),
        Given(V, 3, [[0] * V] * 3, layers, steps=2, promise=two),
        Given(V, 3, [[0] * V] * 3, layers, steps=2, promise=two, encoding=both),
    )
    for made in shown:
        found = _uncovered(made)
        if found:
            return found
    return []


def _uncovered(made: Given) -> list[str]:
    held: dict[tuple[Any, ...], int] = {}
    for batch in cells(made, budget=1_000):
        for cell, token in enumerate(batch.expected.tolist()):
            for target in product(range(V), repeat=made.entries):
                rows = np.array([target])
                for user in product(range(V), repeat=made.users):
                    given = np.array([user], dtype=np.int64).reshape(1, made.users)
                    prompt = made.encode(rows).numerators[0]
                    inside = (batch.low.numerators[cell] <= prompt) & (prompt <= batch.high.numerators[cell])
                    inside_user = (batch.user_low[cell] <= user) & (user <= batch.user_high[cell])
                    answer = np.asarray(made.answer(rows, given))[0]
                    fed = answer[: batch.step]
                    if not (inside.all() and inside_user.all()):
                        continue
                    inside_fed = (batch.fed_low[cell] <= fed) & (fed <= batch.fed_high[cell])
                    if answer[batch.step] == token and inside_fed.all():
                        key = (batch.step, *target, *user)
                        held[key] = held.get(key, 0) + 1
    wanted = product(range(made.steps), *(range(V) for _ in range(made.entries + made.users)))
    return [f"step, target and user input {key} are in no cell of {made!r}" for key in wanted if key not in held]


# what may be computed of unknown tokens -------------------------------------------------------------------------------

_COMPUTED: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
    "product": lambda a, b: (a - 2) * (b - 1),
    "negative": lambda a, b: -a + 2 * b,
    "linear": lambda a, b: 3 * a - b * 2 + 1,
    "remainder": lambda a, b: (a + 5 * b) % 4,
    "quotient": lambda a, b: (a - b) // 3,
    "both": lambda a, b: (5 * a + b) // 4 * 2 - (b - 7) % 5,
    "minimum": lambda a, b: np.minimum(a - 1, b),
    "maximum": lambda a, b: np.maximum(a, 3 - b),
    "matrix product": lambda a, b: np.stack([a, b, a - b], axis=-1) @ np.array([[1, 0], [-2, 3], [0, -1]]),
    "sums over an axis": lambda a, b: np.stack([a, b, a - b], axis=-1).sum(axis=-1),
    "smallest over an axis": lambda a, b: np.stack([a, b], axis=-1).min(axis=-1),
    "look-up": lambda a, b: look_up([3, -1, 4, 1, -5, 9], a) + b,
    "one-hot": lambda a, b: one_hot(a, 6) @ np.arange(6) ** 2 - b,
    "equals": lambda a, b: equals(a, 2) + 2 * equals(b, 0),
    "at least": lambda a, b: at_least(a, 2) - at_least(b, 1),
    "select": lambda a, b: select(at_least(a, 3), b, a - 4),
    "rolled": lambda a, b: np.stack([a, b], axis=-1)[..., ::-1],
    "repeated": lambda a, b: np.repeat(np.stack([a, b], axis=-1), [2, 1], axis=-1),
}


def unknown(*names: str) -> Callable[[], list[str]]:
    """Return the oracle of unknown tokens: bounds hold every value, and the entries named are those that matter."""

    def run() -> list[str]:
        ranges = [(0, 5, 0, 4), (1, 3, 2, 2), (0, 0, 3, 4), (2, 4, 0, 1), (5, 5, 1, 1), (0, 2, 1, 3)]
        ends = np.array(ranges)
        for name, compute in _COMPUTED.items():
            if names and name not in names:
                continue
            with run_on_bounds() as running:
                parts = [
                    unknown_tokens(running, ends[:, 2 * at], ends[:, 2 * at + 1], np.full(len(ends), 1 << at))
                    for at in range(2)
                ]
                try:
                    made = compute(*parts)
                except UnknownValue as error:
                    return [f"{name}: refused: {error}"]
                assert is_unknown(made)
                (low, high), named = bounds(made), dependence(made)
            for row, (least_a, most_a, least_b, most_b) in enumerate(ranges):
                table = {
                    (a, b): np.asarray(compute(np.array([a]), np.array([b])))[0]
                    for a in range(least_a, most_a + 1)
                    for b in range(least_b, most_b + 1)
                }
                for (a, b), value in table.items():
                    if not ((low[row] <= value) & (value <= high[row])).all():
                        return [f"{name}: {value} at {a, b} is not between {low[row]} and {high[row]}"]
                    for entry, other in ((0, table[least_a, b]), (1, table[a, least_b])):
                        silent = (np.asarray(named[row]).astype(np.int64) >> entry) & 1 == 0
                        if (silent & (np.asarray(other) != value)).any():
                            return [f"{name}: entry {entry} is not named, and changes {other} to {value}"]
        return []

    return run


def overflow() -> list[str]:
    """Return what leaves int64 and is not refused, and Python's integers that are wrong beyond it."""
    large = np.array([2**62])
    attempts: dict[str, Callable[[Any], Any]] = {
        "a product": lambda t: t * 2**61,
        "a sum": lambda t: t + (2**63 - 2),
        "a product that comes back": lambda t: t * 2**62 * 4 // 2**62,
        "a matrix product": lambda t: np.stack([t, t], axis=-1) @ np.array([[2**61], [2**61]]),
        "a sum over an axis": lambda t: np.stack([t * 2**60, t * 2**60], axis=-1).sum(axis=-1),
        "a difference": lambda t: 0 - t - (2**63 - 1),
        "a product of two": lambda t: (t + large) * (t + 1),
    }
    found = []
    for name, compute in attempts.items():
        with run_on_bounds() as running:
            tokens = unknown_tokens(running, np.array([0]), np.array([4]), np.array([1]))
            try:
                compute(tokens)
            except UnknownValue:
                continue
            found.append(f"{name} leaves int64")
    with run_on_bounds() as running:
        tokens = unknown_tokens(running, np.array([0]), np.array([4]), np.array([1])).astype(object)
        low, high = bounds(tokens * 2**80 - 1)
        if (low[0], high[0]) != (-1, 4 * 2**80 - 1):
            found.append(f"Python's integers between {low} and {high}")
    return found


def many_entries() -> list[str]:
    """Return what is wrong with a target of more entries than an int64 has bits: each of them is named."""
    size = INT64_ENTRIES + 4
    made = Given(2, size, [[0, 0]] * size, (), promise=lambda t, _: t[:, -1:])
    readout = Linear(
        [[2 * v * (at == size - 1) for at in range(size + 1)] for v in range(2)], [[0], [-1]], activation=None
    )
    made = Given(2, size, [[0, 0]] * size, (readout,), promise=lambda t, _: t[:, -1:])
    verdict = certify(made, rounded())
    wrong_one = Given(2, size, [[0, 0]] * size, (readout,), promise=lambda t, _: t[:, -2:-1])
    found = [] if verdict.holds is True else [f"not certified: {verdict.reason}"]
    return found + (["certified although it is another entry"] if certify(wrong_one, rounded()).holds else [])


# nothing rounds -------------------------------------------------------------------------------------------------------


def exact(*names: str) -> Callable[[], list[str]]:
    """Return the killer of the claim that nothing rounds: which of these, all of which round, it is made of."""

    def run() -> list[str]:
        found = []
        for name, (make, dtype) in _rounding().items():
            if not names or name in names:
                rounding = make()
                assert rounding.transformer.lowered.vocab_size
                try:
                    verdict = bit_exact(rounding, rounded(dtype))
                except InvalidArgument:
                    continue
                if verdict.holds is not None:
                    found.append(f"nothing rounds although {name}")
        right_one = Given(
            2, 1, [[0, 0]], (Linear([[1, 0]], [[255 - 1]], name="up"), Linear([[1]], [[-254]]), nearest(2))
        )
        if bit_exact(right_one, rounded("bfloat16")).holds is not True:
            found.append("integers that all fit are said to round")
        return found

    return run


def _later(**parts: Any) -> Given:
    """Return a construction whose prompt is 0, and that adds 512 to 255 at the token after it."""
    layers = (Linear([[1, 0, 0]], [[512]], name="up"), Linear([[1]], [[-512]], name="down"), nearest(2))
    return Given(2, 1, [[0, 255]], layers, encoding=lambda t: Ratios(t[:, None, :] * 0, 1), **parts)


def _rounding() -> dict[str, tuple[Callable[[], Construction], str]]:
    def shifted(shift: int) -> Given:
        layers = (Linear([[1, 0]], [[shift]], name="up"), Linear([[1]], [[-shift]], name="down"), nearest(2))
        return Given(2, 1, [[0, 0]], layers)

    def third(targets: Any) -> Ratios:
        return Ratios(targets[:, None, :], 3 if _is_run(targets) else 1)

    copied = Linear([[1, 0]], [[0]], name="copied")
    thirds = Linear([[2, 0], [4, 0]], [[0], [-3]], activation=None, name="readout")
    return {
        "a sum has one bit too many": (lambda: shifted(2**8), "bfloat16"),
        "a sum has one bit too many in float32": (lambda: shifted(2**24), "float32"),
        "a prompt is a third": (
            lambda: Given(2, 1, [[0, 0]], (thirds,), encoding=lambda t: Ratios(t[:, None, :], 3)),
            "float32",
        ),
        "a prompt is a third in a forward pass": (
            lambda: Given(2, 1, [[0, 0]], (copied, nearest(2)), encoding=third),
            "float32",
        ),
        "a weight is a third": (
            lambda: Given(
                2, 1, [[0, 0]], (Linear([[Fraction(1, 3), 0], [Fraction(4, 3), 0]], [[0], [0]], activation=None),)
            ),
            "float32",
        ),
        "a logit has one bit too many": (
            lambda: Given(2, 1, [[0, 0]], (Linear([[255, 0], [0, 0]], [[2**9], [0]], activation=None),)),
            "bfloat16",
        ),
        "the largest token alone has one bit too many": (
            lambda: Given(3, 1, [[0] * 3], (Linear([[1, 0]], [[255]], name="up"), Linear([[1]], [[-255]]), nearest(3))),
            "bfloat16",
        ),
        "a user's token has one bit too many": (lambda: _later(users=1), "bfloat16"),
        "a fed token has one bit too many": (lambda: _later(steps=2, promise=lambda t, _: t[:, [0, 0]]), "bfloat16"),
        "attention is soft": (
            lambda: Given(2, 1, [[0, 1]], (read_first(1, 2), nearest(2)), users=1, temperature=3.0),
            "float32",
        ),
    }
