"""NVIDIA's block: terms cut at a place below the largest exponent, added exactly, rounded once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from constructions.validation import reject
from verify.matrix_units.blocks.base import Block, Output
from verify.matrix_units.formats import Decoded, Singles, rounded


@dataclass(frozen=True)
class AlignedBlock(Block):
    """Cuts every term, ``c`` among them, toward zero at ``2^(E-F)``, adds exactly and rounds once.

    ``E`` is the largest of ``e(a_i) + e(b_i)``, of ``e(c)`` and, where a product or ``c`` is zero, of the output's
    ``zero_exponent``. Products are not normalised: their significands lie in ``[1, 4)``.

    Attributes:
        fraction_bits: F.

    """

    fraction_bits: int = 24
    summation = "terms cut toward zero at 2^(E-F), added exactly"

    def __post_init__(self) -> None:
        """Refuse an exponent of zero above that of numbers: :meth:`add` would need to know which terms are zero.

        A zero ``c`` brings ``zero_exponent`` to the maximum, and any other ``c`` brings at least the format's least
        exponent. So the maximum may take ``zero_exponent`` in always, and zeros that fill up a block change nothing.
        """
        for output in self.outputs:
            least = output.result.format.min_exponent
            if output.zero_exponent is None or output.zero_exponent > least:
                reject("zero_exponent", f"an exponent <= {least}", output.zero_exponent)

    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        """Return the next accumulator; a negative zero becomes positive."""
        assert output.zero_exponent is not None
        added = output.result.values.read(c)
        largest = np.maximum((a.exponents + b.exponents).max(axis=0), added.exponents)
        shift = self.fraction_bits - np.maximum(largest, output.zero_exponent)
        scale = np.ldexp(1.0, shift)
        terms = a.values * b.values
        total = np.trunc(terms * scale).sum(axis=0) + np.trunc(added.values * scale)
        return rounded(np.ldexp(total, -shift), output.precision, output.result, to_nearest=output.to_nearest) + 0.0
