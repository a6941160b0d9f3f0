"""Kernels of norms, products and score biases drawn at random, each within what a float certificate assumes of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tests.certificates.emulated import FORMATS, LARGEST, Array, add, fused, held, multiply, spacing, to_format
from tests.certificates.kernels import DrawnKernel

#: What ``rsqrt`` may be off by, in units in the last place: the documented assumption, not read from the package.
RSQRT_ULPS = 2


def divide(a: Array, b: Array, fmt: str) -> Array:
    """Return a rounded quotient."""
    return to_format(a / b, fmt)


def root(values: Array, fmt: str) -> Array:
    """Return a rounded square root."""
    return to_format(np.sqrt(values), fmt)


def held_or_infinite(value: Fraction, fmt: str) -> float:
    """Return a rational as a format holds it."""
    return held(value, fmt) if abs(value) <= Fraction(LARGEST[fmt]) else math.inf


@dataclass
class DrawnLayers:
    """One way to compute a norm and what follows.

    Attributes:
        kernel: decides orders of sums and the format of intermediate results.
        merged: whether mean and squares are merged, as ``layer_norm`` does.
        root: ``rsqrt``, ``reciprocal`` or ``division``.
        late: whether the mean is taken off after the product, as ``x f - m f``.

    """

    kernel: DrawnKernel
    merged: bool
    root: str
    late: bool

    @classmethod
    def of(cls, fmt: str, rng: np.random.Generator) -> DrawnLayers:
        """Draw one."""
        kind = str(rng.choice(["rsqrt", "reciprocal", "division"]))
        return cls(DrawnKernel(fmt, rng), bool(rng.random() < 0.4), kind, bool(rng.random() < 0.3))

    def step(self) -> str:
        """Return the format that an intermediate result is held in."""
        return str(self.kernel.rng.choice([self.kernel.fmt, self.kernel.inner]))

    def mean_of(self, total: Array, width: int) -> Array:
        """Return a sum over its number of terms, or times the rounded reciprocal."""
        fmt = self.step()
        if self.kernel.rng.random() < 0.5:
            return divide(total, np.asarray(held(Fraction(width), fmt)), fmt)
        return multiply(total, divide(np.ones(()), np.asarray(held(Fraction(width), fmt)), fmt), fmt)

    def normalise(self, rows: Array, *, centred: bool, mean: bool, eps: Fraction) -> tuple[Array, Array]:
        """Return the normed rows: in the format, and as a kernel that goes on holds them."""
        kernel, rng, width = self.kernel, self.kernel.rng, rows.shape[-1]
        columns = [rows[..., at] for at in range(width)]
        middle, away = np.zeros(rows.shape[:-1]), columns
        if centred and self.merged and mean:
            middle, squares = self.merge(columns)
            total = self.mean_of(squares, width)
        else:
            if centred:
                middle = self.mean_of(kernel.tree(columns, self.step()), width)
                at = self.step()
                away = [add(column, -middle, at) for column in columns]
            total = kernel._sum([(column, column) for column in away], None, self.step())
            total = self.mean_of(total, width) if mean else total
        if centred:
            at = self.step()
            away = [add(column, -middle, at) for column in columns]
        added = held_or_infinite(eps, [kernel.fmt, kernel.inner, "float64"][int(rng.integers(3))])
        at = self.step()
        under = add(total, np.asarray(added), at)
        if self.root == "division":
            by = root(under, at)
            found = np.stack([divide(column, by, kernel.inner) for column in away], axis=-1)
            return to_format(found, kernel.fmt), found
        factor = self.rsqrt(under, at) if self.root == "rsqrt" else divide(np.ones(()), root(under, at), at)
        if centred and self.late:
            shift = multiply(-middle, factor, at)
            joined = rng.random() < 0.5
            parts = [
                fused(column, factor, shift, at) if joined else add(multiply(column, factor, at), shift, at)
                for column in columns
            ]
        else:
            parts = [multiply(column, factor, kernel.inner) for column in away]
        found = np.stack(parts, axis=-1)
        return to_format(found, kernel.fmt), found

    def merge(self, columns: list[Array]) -> tuple[Array, Array]:
        """Return mean and sum of squares in a drawn tree of merges, Welford's update where one part is one number."""
        rng, fmt = self.kernel.rng, self.kernel.inner
        if FORMATS[fmt][0] < FORMATS["float32"][0]:
            fmt = "float32"
        parts = [(1, column, np.zeros(column.shape)) for column in columns]
        chain = rng.random() < 0.5
        while len(parts) > 1:
            at = 0 if chain else int(rng.integers(len(parts) - 1))
            (a, first, one), (b, second, other) = parts[at], parts[at + 1]
            part = to_format(np.asarray(b / (a + b)), fmt)
            delta = add(second, -first, fmt)
            middle = add(first, multiply(part, delta, fmt), fmt)
            if rng.random() < 0.3:
                middle = fused(part, delta, first, fmt)
            if b == 1 and rng.random() < 0.6:
                squares = add(one, multiply(delta, add(second, -middle, fmt), fmt), fmt)
            else:
                term = multiply(multiply(multiply(delta, delta, fmt), part, fmt), np.asarray(float(a)), fmt)
                squares = add(one, add(other, term, fmt), fmt)
            parts[at : at + 2] = [(a + b, middle, squares)]
        return parts[0][1], parts[0][2]

    def rsqrt(self, values: Array, fmt: str) -> Array:
        """Return ``1/sqrt``, off by as many units as it may be, or as correctly rounded."""
        wide = np.longdouble if fmt == "float64" else np.float64
        true = 1 / np.sqrt(values.astype(wide))
        unit = spacing(true.astype(np.float64), fmt)
        off = self.kernel.rng.choice([-RSQRT_ULPS, -1, 0, 1, RSQRT_ULPS])
        moved = to_format((true + off * unit).astype(np.float64), fmt)
        right = np.abs(moved.astype(wide) - true) <= RSQRT_ULPS * unit
        return np.asarray(np.where(right, moved, to_format(true.astype(np.float64), fmt)))

    def affine(self, rows: Array, weight: Array | None, bias: Array | None) -> Array:
        """Return ``w x + b``, fused or not."""
        kernel, at = self.kernel, self.kernel.inner
        found = rows
        if weight is not None and bias is not None and kernel.rng.random() < 0.5:
            return to_format(fused(rows, weight, bias, at), kernel.fmt)
        if weight is not None:
            found = multiply(found, weight, self.step() if bias is not None else at)
        if bias is not None:
            found = add(found, bias, at)
        return to_format(found, kernel.fmt)


Draw = Callable[[str, np.random.Generator], Any]
