"""Sums on matrix units as a library may compute them: any products in a block, any chain or tree of blocks.

The blocks are those of :class:`verify.MatrixUnit`, which is tested against recorded sums. How they are joined is drawn,
without the certificate's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.certificates.emulated import Array, to_format
from tests.certificates.kernels import DrawnKernel
from verify.matrix_units import GENERATIONS, MatrixUnit

#: The factors of each format of numbers.
WORDS = {"bfloat16": "bf16", "float16": "fp16", "float32": "tf32"}
#: All units, as pairs of a generation and a format of numbers.
UNITS = [(name, fmt) for name, found in GENERATIONS.items() for fmt, word in WORDS.items() if word in found.formats]


@dataclass
class DrawnUnit:
    """One way to add up products.

    Attributes:
        generation: of the unit.
        fmt: the format of the numbers.
        rng: decides everything.
        full: whether sums stay in float32 until the end.
        order: ``chain`` of blocks of one product in the order given, ``block`` as many in each as it holds, ``drawn``.

    """

    generation: str
    fmt: str
    rng: np.random.Generator
    full: bool = False
    order: str = field(init=False)

    def __post_init__(self) -> None:
        self.unit = MatrixUnit(self.generation, WORDS[self.fmt])
        self.order = str(self.rng.choice(["chain", "block", "drawn", "drawn", "ascending"]))

    def sum_of(self, left: Array, right: Array, bias: Array | None = None) -> Array:
        """Return sums of products and a bias, rounded to the format.

        Args:
            left: numbers of the format, sums x products.
            right: the same.
            bias: the same, one for each sum.

        """
        rng, size = self.rng, left.shape[1]
        shift = np.zeros(len(left)) if bias is None else bias
        a, b = (self._factors(part) for part in (left, right))
        if self.order == "ascending":
            return self._last(self._added(a, b, np.zeros(len(a)), rng.permutation(size)), shift)
        parts = [shift]
        order = np.arange(size) if self.order in {"chain", "block"} else rng.permutation(size)
        start = 0
        while start < size:
            most = {"chain": 1, "block": self.unit.block.products}.get(self.order)
            count = int(rng.integers(1, self.unit.block.products + 1)) if most is None else most
            chosen, start = order[start : start + count], start + count
            chained = self.order != "drawn" or rng.random() < 0.7
            c = parts.pop(0 if self.order != "drawn" else int(rng.integers(len(parts)))) if chained and parts else None
            found = self._added(a, b, np.zeros(len(a)) if c is None else c, chosen)
            parts.insert(0, self._reduced(found))
        while len(parts) > 1:
            first, second = parts.pop(int(rng.integers(len(parts)))), parts.pop(int(rng.integers(len(parts))))
            parts.append(self._reduced((first + second).astype(np.float32).astype(float)))
        return to_format(parts[0], self.fmt)

    def _last(self, total: Array, shift: Array) -> Array:
        """Return a sum and a bias, added in float32 and rounded, as torch's libraries do."""
        return to_format((self._reduced(total) + shift).astype(np.float32).astype(float), self.fmt)

    def _reduced(self, values: Array) -> Array:
        """Return partial sums as they are, or rounded to the format."""
        return values if self.full or self.rng.random() < 0.5 else to_format(values, self.fmt)

    def _factors(self, values: Array) -> Array:
        """Return what the unit multiplies: of float32 numbers, either neighbour of 11 bits."""
        if self.fmt != "float32":
            return values
        spacing = np.ldexp(np.ones(values.shape), np.maximum(np.frexp(values)[1] - 1, -126) - 10)
        down = np.trunc(values / spacing) * spacing
        up = (down != values) & (self.rng.random(values.shape) < self.rng.choice([0, 0.5, 1]))
        return np.asarray(np.where(up, down + np.copysign(spacing, values), down))

    def _added(self, a: Array, b: Array, c: Array, chosen: Array) -> Array:
        """Return some products added to a number, by as many blocks as they need, zeros among them."""
        size, products = len(chosen), self.unit.block.products
        room = -(-size // products) * products
        places = np.sort(self.rng.permutation(room)[:size]) if self.rng.random() < 0.5 else np.arange(size)
        left, right = np.zeros((2, len(a), room), dtype=np.float32)
        left[:, places], right[:, places] = a[:, chosen], b[:, chosen]
        if self.rng.random() < 0.3:  # a zero may meet any number
            other = np.setdiff1d(np.arange(room), places)
            right[:, other] = b.max(axis=1, keepdims=True)
        return self.unit.multiply_add(left, right, c.astype(np.float32)).astype(float)


@dataclass
class UnitKernel(DrawnKernel):
    """One way to compute everything on a unit, and around it: softmax in float32, other operations one by one.

    Attributes:
        generation: of the unit.
        full: whether sums of the unit stay in float32 until the end.

    """

    generation: str = "hopper"
    full: bool = False

    def sum_of(self, pairs: Sequence[tuple[Array, Array]], bias: Array | None = None) -> Array:
        """Return a sum of products and a bias, each time in a tree of its own."""
        shift = np.zeros(()) if bias is None else bias
        shape = np.broadcast_shapes(shift.shape, *(part.shape for pair in pairs for part in pair))
        size = int(np.prod(shape))
        left, right = (
            np.stack([np.broadcast_to(pair[end], shape).reshape(-1) for pair in pairs], axis=1)
            if pairs
            else np.zeros((size, 0))
            for end in (0, 1)
        )
        kernel = DrawnUnit(self.generation, self.fmt, self.rng, self.full)
        return kernel.sum_of(left, right, np.broadcast_to(shift, shape).reshape(-1)).reshape(shape)

    def attention(self, scores: Array, visible: Array, temperature: Any, key_size: int) -> Array:
        """Return attention weights: those of float32, rounded once."""
        return to_format(DrawnKernel("float32", self.rng).attention(scores, visible, temperature, key_size), self.fmt)


def drawn(rng: np.random.Generator, fmt: str, kind: str, sums: int, size: int) -> tuple[Array, Array, Array]:
    """Return factors and biases of sums that come near what a bound must allow.

    Args:
        rng: draws them.
        fmt: the format.
        kind: a key of :data:`HARD`, or a kind of ``tests.mutation.certifier_killers.floats``.
        sums: how many.
        size: the products of each.

    """
    if kind in HARD:
        return HARD[kind](rng, fmt, sums, size)
    from tests.mutation.certifier_killers import floats

    left, right = floats(rng, (sums, size), fmt, kind), floats(rng, (sums, size), fmt, kind)
    bias = floats(rng, (sums, 1), fmt, kind)[:, 0] * (rng.random(sums) < 0.6)
    if size > 1 and rng.random() < 0.4:  # the leading terms cancel
        left[:, 1], right[:, 1] = left[:, 0], -right[:, 0]
    return left, right, bias


def _truncated(rng: np.random.Generator, fmt: str, sums: int, size: int) -> tuple[Array, Array, Array]:
    """Return 1 and products of a little less than 2^-23, or than 2^-25, each of which is cut away from the sum."""
    step = float(rng.choice([22, 23, 24, 25, 26]))
    least = 1 - 2.0**-8 if fmt == "bfloat16" else 1 - 2.0**-11
    left, right = np.full((sums, size), least), np.full((sums, size), 2.0**-12)
    left = left * 2.0 ** -(step - 12)
    left, right = left * rng.choice([1, 1, 1, -1], (sums, 1)), right * rng.choice([1, 1, least], (sums, size))
    if fmt == "float16" and step - 12 > 13:
        left, right = left * 2.0**4, right * 2.0**-4
    return left, to_format(right, fmt), np.ones(sums) * rng.choice([1, 1, 1 + 2.0**-7, -1], sums)


def _raised(rng: np.random.Generator, fmt: str, sums: int, size: int) -> tuple[Array, Array, Array]:
    """Return a product of a subnormal number with a power of two, and others that its exponent cuts away."""
    bits, least = {"bfloat16": (8, -126), "float16": (11, -14), "float32": (11, -126)}[fmt]
    high = 15 if fmt == "float16" else 100
    left, right = np.empty((2, sums, size))
    left[:, 0] = 2.0 ** (least - bits + 1) * rng.choice([1, 2, 3], sums)
    right[:, 0] = 2.0**high
    cut = int(rng.choice([23, 24, 25, 26]))
    close = 1 - 2.0**-bits
    exponent = least + high - cut
    left[:, 1:], right[:, 1:] = close * 2.0 ** (exponent // 2), 2.0 ** (exponent - exponent // 2)
    bias = np.full(sums, close * 2.0**exponent) * rng.choice([0, 1], sums)
    return left, right, to_format(bias, fmt)


def _carried(rng: np.random.Generator, fmt: str, sums: int, size: int) -> tuple[Array, Array, Array]:
    """Return sums that cancel to what a cut at another place would leave."""
    left, right = np.ones((2, sums, size))
    left[:, 1:] = rng.choice([1, -1, 3], (sums, size - 1)) * 2.0 ** -rng.integers(9, 13, (sums, size - 1)).astype(float)
    right[:, 1:] = 2.0 ** -rng.integers(9, 14, (sums, size - 1)).astype(float)
    return left, right, -np.ones(sums) * rng.choice([0, 1, 1, 2], sums)


def _tied(rng: np.random.Generator, fmt: str, sums: int, size: int) -> tuple[Array, Array, Array]:
    """Return a product half way between two numbers of the format, and small ones that decide which is nearer."""
    bits = {"bfloat16": 8, "float16": 11, "float32": 11}[fmt]
    left, right = np.empty((2, sums, size))
    left[:, 0], right[:, 0] = 1.5, 1 + 2.0 ** (1 - bits)
    shape = (sums, size - 1)
    left[:, 1:] = rng.choice([1, -1, 0], shape) * 2.0 ** -rng.integers(5, 12, shape).astype(float)
    right[:, 1:] = 2.0 ** -rng.integers(5, 12, shape).astype(float)
    return left, right, np.zeros(sums)


HARD = {"truncated": _truncated, "raised": _raised, "carried": _carried, "tied": _tied}
KINDS = ("full", "mixed", "integers", "cancelling", "tiny", "large first", *HARD)
