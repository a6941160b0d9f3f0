"""Oracles of the certifier's operations: primitives against exact rationals, the others against drawn kernels."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from constructions import Hardmax, Ratios, Softmax
from tests.certificates.emulated import FORMATS, Array, held, multiply, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from tests.mutation.certifier_killers import KINDS, box, floats, outside, weight
from verify.certificates.floats import directed as rounding
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.boxes import Box

# operations -----------------------------------------------------------------------------------------------------------


def _between(rng: np.random.Generator, shape: tuple[int, ...], fmt: str, kind: str) -> tuple[Array, Array, list[Array]]:
    """Return bounds, and members that lie between them."""
    middle = floats(rng, shape, fmt, kind)
    width = np.abs(middle) * rng.choice([0, 2.0 ** (1 - FORMATS[fmt][0]), 0.3, 3.0]) * (rng.random(shape) < 0.7)
    low, high = to_format(middle - width, fmt), to_format(middle + width, fmt)
    drawn = to_format(low + (high - low) * rng.random(shape), fmt)
    return low, high, [low, high, np.clip(drawn, low, high), middle]


def _told(name: str, fmt: str, bounds: Box, values: Array) -> list[str]:
    wrong = outside(bounds.low, bounds.high, values)
    finite = np.where(np.isfinite(values), values, 0.0)
    off = np.broadcast_to((rounding.grid_of(finite) < bounds.grid) & np.isfinite(bounds.low), values.shape)
    if not (wrong | off).any():
        return []
    at = tuple(int(part[0]) for part in np.nonzero(wrong | off))
    ends = [float(np.broadcast_to(end, values.shape)[at]) for end in (bounds.low, bounds.high)]
    return [f"{name}, {fmt}: {values[at]!r} is not between {ends}, or not on the grid 2^{bounds.grid[at[-1]]}"]


def operations(*formats: str, rounds: int = 3) -> Callable[[], list[str]]:
    """Return the oracle of scores, mixes, totals, ReLU, joined rows, embeddings and prompts."""

    def run() -> list[str]:
        rng = np.random.default_rng(15)
        for _ in range(rounds):
            for fmt in formats:
                for kind in KINDS:
                    found = _operations(rng, fmt, kind)
                    if found:
                        return found
        return []

    return run


def _operations(rng: np.random.Generator, fmt: str, kind: str) -> list[str]:
    arithmetic = rounded(fmt)
    batch, rows, width = 24, 3, int(rng.integers(1, 4))
    left, right = (_between(rng, (batch, rows, width), fmt, kind) for _ in range(2))
    if rng.random() < 0.4:  # members that share an end
        end = int(rng.integers(2))
        ends = [left[0], left[1]]
        ends[end] = np.broadcast_to((left[0].min, left[1].max)[end](axis=0, keepdims=True), left[0].shape).copy()
        left = ends[0], ends[1], left[2]
    boxes = [box(part[0], part[1], arithmetic) for part in (left, right)]
    made = {
        "scores": arithmetic.scores(*boxes),
        "total": arithmetic.total([*boxes, boxes[0]]),
        "relu": arithmetic.relu(boxes[0]),
        "below": arithmetic.below(*boxes),
        "beside": arithmetic.beside(*boxes),
    }
    weights = np.abs(floats(rng, (batch, rows, rows), fmt, "integers" if rng.random() < 0.3 else "full"))
    weights = to_format(weights / 2, fmt)
    mixed = arithmetic.mix(box(weights, weights, arithmetic), boxes[1])
    for _ in range(4):
        x, y = (part[2][int(rng.integers(4))] for part in (left, right))
        for _ in range(4):
            kernel = DrawnKernel(fmt, rng)
            values = {
                "scores": kernel.sum_of([(x[:, :, None, at], y[:, None, :, at]) for at in range(width)]),
                "total": to_format(kernel.tree([x, y, x], kernel.inner), fmt),
                "relu": np.maximum(x, 0),
                "below": np.concatenate([x, y], axis=1),
                "beside": np.concatenate([x, y], axis=2),
            }
            for name, value in values.items():
                found = _told(name, fmt, made[name], value)
                if found:
                    return found
            value = kernel.sum_of([(weights[:, :, at, None], y[:, None, at]) for at in range(rows)])
            found = _told("mix", fmt, mixed, value)
            if found:
                return found
    return _tokens(rng, fmt, arithmetic)


def _tokens(rng: np.random.Generator, fmt: str, arithmetic: RoundedArithmetic) -> list[str]:
    """Look at embeddings of tokens between two, and at prompts between two."""
    table = floats(rng, (3, 6), fmt, "mixed")
    low = rng.integers(0, 6, (12, 2))
    high = np.minimum(low + rng.integers(0, 3, low.shape), 5)
    embedded = arithmetic.embed_between(weight(table, arithmetic), low, high)
    for token in range(6):
        inside = (low <= token) & (token <= high)
        values = np.where(inside[..., None], table.T[token], embedded.low.astype(float))
        found = _told("embed", fmt, embedded, values)
        if found:
            return found
    denominator = int(rng.choice([1, 3, 8, 10, 2**12, 2**30]))
    least = rng.integers(-40, 40, (12, 1, 3))
    most = least + rng.integers(0, 5, least.shape)
    prompt = arithmetic.prompt_between(Ratios(least, denominator), Ratios(most, denominator))
    for step in range(5):
        numbers = np.minimum(least + step, most)
        values = np.vectorize(lambda n: held(Fraction(int(n), denominator), fmt))(numbers)
        found = _told("prompt", fmt, prompt, values)
        if found:
            return found
        exact = all(
            Fraction(float(v)) == Fraction(int(n), denominator) for v, n in zip(values.flat, numbers.flat, strict=True)
        )
        if prompt.exact and not exact:
            return [f"prompt, {fmt}: {numbers.flat[0]}/{denominator} is said to be exact"]
    ends = [Ratios(np.full((1, 1, 3), sign * 7), denominator) for sign in (-1, 1)]
    reals = arithmetic.reals_between(*ends)
    reach = held(Fraction(7, denominator), fmt)
    values = to_format(
        rng.uniform(-reach, reach, (5, 1, 3)) * 2.0 ** -rng.integers(0, 20, (5, 1, 3)).astype(float), fmt
    )
    return _told("reals", fmt, reals, values)


def exactness() -> list[str]:
    """Return what is said to be exact and is not: sums of integers, thirds, and weights that no float is."""
    from constructions.exact_matrix import ExactMatrix, Leaf

    arithmetic = rounded("bfloat16")
    for value in (Fraction(1, 3), Fraction(257), Fraction(1, 2), Fraction(3)):
        made = arithmetic.weight(ExactMatrix((1,), (1,), {(0, 0): Leaf("identity", value)}))
        if made.exact is not (held(value, "bfloat16") == float(value)):
            return [f"a weight of {value} is said to be exact: {made.exact}"]
    one = np.array([[[200.0, 100.0]]])
    x = box(one, one, arithmetic)
    for row, exact in (
        ([1.0, 0.0], True),
        ([1.0, 1.0], True),
        ([1.0, 0.125], False),
        ([1.28125, 0.0], False),
        ([1.0, -1.0], True),
    ):
        made_box = arithmetic.linear(x, weight(np.array([row]), arithmetic))
        total = sum((Fraction(a) * Fraction(b) for a, b in zip(one[0, 0].tolist(), row, strict=True)), Fraction(0))
        whole = exact and held(total, "bfloat16") == float(total)
        if made_box.exact and not whole:
            return [f"200 and 100 times {row} are said not to round"]
    return []


# TF32 -----------------------------------------------------------------------------------------------------------------


def _to_tf32(values: Array, rng: np.random.Generator) -> Array:
    """Return float32 numbers rounded to a neighbour of 11 bits, either one."""
    unit = np.ldexp(np.ones(values.shape), np.maximum(np.frexp(values)[1] - 1, -126) - 10)
    down = np.floor(values / unit) * unit
    return np.asarray(np.where((down != values) & (rng.random(values.shape) < 0.5), down + unit, down))


def tensor_cores() -> list[str]:
    """Return what is not between the bounds of sums with TF32: factors of 11 bits, sums truncated to float32."""
    rng = np.random.default_rng(16)
    arithmetic = rounded("float32", tf32=True)
    for kind in ("full", "mixed", "cancelling", "integers"):
        for terms in (1, 2, 3, 6):
            x, w = floats(rng, (64, 1, terms), "float32", kind), floats(rng, (5, terms), "float32", "full")
            bounds = arithmetic.linear(box(x, x, arithmetic), weight(w, arithmetic))
            for _ in range(10):
                products = _to_tf32(x, rng)[:, :, None, :] * _to_tf32(w, rng)[None, None]
                order = rng.permutation(terms)
                total = np.zeros(products.shape[:-1])
                for at in order:
                    total = total + products[..., at]  # of 22 bits each
                    nearest = total.astype(np.float32).astype(np.float64)
                    over = np.abs(nearest) > np.abs(total)
                    cut = np.where(
                        over, np.nextafter(nearest.astype(np.float32), np.float32(0)).astype(np.float64), nearest
                    )
                    total = cut if rng.random() < 0.7 else nearest
                wrong = outside(bounds.low, bounds.high, total)
                if wrong.any():
                    return [f"{terms} terms, {kind}: {int(wrong.sum())} truncated sums are not between the bounds"]
    return []


# ends of formats ------------------------------------------------------------------------------------------------------


def overflows() -> list[str]:
    """Return operations on what may overflow whose bounds are finite."""
    arithmetic = rounded("float16")
    found = []
    big = np.array([[[60000.0, 60000.0, -60000.0]]])
    wide = box(big, big, arithmetic)
    partial = arithmetic.linear(wide, weight(np.array([[1.0, 1.0, 1.0]]), arithmetic))
    if np.isfinite(partial.low).any():
        found.append("60000 + 60000 - 60000 is finite in every order")
    unread = arithmetic.linear(wide, weight(np.array([[2.0, 0, 0], [0, 0, 1.0]]), arithmetic))
    again = arithmetic.linear(unread, weight(np.array([[0.0, 1.0]]), arithmetic))
    if np.isfinite(again.low).any():
        found.append("0 times infinity is finite")
    if np.isfinite(arithmetic.relu(unread).low[..., 0]).any():
        found.append("ReLU of NaN is finite")
    queries, keys = (
        box(np.array([[[300.0]]]), np.array([[[300.0]]]), arithmetic),
        box(np.array([[[300.0], [0.0]]]), np.array([[[300.0], [0.0]]]), arithmetic),
    )
    scores = arithmetic.scores(queries, keys)
    attended = arithmetic.attention(scores, np.ones((1, 2), dtype=bool), Softmax(1.0), key_size=1)
    hard = arithmetic.attention(scores, np.ones((1, 2), dtype=bool), Hardmax(), key_size=1)
    if np.isfinite(attended.low).any() or np.isfinite(hard.low).any():
        found.append("softmax of infinity is finite")
    values = box(np.array([[[1.0], [2.0]]]), np.array([[[1.0], [2.0]]]), arithmetic)
    if np.isfinite(arithmetic.mix(attended, values).low).any():
        found.append("a mix with NaN is finite")
    zero = box(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), arithmetic)
    hidden = arithmetic.attention(zero, np.tri(2, dtype=bool), Softmax(1e-320), key_size=1)
    if not np.isinf(hidden.low[0, 0]).all() and float(to_format(np.array([1e-320]), "float16")[0]) == 0:
        found.append("0 times the -inf of a hidden score is finite")
    hot = arithmetic.attention(
        box(np.array([[[3.0, 1.0]]]), np.array([[[3.0, 1.0]]]), arithmetic),
        np.ones((1, 2), dtype=bool),
        Softmax(1e5),
        key_size=1,
    )
    if np.isfinite(hot.low).any():
        found.append("exponents beyond the format are finite")
    scaled = arithmetic.attention(
        box(np.array([[[3.0, 1.0]]]), np.array([[[3.0, 1.0]]]), arithmetic),
        np.ones((1, 2), dtype=bool),
        Softmax(6e4),  # which float16 holds, and 3 times it not
        key_size=1,
    )
    if np.isfinite(scaled.low).any():
        found.append("a scaled score beyond the format is finite")
    return found


def products() -> list[str]:
    """Return products of subnormal numbers that are not between the bounds of a sum of one or two."""
    rng = np.random.default_rng(18)
    for fmt in FORMATS:
        arithmetic, (bits, least) = rounded(fmt), FORMATS[fmt]
        x = np.ldexp(rng.integers(1, 2**8, (200, 1, 3)).astype(float), (least - bits) // 2)
        w = np.ldexp(rng.integers(1, 2**8, (4, 3)).astype(float), (least - bits) - (least - bits) // 2 - 8)
        x, w = to_format(x, fmt), to_format(w, fmt)
        bounds = arithmetic.linear(box(x, x, arithmetic), weight(w, arithmetic))
        for _ in range(10):
            kernel = DrawnKernel(fmt, rng)
            if kernel.linear(x, w).size and outside(bounds.low, bounds.high, kernel.linear(x, w)).any():
                return [f"{fmt}: subnormal products are not between their bounds"]
        separate = multiply(x[..., None, 0], w[:, 0], fmt)
        single = arithmetic.linear(box(x[..., :1], x[..., :1], arithmetic), weight(w[:, :1], arithmetic))
        if outside(single.low, single.high, separate).any():
            return [f"{fmt}: a subnormal product is not between its bounds"]
    return []


def absorption(*, rounds: int = 1) -> list[str]:
    """Return sums of a large term and small ones that are not between their bounds: all of bfloat16's significands.

    Three terms: the others are every pair of multiples of an eighth of half a spacing up to four of them. In drawn
    orders, in bfloat16 and through float32.
    """
    arithmetic, fmt = rounded("bfloat16"), "bfloat16"
    large = np.arange(128, 257).astype(float)
    steps = np.arange(-32, 33) / 16  # half a spacing is 1/2 here
    first, second = (part.reshape(-1) for part in np.meshgrid(steps, steps))
    kept = first <= second
    small = np.stack([first[kept], second[kept]], axis=-1)
    rng = np.random.default_rng(22)
    for value in large:
        for factor in (1.0, 1 + 2.0**-7):  # a factor that makes the large product round
            terms = np.concatenate([np.full((len(small), 1), value), small], axis=1)[:, None, :]
            keys = np.array([[[factor, 1.0, 1.0]]])
            bounds = arithmetic.scores(box(terms, terms, arithmetic), box(keys, keys, arithmetic))
            for _ in range(4 * rounds):
                kernel = DrawnKernel(fmt, rng)
                pairs = [(terms[:, :, None, at], np.full((1, 1, 1), keys[0, 0, at])) for at in range(3)]
                values = kernel.sum_of(pairs)
                wrong = outside(bounds.low, bounds.high, values)
                if wrong.any():
                    at = int(np.nonzero(wrong)[0][0])
                    return [
                        f"{value} * {factor} and {small[at]}: {values[at]} outside {bounds.low[at]}, {bounds.high[at]}"
                    ]
    return []


def many_keys() -> list[str]:
    """Return what is wrong with the weight of a key beside 2^15 others, each too small for float16, not for float32."""
    count = 2**15
    scores = np.zeros((1, 1, count + 1))
    scores[..., 1:] = -17.75  # exp of it is 2^-25.6
    arithmetic = rounded("float16")
    bounds = arithmetic.attention(
        box(scores, scores, arithmetic), np.ones((1, count + 1), dtype=bool), Softmax(1.0), key_size=1
    )
    total = 1 + count * float(to_format(np.exp(np.array([-17.75])), "float32")[0])
    computed = float(to_format(np.array([1 / total]), "float16")[0])
    return [] if float(bounds.low[0, 0, 0]) <= computed else [f"{computed} is below {float(bounds.low[0, 0, 0])}"]


def quotients() -> list[str]:
    """Return quotients, and products with reciprocals, that are not between their bounds: of all significands."""
    for fmt in ("bfloat16", "float16"):
        arithmetic, bits = rounded(fmt), FORMATS[fmt][0]
        step = 1 if fmt == "bfloat16" else 17
        whole = np.arange(2 ** (bits - 1), 2**bits, step) / 2.0 ** (bits - 1)
        above, below = (part.reshape(1, 1, -1) for part in np.meshgrid(whole / 2, whole))
        low, high = (arithmetic._divided(above, below, up=up) for up in (False, True))
        for inner in (fmt, "float32"):
            inverses = [to_format(1 / below, held_in) for held_in in (fmt, inner)]
            found = [above / below, *(above * inverse for inverse in inverses)]
            for values in (to_format(to_format(part, inner), fmt) for part in found):
                if outside(low, high, values).any():
                    at = int(np.nonzero(outside(low, high, values))[2][0])
                    return [f"{fmt}: {above[0, 0, at]} over {below[0, 0, at]} is {values[0, 0, at]}"]
    return []
