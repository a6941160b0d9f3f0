"""Killers that are aimed at one rule each: truncated sums, grids of weights, margins of balls, cells that share."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Hardmax, Softmax
from tests.certificates.emulated import FORMATS, Array
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from tests.mutation.certifier_killers import KINDS, box, floats, outside, weight
from verify.certificates import certificate_arithmetic, certify
from verify.certificates.floats.arithmetic import RoundedWeight
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.sparse import SparseArithmetic
from verify.certificates.floats.sparse_rows import SparseRows, by_what_differs

# sums that tensor cores truncate --------------------------------------------------------------------------------------


def _cut(total: Array) -> Array:
    """Return numbers cut off to float32, towards 0."""
    unit = np.ldexp(np.ones(total.shape), np.maximum(np.frexp(total)[1] - 1, -126) - 23)
    return np.asarray(np.trunc(total / unit) * unit)


def _in_blocks(products: Array, order: Array, size: int) -> Array:
    """Return sums in blocks of some products; of one by one, added exactly and then cut off, for a size of 0.

    A block cuts each product and the sum so far off at a unit of the largest of them, and what they add up to again.
    """
    total = np.zeros((*products.shape[:-1], 1))
    for start in range(0, len(order), max(1, size)):
        parts = np.concatenate([total, products[..., order[start : start + max(1, size)]]], axis=-1)
        if size:
            largest = np.abs(parts).max(axis=-1, keepdims=True)
            unit = np.ldexp(np.ones(largest.shape), np.maximum(np.frexp(largest)[1] - 1, -126) - 23)
            parts = np.trunc(parts / unit) * unit
        total = _cut(parts.sum(axis=-1, keepdims=True))
    return total


def truncated() -> list[str]:
    """Return sums of numbers of 11 bits, each partial sum cut off, that are not between their bounds.

    One large term and small ones, of either sign, down to products below the normal range.
    """
    rng = np.random.default_rng(31)
    arithmetic = rounded("float32", tf32=True)
    # an odd number beside one of 25 bits, and their sum has 24
    x, w = np.array([[[4096.0, 2047.0]]]), np.array([[4096.0, -1025.0]])
    two = arithmetic.linear(box(x, x, arithmetic), weight(w, arithmetic))
    if outside(two.low, two.high, _in_blocks(x * w[0], np.arange(2), 2)).any():
        return ["4096 * 4096 - 2047 * 1025 in one block is not between its bounds"]
    for count in (1, 2, 3, 8, 16):
        for least in (-40, -30, -24, -12, 0, -151, -149):
            x = np.ldexp(rng.integers(1024, 2048, (40, 1, count)).astype(float), -10)
            if least > -100:
                x[..., 1:] = np.ldexp(x[..., 1:], least) * rng.choice([-1, 1], (40, 1, 1))
                scale = 0
            else:  # 2 ** -80 and the rest of it, so that neither factor is small
                x, scale = np.ldexp(np.floor(x * 4), -80), least + 80
            w = np.ldexp(np.ones((1, count)), scale)
            made = {"linear": arithmetic.linear(box(x, x, arithmetic), weight(w, arithmetic))}
            keys = np.broadcast_to(w, (1, 1, count)).copy()
            made["scores"] = arithmetic.scores(box(x, x, arithmetic), box(keys, keys, arithmetic))
            for _ in range(4):
                order = np.arange(count) if rng.random() < 0.5 else rng.permutation(count)
                total = _in_blocks(x * w[0], order, int(rng.integers(0, 5)))
                for name, bounds in made.items():
                    wrong = outside(bounds.low, bounds.high, total)
                    if wrong.any():
                        at = int(np.nonzero(wrong)[0][0])
                        return [f"{name}: {total[at]} is not between {bounds.low[at]} and {bounds.high[at]}: {x[at]}"]
    return []


# softmax, and balls ---------------------------------------------------------------------------------------------------


def grids_of_weights() -> list[str]:
    """Return attention weights that are not on the grid of their box; one query at a time, as a grid is of them all."""
    rng = np.random.default_rng(32)
    for at in range(60):
        fmt = list(FORMATS)[at % 4]
        arithmetic, keys = rounded(fmt), int(rng.integers(2, 5))
        scores, visible = rng.integers(-3, 4, (1, 1, keys)).astype(float), np.ones((1, keys), dtype=bool)
        bounds = arithmetic.attention(box(scores, scores, arithmetic), visible, Softmax(1.0), key_size=1)
        for _ in range(6):
            values = DrawnKernel(fmt, rng).attention(scores, visible, Softmax(1.0), 1)
            off = np.ldexp(values, -np.maximum(bounds.grid, -1000)) % 1 != 0
            if off.any():
                return [f"{fmt}: {values} is not on the grid 2^{bounds.grid}: scores {scores}"]
    return []


def margins_of_balls() -> list[str]:
    """Return margins of ball certificates that are larger than the exact ones, which no float64 is."""
    from tests.mutation.certifier_networks import _fixed

    arithmetic = certificate_arithmetic("ball")
    for denominator in range(3, 60, 2):
        # too small beside 1 for a sieve in float64
        margin = Fraction(1, denominator * 2**60)
        verdict = certify(_fixed([[1], [0]], [margin - 1, 0], [1]), arithmetic)
        if verdict.margin is None or not 0 < Fraction(float(verdict.margin)) <= margin:
            return [f"a margin of {verdict.margin} where it is {margin}"]
    return []


# cells that share -----------------------------------------------------------------------------------------------------


def _differs(name: str, found: Box, base: Box) -> list[str]:
    """Return whether a box leaves out what the dense arithmetic's box holds, or says more of it."""
    inside = (found.low <= base.low) & (base.high <= found.high)
    if not inside.all():
        at = tuple(int(part[0]) for part in np.nonzero(~inside))
        return [f"{name}: between {base.low[at]} and {base.high[at]}, which is not within {at} of the shared cells"]
    if (found.grid > base.grid).any():
        return [f"{name}: on the grid {found.grid}, where the dense one is {base.grid}"]
    return [f"{name}: said to be exact"] if found.exact and not base.exact else []


