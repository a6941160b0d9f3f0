"""The bias is added to the rounded sum of the products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from verify.certificates.floats.rounding.base import Rounding, _Array


@final
@dataclass(frozen=True)
class Separate(Rounding):
    """The products are added in any order; their rounded sum meets the bias last."""

    word = "separate"
    summary = "bias last"
    any_order = True

    def sentence(self) -> str:
        """Return what is assumed."""
        return "any order of summation, with or without fused multiply-add, rounded before a bias is added"

    def single_products(self, kept: Sequence[_Array], rounded: Sequence[_Array]) -> Sequence[_Array]:
        """Return the rounded values: the sum of one product is rounded before the bias is added."""
        return rounded
