"""Killers of the rules of activations and of score biases in floats, and of layers on cells that share coordinates."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from constructions.activations import SILU
from constructions.temperature import Softmax
from tests.certificates.emulated import Array, add, fused, multiply, to_format
from tests.certificates.layer_kernels import DrawnLayers
from tests.certificates.own import rounded
from tests.mutation.certifier_killers import KINDS, box, floats, weight
from tests.mutation.certifier_layers import EVERY, member_of
from tests.mutation.certifier_operations import _between, _told
from tests.mutation.certifier_settled import _cells, _differs
from verify.certificates.balls.columns import ball_precision
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.sparse import SparseArithmetic
from verify.certificates.floats.sparse_rows import by_what_differs


def pointwise(*formats: str, rounds: int = 6) -> Callable[[], list[str]]:
    """Return the oracle of activations: torch's and numpy's values at members, and true ones off as they may be."""

    def run() -> list[str]:
        with ball_precision():
            return _pointwise(formats, rounds)

    return run


def _pointwise(formats: tuple[str, ...], rounds: int) -> list[str]:
    import torch

    from constructions.activations import ACTIVATIONS, ClippedRelu

    rng = np.random.default_rng(53)
    every: list[Any] = [*ACTIVATIONS, ClippedRelu(Fraction(6)), ClippedRelu(Fraction(1, 3))]
    for at in range(rounds * len(formats)):
        fmt = formats[at % len(formats)]
        arithmetic = rounded(fmt)
        low, high = _arguments(rng, fmt)
        for activation in every:
            found = arithmetic.pointwise(box(low, high, arithmetic), activation)
            for _ in range(4):
                x = member_of(rng, low, high, fmt)
                held = torch.from_numpy(x).to(getattr(torch, fmt))
                wrong = _told(activation.name, fmt, found, activation.torch(held).double().numpy())
                if not wrong and fmt != "bfloat16":
                    with np.errstate(all="ignore"):
                        wrong = _told(activation.name, fmt, found, activation.numpy(x.astype(fmt)).astype(float))
                wrong = wrong or _told(f"{activation.name}, off", fmt, found, _off(rng, activation, x, fmt))
                if wrong:
                    return wrong
    return []


def _arguments(rng: np.random.Generator, fmt: str) -> tuple[Array, Array]:
    kind = int(rng.integers(4))
    shape = (6, 1, 4)
    if kind == 0:
        low, high, _ = _between(rng, shape, fmt, str(rng.choice(KINDS)))
        return low, high
    low = to_format(rng.uniform(-12, 3, shape) if kind < 3 else rng.uniform(-120, 20, shape), fmt)
    return low, to_format(low + (kind == 2) * rng.uniform(0, 3, shape), fmt)


def _off(rng: np.random.Generator, activation: Any, x: Array, fmt: str) -> Array:
    """Return the true values moved by what a kernel may be off, the floats inside that allowance."""
    import flint

    from constructions.formats import FORMATS as EXACT

    error, exact = activation.error(EXACT[fmt]), EXACT[fmt]
    found = np.empty(x.size)
    for place, value in enumerate(x.reshape(-1).tolist()):
        true = Fraction(*(int(part) for part in _fraction(activation.ball(flint.arb(value)))))
        size = abs(true)
        exponent = max(_exponent(size), exact.min_exponent) if size else exact.min_exponent
        unit = Fraction(2) ** (exponent - exact.precision + 1)
        most = error.ulps * unit + error.absolute
        moved = true + most * int(rng.choice([-1, 1]))
        near = float(to_format(np.array(float(moved)), fmt))
        inside = abs(Fraction(near) - true) <= most if np.isfinite(near) else False
        found[place] = near if inside else float(to_format(np.array(float(true)), fmt))
    return found.reshape(x.shape)


def _fraction(value: Any) -> tuple[int, int]:
    mantissa, power = value.mid().man_exp()
    power = int(power)
    return (int(mantissa) << power, 1) if power >= 0 else (int(mantissa), 1 << -power)


def _exponent(value: Fraction) -> int:
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent - (value < Fraction(2) ** exponent)


def score_biases(*formats: str, rounds: int = 12) -> Callable[[], list[str]]:
    """Return the oracle of score biases: sums with a table, and attention whose exponents are shifted."""

    def run() -> list[str]:
        rng = np.random.default_rng(54)
        for at in range(rounds * len(formats)):
            found = _score_bias(rng, formats[at % len(formats)])
            if found:
                return found
        return []

    return run


def _score_bias(rng: np.random.Generator, fmt: str) -> list[str]:
    arithmetic, keys = rounded(fmt), int(rng.integers(1, 6))
    shape = (24, keys, keys)
    low, high, _ = _between(rng, shape, fmt, str(rng.choice(["integers", "full", "mixed", "cancelling"])))
    if rng.random() < 0.4:
        high = low
    table = floats(rng, (keys + 2, keys + 2), fmt, str(rng.choice(["integers", "full", "mixed"]))) * 4
    scores = box(low, high, arithmetic)
    shift = arithmetic.score_table(weight(table, arithmetic), 1, keys)
    if not np.array_equal(shift.low[0].astype(float), table[1:keys, :keys]):
        return ["a score table is cut out elsewhere"]
    table = table[:keys, :keys]
    shift = arithmetic.score_table(weight(table, arithmetic), 0, keys)
    visible = np.tri(keys, dtype=bool)
    temperature = Softmax(float(rng.choice([0.3, 1.0, 3.0, float(np.exp(rng.uniform(-2, 3)))])))
    added = arithmetic.shifted(scores, shift)
    attended = arithmetic.shifted_attention(scores, shift, visible, temperature, key_size=3)
    for _ in range(12):
        member, kernel = member_of(rng, low, high, fmt), DrawnLayers.of(fmt, rng).kernel
        wrong = _told("score and bias", fmt, added, to_format(add(member, table, kernel.inner), fmt))
        values = _shifted(kernel, member, table, visible, temperature)
        wrong = wrong or _told(f"shifted attention at {temperature}", fmt, attended, values)
        if wrong:
            return wrong
    return []


def _shifted(kernel: Any, scores: Array, table: Array, visible: Array, temperature: Softmax) -> Array:
    """Return attention weights of a drawn kernel, the scaled scores fused with their shift or not."""
    at = kernel.exp_format
    gap = np.asarray(temperature.inverse_temperature / np.sqrt(3))
    gap = gap if kernel.gap_format is None else to_format(gap, kernel.gap_format)
    if kernel.gap_format is not None and kernel.rng.random() < 0.5:
        exponents = fused(scores, gap, np.broadcast_to(table, scores.shape), at)
    else:
        exponents = add(multiply(scores, gap, at), table, at)
    exponents = np.where(visible, exponents, -np.inf)
    below = add(exponents, -exponents.max(axis=-1, keepdims=True), at)
    return np.asarray(kernel._normalised(np.where(visible, kernel._exp(below), 0), visible))


def hidden_shifts() -> list[str]:
    """Return attention with a shift beyond the format, or a gap that vanishes, whose weights are finite."""
    found = []
    arithmetic = rounded("float16")
    zero = box(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), arithmetic)
    anything = np.zeros((1, 2, 2))
    anything[0, 0, 1] = np.inf  # hidden there
    shift = Box(np.where(anything > 0, -np.inf, 0), anything, np.full(2, -20), exact=False)
    causal = np.tri(2, dtype=bool)
    if np.isfinite(arithmetic.shifted_attention(zero, shift, causal, Softmax(1.0), key_size=1).low[0, 0]).any():
        found.append("a hidden score of -inf plus infinity is finite")
    if np.isfinite(arithmetic.shifted(zero, shift).low[0, 0, 1]).any():
        found.append("a score plus infinity is finite")
    tiny = arithmetic.shifted_attention(zero, zero, causal, Softmax(1e-320), key_size=1)
    if np.isfinite(tiny.low).any():
        found.append("0 times the -inf of a hidden score is finite")
    far = box(np.array([[[60000.0, 0.0], [0.0, 0.0]]]), np.array([[[60000.0, 0.0], [0.0, 0.0]]]), arithmetic)
    over = arithmetic.shifted_attention(far, far, np.ones((2, 2), dtype=bool), Softmax(1.0), key_size=1)
    if np.isfinite(over.low[0, 0]).any():
        found.append("an exponent beyond the format is finite")
    return found


def sparse_layers() -> list[str]:
    """Return operations of layers on cells that share coordinates that say more than the same on all of each cell."""
    rng = np.random.default_rng(55)
    for at in range(120):
        fmt = EVERY[at % 4]
        base, width = rounded(fmt), int(rng.integers(2, 6))
        arithmetic = SparseArithmetic(base)
        kind = KINDS[int(rng.integers(len(KINDS)))]
        cells, others = (_cells(rng, fmt, kind, width, wild=rng.random() < 0.15) for _ in range(2))
        shared, beside = by_what_differs(cells), by_what_differs(others)
        scale, shift = (weight(floats(rng, (width, 1), fmt, kind), base) for _ in range(2))
        made: dict[str, tuple[Any, Box]] = {
            "multiply": (arithmetic.multiply(shared, beside), base.multiply(cells, others)),
            "affine": (arithmetic.affine(shared, scale, shift), base.affine(cells, scale, shift)),
            "scale": (arithmetic.affine(shared, scale, None), base.affine(cells, scale, None)),
            "shift": (arithmetic.affine(shared, None, shift), base.affine(cells, None, shift)),
            "pointwise": (arithmetic.pointwise(shared, SILU), base.pointwise(cells, SILU)),
        }
        for centred in (False, True):
            options: dict[str, Any] = {"centred": centred, "mean": True, "eps": Fraction(1e-5)}
            made[f"norm {centred}"] = arithmetic.normalise(shared, **options), base.normalise(cells, **options)
        for name, (found, wanted) in made.items():
            wrong = _differs(f"{name}, {fmt}", found.dense(), wanted)
            if wrong:
                return wrong
            # what encloses all cells encloses each
            inside = (found.shared.low <= wanted.low) & (wanted.high <= found.shared.high)
            if not inside.all():
                return [f"{name}, {fmt}: what encloses all cells does not enclose one"]
    return []