def _cells(rng: np.random.Generator, fmt: str, kind: str, width: int, *, wild: bool) -> Box:
    """Return boxes of cells of which few coordinates differ."""
    arithmetic = rounded(fmt)
    batch, rows = 5, 3
    low = np.broadcast_to(floats(rng, (1, rows, width), fmt, kind), (batch, rows, width)).copy()
    low[..., rng.random(width) < 0.2] = 0.0
    low[:, rng.random((rows, width)) < 0.2] = 0.0
    places = np.flatnonzero(rng.random(width) < 0.4)
    low[..., places] = floats(rng, (batch, rows, len(places)), fmt, kind) * (rng.random((1, rows, len(places))) < 0.7)
    high = np.where(rng.random(low.shape) < 0.3, low + np.abs(low), low)
    found = box(low, high, arithmetic)
    if wild:
        at = int(rng.integers(width))
        found.low[..., at], found.high[..., at] = -np.inf, np.inf
    return found


def sparse_dense() -> list[str]:
    """Return operations on cells that share coordinates that say more than the same operations on all of each cell."""
    rng = np.random.default_rng(33)
    for at in range(160):
        fmt = ("bfloat16", "float32", "float16", "float64")[at % 4]
        kind = KINDS[int(rng.integers(len(KINDS)))]
        base, width = rounded(fmt), int(rng.integers(2, 7))
        arithmetic = SparseArithmetic(base)
        cells, others = (_cells(rng, fmt, kind, width, wild=rng.random() < 0.15) for _ in range(2))
        shared, beside = by_what_differs(cells), by_what_differs(others)
        w = floats(rng, (4, width), fmt, "mixed") * (rng.random((4, width)) < 0.5)
        bias = weight(floats(rng, (4, 1), fmt, kind), base) if rng.random() < 0.5 else None
        matrix = weight(w, base)
        visible = np.tri(3, dtype=bool)
        scores = base.scores(cells, others)
        weights = base.attention(scores, visible, Softmax(1.0), key_size=1)
        one = Box(weights.low[:1], weights.high[:1], weights.grid, weights.exact)
        mixed, wanted_mix = arithmetic.mix(weights, shared), base.mix(weights, cells)
        pairs: Sequence[tuple[str, Any, Box]] = (
            ("cells", shared, cells),
            ("linear", arithmetic.linear(shared, matrix, bias), base.linear(cells, matrix, bias)),
            ("scores", arithmetic.scores(shared, beside), scores),
            ("attention", arithmetic.attention(scores, visible, Softmax(1.0), key_size=1), weights),
            ("mix", mixed, wanted_mix),
            ("linear of a mix", arithmetic.linear(mixed, matrix, bias), base.linear(wanted_mix, matrix, bias)),
            ("scores of a mix", arithmetic.scores(mixed, shared), base.scores(wanted_mix, cells)),
            ("total with a mix", arithmetic.total([shared, mixed]), base.total([cells, wanted_mix])),
            ("beside a mix", arithmetic.beside(shared, mixed), base.beside(cells, wanted_mix)),
            ("below a mix", arithmetic.below(mixed, shared), base.below(wanted_mix, cells)),
            ("relu of a mix", arithmetic.relu(mixed), base.relu(wanted_mix)),
            ("mix of one", arithmetic.mix(one, shared), base.mix(one, cells)),
            ("relu", arithmetic.relu(shared), base.relu(cells)),
            ("total", arithmetic.total([shared, beside]), base.total([cells, others])),
            ("beside", arithmetic.beside(shared, beside), base.beside(cells, others)),
            ("below", arithmetic.below(shared, beside), base.below(cells, others)),
        )
        for name, found, wanted in pairs:
            dense = found.dense() if isinstance(found, SparseRows) else found
            wrong = _differs(f"{name}, {fmt}", dense, wanted)
            if not wrong and isinstance(found, SparseRows):
                wrong = _differs(f"{name} of all cells, {fmt}", found.shared, wanted) if name == "cells" else []
            if wrong:
                return wrong
    return []


