"""Each sum with a bias is one chain of fused multiply-adds that starts from the bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from verify.certificates.floats.rounding.base import Rounding, _Array, accumulator_of


@final
@dataclass(frozen=True)
class Fused(Rounding):
    """A chain ``a_k = round(w_k x_k + a_(k-1))`` from the bias, which takes the products in any order.

    In a 16-bit format products and bias may also be added in any order in float32 and rounded once more. Nothing is
    assumed of sums without a bias.
    """

    word = "fused"
    summary = "bias first"
    any_order = True

    def sentence(self) -> str:
        """Return what is assumed."""
        return (
            "each sum with a bias one chain of fused multiply-adds that starts from the bias, products in any order"
            + ("" if accumulator_of(self.fmt) is None else " (or all of it in float32, rounded at the end)")
            + "; other sums in any order, with or without fused multiply-add"
        )

    def rounds_products(self, bias: _Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where the bias is 0: a chain that starts from 0 rounds its first product, which may be any."""
        return np.asarray(bias == 0)

    def single_products(self, kept: Sequence[_Array], rounded: Sequence[_Array]) -> Sequence[_Array]:
        """Return the values before they are rounded to the format: the product and the bias are rounded together."""
        return kept
