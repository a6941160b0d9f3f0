"""Fused attention written from scratch: blocks of keys in any order, powers of 2, sums that are rescaled, in float32.

Each choice that a kernel has is drawn, and ``ex2`` is off by as much as it is documented to be, to either side. Nothing
of the package is used. Numbers are held as float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.certificates.emulated import Array, add, fused, multiply, spacing, to_format

#: The error of ``ex2.approx`` in units in the last place, as NVIDIA documents it (PTX ISA); not read from the package.
EX2_ULPS = 2
LOG2_E = 1.4426950408889634


def _one(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)


@dataclass
class Flash:
    """A kernel of one row of queries.

    Attributes:
        rng: draws what is not given.
        fmt: the format of what goes in and comes out.
        form: how exponents are computed: ``fused``, ``difference``, ``products`` or ``scaled``.
        flush: whether what is below the normal range becomes 0.
        off: how far ``ex2`` is off in units in the last place, as a function of the exponents; drawn unless given.
        most: the largest error of ``ex2``.

    """

    rng: np.random.Generator
    fmt: str = "float32"
    form: str = "fused"
    flush: bool = True
    off: Callable[[Array], Array] | None = None
    most: float = EX2_ULPS
    largest_seen: list[float] = field(default_factory=list)

    def ex2(self, exponents: Array) -> Array:
        """Return powers of 2, off by at most :attr:`most` units; 1 at 0."""
        exponents = _one(exponents)
        true = np.exp2(exponents)
        unit = spacing(np.maximum(true, 2.0**-149), "float32")  # float64 has 0 for what is below its own numbers
        off = self.rng.uniform(-self.most, self.most, exponents.shape) if self.off is None else self.off(exponents)
        found = to_format(np.maximum(true + off * unit, 0), "float32")
        inside = np.abs(found - true) <= self.most * unit
        found = np.where(inside, found, to_format(true, "float32"))
        return self.kept(np.where(exponents == 0, 1.0, found))

    def kept(self, values: Array) -> Array:
        """Return numbers without those below the normal range, where these are flushed."""
        return np.where(np.abs(values) < 2.0**-126, 0.0, values) if self.flush else values

    def times(self, left: Array, right: Array) -> Array:
        """Return a product in float32."""
        return self.kept(multiply(_one(left), _one(right), "float32"))

    def plus(self, left: Array, right: Array) -> Array:
        """Return a sum in float32."""
        return self.kept(add(_one(left), _one(right), "float32"))

    def blocks(self, count: int) -> Iterator[list[int]]:
        """Yield the keys in blocks, of any size and in any order."""
        order = self.rng.permutation(count).tolist()
        while order:
            size = int(self.rng.integers(1, len(order) + 1))
            yield order[:size]
            order = order[size:]

    def scale(self, gap: float) -> Array:
        """Return the scale with ``log2(e)`` in it, rounded once or thrice."""
        if self.rng.integers(2):
            return to_format(_one(gap * LOG2_E), "float32")
        return multiply(to_format(_one(gap), "float32"), to_format(_one(LOG2_E), "float32"), "float32")

    def row(self, scores: Array, values: Array, gap: float) -> Array:
        """Return the output of one query.

        Args:
            scores: of the keys, as float32 holds them.
            values: keys x width.
            gap: what scores are scaled by.

        """
        scale = self.scale(gap)
        top, total = None, _one(0.0)
        out = np.zeros(values.shape[1])
        for block in self.blocks(len(scores)):
            before = top
            top = self._top(before, scores[block], scale)
            if before is not None:
                factor = self.ex2(self._fall(before, top, scale))
                total, out = self.times(total, factor), self.times(out, factor)
            weights = self.ex2(self._exponents(scores[block], top, scale))
            for weight in self.rng.permutation(weights):
                total = self.plus(total, weight)
            held = to_format(weights, self.fmt)
            for at in self.rng.permutation(len(block)):
                value = values[block[at]]
                if self.rng.integers(2):
                    out = self.kept(fused(np.full_like(value, held[at]), value, out, "float32"))
                else:
                    out = self.plus(out, self.times(np.full_like(value, held[at]), value))
        if self.rng.integers(2):
            found = self.times(out, to_format(1 / total, "float32"))
        else:
            found = self.kept(to_format(out / total, "float32"))
        return to_format(found, self.fmt)

    def _top(self, before: Array | None, scores: Array, scale: Array) -> Array:
        top = _one(scores.max())
        if self.form == "scaled":
            top = self.times(top, scale)
        return top if before is None else np.maximum(before, top)

    def _fall(self, before: Array, top: Array, scale: Array) -> Array:
        below = self.plus(before, -top)
        if self.form == "scaled":
            return below
        if self.form == "products":
            return self.plus(self.times(before, scale), -self.times(top, scale))
        return self.times(below, scale)

    def _exponents(self, scores: Array, top: Array, scale: Array) -> Array:
        if self.form == "difference":
            return self.times(self.plus(scores, np.full_like(scores, -top)), np.full_like(scores, scale))
        shift = top if self.form == "scaled" else self.times(top, scale)
        if self.form == "products":
            return self.plus(self.times(scores, np.full_like(scores, scale)), np.full_like(scores, -shift))
        return self.kept(fused(scores, np.full_like(scores, scale), np.full_like(scores, -shift), "float32"))


FORMS = ("fused", "difference", "products", "scaled")
