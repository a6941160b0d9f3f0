"""Killers of the rules of layers in floats: norms and products of rows."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

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


def member_of(rng: np.random.Generator, low: Array, high: Array, fmt: str) -> Array:
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
        member, drawn = member_of(rng, low, high, fmt), DrawnLayers.of(fmt, rng)
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
                x, y = (member_of(rng, part[0], part[1], fmt) for part in (left, right))
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


def torch_norms(*formats: str, rounds: int = 20) -> Callable[[], list[str]]:
    """Return the oracle of norms on torch's own kernels: ``layer_norm``, ``rms_norm``, and the formulas of models."""

    def run() -> list[str]:
        import torch
        from torch.nn.functional import layer_norm, rms_norm

        rng = np.random.default_rng(56)
        for at in range(rounds * len(formats)):
            fmt = formats[at % len(formats)]
            arithmetic, width = rounded(fmt), int(rng.choice([1, 2, 3, 8, 16, 33, 100]))
            low, high = _rows(rng, fmt, width)
            scale, shift = (floats(rng, (width, 1), fmt, "full") for _ in range(2))
            dtype, eps = getattr(torch, fmt), 1e-5
            w, b = (torch.from_numpy(part[:, 0].copy()).to(dtype) for part in (scale, shift))
            boxes = {}
            for centred in (False, True):
                plain = arithmetic.normalise(box(low, high, arithmetic), centred=centred, mean=True, eps=Fraction(eps))
                held = weight(scale, arithmetic), weight(shift, arithmetic)
                boxes[centred] = plain, arithmetic.affine(plain, held[0], held[1] if centred else None)
            for _ in range(4):
                x = torch.from_numpy(member_of(rng, low, high, fmt).copy()).to(dtype)
                away = x - x.mean(-1, keepdim=True)
                inside = x.to(torch.float32) if x.element_size() == 2 else x
                normed = inside * torch.rsqrt(inside.pow(2).mean(-1, keepdim=True) + eps)
                made = [
                    ("layer_norm", boxes[True][0], layer_norm(x, (width,), eps=eps)),
                    ("layer_norm, affine", boxes[True][1], layer_norm(x, (width,), w, b, eps)),
                    ("rms_norm", boxes[False][0], rms_norm(x, (width,), eps=eps)),
                    ("rms_norm, affine", boxes[False][1], rms_norm(x, (width,), w, eps)),
                    ("model's RMSNorm", boxes[False][1], w * normed.to(dtype)),
                    ("formula", boxes[False][0], x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps)),
                    ("formula", boxes[False][0], x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)),
                    ("var", boxes[True][0], away / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + eps)),
                    ("formula", boxes[True][0], away * torch.rsqrt((away * away).mean(-1, keepdim=True) + eps)),
                ]
                for name, bounds, value in made:
                    wrong = _told(f"torch, {name}", fmt, bounds, value.double().numpy())
                    if wrong:
                        return [f"{wrong[0]}; row {x[0, 0].tolist()}"]
        return []

    return run


def stagnating() -> list[str]:
    """Return norms in bfloat16, their sums one by one, that are not between their bounds: each addition loses a part.

    Half of a spacing beside 1 is lost every time; beyond 32 so is what is just below half of a spacing.
    """
    arithmetic, found = rounded("bfloat16"), []
    squares = np.concatenate([[1.0], np.full(63, 2.0**-4)])
    means = np.concatenate([[1.0], np.full(16, 2.0**-8)])
    apart = np.concatenate([np.full(63, 1 + 15 / 128), [1 + 35 / 128]])
    for name, row, centred in (("squares", squares, False), ("mean", means, True), ("mean and squares", apart, True)):
        rows = row[None, None]
        bounds = arithmetic.normalise(box(rows, rows, arithmetic), centred=centred, mean=True, eps=Fraction(0))
        drawn = DrawnLayers.of("bfloat16", np.random.default_rng(57))
        drawn.merged, drawn.root, drawn.late = False, "division", False
        drawn.kernel.inner, drawn.kernel.order, drawn.kernel.share = "bfloat16", "sequential", 0.0
        told, _ = drawn.normalise(rows, centred=centred, mean=True, eps=Fraction(0))
        found += _told(f"{name} of a sum that stagnates", "bfloat16", bounds, told)
    return found


def affine_maps(*formats: str, rounds: int = 12) -> Callable[[], list[str]]:
    """Return the oracle of ``w x + b``, also of what a 16-bit kernel holds in float32: near half of a spacing off."""

    def run() -> list[str]:
        rng = np.random.default_rng(58)
        for at in range(rounds * len(formats)):
            fmt = formats[at % len(formats)]
            arithmetic, shape = rounded(fmt), (64, 1, 3)
            x = floats(rng, shape, fmt, str(rng.choice(KINDS)))
            scale = floats(rng, (3, 1), fmt, "full")
            # a bias that cancels the first row's product, so that the rounding of the product is what is left
            shift = -multiply(x[0, 0][:, None], scale, fmt) if rng.random() < 0.7 else floats(rng, (3, 1), fmt, "mixed")
            wide = x.astype(arithmetic._dtype)
            point = Box(wide, wide, np.full(3, -5000), exact=False)
            held = weight(scale, arithmetic), weight(shift, arithmetic)
            choices = [(held, (scale, shift)), ((held[0], None), (scale, None)), ((None, held[1]), (None, shift))]
            for weights, columns in choices:
                bounds = arithmetic.affine(point, *weights)
                for _ in range(6):
                    drawn = DrawnLayers.of(fmt, rng)
                    kept = x
                    if FORMATS[fmt][0] < 24:
                        step = np.ldexp(np.ones(shape), np.frexp(x)[1] - FORMATS[fmt][0])
                        off = to_format(x + step * rng.uniform(-0.499, 0.499, shape), "float32")
                        kept = np.where(to_format(off, fmt) == x, off, x)
                    parts = tuple(None if part is None else part[:, 0] for part in columns)
                    wrong = _told("affine", fmt, bounds, drawn.affine(kept, *parts))
                    if wrong:
                        return wrong
        return []

    return run
