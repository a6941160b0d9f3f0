"""AMD's second block: float32 additions in pairs, subnormal numbers flushed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.matrix_units.blocks.base import Block, Output
from verify.matrix_units.formats import Decoded, Singles


@dataclass(frozen=True)
class PairwiseBlock(Block):
    """Rounds each product to float32, adds them in pairs, the sums of pairs in pairs, and the last sum to ``c``.

    Every operation rounds to nearest and flushes a subnormal result to a zero of its sign. Subnormal factors, and a
    subnormal ``c``, count as a positive zero.

    Attributes:
        products: a power of two.

    """

    summation = "float32 additions in pairs, each to nearest, subnormal numbers flushed"

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        """Return the next accumulator."""
        sums = _flushed((_normal(a) * _normal(b)).astype(np.float32))
        while len(sums) > 1:
            sums = _flushed(sums[::2] + sums[1::2])
        return _flushed(_flushed(c, keep_sign=False) + sums[0])


def _normal(found: Decoded) -> np.ndarray:
    """Return factors with zero for the subnormal ones: those below one in their own last exponent."""
    return np.where(np.abs(found.values) < np.ldexp(1.0, found.exponents), 0.0, found.values)


def _flushed(values: Singles, *, keep_sign: bool = True) -> Singles:
    zeros = np.copysign(np.float32(0), values) if keep_sign else np.float32(0)
    return np.where(np.abs(values) < np.finfo(np.float32).tiny, zeros, values)
