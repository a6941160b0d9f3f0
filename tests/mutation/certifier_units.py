"""What contradicts a wrong bound of sums on matrix units: the units themselves, in drawn trees of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from constructions import Softmax
from tests.certificates.emulated import FORMATS, Array, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.units import KINDS, UNITS, DrawnUnit, drawn
from tests.mutation.certifier_killers import box, floats, outside, weight
from verify.certificates.floats.arithmetic import RoundedArithmetic

#: Numbers of products: one, few, a block of each unit and one more, several blocks.
SIZES = (1, 2, 3, 5, 8, 16, 17, 40)


def bounded(arithmetic: RoundedArithmetic, left: Array, right: Array, bias: Array) -> tuple[Any, Any]:
    """Return bounds of the sums of products of each pair, with one bias for all; without one where it is 0.

    Args:
        arithmetic: the certificate's.
        left: the coordinates, sums x products.
        right: the weights, one row for all sums or one for each.
        bias: one for all sums.

    """
    x = box(left[:, None], left[:, None], arithmetic)
    if len(right) == 1:
        shift = weight(bias[:, None], arithmetic) if bias.any() else None
        found = arithmetic.linear(x, weight(right, arithmetic), shift)
    else:
        found = arithmetic.scores(x, box(right[:, None], right[:, None], arithmetic))
    low, high = (np.broadcast_to(part, (len(left), 1, 1))[:, 0, 0] for part in (found.low, found.high))
    return low, high


def unit_sums(
    units: Sequence[tuple[str, str]] = tuple(UNITS),
    *,
    kinds: Sequence[str] = KINDS,
    full: Sequence[bool] = (False, True),
    rounds: int = 1,
    sums: int = 24,
    trees: int = 4,
    seed: int = 41,
    sizes: Sequence[int] = SIZES,
) -> Callable[[], list[str]]:
    """Return the oracle of sums on units: what drawn trees of blocks compute lies between the bounds."""

    def run() -> list[str]:
        rng = np.random.default_rng(seed)
        for _ in range(rounds):
            for generation, fmt in units:
                for kept in full:
                    unit = generation if rng.random() < 0.7 else "any"
                    arithmetic = RoundedArithmetic.of(fmt, unit=unit, full_reduction=kept)
                    for kind in kinds:
                        found = _sums(rng, arithmetic, generation, kind, sums, trees, int(rng.choice(sizes)))
                        if found:
                            return found
        return []

    return run


def _sums(
    rng: np.random.Generator,
    arithmetic: RoundedArithmetic,
    generation: str,
    kind: str,
    sums: int,
    trees: int,
    size: int,
) -> list[str]:
    fmt = arithmetic.fmt.name
    left, right, bias = drawn(rng, fmt, kind, sums, size)
    for factors, shift in ((right[:1], bias[:1]), (right, np.zeros(1))):
        low, high = bounded(arithmetic, left, factors, shift)
        b, c = np.broadcast_to(factors, left.shape), np.broadcast_to(shift, (sums,))
        for _ in range(trees):
            kernel = DrawnUnit(generation, fmt, rng, arithmetic.kernel.full_reduction)
            values = kernel.sum_of(left, b, c)
            wrong = outside(low, high, values)
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                return [
                    f"{arithmetic.name} on {generation}, {kind}, {size} products, {kernel.order}: {values[at]} is not"
                    f" between {low[at]} and {high[at]}: {left[at]}, {b[at]}, {c[at]}"
                ]
    return []


def unit_margins(
    units: Sequence[tuple[str, str]] = tuple(UNITS), *, rounds: int = 20, seed: int = 42
) -> Callable[[], list[str]]:
    """Return the oracle of margins: no computed margin is below its bound, with and without floats tried one by one."""

    def run() -> list[str]:
        rng = np.random.default_rng(seed)
        for _ in range(rounds):
            for generation, fmt in units:
                full = bool(rng.random() < 0.5)
                arithmetic = RoundedArithmetic.of(fmt, unit=generation, full_reduction=full)
                found = _margins(rng, arithmetic, generation, points=int(rng.choice([1, 2**6])))
                if found:
                    return found
        return []

    return run


def _margins(rng: np.random.Generator, arithmetic: RoundedArithmetic, generation: str, *, points: int) -> list[str]:
    fmt, width, vocab, cells = arithmetic.fmt.name, int(rng.integers(1, 4)), 5, 12
    kind = str(rng.choice(["full", "integers", "cancelling"]))
    left, _, _ = drawn(rng, fmt, kind, cells, width)
    rows, _, bias = drawn(rng, fmt, kind, vocab, width)
    if rng.random() < 0.5:  # logits that are nearly equal
        rows[1:] = rows[0] * (1 + rng.integers(-1, 2, (vocab - 1, width)) * 2.0**-9)
        rows = to_format(rows, fmt)
    x = box(left[:, None], left[:, None], arithmetic)
    expected = rng.integers(0, vocab, cells)
    with np.errstate(all="ignore"):
        bounds = arithmetic.margins(
            x, weight(rows, arithmetic), weight(bias[:, None], arithmetic), expected, points=points
        ).lower
    full = arithmetic.kernel.full_reduction
    for _ in range(6):
        logits = np.stack(
            [
                DrawnUnit(generation, fmt, rng, full).sum_of(
                    left, np.broadcast_to(rows[token], left.shape), np.full(cells, bias[token])
                )
                for token in range(vocab)
            ],
            axis=1,
        )
        own = logits[np.arange(cells), expected]
        others = logits.copy()
        others[np.arange(cells), expected] = -np.inf
        margins = own - others.max(axis=1)
        wrong = ~(margins >= bounds) & ~np.isneginf(bounds)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            return [f"{arithmetic.name}: a margin of {margins[at]} where {bounds[at]} is certified, {points} points"]
    return []


def unit_ties(units: Sequence[tuple[str, str]] = tuple(UNITS), *, rounds: int = 12) -> Callable[[], list[str]]:
    """Return readouts of one coordinate that are certified where a unit computes two equal logits, or worse.

    The promised logit is the small rest of a product that the bias cancels; or it is a little above what is half way
    between two numbers, by what a block cuts off.
    """

    def run() -> list[str]:
        rng = np.random.default_rng(44)
        for generation, fmt in units:
            for full in (False, True):
                arithmetic = RoundedArithmetic.of(fmt, unit=generation, full_reduction=full)
                for _ in range(rounds):
                    for case in _nearly_equal(rng, fmt):
                        found = _tie(rng, arithmetic, generation, *case)
                        if found:
                            return found
        return []

    return run


def _nearly_equal(rng: np.random.Generator, fmt: str) -> Iterator[tuple[float, float, float, float]]:
    """Yield a coordinate, its weight and bias in the promised logit, and the other logit."""
    bits = FORMATS[fmt][0]
    x, w = 1 + rng.integers(1, 2 ** min(bits - 1, 10), 2) * 2.0 ** -min(bits - 1, 10)
    yield x, w, -float(to_format(np.array(x * w), fmt)), 0.0
    small = 2.0**-23 * (1 - 2.0 ** -float(rng.integers(1, 4)))
    if fmt == "float32":
        yield 1.0, 1.0, small, 1.0
    step = 2.0 ** (1 - bits)  # 1.5 (1 + step) is half way between numbers of 16 bits, and the even one above
    for sign in (-1, 1):
        yield 1.5, 1 + step, sign * small, 1.5 + step * (1 + sign) / 2
        yield 1.0, 1 + step, step / 2 + sign * small, 1 + step


def _tie(
    rng: np.random.Generator, arithmetic: RoundedArithmetic, generation: str, x: float, w: float, b: float, other: float
) -> list[str]:
    fmt = arithmetic.fmt.name
    rows, bias = np.array([[w], [0.0]]), to_format(np.array([b, other]), fmt)
    point = np.array([[[x]]])
    lower = arithmetic.margins(
        box(point, point, arithmetic),
        weight(rows, arithmetic),
        weight(bias[:, None], arithmetic),
        np.zeros(1, dtype=np.int64),
        points=16,
    ).lower[0]
    for _ in range(6):
        logits = [
            DrawnUnit(generation, fmt, rng, arithmetic.kernel.full_reduction).sum_of(
                point[0], rows[token : token + 1], bias[token : token + 1]
            )[0]
            for token in range(2)
        ]
        if not logits[0] - logits[1] >= lower and not np.isneginf(lower):
            return [f"{arithmetic.name}: {x} * {w} + {b} is {logits[0]} beside {logits[1]}, {lower} is certified"]
    return []


def around_units() -> list[str]:
    """Return sums of heads and attention weights, computed beside a unit, that are not between their bounds."""
    rng = np.random.default_rng(43)
    for fmt in ("bfloat16", "float16"):
        arithmetic = RoundedArithmetic.of(fmt, unit="hopper", full_reduction=True)
        for kind in ("full", "mixed"):
            parts = [floats(rng, (64, 1, 3), fmt, kind) for _ in range(3)]
            bounds = arithmetic.total([box(part, part, arithmetic) for part in parts])
            once = to_format(parts[0] + parts[1], fmt)
            if outside(bounds.low, bounds.high, to_format(once + parts[2], fmt)).any():
                return [f"{fmt}: a sum of heads, rounded twice, is not between its bounds"]
        for temperature in (0.3, 1.0, 5.0, 11.0):
            found = _attended(rng, arithmetic, fmt, temperature)
            if found:
                return found
    return []


def _attended(rng: np.random.Generator, arithmetic: RoundedArithmetic, fmt: str, temperature: float) -> list[str]:
    keys = int(rng.choice([2, 5, 40]))
    scores = to_format(rng.integers(-64, 65, (200, 1, keys)) / 16.0, fmt)
    visible = np.ones((1, keys), dtype=bool)
    bounds = arithmetic.attention(box(scores, scores, arithmetic), visible, Softmax(temperature), key_size=1)
    for _ in range(8):
        kernel = DrawnKernel("float32", rng)
        if rng.random() < 0.5:  # a kernel of its own scales the scores
            scaled = to_format(to_format(scores * to_format(np.array(temperature), "float32"), "float32"), fmt)
            weights = kernel.attention(scaled, visible, Softmax(1.0), 1)
        else:
            weights = kernel.attention(scores, visible, Softmax(temperature), 1)
        values = to_format(weights, fmt)
        wrong = outside(bounds.low, bounds.high, values)
        if wrong.any():
            return [f"{fmt}, T = {temperature}: a weight of {values[wrong][0]} is not between its bounds"]
    return []
