"""AMD's third block: products cut as NVIDIA cuts them, then added to ``c`` rounding down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.matrix_units.blocks.base import Block, Output
from verify.matrix_units.formats import Decoded, Doubles, Exponents, Singles, rounded


@dataclass(frozen=True)
class FlooredBlock(Block):
    """Adds products cut toward zero at ``2^(E-F)``, then ``c``, each rounded down at its own place, then rounds.

    ``E`` is the largest exponent of the products. With ``M`` the larger of ``E`` and ``e(c)``, their sum is rounded
    down at ``2^(M-G-1)`` and ``c`` at ``2^(M-F)``; the sum of both is rounded down to ``G`` bits behind its leading one
    and then to the result. A product beyond float32's range is infinite.

    Attributes:
        fraction_bits: F.
        floor_bits: G.

    """

    fraction_bits: int = 24
    floor_bits: int = 31
    summation = "products cut toward zero at 2^(E-F), their sum and c rounded down"

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        """Return the next accumulator."""
        total, exponent = self._products(a, b)
        added = output.result.values.read(c)
        least = output.result.format.min_exponent
        largest = np.maximum(exponent, np.maximum(added.exponents, least))
        whole = np.floor(np.ldexp(total, self.floor_bits + 1 - largest))
        part = np.floor(np.ldexp(added.values, self.fraction_bits - largest))
        both = np.ldexp(whole, largest - self.floor_bits - 1) + np.ldexp(
            self._kept(part, added, largest), largest - self.fraction_bits
        )
        place = np.maximum(np.frexp(both)[1] - 1, least) - self.floor_bits
        floored = np.ldexp(np.floor(np.ldexp(both, -place)), place)
        return rounded(floored, output.precision, output.result, to_nearest=output.to_nearest)

    def _products(self, a: Decoded, b: Decoded) -> tuple[Doubles, Exponents]:
        """Return the sum of the cut products and their largest exponent."""
        terms = a.values * b.values
        terms = np.where(np.abs(terms) >= 2.0**128, np.copysign(np.inf, terms), terms)
        return self._cut_sum(terms, a.exponents + b.exponents)

    def _cut_sum(self, terms: Doubles, exponents: Exponents) -> tuple[Doubles, Exponents]:
        largest = exponents.max(axis=0)
        shift = self.fraction_bits - largest
        return np.ldexp(np.trunc(np.ldexp(terms, shift)).sum(axis=0), -shift), largest

    def _kept(self, part: Doubles, added: Decoded, largest: Exponents) -> Doubles:
        """Return ``c`` as it takes part."""
        return part


@dataclass(frozen=True)
class EvenOddBlock(FlooredBlock):
    """Adds the products at even places and those at odd places apart, as :class:`FlooredBlock` adds products.

    Both sums are rounded down at ``2^(E-F)``, ``E`` now being the larger of their exponents, and added. A ``c`` below
    ``2^(M-F-1)`` counts as zero, also a negative one.
    """

    summation = "products at even and odd places cut toward zero at 2^(E-F), their sums and c rounded down"

    def _products(self, a: Decoded, b: Decoded) -> tuple[Doubles, Exponents]:
        terms, exponents = a.values * b.values, a.exponents + b.exponents
        even, odd = (self._cut_sum(terms[start::2], exponents[start::2]) for start in (0, 1))
        largest = np.maximum(even[1], odd[1])
        shift = self.fraction_bits - largest
        total = np.floor(np.ldexp(even[0], shift)) + np.floor(np.ldexp(odd[0], shift))
        return np.ldexp(total, -shift), largest

    def _kept(self, part: Doubles, added: Decoded, largest: Exponents) -> Doubles:
        return np.where(added.exponents < largest - self.fraction_bits - 1, 0.0, part)