def sparse_kept() -> list[str]:
    """Return results that are kept from other numbers: a computation that went before changes what comes out."""
    base = rounded("bfloat16")
    at = np.array([[[1.0, 2.0], [3.0, 1.0]]])
    plain = Box(at, at, np.zeros(2, dtype=np.int64))
    fine = Box(at, at, np.full(2, -20), exact=True)
    off = Box(at, at, np.zeros(2, dtype=np.int64), exact=False)
    higher = Box(at, at + 4, np.zeros(2, dtype=np.int64))
    lower = Box(at - 4, at, np.zeros(2, dtype=np.int64))
    two = Box(at.reshape(2, 1, 2), at.reshape(2, 1, 2), np.zeros(2, dtype=np.int64))
    both, one = np.ones((2, 2), dtype=bool), np.tri(2, dtype=bool)
    soft, hard = Softmax(1.0), Hardmax()
    eye = weight(np.eye(2), base)
    third = RoundedWeight(eye.values, eye.grid, exact=False)
    turned = weight(np.array([[0.0, 1.0], [1.0, 0.0]]), base)
    tower, row = weight(np.array([[2.0], [1.0]]), base), weight(np.array([[2.0, 1.0]]), base)
    single = Box(at[..., :1], at[..., :1], np.zeros(1, dtype=np.int64))
    calls: dict[str, Any] = {}
    for name, numbers in {"plain": plain, "fine": fine, "off": off, "higher": higher, "lower": lower}.items():
        calls[f"scores {name}"] = lambda a, n=numbers: a.scores(SparseRows(n), SparseRows(plain))
        calls[f"attention {name}"] = lambda a, n=numbers: a.attention(n, both, soft, key_size=1)
        calls[f"mix {name}"] = lambda a, n=numbers: a.mix(n, SparseRows(plain)).shared
        calls[f"linear {name}"] = lambda a, n=numbers: a.linear(SparseRows(n), eye).shared
    calls |= {
        "scores plain with itself": lambda a: a.scores(SparseRows(plain), SparseRows(plain)),
        "scores of two cells": lambda a: a.scores(by_what_differs(two), by_what_differs(two)),
        "attention hidden": lambda a: a.attention(plain, one, soft, key_size=1),
        "attention hard": lambda a: a.attention(plain, both, hard, key_size=1),
        "attention hot": lambda a: a.attention(plain, both, Softmax(3.0), key_size=1),
        "attention wide": lambda a: a.attention(plain, both, soft, key_size=9),
        "linear turned": lambda a: a.linear(SparseRows(plain), turned).shared,
        "linear rounded": lambda a: a.linear(SparseRows(plain), third).shared,
        "linear tower": lambda a: a.linear(SparseRows(single), tower).shared,
        "linear row": lambda a: a.linear(SparseRows(plain), row).shared,
    }
    fresh = {name: call(SparseArithmetic(base)) for name, call in calls.items()}
    for before, first in calls.items():
        for name, call in calls.items():
            used = SparseArithmetic(base)
            first(used)
            found, wanted = call(used), fresh[name]
            same = found.shape == wanted.shape and found.exact == wanted.exact
            same = same and all(
                np.array_equal(getattr(found, part), getattr(wanted, part)) for part in ("low", "high", "grid")
            )
            if not same:
                return [f"{name} after {before} is {found}, and {wanted} by itself"]
    return []
