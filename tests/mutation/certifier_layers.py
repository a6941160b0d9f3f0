"""Killers of the rules of layers in floats: norms, products of rows, activations, score biases."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tests.certificates.emulated import FORMATS, Array, multiply, to_format
from tests.certificates.layer_kernels import DrawnLayers
from tests.certificates.own import rounded
from tests.mutation.certifier_killers import KINDS, box, floats, weight
from tests.mutation.certifier_operations import _between, _told
from verify.certificates.floats.boxes import Box

#: What is added under a root: nothing, what libraries add, what 16 bits do not hold, and a lot.
EPSILONS = (Fraction(0), Fraction(1e-5), Fraction(1e-12), Fraction(1, 3), Fraction(2.0**-24), Fraction(10**6))
EVERY = ("bfloat16", "float32", "float16", "float64")


def _member(rng: np.random.Generator, low: Array, high: Array, fmt: str) -> Array:
    """Return a member of a box: a corner, corners and points between them, or one coordinate at the other end."""
    kind = rng.random()
    ends = np.where(rng.random(low.shape) < 0.5, low, high)
    if kind < 0.4:
        return ends
    if kind < 0.6:  # one coordinate as large, all others as small as they may be, and the other way round
        near = np.where((low <= 0) & (high >= 0), 0, np.where(np.abs(low) < np.abs(high), low, high))
        far = np.where(np.abs(low) < np.abs(high), high, low)
        chosen = (np.arange(low.shape[-1]) == rng.integers(low.shape[-1])) ^ (rng.random() < 0.5)
        return np.asarray(np.where(chosen, far, near))
    drawn = np.clip(to_format(low + (high - low) * rng.random(low.shape), fmt), low, high)
    return np.asarray(np.where(rng.random(low.shape) < 0.5, drawn, ends))


def _rows(rng: np.random.Generator, fmt: str, width: int) -> tuple[Array, Array]:
    """Return bounds of rows: of every kind, far from 0, constant, or with coordinates that are 0."""
    kind = str(rng.choice([*KINDS, "far", "constant", "wide", "edge"]))
    shape = (12, 1, width)
    if kind in {"far", "constant"}:
        middle = np.broadcast_to(floats(rng, (12, 1, 1), fmt, "full"), shape) * 4
        middle = middle if kind == "constant" else to_format(middle + floats(rng, shape, fmt, "mixed") / 8, fmt)
    elif kind == "edge":  # where squares, or their sums, leave the format
        least = FORMATS[fmt][1]
        scale = float(rng.choice([2.0 ** (least // 2), 2.0 ** (-least // 2 - 2), 2.0**least]))
        middle = to_format(floats(rng, shape, fmt, "mixed") * scale, fmt)
    else:
        middle = floats(rng, shape, fmt, "full" if kind == "wide" else kind)
    middle = middle * (rng.random((1, 1, width)) < 0.9)
    part = rng.choice([0, 0, 2.0 ** (1 - FORMATS[fmt][0]), 0.01, 0.3]) if kind != "wide" else 3.0
    width_of = np.abs(middle) * part * (rng.random(shape) < 0.7)
    return to_format(middle - width_of, fmt), to_format(middle + width_of, fmt)


def norms(*formats: str, rounds: int = 40, widths: tuple[int, ...] = (1, 2, 3, 5, 8, 17)) -> Callable[[], list[str]]:
    """Return the oracle of norms, with a weight and a bias after them or not: drawn kernels stay in the box."""

    def run() -> list[str]:
        rng = np.random.default_rng(51)
        for at in range(rounds * len(formats)):
            found = _norm(rng, formats[at % len(formats)], int(rng.choice(widths)))
            if found:
                return found
        return []

    return run


def _norm(rng: np.random.Generator, fmt: str, width: int) -> list[str]:
    arithmetic = rounded(fmt)
    low, high = _rows(rng, fmt, width)
    centred, mean = bool(rng.random() < 0.6), bool(rng.random() < 0.8)
    eps = EPSILONS[int(rng.integers(len(EPSILONS)))]
    plain = arithmetic.normalise(box(low, high, arithmetic), centred=centred, mean=mean, eps=eps)
    scale = floats(rng, (width, 1), fmt, "full") if rng.random() < 0.6 else None
    shift = floats(rng, (width, 1), fmt, "mixed") if rng.random() < 0.6 else None
    weights = tuple(None if part is None else weight(part, arithmetic) for part in (scale, shift))
    after = arithmetic.affine(plain, *weights)
    columns = tuple(None if part is None else part[:, 0] for part in (scale, shift))
    for _ in range(12):
        member, drawn = _member(rng, low, high, fmt), DrawnLayers.of(fmt, rng)
        told, kept = drawn.normalise(member, centred=centred, mean=mean, eps=eps)
        name = f"norm (centred {centred}, mean {mean}, eps {float(eps):g}, {drawn.root}, merged {drawn.merged})"
        found = _told(name, fmt, plain, told)
        found = found or _told(f"{name} and affine", fmt, after, drawn.affine(told, *columns))
        found = found or _told(f"{name} in one with affine", fmt, after, drawn.affine(kept, *columns))
        if found:
            return [f"{found[0]}; row {member[0, 0].tolist()}"]
    return []


def products_of_rows(*formats: str, rounds: int = 20) -> Callable[[], list[str]]:
    """Return the oracle of products of two rows: every product of members lies in the box, on its grid."""

    def run() -> list[str]:
        rng = np.random.default_rng(52)
        for at in range(rounds * len(formats)):
            fmt = formats[at % len(formats)]
            arithmetic, shape = rounded(fmt), (16, 2, int(rng.integers(1, 4)))
            kinds = [str(rng.choice([*KINDS, "edge"])) for _ in range(2)]
            left, right = (_factors(rng, shape, fmt, kind) for kind in kinds)
            boxes = [box(part[0], part[1], arithmetic) for part in (left, right)]
            found = arithmetic.multiply(boxes[0], boxes[1])
            for _ in range(8):
                x, y = (_member(rng, part[0], part[1], fmt) for part in (left, right))
                inner = DrawnLayers.of(fmt, rng).kernel.inner
                wrong = _told("product", fmt, found, to_format(multiply(x, y, inner), fmt))
                exact = found.exact and (to_format(x * y, fmt) != x.astype(np.longdouble) * y).any()
                if wrong or exact:
                    return wrong or [f"product, {fmt}: said to be exact"]
        return []

    return run


def _factors(rng: np.random.Generator, shape: tuple[int, ...], fmt: str, kind: str) -> tuple[Array, Array]:
    if kind != "edge":
        low, high, _ = _between(rng, shape, fmt, kind)
        return low, high
    bits, least = FORMATS[fmt]
    scale = 2.0 ** float(rng.choice([least // 2, -least // 2, (least - bits) // 2]))
    low, high, _ = _between(rng, shape, fmt, "mixed")
    return to_format(low * scale, fmt), to_format(high * scale, fmt)


def not_finite() -> list[str]:
    """Return operations on what may not be finite, or on roots of 0, whose bounds are finite."""
    found = []
    for fmt in EVERY:
        arithmetic = rounded(fmt)
        ends = [np.array([[[end, 1.0, 0.0]]]) for end in (-np.inf, np.inf)]
        bad = Box(ends[0], ends[1], np.full(3, -200), exact=False)
        zero, one = (box(np.full((1, 1, 3), value), np.full((1, 1, 3), value), arithmetic) for value in (0.0, 1.0))
        for centred in (False, True):
            made = {
                "norm of what is not finite": arithmetic.normalise(bad, centred=centred, mean=True, eps=Fraction(1)),
                "norm of 0": arithmetic.normalise(zero, centred=centred, mean=True, eps=Fraction(0)),
                "norm of 0 with an eps that vanishes": arithmetic.normalise(
                    zero, centred=centred, mean=True, eps=Fraction(2) ** -1080
                ),
            }
            if centred:
                made["norm of a constant"] = arithmetic.normalise(one, centred=True, mean=True, eps=Fraction(0))
            found += [f"{name}, {fmt}" for name, each in made.items() if np.isfinite(each.low).any()]
        large = box(np.full((1, 1, 3), 2.0 ** -(FORMATS[fmt][1] // 2)), np.full((1, 1, 3), 2.0**10), arithmetic)
        large = Box(large.low * 16, large.low * 16, large.grid)
        for centred in (False, True):
            squared = arithmetic.normalise(large, centred=centred, mean=True, eps=Fraction(0))
            if np.isfinite(squared.low).any():
                found.append(f"norm of what overflows when squared, {fmt}")
        if np.isfinite(arithmetic.multiply(bad, zero).low[..., 0]).any():
            found.append(f"0 times infinity, {fmt}")
        if np.isfinite(arithmetic.multiply(large, large).low).any():
            found.append(f"a product that overflows, {fmt}")
        nothing = weight(np.zeros((3, 1)), arithmetic)
        if np.isfinite(arithmetic.affine(bad, nothing, nothing).low[..., 0]).any():
            found.append(f"0 times infinity plus 0, {fmt}")
    return found


def pointwise(*formats: str, rounds: int = 6) -> Callable[[], list[str]]:
    """Return the oracle of activations: torch's and numpy's values at members, and true ones off as they may be."""

    def run() -> list[str]:
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
                x = _member(rng, low, high, fmt)
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
